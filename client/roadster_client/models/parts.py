"""The base models of what is sent to an upstream and of what comes back."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict

from .personal_data import Audience


class Sent(BaseModel):
    """Part of a request: what the documents do not name cannot be sent."""

    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True, allow_inf_nan=False)

    def wire(self) -> dict[str, Any]:
        """The JSON object as it is sent: what was not given is left out."""
        return self.model_dump(mode="json", exclude_none=True)

    def shown_to(self, audience: Audience) -> dict[str, Any]:
        """The same for reading: files described and, to a model, contact data masked."""
        return self.model_dump(mode="json", exclude_none=True, context=audience)


class Received(BaseModel):
    """Part of an answer: fields that the documents do not name are dropped, numbers may come for strings."""

    model_config = ConfigDict(
        extra="ignore", frozen=True, defer_build=True, allow_inf_nan=False, coerce_numbers_to_str=True
    )
