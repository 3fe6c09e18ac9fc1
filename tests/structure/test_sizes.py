"""Files that can be read at a sitting, and folders whose files can be looked over."""

from __future__ import annotations

from collections import Counter

from .test_imports import MODULES

MOST_LINES = 400
MOST_FILES = 16
"""Files of a folder of the server, without its `__init__.py`."""


def test_no_file_is_long() -> None:
    lines = {module: len(file.read_text().splitlines()) for module, file in MODULES.items()}
    assert {module: count for module, count in lines.items() if count > MOST_LINES} == {}


def test_no_folder_of_the_server_is_full() -> None:
    """The migrations are in the order of their numbers, so nobody looks them over."""
    files = [file for module, file in MODULES.items() if module.startswith("roadster_server.")]
    counts = Counter(file.parent for file in files if file.name != "__init__.py" and file.parent.name != "versions")
    assert {folder: count for folder, count in counts.items() if count > MOST_FILES} == {}
