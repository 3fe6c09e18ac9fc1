"""Files with transcripts: message lists as JSON or JSON lines, logs of Inspect, and results of tau-bench."""

from __future__ import annotations

import json
import sys
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import Any

from roadster_evals.grading.result import USAGE

from .message_lists import events_of
from .transcript import Transcript, TranscriptError, turns_of

EVALUATION = "roadster_eval"
"""The field, also in `metadata`, that names scenario and seed."""

_ATTACHMENT = "attachment://"


def read_transcripts(path: Path) -> Iterator[Transcript | TranscriptError]:
    """Yields the transcripts of a file, and an error for each that makes no talk. Raises TranscriptError."""
    documents = _read_documents(path)
    for number, document in enumerate(documents, 1):
        source = str(path) if len(documents) == 1 else f"{path}, line {number}"
        try:
            yield from _read_document(path, source, document)
        except (AttributeError, TypeError, KeyError, ValueError) as error:
            yield TranscriptError(f"{source}: is not of the documented shape ({type(error).__name__}: {error})")


def _read_documents(path: Path) -> list[Any]:
    """Returns the JSON documents of a file. Raises TranscriptError."""
    try:
        return [_unpack(path)] if zipfile.is_zipfile(path) else _read_json(path, path.read_text("utf-8-sig"))
    except NotImplementedError:  # the zip's compression is Zstandard
        raise TranscriptError(
            f"{path}: this Python cannot unpack it; use that of Inspect, or print it as JSON: inspect log dump {path}"
        ) from None
    except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
        raise TranscriptError(f"{path}: cannot be read ({type(error).__name__})") from None


def _read_document(path: Path, source: str, document: Any) -> Iterator[Transcript | TranscriptError]:
    fields = document if isinstance(document, dict) else {}
    if isinstance(fields.get("samples"), list):
        yield from _read_samples(path, fields)
    elif isinstance(fields.get("simulations"), list):
        yield from _read_simulations(path, fields)
    elif isinstance(document, list) and document and "traj" in document[0]:
        yield from _read_trajectories(path, document)
    else:
        yield _read_messages(source, document)


def _read_json(path: Path, text: str) -> list[Any]:
    """Returns the one document of a JSON file, or those of JSON lines."""
    try:
        return [json.loads(text)]
    except ValueError:
        pass
    try:
        documents = [json.loads(line) for line in text.splitlines() if line.strip()]
    except ValueError:
        raise TranscriptError(f"{path}: is neither JSON nor JSON lines nor an Inspect log") from None
    if not documents:
        raise TranscriptError(f"{path}: is empty")
    return documents


def _read_messages(source: str, document: Any) -> Transcript | TranscriptError:
    fields = document if isinstance(document, dict) else {"messages": document}
    messages = fields.get("messages")
    metadata = fields.get("metadata") or {}
    if not isinstance(messages, list) or not isinstance(metadata, dict):
        return TranscriptError(f"{source}: is no list of messages, and no object with one in `messages`")
    try:
        turns = turns_of(events_of(messages))
    except TranscriptError as error:
        return TranscriptError(f"{source}: {error}")
    evaluation = fields.get(EVALUATION) or metadata.get(EVALUATION) or ""
    return Transcript(source, turns, str(evaluation), str(fields.get("model") or ""))


def _read_simulations(path: Path, document: Mapping[str, Any]) -> Iterator[Transcript | TranscriptError]:
    """Yields the simulations of a results file of tau2-bench. Its tasks have the names of evaluations."""
    agent = ((document.get("info") or {}).get("agent_info") or {}).get("llm")
    for simulation in document["simulations"]:
        evaluation = str(simulation.get("task_id") or "")
        source = f"{path}, task {evaluation}, trial {simulation.get('trial')}"
        fields = {EVALUATION: evaluation, "model": agent, "messages": simulation.get("messages")}
        yield _read_messages(source, fields)


def _read_trajectories(path: Path, rows: list[Mapping[str, Any]]) -> Iterator[Transcript | TranscriptError]:
    """Yields the trajectories of a results file of tau-bench. The users of its tasks have the names of evaluations."""
    for row in rows:
        evaluation = row["info"]["task"]["user_id"]
        source = f"{path}, task {evaluation}, trial {row.get('trial')}"
        yield _read_messages(source, {EVALUATION: evaluation, "messages": row["traj"]})


def _unpack(path: Path) -> dict[str, Any]:
    """Returns the log of an `.eval` file, as its JSON has it.

    Inspect compresses with Zstandard, which Python can do from 3.14 on. Before, it brings a package for that.
    """
    if sys.version_info < (3, 14):
        with suppress(ImportError):
            import_module("zipfile_zstd")
    with zipfile.ZipFile(path) as archive:
        names = dict.fromkeys(sorted(archive.namelist()))  # a name stands twice where an entry was written anew
        heads = [name for name in ("header.json", "_journal/start.json") if name in names]
        if not heads:
            raise TranscriptError(f"{path}: is no Inspect log")
        samples = [json.loads(archive.read(name)) for name in names if name.startswith("samples/")]
        return {**json.loads(archive.read(heads[0])), "samples": samples}


def _read_samples(path: Path, log: Mapping[str, Any]) -> Iterator[Transcript | TranscriptError]:
    """Yields the samples of an Inspect log, also of one that was interrupted."""
    if not log["samples"]:
        yield TranscriptError(f"{path}: is a log without a sample")
    for sample in log["samples"]:
        source = f"{path}, sample {sample.get('id')}, epoch {sample.get('epoch', 1)}"
        messages = _resolve(sample.get("messages") or [], sample.get("attachments") or {})
        try:
            turns = turns_of(events_of(messages))
        except TranscriptError as error:
            yield TranscriptError(f"{source}: {error}")
            continue
        crash = sample.get("error")
        yield Transcript(
            source=source,
            turns=turns,
            evaluation=str((sample.get("metadata") or {}).get(EVALUATION) or sample.get("id") or ""),
            agent=str((log.get("eval") or {}).get("model") or ""),
            trial=sample.get("epoch"),
            usage=USAGE.validate_python(
                [
                    {"model": model, "input": usage.get("input_tokens", 0), "output": usage.get("output_tokens", 0)}
                    for model, usage in (sample.get("model_usage") or {}).items()
                ]
            ),
            failure=str(crash["message"]) if crash else "",
        )


def _resolve(node: Any, attachments: Mapping[str, str]) -> Any:
    """Returns the messages with their attachments in place. Inspect stores long texts apart."""
    if isinstance(node, str) and node.startswith(_ATTACHMENT):
        return attachments.get(node.removeprefix(_ATTACHMENT), node)
    if isinstance(node, list):
        return [_resolve(each, attachments) for each in node]
    if isinstance(node, dict):
        return {name: _resolve(value, attachments) for name, value in node.items()}
    return node
