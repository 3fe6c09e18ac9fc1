"""The views of the console. They only show, and each of them is on record."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from pydantic_core import from_json
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from roadster_client import ApiName
from roadster_server.calls.approvals.desk import ApprovalDesk
from roadster_server.calls.context import API_NAMES
from roadster_server.identity.explanation import explain_caller, explain_claims
from roadster_server.people.context import People
from roadster_server.people.forms import read_form
from roadster_server.settings.errors import ConfigurationError
from roadster_server.store import AuditQuery, StoredRecord
from roadster_tools import TOOLS, name_choices

from .chain_check import ChainCheck
from .configuration import sections_of
from .figures import SPANS, UPSTREAM_OUTCOMES, api_of, plots
from .operator import Operator, enter

_PAGE_RECORDS = 50
_EVENTS_OF = timedelta(days=30)
_MOST_DIGITS = 18
"""Digits of a record's number. The databases hold no longer ones."""
_FILTERS = ("since", "until", "person", "dealer", "tool", "outcome", "approval")


def view_routes(people: People) -> list[Route]:
    views = _Views(people)
    return [
        Route("/people/console", views.overview),
        Route("/people/console/audit", views.audit),
        Route("/people/console/audit/check", views.check, methods=["POST"]),
        Route("/people/console/figures", views.figures),
        Route("/people/console/configuration", views.configuration),
        Route("/people/console/rights", views.rights),
        Route("/people/console/rights", views.explain, methods=["POST"]),
    ]


@dataclass(frozen=True)
class UpstreamHealth:
    """The state of one upstream, as this process and the audit see it."""

    name: str
    calls: int
    failures: int
    breakers: list[tuple[str | None, str]]

    @property
    def state(self) -> str:
        if self.breakers:
            return "fails"
        if not self.calls:
            return "no calls in the last hour"
        return "some calls failed" if self.failures else "answers"


class _Views:
    def __init__(self, people: People) -> None:
        self._people = people
        self._desk = ApprovalDesk(people.calls, lambda: people.settings)
        self._check = ChainCheck()

    async def overview(self, request: Request) -> Response:
        operator = await enter(self._people, request, "overview")
        store = await self._people.calls.services.store.open()
        newest = [record async for record in store.records(last=1)]
        return self._people.pages.render(
            request,
            "console/overview.html",
            operator=operator,
            waiting=await self._desk.count_waiting(operator.visitor.caller),
            newest=newest[0] if newest else None,
            check=self._check,
            upstreams=await self._health(operator),
            events=await store.recent_events(datetime.now(UTC) - _EVENTS_OF, operator.dealers),
            quarantine=await store.quarantined_events() if operator.sees_everything else [],
        )

    async def _health(self, operator: Operator) -> list[UpstreamHealth]:
        store = await self._people.calls.services.store.open()
        span = SPANS["hour"]
        calls: Counter[ApiName] = Counter()
        failures: Counter[ApiName] = Counter()
        for count in await store.count_calls(span.begin(datetime.now(UTC)), span.width, operator.dealers):
            if not count.is_refused:
                calls[api_of(count.tool)] += count.count
                failures[api_of(count.tool)] += count.count if count.outcome in UPSTREAM_OUTCOMES else 0
        return [
            UpstreamHealth(
                API_NAMES[api],
                calls[api],
                failures[api],
                [breaker for breaker in upstream.open_breakers if breaker[0] is None or operator.sees(breaker[0])],
            )
            for api, upstream in self._people.calls.services.upstreams.items()
        ]

    async def audit(self, request: Request) -> Response:
        filters = {name: _text_of(request.query_params.get(name, "")) for name in _FILTERS}
        selection = {name: value for name, value in filters.items() if value}
        operator = await enter(self._people, request, "audit", selection, dealer=selection.get("dealer"))
        query, problem = _audit_query(filters, request.query_params.get("before", ""), operator)
        unreadable: list[int] = []
        store = await self._people.calls.services.store.open()
        records: list[StoredRecord] = []
        if not problem:
            records = [
                entry async for entry in store.records(query, last=_PAGE_RECORDS, on_unreadable=unreadable.append)
            ]
        return self._people.pages.render(
            request,
            "console/audit.html",
            filters=filters,
            problem=problem,
            records=records[::-1],
            unreadable=unreadable,
            older=records[0].seq if len(records) == _PAGE_RECORDS else None,
            selection=selection,
            dealers=sorted(operator.visitor.caller.dealers),
            tools=sorted(TOOLS),
            operator=operator,
            check=self._check,
        )

    async def check(self, request: Request) -> Response:
        await read_form(request, self._people.calls.services.keys.people)
        await enter(self._people, request, "audit check")
        store = await self._people.calls.services.store.open()
        await self._check.run(store)
        return self._people.pages.render(request, "console/check.html", check=self._check)

    async def figures(self, request: Request) -> Response:
        name = request.query_params.get("span", "hour")
        span = SPANS.get(name, SPANS["hour"])
        operator = await enter(self._people, request, "figures", {"span": name})
        store = await self._people.calls.services.store.open()
        now = datetime.now(UTC)
        counts = await store.count_calls(span.begin(now), span.width, operator.dealers)
        return self._people.pages.render(
            request,
            "console/figures.html",
            operator=operator,
            spans={key: each.name for key, each in SPANS.items()},
            span=span.name,
            plots=plots(counts, span, now),
        )

    async def configuration(self, request: Request) -> Response:
        operator = await enter(self._people, request, "configuration", needs_everything=True)
        sections = list(sections_of(self._people.settings))
        return self._people.pages.render(request, "console/configuration.html", operator=operator, sections=sections)

    async def rights(self, request: Request) -> Response:
        operator = await enter(self._people, request, "rights", needs_everything=True)
        return self._rights(request, operator, {}, [], "")

    async def explain(self, request: Request) -> Response:
        fields = await read_form(request, self._people.calls.services.keys.people)
        question = {name: fields[name] for name in ("caller", "tool", "dealer") if fields.get(name)}
        operator = await enter(self._people, request, "rights", question, needs_everything=True)
        try:
            return self._rights(request, operator, fields, self._explanation(fields), "")
        except ConfigurationError as error:
            return self._rights(request, operator, fields, [], " ".join(error.problems))

    def _explanation(self, fields: Mapping[str, str]) -> list[str]:
        """Returns the lines of `policy explain`. Raises ConfigurationError."""
        settings, tool, dealer = self._people.settings, fields.get("tool") or None, fields.get("dealer") or None
        text = fields.get("claims", "").strip()
        if not text:
            caller = fields.get("caller", "")
            if not caller:
                raise ConfigurationError(["Name a caller, or paste the claims of a person's token."])
            if caller not in settings.callers:
                choices = name_choices([*settings.callers], caller) if settings.callers else "there is none"
                raise ConfigurationError([f"There is no such caller: {choices}."])
            return list(explain_caller(settings, caller, tool, dealer))
        try:
            claims = from_json(text)
        except ValueError:
            claims = None
        if not isinstance(claims, dict):
            raise ConfigurationError(["The claims are no JSON object. A token does not belong here."])
        return list(explain_claims(settings, claims, tool, dealer))

    def _rights(
        self, request: Request, operator: Operator, fields: Mapping[str, str], lines: list[str], problem: str
    ) -> Response:
        settings = self._people.settings
        return self._people.pages.render(
            request,
            "console/rights.html",
            operator=operator,
            fields={name: fields.get(name, "") for name in ("caller", "claims", "tool", "dealer")},
            lines=lines,
            problem=problem,
            callers=sorted(settings.callers),
            tools=sorted(TOOLS),
            dealers=sorted(settings.dealers),
        )


def _text_of(value: str) -> str:
    """Returns what somebody searches for, without the character that PostgreSQL takes in no text."""
    return value.replace("\0", "").strip()


def _time_of(text: str) -> datetime:
    """Returns a time in UTC, in which a time without an offset is meant."""
    time = datetime.fromisoformat(text)
    return time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)


def _audit_query(filters: Mapping[str, str], before: str, operator: Operator) -> tuple[AuditQuery, str]:
    """Returns the query, and what is wrong with the filters."""
    times: dict[str, datetime | None] = {}
    for name in ("since", "until"):
        try:
            times[name] = _time_of(filters[name]) if filters[name] else None
        except (ValueError, OverflowError):
            return AuditQuery(), f"{name}: expected a date and a time, such as 2026-11-28T16:05"
    dealers = operator.dealers
    if filters["dealer"]:
        dealers = frozenset([filters["dealer"]]) if operator.sees(filters["dealer"]) else frozenset()
    return (
        AuditQuery(
            since=times["since"],
            until=times["until"],
            principal=filters["person"] or None,
            tool=filters["tool"] or None,
            outcome=filters["outcome"] or None,
            approval=filters["approval"] or None,
            dealers=dealers,
            before=int(before) if before.isdecimal() and len(before) < _MOST_DIGITS else None,
        ),
        "",
    )
