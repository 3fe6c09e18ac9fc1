"""The sections of the dealers: `[dealers.DPID]` and `[disclosures]`."""

from __future__ import annotations

import base64
import binascii
from typing import Annotated, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from roadster_client import KeyEncoding
from roadster_server.settings.secrets import Secret

from .forms import HOST, STATE, order_ids, written_as
from .section import HEADER_TEXT, Section


class AcknowledgeSettings(Section):
    """`[dealers.DPID.acknowledge]`: your own ids, with which events are acknowledged. Later events carry them."""

    dealer_id: str | None = None
    """Your own id of the dealer."""
    agent_id: str | None = None
    """Your own id of an agent, for customers whose events carry back no other."""


class DealerSettings(Section):
    """`[dealers.DPID]`: one dealer. The table's name is the dealer's dpid, exactly as Roadster writes it."""

    api_key: Annotated[Secret, HEADER_TEXT] | None = None
    """The key of the dealer's own account at Roadster. The default is `roadster.api_key`."""
    partner_id: str | None = None
    """Roadster's other id of the dealer. `get_vehicle` and `list_protection_plans` need it. Those of two dealers differ
    in more than capital letters."""
    express_host: Annotated[str, written_as(r"[A-Za-z0-9.-]+(:[0-9]+)?", HOST)] | None = None
    """The host of the dealer's Express Storefront. `build_deep_link` with a customer needs it."""
    link_key: Secret | None = None
    """The key of encrypted customer links. `build_deep_link` with a customer needs it."""
    link_key_encoding: KeyEncoding = "raw"
    """`raw` takes the key's bytes as they are. `base64` decodes them first, and a key that is not base64 then stops the
    start."""
    mykaarma_dealer_uuid: str | None = None
    """The dealer at myKaarma. `get_crm_customer` needs it: a caller whose dealers have none does not see the tool."""
    mykaarma_dealer_id: int | None = None
    """The dealer's number in myKaarma's answers. Where it is set, every answer is checked against it."""
    state: Annotated[str, written_as(r"[A-Z]{2}", STATE)] | None = None
    """The dealer's state in two capitals, for `disclosures.states`."""
    orders: Annotated[Literal["any"] | list[str], BeforeValidator(order_ids)] = []
    """The orders that `create_forms` may make forms for, as well as those seen at the dealer. `"any"` leaves it to
    Roadster whether an order is this dealer's."""
    acknowledge: AcknowledgeSettings = AcknowledgeSettings()

    @model_validator(mode="after")
    def _key_fits_its_encoding(self) -> Self:
        if self.link_key is not None and self.link_key_encoding == "base64":
            try:
                base64.b64decode(self.link_key.get_secret_value(), validate=True)
            except binascii.Error:
                raise ValueError('link_key is not base64; set link_key_encoding = "raw", or correct the key') from None
        return self


_Wording = Annotated[str, written_as(r"(?s).*\S.*", "a text"), Field(max_length=2000)]


class DisclosureSettings(Section):
    """`[disclosures]`: sentences that stand word for word in each answer with a payment. See the dealer's counsel."""

    states: dict[str, _Wording] = {}
    """Sentences by the state of the dealer, for instance `CA`. Each dealer then needs its `state`."""
    dealers: dict[str, _Wording] = {}
    """Sentences by dpid. They follow those of the state."""
