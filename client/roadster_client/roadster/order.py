"""The operations of one order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from roadster_client import errors
from roadster_client.channel import Channel
from roadster_client.dealer_ref import DealerRef
from roadster_client.models.forms import FormsCreated, NewForms
from roadster_client.models.templates import Template

from .dealer import DealerApi
from .own_dealer import names_only


class OrderApi:
    """The operations of one order. The order binds the requests to its dealer, because none of them names one."""

    def __init__(self, channel: Channel, dealer: DealerRef, order_id: str) -> None:
        self._channel = channel
        self._dealer = dealer
        self._order_id = order_id

    async def create_forms(self, title: str, templates: Sequence[Template]) -> FormsCreated:
        """POST /orders/{order_id}/forms: creates a packet of forms for consumer and dealer to complete and sign.

        Takes templates instead of ids, so that a caller must have read them as the dealer's own.
        """
        forms = NewForms(
            title=title,
            template_ids=tuple(template.id for template in templates),
            template_names={template.id: template.name for template in templates if template.name},
        )

        async def about() -> Mapping[str, Any]:
            dealer = DealerApi(self._channel.for_person(), self._dealer)
            current = [await dealer.get_template(str(template.id)) for template in templates]
            if any(template.unusable_reason(self._order_id) for template in current):
                raise errors.NotFound("create_forms", "a template is gone")
            return {"template_ids": [template.summary() for template in current]}

        answer = await self._channel.send("create_forms", path={"order_id": self._order_id}, content=forms, about=about)
        forms_created: FormsCreated = await self._channel.read(answer, names_only(self._dealer))
        return forms_created
