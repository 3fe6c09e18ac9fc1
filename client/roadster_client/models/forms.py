"""Forms, which apply templates to one order: POST /orders/{order_id}/forms."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import Field, SerializationInfo, field_serializer

from .parts import Sent, WriteOutcome


class NewForms(Sent):
    """A packet of forms to create. `template_names` is not sent, but shown with the ids to the request's reader."""

    title: str
    template_ids: tuple[int, ...] = Field(min_length=1)
    template_names: Mapping[int, str] = Field(default_factory=dict, exclude=True)

    @field_serializer("template_ids")
    def _add_names(self, template_ids: tuple[int, ...], info: SerializationInfo) -> Any:
        if info.context is None:
            return template_ids
        return [f"{id_} ({self.template_names.get(id_, 'without a name')})" for id_ in template_ids]


class FormsCreated(WriteOutcome):
    """An empty object in the reference."""

    @staticmethod
    def has_result(_json: Mapping[str, Any]) -> bool:
        return True
