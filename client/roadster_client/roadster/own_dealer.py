"""Checks that an answer names no other dealer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from roadster_client.channel import IsOwn
from roadster_client.dealer_ref import DealerRef
from roadster_client.identity import comparable_id, dealer_ids, read_id


def names_only(dealer: DealerRef) -> IsOwn:
    """Returns a check that an object names no dealer except `dealer`.

    The documents name a dealer in `dpid`, or in `dealer` or `dealership`, which hold an id or an object with an id. Any
    id in there that is not the dealer's is refused, also of a dealer that nobody knows. Under other names, an id is
    refused where it is another dealer's of the configuration: nobody knows what else the upstream puts there.
    """
    own = {comparable_id(value) for value in (dealer.dpid, dealer.partner_id, dealer.mykaarma_dealer_uuid) if value}

    def is_own(node: Mapping[str, Any]) -> bool:
        dpid = node.get("dpid")
        if dpid is not None and read_id(dpid) != dealer.dpid:
            return False
        if dealer.partner_id is not None:
            for value in (node.get("dealer"), node.get("dealership")):
                partner_id = value.get("partner_id") if isinstance(value, dict) else value
                if partner_id is not None and read_id(partner_id) not in (dealer.dpid, dealer.partner_id):
                    return False
        return all(each in own or each not in dealer.configured_ids for each in dealer_ids(node))

    return is_own
