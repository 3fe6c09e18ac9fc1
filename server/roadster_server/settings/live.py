"""The settings in force: loaded again on SIGHUP or when a file changes, and never replaced by broken ones."""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TypeVar

from roadster_server.telemetry.logs import log, log_crash

from .errors import ConfigurationError
from .files import included_files
from .loading import load, named_files
from .settings import Settings

_AT_THE_START = ("network", "roadster", "roadie", "mykaarma", "store", "uploads", "replicas")
"""Sections that are only read at the start: connections, keys, the store and the upload folder are made from them."""
_LOOK_EVERY = 1.0
"""Seconds between two looks at the files. With it, open streams end within two seconds of a change."""

_TURN_SECONDS = 0.0005
"""How long the event loop waits for its turn while settings are loaded. A call needs some twenty turns, and took 100 ms
with Python's own 5 ms."""
_MOST_NEW_OBJECTS = 50_000
"""New objects between two searches for garbage while settings are loaded. They are not garbage, and the searches of
Python's own choice stop everything for up to 30 ms."""

_Times = Mapping[Path, tuple[int, ...] | None]
_ResultT = TypeVar("_ResultT")


class LiveSettings:
    """Holds the last good configuration as `current`."""

    def __init__(self, current: Settings, path: Path | None = None) -> None:
        self.current = current
        self.path = path
        self._refused_files: list[Path] = []
        """The files that the last configuration named, if it was refused."""
        self._times = self._read_times()

    async def reload(self) -> None:
        """Takes the files' settings where all of them are good. Otherwise it keeps the current ones, and logs why.

        The files are read and checked in a thread. Calls are answered meanwhile, by the settings before.
        """
        if self.path is None:
            return
        sources, times = self._sources(), await _in_a_thread(self._read_times)
        try:
            new, for_restart = await _in_a_thread(partial(_load, self.path, self.current))
        except ConfigurationError as error:
            for problem in error.problems:
                log.error("configuration not reloaded, the last good one stays in force", extra={"problem": problem})
            # A change of a file that only the refused configuration names may mend it.
            self._refused_files = await _in_a_thread(partial(named_files, self.path))
        except Exception as error:  # noqa: BLE001 - the server goes on, whatever is in the file
            log_crash(error)
        else:
            for section in for_restart:
                log.warning("changed, and in force after a restart", extra={"section": section})
            self._refused_files = []
            self.current = new
            log.info("configuration reloaded")
        # A file that changes while it is read keeps the time from before, so that the next look finds the change.
        if self._sources() != sources:
            times = {path: times.get(path, time) for path, time in (await _in_a_thread(self._read_times)).items()}
        self._times = times

    async def watch(self) -> None:
        """Reloads whenever the file or its file of secrets has changed or SIGHUP comes. Runs until it is cancelled."""
        if self.path is None:
            return
        import anyio  # noqa: PLC0415 - for start time

        from .hangups import Hangups  # noqa: PLC0415 - for start time: it imports anyio

        hangups = Hangups()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(hangups.listen)
            while True:
                if await hangups.came_within(_LOOK_EVERY) or await _in_a_thread(self._read_times) != self._times:
                    await self.reload()

    def _sources(self) -> tuple[object, ...]:
        """Returns what names the files that are looked at."""
        return self.current.include, self.current.secrets_file, self._refused_files

    def _read_times(self) -> _Times:
        paths = (
            self.path,
            self.current.secrets_file,
            *included_files(self.current.include),
            *self._refused_files,
        )
        return {path: _times_of(path) for path in paths if path is not None}


def _load(path: Path, in_force: Settings) -> tuple[Settings, list[str]]:
    """Returns the settings of the files, and the names of the sections that a running server cannot take over."""
    with _beside_calls():
        new = load(path)
        unchanged = {section: getattr(in_force, section) for section in _AT_THE_START}
        for_restart = [section for section, value in unchanged.items() if getattr(new, section) != value]
        settings = new.model_copy(update=unchanged)
        settings.derive()
    return settings, for_restart


@contextmanager
def _beside_calls() -> Iterator[None]:
    """Lets the calls go on while a thread computes."""
    interval, thresholds = sys.getswitchinterval(), gc.get_threshold()
    sys.setswitchinterval(_TURN_SECONDS)
    gc.set_threshold(_MOST_NEW_OBJECTS, *thresholds[1:])
    try:
        yield
    finally:
        gc.set_threshold(*thresholds)
        sys.setswitchinterval(interval)


async def _in_a_thread(work: Callable[[], _ResultT]) -> _ResultT:
    from anyio import to_thread  # noqa: PLC0415 - for start time

    # At the end of the server nobody waits for it: a file may be on a disk that does not answer.
    return await to_thread.run_sync(work, abandon_on_cancel=True)


def _times_of(path: Path) -> tuple[int, ...] | None:
    """Returns when the content and the rights of a file last changed: chmod mends a file that others may read.

    The size is with them, because two changes within a few milliseconds have the same time.
    """
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_ctime_ns, status.st_size
