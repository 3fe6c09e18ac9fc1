"""The whole configuration, `roadster.toml`: its sections, and what follows from several of them.

Nothing starts on a configuration with a mistake. All mistakes are reported at once, each with its file, its key and
what to do.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any, Self

from pydantic import Field

from roadster_client import DealerRef, Operation, operations_with
from roadster_client.identity import comparable_id
from roadster_tools import Caller, name_choices

from .errors import ConfigurationError
from .rights import Claims, DealersInForce, Rights
from .sections.callers import CallerSettings, DealerGroupSettings, IdentitySettings, RoleSettings
from .sections.dealers import DealerSettings, DisclosureSettings
from .sections.http import HttpSettings, WebhookSettings
from .sections.network import NetworkSettings
from .sections.people import ApprovalSettings, PeopleSettings
from .sections.section import Section
from .sections.stores import InventorySettings, ReplicasSettings, StoreSettings
from .sections.uploads import UploadSettings
from .sections.upstreams import MyKaarmaSettings, RoadieSettings, RoadsterSettings


class Settings(Section):
    """The whole file. The keys at the top level stand before the first table."""

    include: list[str] = []
    """More files of this configuration, with `*` for any part of a name. A relative path starts at the configuration's
    folder. No table stands in two files."""
    secrets_file: Path | None = None
    """A file with lines such as `ROADSTER_API_KEY=…`, for references `env:NAME` whose variable is not set. It is read
    again at each reload. Only its owner may read it. A relative path starts at the configuration's folder."""
    roadster: RoadsterSettings
    dealers: dict[str, DealerSettings]
    dealer_groups: dict[str, DealerGroupSettings] = {}
    callers: dict[str, CallerSettings] = {}
    roles: dict[str, RoleSettings] = {}
    disclosures: DisclosureSettings = DisclosureSettings()
    identity: dict[str, IdentitySettings] = {}
    http: HttpSettings = HttpSettings()
    uploads: UploadSettings | None = None
    store: StoreSettings = Field(default_factory=StoreSettings)
    roadie: RoadieSettings | None = None
    mykaarma: MyKaarmaSettings | None = None
    webhooks: WebhookSettings = WebhookSettings()
    people: PeopleSettings = PeopleSettings()
    approvals: ApprovalSettings = ApprovalSettings()
    inventory: InventorySettings = InventorySettings()
    replicas: ReplicasSettings | None = None
    network: NetworkSettings = NetworkSettings()

    def operations(self) -> Mapping[str, Operation]:
        return operations_with(self.roadster.operations)

    def dealer_ref(self, dpid: str) -> DealerRef | None:
        """Returns the dealer as the client takes it, None where the configuration has no table for it."""
        dealer = self.dealers.get(dpid)
        if dealer is None:
            return None
        return DealerRef(
            dpid,
            partner_id=dealer.partner_id,
            express_host=dealer.express_host,
            link_key=dealer.link_key.get_secret_value() if dealer.link_key else None,
            link_key_encoding=dealer.link_key_encoding,
            api_key=self.own_keys.get(dpid),
            orders="any" if dealer.orders == "any" else frozenset(dealer.orders),
            mykaarma_dealer_uuid=dealer.mykaarma_dealer_uuid,
            mykaarma_dealer_id=dealer.mykaarma_dealer_id,
            configured_ids=self._dealer_ids,
        )

    def disclosure_wording(self, dpid: str) -> tuple[str, ...]:
        """Returns the sentences beside a payment at the dealer: of its state, then its own."""
        dealer = self.dealers.get(dpid)
        by_state = self.disclosures.states.get(dealer.state) if dealer and dealer.state else None
        return tuple(wording for wording in (by_state, self.disclosures.dealers.get(dpid)) if wording is not None)

    @cached_property
    def _dealer_ids(self) -> frozenset[str]:
        ids = ((dpid, each.partner_id, each.mykaarma_dealer_uuid) for dpid, each in self.dealers.items())
        return frozenset(comparable_id(value) for values in ids for value in values if value)

    @cached_property
    def own_keys(self) -> Mapping[str, str]:
        """The API keys of dealers with an account of their own, by dpid."""
        account = self.roadster.api_key.get_secret_value()
        keys = ((dpid, dealer.api_key.get_secret_value()) for dpid, dealer in self.dealers.items() if dealer.api_key)
        return {dpid: key for dpid, key in keys if key != account}

    @cached_property
    def rights(self) -> Rights:
        sections = {"deliveries": ("[roadie]", self.roadie), "crm": ("[mykaarma]", self.mykaarma)}
        dealers = DealersInForce(
            dpids=self.dealers.keys(),
            groups=self.dealer_groups,
            missing_sections={toolset: name for toolset, (name, section) in sections.items() if section is None},
            with_crm=frozenset(dpid for dpid, dealer in self.dealers.items() if dealer.mykaarma_dealer_uuid),
        )
        return Rights(self.callers, self.roles, self.identity, dealers)

    def derive(self) -> None:
        """Works out now what the first calls would work out otherwise, while other calls wait."""
        _ = self.rights, self._dealer_ids

    def name_of(self, claims: Claims) -> str | None:
        """Returns what the person with these claims is called. Returns None where no `name_claim` says it."""
        provider = self.rights.provider_of(claims)
        name = claims.get(self.identity[provider].name_claim or "") if provider is not None else None
        return name if isinstance(name, str) and name.strip() else None

    def caller_as_of_now(self, name: str) -> Caller:
        """Returns the caller. After a reload that took it out, returns one of its name that may do nothing."""
        return self.rights.caller(name) or Caller(name)

    def caller(self, name: str) -> Caller:
        """Raises ConfigurationError for a name that is not configured."""
        caller = self.rights.caller(name)
        if caller is None:
            choices = name_choices([*self.callers], name) if self.callers else "there is none"
            mend = f"name another with --caller, or add [callers.{name}]"
            raise ConfigurationError([f"callers.{name}: no such caller; {choices}; {mend}"])
        return caller

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Self:
        """Returns a copy without what was derived from the values before: pydantic would take it along."""
        copy = super().model_copy(update=update, deep=deep)
        for derived in ("rights", "own_keys", "_dealer_ids"):
            copy.__dict__.pop(derived, None)
        return copy
