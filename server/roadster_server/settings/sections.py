"""The models of the whole configuration, `roadster.toml`. An unknown key is an error.

Nothing starts on a configuration with a mistake. All mistakes are reported at once, each with its file, its key and
what to do.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from datetime import timedelta
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from urllib.parse import parse_qs, urlsplit

from pydantic import (
    AfterValidator,
    AnyHttpUrl,
    BeforeValidator,
    Field,
    SecretStr,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)

from roadster_client import DealerRef, KeyEncoding, Operation, is_loopback, operations_with
from roadster_client.identity import comparable_id
from roadster_server.store import default_url
from roadster_tools import Caller, name_choices

from .callers import CallerSettings, DealerGroupSettings, IdentitySettings, RoleSettings, duration
from .errors import ConfigurationError
from .forms import HOST, ORIGIN, STATE, order_ids, written_as
from .network import NetworkSettings
from .proxies import plain_prefix, proxy_address
from .rights import Claims, DealersInForce, Rights
from .secrets import UNREVEALED, Secret, reveal
from .section import HTTPS, NO_REPETITION, Section


def _header_text(secret: SecretStr) -> SecretStr:
    if not secret.get_secret_value().isascii() or not secret.get_secret_value().isprintable():
        raise ValueError("holds characters that no HTTP header can carry; copy the key again")
    return secret


def _base_url(url: str) -> str:
    try:
        parts = AnyHttpUrl(url)
    except ValidationError:
        raise ValueError("expected an http:// or https:// URL") from None
    if parts.scheme != "https" and not is_loopback((parts.host or "").strip("[]")):
        raise ValueError("expected https, so that the API key does not travel in the open; http is for loopback alone")
    if parts.username is not None or parts.query is not None or parts.fragment is not None:
        raise ValueError("expected a URL without user, query or fragment; credentials go into api_key")
    return url


class RoadsterSettings(Section):
    """`[roadster]`: the upstream API."""

    base_url: Annotated[str, AfterValidator(_base_url)] = "https://api.roadster.com/v1"
    """The URL of the API: http or https, without user, query or fragment. http is for loopback only."""
    api_key: Annotated[Secret, AfterValidator(_header_text)]
    """The account's API key."""
    auth_scheme: Literal["Bearer", "Token", "none"] = "Bearer"
    """The word before the key in the Authorization header. `none` sends the bare key, as an older document shows it."""
    operations: dict[str, str] = {}
    """Another `METHOD /path` for an operation. The path keeps its `{parameters}`."""


class AcknowledgeSettings(Section):
    """`[dealers.DPID.acknowledge]`: your own ids, with which events are acknowledged. Later events carry them."""

    dealer_id: str | None = None
    """Your own id of the dealer."""
    agent_id: str | None = None
    """Your own id of an agent, for customers whose events carry back no other."""


class DealerSettings(Section):
    """`[dealers.DPID]`: one dealer. The table's name is the dealer's dpid, exactly as Roadster writes it."""

    api_key: Annotated[Secret, AfterValidator(_header_text)] | None = None
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


class HttpSettings(Section):
    """`[http]`: the clients that may connect."""

    anonymous_caller: str | None = None
    """The caller of requests without a token, only while the server listens on loopback."""
    allowed_hosts: Annotated[list[Annotated[str, written_as(r"[^*/\s]+", HOST)]], NO_REPETITION] = []
    """Values of the Host header that are accepted as well as this machine's own names. Only capital letters do not
    matter."""
    allowed_origins: Annotated[list[Annotated[str, written_as(r"https?://[^*/\s]+", ORIGIN)]], NO_REPETITION] = []
    """Values of the Origin header that are accepted as well as this machine's own: pages in browsers that may call the
    server. They are compared as hosts are."""
    trusted_proxies: Annotated[list[Annotated[str, AfterValidator(proxy_address)]], NO_REPETITION] = []
    """Addresses and networks of proxies whose `X-Forwarded-For` and `X-Forwarded-Proto` are believed. Anyone else's are
    ignored."""
    path_prefix: Annotated[str, AfterValidator(plain_prefix)] = ""
    """The path below which a proxy serves this server, such as `/roadster`. The proxy may take it off or leave it."""
    resource_url: Annotated[str, written_as(r"[^\s?#\\]+", "a URL without blanks, ? and #"), HTTPS] | None = None
    """The public URL of `/mcp`, by which OAuth clients know this server. Required with `[identity.NAME]`.
    Links to the pages for people begin with its origin, also those of `call` and `run`."""
    connections: int = Field(default=1000, ge=1)
    """The most connections at once, and as many more for streams. Fewer if the limit of descriptors is too low."""
    connections_per_address: int = Field(default=200, ge=1)
    """The most connections from one address, or from one /64 of IPv6. Those of `trusted_proxies` count in all only."""
    keep_alive_seconds: int = Field(default=75, ge=1)
    """Seconds until a connection without a request ends. A proxy should end its own ones earlier."""


def _folder(path: Path) -> Path:
    try:
        folder = path.expanduser()
        exists = folder.is_dir()
    except (OSError, RuntimeError):  # a name that is too long, a user that does not exist
        exists = False
    if not exists:
        raise ValueError("there is no such folder; make it, or correct the path")
    if not folder.is_absolute():
        raise ValueError("expected an absolute path: a host starts the server in a folder of its own choice")
    return folder


def _clamd_address(address: str) -> str:
    parts = urlsplit(address)
    try:
        is_good = parts.path.startswith("/") and not parts.netloc if parts.scheme == "unix" else bool(parts.port)
    except ValueError:  # a port that is none
        is_good = False
    if not is_good or parts.scheme not in ("unix", "tcp"):
        raise ValueError("expected unix:///PATH of clamd's LocalSocket, or tcp://HOST:PORT of its TCPSocket")
    return address


class UploadSettings(Section):
    """`[uploads]`: the files of `upload_document` and `create_template`."""

    folder: Annotated[Path, AfterValidator(_folder)] | None = None
    """The folder from which tools take files, over stdio and on the command line only. It must exist and be absolute.
    `~` is your home folder."""
    clamd: Annotated[str, AfterValidator(_clamd_address)] | None = None
    """The clamd of ClamAV that scans every file: `unix:///PATH` or `tcp://HOST:PORT`. While it does not answer, no file
    is taken."""


def _store_url(value: Any, info: ValidationInfo) -> Any:
    if not isinstance(value, str):
        return value
    if info.context == UNREVEALED:
        return SecretStr("sqlite://")
    if value.startswith(("sqlite:///", "postgresql://")):
        parts = urlsplit(value)
        if parts.password is not None or "password" in parse_qs(parts.query):
            raise ValueError("the URL holds a password; name the whole URL as a secret, for instance env:STORE_URL")
        return SecretStr(_expand_home(value))
    return SecretStr(reveal(value, info.context or {}))


def _expand_home(url: str) -> str:
    """Replaces the `~` in the path of a SQLite file by the user's home folder."""
    if not url.startswith("sqlite:///~/"):
        return url
    try:
        return f"sqlite:///{Path(url.removeprefix('sqlite:///')).expanduser().as_posix()}"
    except RuntimeError:
        raise ValueError("there is no home folder; write the path without ~") from None


class StoreSettings(Section):
    """`[store]`: the database of the audit, the events and the idempotency keys."""

    url: Annotated[SecretStr, BeforeValidator(_store_url)] = Field(default_factory=lambda: SecretStr(default_url()))
    """`sqlite:///PATH` (an absolute path makes four slashes) or `postgresql://…`, with a password only as a secret.
    `sqlite:///~/PATH` is below your home folder. The default is a file in your state folder."""
    refuse_unrecorded_reads: bool = False
    """`true` refuses a read while its audit record cannot be stored. A write is always refused then."""


class RoadieSettings(Section):
    """`[roadie]`: deliveries. Their tools are off without this section."""

    base_url: Annotated[str, AfterValidator(_base_url)] = "https://connect.roadie.com/v1"
    """The URL of the API, as for `roadster.base_url`."""
    token: Annotated[Secret, AfterValidator(_header_text)]
    """The account's token."""


class MyKaarmaSettings(Section):
    """`[mykaarma]`: customer records. Their tool is off without this section."""

    base_url: Annotated[str, AfterValidator(_base_url)] = "https://api.mykaarma.com/customer/v2"
    """The URL of the API, as for `roadster.base_url`."""
    username: Secret
    """The account's user name."""
    password: Secret
    """The account's password."""
    requester_user_uuid: str
    """The user in whose name records are requested, as myKaarma identifies them."""


class WebhookSettings(Section):
    """`[webhooks]`: events from Roadster and Roadie. A source without a key cannot send any."""

    roadster_keys: list[Annotated[Secret, AfterValidator(_header_text)]] = []
    """The keys that Roadster may send events with. Two of them while one replaces the other."""
    roadie_keys: list[Annotated[Secret, AfterValidator(_header_text)]] = []
    """The keys that Roadie may send events with."""
    retention_days: int = Field(default=400, ge=1, le=36_500)
    """Days that an event is kept, counted from its arrival."""


def _redis_url(url: SecretStr) -> SecretStr:
    if not url.get_secret_value().startswith(("redis://", "rediss://")):
        raise ValueError("expected a redis:// or rediss:// URL")
    return url


class PeopleSettings(Section):
    """`[people]`: the pages for people, at `/people/` of the HTTP server. Over stdio they have a loopback port."""

    local_caller: str | None = None
    """The caller as which a link of `roadster-mcp people open` signs in, only while the server listens on loopback.
    Without it there are no such links."""


class ApprovalSettings(Section):
    """`[approvals]`: writes that wait for a person's yes on a page."""

    lifetime: Annotated[timedelta, BeforeValidator(duration)] = timedelta(hours=4)
    """How long a write waits. A number with its unit, from `"1m"` to `"7d"`."""
    two_person: Annotated[list[str], NO_REPETITION] = []
    """Toolsets and tools whose writes nobody approves who asked for them."""

    @field_validator("lifetime")
    @classmethod
    def _is_no_accident(cls, lifetime: timedelta) -> timedelta:
        if not timedelta(minutes=1) <= lifetime <= timedelta(days=7):
            raise ValueError('expected a time from "1m" to "7d"')
        return lifetime


class InventorySettings(Section):
    """`[inventory]`: the dealers' vehicles, which are kept in the store for `list_inventory`."""

    fresh_for: int = Field(default=60, ge=0, le=86_400)
    """Seconds. A search whose vehicles are older first asks Roadster for what has changed, and a quote for the stock of
    its vehicle. `0` keeps no vehicles: each search reads the feed."""


class ReplicasSettings(Section):
    """`[replicas]`: the Redis through which several processes share limits, circuit state and update notifications."""

    redis_url: Annotated[Secret, AfterValidator(_redis_url)]
    """The Redis: `redis://` or `rediss://`."""


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
