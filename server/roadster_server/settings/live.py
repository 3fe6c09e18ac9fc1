"""The settings in force: loaded again on SIGHUP or when a file changes, and never replaced by broken ones."""

from __future__ import annotations

import signal
from pathlib import Path

import anyio

from roadster_server.telemetry.logs import log, log_crash

from .errors import ConfigurationError
from .files import included_files
from .loading import load, named_files
from .sections import Settings

_AT_THE_START = ("network", "roadster", "roadie", "mykaarma", "store", "uploads", "replicas")
"""Sections that are only read at the start: connections, keys, the store and the upload folder are made from them."""
_LOOK_EVERY = 1.0
"""Seconds between two looks at the files. With it, open streams end within two seconds of a change."""


class LiveSettings:
    """Holds the last good configuration as `current`."""

    def __init__(self, current: Settings, path: Path | None = None) -> None:
        self.current = current
        self._path = path
        self._refused_files: list[Path] = []
        """The files that the last configuration named, if it was refused."""
        self._times = self._read_times()

    def reload(self) -> None:
        """Takes the file's settings where all of them are good. Otherwise it keeps the current ones, and logs why."""
        if self._path is None:
            return
        self._times = self._read_times()
        try:
            new = load(self._path)
        except ConfigurationError as error:
            for problem in error.problems:
                log.error("configuration not reloaded, the last good one stays in force", extra={"problem": problem})
            self._watch_refused(self._path)
            return
        except Exception as error:  # noqa: BLE001 - the server goes on, whatever is in the file
            log_crash(error)
            return
        self._refused_files = []
        self._times = self._read_times()
        unchanged = {section: getattr(self.current, section) for section in _AT_THE_START}
        for section, in_force in unchanged.items():
            if getattr(new, section) != in_force:
                log.warning("changed, and in force after a restart", extra={"section": section})
        self.current = new.model_copy(update=unchanged)
        log.info("configuration reloaded")

    async def watch(self) -> None:
        """Reloads whenever the file or its file of secrets has changed or SIGHUP comes. Runs until it is cancelled."""
        if self._path is None:
            return
        async with anyio.create_task_group() as tasks:
            if hasattr(signal, "SIGHUP"):  # not on Windows
                tasks.start_soon(self._reload_on_hangup)
            while True:
                await anyio.sleep(_LOOK_EVERY)
                if self._read_times() != self._times:
                    self.reload()

    async def _reload_on_hangup(self) -> None:
        with anyio.open_signal_receiver(signal.SIGHUP) as signals:
            async for _ in signals:
                self.reload()

    def _watch_refused(self, path: Path) -> None:
        """Looks also at the files that a refused configuration names: what mends it may be a change of one of them."""
        files = named_files(path)
        if files != self._refused_files:
            self._refused_files = files
            self._times = self._read_times()

    def _read_times(self) -> list[tuple[int, int] | None]:
        paths = (
            self._path,
            self.current.secrets_file,
            *included_files(self.current.include),
            *self._refused_files,
        )
        return [_times_of(path) for path in paths if path is not None]


def _times_of(path: Path) -> tuple[int, int] | None:
    """Returns when the content and the rights of a file last changed: chmod mends a file that others may read."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_ctime_ns
