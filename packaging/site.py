"""A hook of mkdocs: pages link to files by their path in the project, so those files are part of the site."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

PROJECT = Path(__file__).parent.parent
_LINK = re.compile(r"(?<=\]\()(?!https?:|#)([^)\s#]+)")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Adds the examples and the changelog, at their path in the project."""
    for path in [PROJECT / "CHANGELOG.md", *_examples()]:
        name = path.relative_to(PROJECT).as_posix()
        files.append(File.generated(config, name, abs_src_path=str(path)))
    return files


def on_page_markdown(markdown: str, page: Page, **_: object) -> str:
    """Leads each link to where its target stands in the site."""
    return _LINK.sub(lambda link: _in_site(link[1], page.file.src_uri), markdown)


def _in_site(link: str, page: str) -> str:
    """Returns `link`, which is relative to where `page` stands in the project, as it is in the site."""
    here = Path(page if (PROJECT / page).is_file() else f"docs/{page}").parent
    target = Path(os.path.normpath(here / link)).as_posix()
    return Path(os.path.relpath(target.removeprefix("docs/"), Path(page).parent)).as_posix()


def _examples() -> Iterator[Path]:
    for folder, folders, names in os.walk(PROJECT / "examples"):
        folders[:] = [name for name in folders if name not in {"node_modules", "build", "__pycache__", ".npm-cache"}]
        yield from (Path(folder, name) for name in names if not name.startswith(".env"))
