"""The base models of what is sent to an upstream and of what comes back."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict

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


class Received(BaseModel):
    """A part of an answer. Fields that the documents do not name are dropped. A number may come instead of a string."""

    model_config = ConfigDict(
        extra="ignore", frozen=True, defer_build=True, allow_inf_nan=False, coerce_numbers_to_str=True
    )
