"""The lines of stdin, and the answers that go out before the SDK is loaded.

A thread reads the lines from the start of the process on. Until the server is ready, `Opening` answers those that it
knows, and the first other one waits. Then the server gets all lines, in order: also those that were answered, so that
it is in the same state as if it had answered them itself.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError, Future
from contextlib import suppress
from typing import NamedTuple

from roadster_server.protocol.opening import Opening

from .message_size import MAX_MESSAGE_BYTES

_STDIN, _STDOUT = 0, 1
_CHUNK = 64 * 1024
"""Bytes of one read."""
_FIRST_LINE_SECONDS = 0.1
"""Seconds to wait for the first line, which hosts send at once, before the SDK takes the processor."""


class LineReceiver(NamedTuple):
    """The functions that take what was read, called in the thread. They end it by an error of anyio."""

    take: Callable[[bytes | None], None]
    """Takes a line. None stands for a line that was too long to hold."""
    end: Callable[[], None]


class Stdin:
    """The lines of this process's stdin."""

    def __init__(self, opening: Opening) -> None:
        self._opening = opening
        self._first_line = threading.Event()
        self._lock = threading.Lock()
        self._is_open = True
        self._early_lines: list[bytes] = []
        self._receiver: Future[LineReceiver] = Future()
        self._stdout = os.dup(_STDOUT)  # the SDK takes the descriptor for itself

    def start(self) -> None:
        """Begins to read, and waits a moment for the first line, so that nothing is in the way of its answer."""
        # Nothing can wake a thread that reads stdin. The exit does not wait for a daemon.
        threading.Thread(target=self._read, name="stdin", daemon=True).start()
        self._first_line.wait(_FIRST_LINE_SECONDS)

    def take_early_lines(self) -> list[bytes]:
        """Returns the lines that were answered. From now on none is."""
        with self._lock:
            self._is_open = False
        return self._early_lines

    def hand_on(self, receiver: LineReceiver) -> None:
        """Hands all other lines on."""
        self._receiver.set_result(receiver)

    def _read(self) -> None:
        try:
            for line in _lines():
                if not self._answers(line):
                    self._receiver.result().take(line)
            self._receiver.result().end()
        except Exception as error:
            if not _is_end_of_server(error):
                raise

    def _answers(self, line: bytes | None) -> bool:
        with self._lock:
            answer = self._opening.answer(line) if self._is_open and line is not None else None
            if line is None or answer is None:
                self._is_open = False
            else:
                self._early_lines.append(line)
        # Not in the lock, because a client that does not read would hold up the server.
        if answer:
            with suppress(OSError):  # the client has gone, and stdin will end
                _write(self._stdout, answer)
        self._first_line.set()
        return answer is not None


def _is_end_of_server(error: Exception) -> bool:
    """Returns whether the error says that the server has stopped, so that it takes no more lines."""
    import anyio  # noqa: PLC0415 - for start time

    return isinstance(
        error, anyio.RunFinishedError | anyio.ClosedResourceError | anyio.BrokenResourceError | CancelledError
    )


def _write(descriptor: int, answer: bytes) -> None:
    rest = memoryview(answer)
    while rest:
        rest = rest[os.write(descriptor, rest) :]


def _lines() -> Iterator[bytes | None]:
    """Yields the lines of stdin, and None instead of a line above the limit, which is never held."""
    line: bytearray | None = bytearray()
    while chunk := _read_chunk():
        first, *others = chunk.split(b"\n")
        line = _extend(line, first)
        for other in others:
            yield None if line is None else bytes(line)
            line = _extend(bytearray(), other)
    if line is None or line:
        yield None if line is None else bytes(line)


def _extend(line: bytearray | None, part: bytes) -> bytearray | None:
    if line is None or len(line) + len(part) > MAX_MESSAGE_BYTES:
        return None
    line += part
    return line


def _read_chunk() -> bytes:
    try:
        return os.read(_STDIN, _CHUNK)
    except OSError:  # stdin was closed before the start
        return b""
