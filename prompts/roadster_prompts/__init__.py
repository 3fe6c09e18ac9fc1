"""Prompts: ready-made requests that a person picks in their assistant. One Markdown file each.

A file opens with TOML between two lines of `+++`: title, description and the arguments, each with
`name`, `description` and `required`. The text names an argument as `{name}`.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files


@dataclass(frozen=True)
class Argument:
    name: str
    description: str
    required: bool = False


@dataclass(frozen=True)
class PromptText:
    """One prompt; `text` holds `{name}` where the argument goes."""

    name: str
    title: str
    description: str
    arguments: tuple[Argument, ...]
    text: str

    def render(self, given: Mapping[str, str]) -> str:
        """The text with the arguments filled in. Raises ValueError for a missing or an unknown one."""
        known = {argument.name: argument for argument in self.arguments}
        if not given.keys() <= known.keys():
            raise ValueError(f"unknown argument; {self.name} takes {', '.join(known)}")
        missing = [name for name, argument in known.items() if argument.required and not given.get(name)]
        if missing:
            raise ValueError(f"missing: {', '.join(missing)}")
        return self.text.format_map({name: given.get(name) or "not given" for name in known})


def _load(name: str, source: str) -> PromptText:
    _, head, text = source.split("+++\n", 2)
    front = tomllib.loads(head)
    arguments = tuple(Argument(**argument) for argument in front.pop("arguments", ()))
    return PromptText(name=name, arguments=arguments, text=text.strip(), **front)


PROMPTS = {
    file.name.removesuffix(".md"): _load(file.name.removesuffix(".md"), file.read_text(encoding="utf-8"))
    for file in sorted(files(__name__).iterdir(), key=lambda file: file.name)
    if file.name.endswith(".md")
}
"""Every prompt by name, which is the file's."""

__all__ = ["PROMPTS", "Argument", "PromptText"]
