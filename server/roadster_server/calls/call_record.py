"""The record of one call: what the log, the metrics and the audit say of it."""

from __future__ import annotations

import time
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, Literal
from uuid import uuid4

import anyio

from roadster_server.store import AuditRecord, ClaimLost, StoreBusy, StoreError
from roadster_server.telemetry.logs import log
from roadster_tools import AdmittedCall, Caller, Failure, ReadArguments, Tool, Unrecorded, failure, verdict

from .context import CallContext, CallServices, client_name

Recording = Literal["stored soon", "stored", "stored later", "in a sum"]
"""How the record of a call's end gets into the store.

A read is answered after two seconds, also if its record is not stored by then. The answer of a write that was sent
waits for the record, and so does each answer under `refuse_unrecorded_reads`. A call that the store has failed does not
wait for it again. Refusals by a caller's limit are in sums.
"""


class CallRecord:
    """The facts of one call, as far as they are known. `end` puts it on record."""

    def __init__(
        self, services: CallServices, caller: Caller, ctx: CallContext, tool: Tool | None, arguments: ReadArguments
    ) -> None:
        self._services = services
        self._caller = caller
        self._ctx = ctx
        self._tool = tool
        self._start_time = time.perf_counter()
        self.call_id = uuid4().hex
        self.tool_name = tool.name if tool else "unknown"
        self.arguments = arguments
        self.admitted_call: AdmittedCall | None = None
        self.dealer: str | None = None
        self.approval_id: str | None = None
        """The approval that the call belongs to."""
        self.write_sent = False
        self.request_id: str | None = None
        """The upstream's id of the last request."""
        self.refused_by: str | None = None
        self.answered_ids: dict[str, Any] = {}
        """The ids in the answer of a write, such as that of a customer who was made, by `answer.` and their name."""
        self.outcome = "done"
        self.recording: Recording = "stored" if services.refuse_unrecorded_reads else "stored soon"

    async def end(self) -> Failure | None:
        """Logs and records the call, even if it was cancelled. If it returns a failure, that replaces the answer."""
        with anyio.CancelScope(shield=True):
            replacement = await self._end()
        return replacement  # noqa: RET504 - to mypy, the scope above may swallow a return

    async def _end(self) -> Failure | None:
        self._report_left_out()
        milliseconds = round((time.perf_counter() - self._start_time) * 1000)
        self._services.observer.on_call_end(self.tool_name, self.outcome, self.refused_by, milliseconds / 1000)
        log.info(
            "call",
            extra={
                "call": self.call_id,
                "tool": self.tool_name,
                "caller": self._caller.name,
                **self._marks_of_person(),
                "protocol": self._ctx.protocol_version,
                "outcome": self.outcome,
                "ms": milliseconds,
            },
        )
        return await self._put_on_record(self.of_phase("ended", self.outcome, milliseconds))

    async def _put_on_record(self, record: AuditRecord) -> Failure | None:
        recorder = self._services.recorder
        if self.recording == "stored later":
            recorder.keep(record)
        elif self.recording == "stored":
            try:
                await recorder.put(record)
            except StoreError as error:
                return self._keep_record(record, error)
        elif self.recording == "stored soon" or not self._services.refusals.count(record):
            await recorder.put_soon(record)
        return None

    def _keep_record(self, record: AuditRecord, error: StoreError) -> Failure | None:
        """Keeps a record that the store does not take. Only a read is refused: a write that was sent has its answer."""
        reason = self.store_reason(error)
        if self.write_sent:
            self._services.recorder.keep(record, error)
            return None
        self._services.recorder.keep(replace(record, outcome=Unrecorded.kind), error)
        return failure(Unrecorded(f"The call cannot be put on record: {reason}"))

    def _marks_of_person(self) -> dict[str, str]:
        """Returns a keyed hash of a person, whose id at a provider may be an email address. The audit has the id."""
        return {} if self._caller.person is None else {"person": self._services.keys.hash(self._caller.person)}

    def _report_left_out(self) -> None:
        for kind, count in (self.admitted_call.left_out if self.admitted_call else {}).items():
            self._services.observer.on_left_out(kind, count)
            log.warning(
                "left out of an answer",
                extra={"call": self.call_id, **kind._asdict(), "is_row": kind.is_row, "count": count},
            )

    def store_reason(self, error: StoreError) -> str:
        """Logs the error, and returns what the caller may read of it: the text names the store's file or host."""
        if isinstance(error, ClaimLost):
            return str(error)
        log.error("the store failed on a call", extra={"call": self.call_id, "reason": str(error)})
        if isinstance(error, StoreBusy):
            return "others kept the store busy for too long"
        return "the store does not work"

    def of_phase(
        self, phase: Literal["sent", "ended", "decided"], outcome: str, milliseconds: int | None = None
    ) -> AuditRecord:
        """Returns the audit record of one phase of the call."""
        setting = self.refused_by or (verdict(self._caller, self._tool).setting if self._tool else "")
        properties = self._tool.input_schema["properties"] if self._tool else {}
        plain_arguments = self.admitted_call.plain_arguments if self.admitted_call else {}
        return AuditRecord(
            call_id=self.call_id,
            phase=phase,
            time=datetime.now(UTC),
            caller=self._caller.name,
            principal=self._caller.principal,
            client=client_name(self._ctx),
            protocol=self._ctx.protocol_version,
            tool=self.tool_name,
            dealer=self.dealer,
            verdict="allowed" if self._tool is not None and self.refused_by is None else "refused",
            setting=setting,
            outcome=outcome,
            upstream_request_id=self.request_id,
            latency_ms=milliseconds,
            arguments={
                # Other names of arguments are the caller's own text, and stay out.
                name: self._services.keys.hash(plain_arguments.get(name, value))
                for name, value in [*self.arguments.values.items(), *self.answered_ids.items()]
                if name in properties or name in self.answered_ids
            },
            approval=self.approval_id,
        )
