"""The base models of what is sent to an upstream and of what comes back."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict, model_validator

from roadster_client.visible_text import is_absent

from .personal_data import Audience


class Sent(BaseModel):
    """A part of a request. Only fields that the documents name can be sent."""

    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True, allow_inf_nan=False)

    def wire(self) -> dict[str, Any]:
        """Returns the JSON object as it is sent, without the fields that are None."""
        return self.model_dump(mode="json", exclude_none=True)

    def shown_to(self, audience: Audience) -> dict[str, Any]:
        """Returns the same for somebody to read: files are described, and for a model contact data are masked."""
        return self.model_dump(mode="json", exclude_none=True, context=audience)

    def file(self) -> bytes | None:
        """Returns the file that is sent, None where there is none."""
        return None


class Received(BaseModel):
    """A part of an answer. Fields that the documents do not name are dropped. A number may come instead of a string."""

    model_config = ConfigDict(
        extra="ignore", frozen=True, defer_build=True, allow_inf_nan=False, coerce_numbers_to_str=True
    )

    @model_validator(mode="before")
    @classmethod
    def _read_whole_numbers(cls, json: Any) -> Any:
        # Some programs write every number with a point. In a text field 12345.0 is the stock number 12345.
        if isinstance(json, dict) and float in map(type, json.values()):
            return {name: _whole(value) for name, value in json.items()}
        return json


_EXACT_FLOATS = 2**53
"""Above it a float stands for several integers."""


def _whole(value: Any) -> Any:
    is_whole = type(value) is float and value.is_integer() and abs(value) < _EXACT_FLOATS
    return int(value) if is_whole else value


_SUCCESS = re.compile("ok|success(ful|fully)?|succeeded|done|completed?|created|updated|assigned|deleted|removed")
_DENIAL = re.compile(
    r"not|no|none|nothing|never|0|zero|without|fail\w*|error\w*|un\w+|in(valid|complete)\w*|\w+n't|cannot|denied|refused"
    r"|rejected|missing|partial\w*|partly|only|but|except|pending|queued|will|be"
)


def _says_done(text: Any) -> bool:
    """Returns whether an upstream's own words say that a write was done, and none of them says otherwise."""
    words = re.findall(r"[\w']+", text.lower().replace("\u2019", "'")) if isinstance(text, str) else []
    return any(map(_SUCCESS.fullmatch, words)) and not any(map(_DENIAL.fullmatch, words))


class WriteOutcome(Received):
    """The answer of a write that made nothing with an id. It is read only if it shows that the write was done.

    Its `status` shows it, or where there is none its `message`, or where there is neither its result.
    """

    @model_validator(mode="before")
    @classmethod
    def _require_outcome(cls, json: Any) -> Any:
        if isinstance(json, dict):
            said = [json[name] for name in ("status", "message") if not is_absent(json.get(name))]
            if not (_says_done(said[0]) if said else cls.has_result(json)):
                raise ValueError("does not show that it was done")
        return json

    @staticmethod
    def has_result(_json: Mapping[str, Any]) -> bool:
        """Returns whether an answer without such words holds what the reference shows of a write that was done."""
        return False
