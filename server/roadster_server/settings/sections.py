"""The whole configuration, as `roadster.toml` holds it. An unknown key is an error, not a comment.

Nothing starts on a configuration with a mistake in it: every mistake is reported at once, each with
its file, its key and what to do.
"""

from __future__ import annotations

import base64
import binascii
import ipaddress
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from urllib.parse import parse_qs, urlsplit

from pydantic import (
    AfterValidator,
    AnyHttpUrl,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    ValidationInfo,
    model_validator,
)

from roadster_client import DealerRef, KeyEncoding, Operation, PersonalData, overridden
from roadster_server.store import default_url
from roadster_tools import Access, Caller
from roadster_tools.parameters import whole_number

from .errors import ConfigurationError
from .secrets import UNREVEALED, Secret, reveal


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


def _header_text(secret: SecretStr) -> SecretStr:
    if not secret.get_secret_value().isascii() or not secret.get_secret_value().isprintable():
        raise ValueError("holds characters that no HTTP header can carry; copy the key again")
    return secret


def _base_url(url: str) -> str:
    try:
        parsed = AnyHttpUrl(url)
    except ValidationError:
        raise ValueError("expected an http:// or https:// URL") from None
    if parsed.scheme != "https" and not is_loopback((parsed.host or "").strip("[]")):
        raise ValueError("expected https, so that the API key does not travel in the open; http is for loopback alone")
    if parsed.username is not None or parsed.query is not None or parsed.fragment is not None:
        raise ValueError("expected a URL without user, query or fragment; credentials go into api_key")
    return url


class RoadsterSettings(_Section):
    """`[roadster]`: the upstream API. `operations` moves an operation to another `METHOD /path`."""

    base_url: Annotated[str, AfterValidator(_base_url)] = "https://api.roadster.com/v1"
    api_key: Annotated[Secret, AfterValidator(_header_text)]
    auth_scheme: Literal["Bearer", "Token", "none"] = "Bearer"
    operations: dict[str, str] = {}


class AcknowledgeSettings(_Section):
    """`[dealers.DPID.acknowledge]`: what events are acknowledged with, for later ones to carry back."""

    dealer_id: str | None = None
    agent_id: str | None = None


def _order_ids(orders: str | list[str]) -> str | list[str]:
    if isinstance(orders, list):
        for place, order in enumerate(orders, 1):
            try:
                whole_number(order)
            except ValueError as error:
                raise ValueError(f"entry {place}: {error}, as a text without leading zeros") from None
    return orders


class DealerSettings(_Section):
    """`[dealers.DPID]`: what Roadster calls the dealer, and what its storefront needs for encrypted links.

    `orders` are those that forms may be made for; `any` leaves it to Roadster whether an order is this dealer's.
    """

    partner_id: str | None = None
    express_host: str | None = Field(default=None, pattern=r"^[A-Za-z0-9.-]+(:\d+)?$")
    link_key: Secret | None = None
    link_key_encoding: KeyEncoding = "raw"
    mykaarma_dealer_uuid: str | None = None
    mykaarma_dealer_id: int | None = None
    orders: Annotated[Literal["any"] | list[str], AfterValidator(_order_ids)] = []
    acknowledge: AcknowledgeSettings = AcknowledgeSettings()

    @model_validator(mode="after")
    def _key_fits_its_encoding(self) -> Self:
        if self.link_key is not None and self.link_key_encoding == "base64":
            try:
                base64.b64decode(self.link_key.get_secret_value(), validate=True)
            except binascii.Error:
                raise ValueError('link_key is not base64; set link_key_encoding = "raw", or correct the key') from None
        return self


def _level(value: Any) -> Any:
    if isinstance(value, Access):
        return value
    if isinstance(value, str) and value.upper() in Access.__members__:
        return Access[value.upper()]
    raise ValueError(f"expected one of {', '.join(level.name.lower() for level in Access)}")


def is_loopback(host: str) -> bool:
    """Whether `host`, a name or an address, is this machine alone."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _https(url: str) -> str:
    mend = "expected an https:// URL without a password, or an http:// URL of a loopback host"
    try:
        parsed = AnyHttpUrl(url)
    except ValidationError:
        raise ValueError(mend) from None
    loopback = is_loopback((parsed.host or "").strip("[]"))
    if parsed.username is not None or not url.startswith(("https://", "http://") if loopback else "https://"):
        raise ValueError(mend)
    return url


_NonEmpty = Annotated[str, Field(min_length=1)]


class JwtSettings(_Section):
    """`[callers.NAME.jwt]`: whose JWTs the caller is known by. Each value is compared exactly."""

    issuer: _NonEmpty
    audience: _NonEmpty
    jwks_url: Annotated[str, Field(pattern=r"^[^\s#\\]+$"), AfterValidator(_https)]
    subject: _NonEmpty


def _digest(given: str) -> str:
    if re.fullmatch(r"[0-9a-f]{64}", given) is None:
        raise ValueError("expected the 64 hexadecimal digits that `roadster-mcp token NAME` prints, not the token")
    return given


class CallerSettings(_Section):
    """`[callers.NAME]`: who may do what, at which dealers. What is not named is off."""

    token_sha256: list[Annotated[str, AfterValidator(_digest)]] = []
    jwt: JwtSettings | None = None
    dealers: list[str] = []
    access: dict[str, Annotated[Access, BeforeValidator(_level)]] = {}
    calls_per_minute: int | None = Field(default=None, ge=1)
    writes_per_hour: int | None = Field(default=None, ge=1)
    personal_data: PersonalData = "masked"


class HttpSettings(_Section):
    """`[http]`: who may connect. Hosts and origins are exact values, as the headers carry them.

    `resource_url` is the public URL of `/mcp`, by which OAuth clients know this server.
    """

    anonymous_caller: str | None = None
    allowed_hosts: list[Annotated[str, Field(pattern=r"^[^*/\s]+$")]] = []
    allowed_origins: list[Annotated[str, Field(pattern=r"^https?://[^*/\s]+$")]] = []
    resource_url: Annotated[str, Field(pattern=r"^[^\s?#\\]+$"), AfterValidator(_https)] | None = None


def _folder(path: Path) -> Path:
    try:
        folder = path.expanduser()
        found = folder.is_dir()
    except (OSError, RuntimeError):  # a name that is too long, a user that does not exist
        found = False
    if not found:
        raise ValueError("there is no such folder; make it, or correct the path")
    if not folder.is_absolute():
        raise ValueError("expected an absolute path: a host starts the server in a folder of its own choice")
    return folder


class UploadSettings(_Section):
    """`[uploads]`: the one folder from which a tool may take a file, over stdio and on the command line."""

    folder: Annotated[Path, AfterValidator(_folder)]


def _store_url(value: Any, info: ValidationInfo) -> Any:
    if not isinstance(value, str):
        return value
    if info.context == UNREVEALED:
        return SecretStr("sqlite://")
    if value.startswith(("sqlite:///", "postgresql://")):
        parts = urlsplit(value)
        if parts.password is not None or "password" in parse_qs(parts.query):
            raise ValueError("the URL holds a password; name the whole URL as a secret, for instance env:STORE_URL")
        return SecretStr(_at_home(value))
    return SecretStr(reveal(value))


def _at_home(url: str) -> str:
    """`url` with the user's home folder for the `~` of a SQLite file."""
    if not url.startswith("sqlite:///~/"):
        return url
    try:
        return f"sqlite:///{Path(url.removeprefix('sqlite:///')).expanduser().as_posix()}"
    except RuntimeError:
        raise ValueError("there is no home folder; write the path without ~") from None


class StoreSettings(_Section):
    """`[store]`: where the audit and the idempotency keys are kept. By default, a file in the user's state folder.

    `refuse_unrecorded_reads` withholds the answer of a read whose audit record cannot be stored, as
    a write whose record cannot be stored is never sent.
    """

    url: Annotated[SecretStr, BeforeValidator(_store_url)] = Field(default_factory=lambda: SecretStr(default_url()))
    refuse_unrecorded_reads: bool = False


class RoadieSettings(_Section):
    """`[roadie]`: deliveries. Without it their tools are off."""

    base_url: Annotated[str, AfterValidator(_base_url)] = "https://connect.roadie.com/v1"
    token: Annotated[Secret, AfterValidator(_header_text)]


class MyKaarmaSettings(_Section):
    """`[mykaarma]`: customer records. Without it their tool is off."""

    base_url: Annotated[str, AfterValidator(_base_url)] = "https://api.mykaarma.com/customer/v2"
    username: Secret
    password: Secret
    requester_user_uuid: str


class WebhookSettings(_Section):
    """`[webhooks]`: who may send events, and how long they are kept. A source without a key sends nothing.

    Several keys of one source are for the time in which one replaces another.
    """

    roadster_keys: list[Annotated[Secret, AfterValidator(_header_text)]] = []
    roadie_keys: list[Annotated[Secret, AfterValidator(_header_text)]] = []
    retention_days: int = Field(default=400, ge=1, le=36_500)


def _redis_url(url: SecretStr) -> SecretStr:
    if not url.get_secret_value().startswith(("redis://", "rediss://")):
        raise ValueError("expected a redis:// or rediss:// URL")
    return url


class ReplicasSettings(_Section):
    """`[replicas]`: the Redis over which several processes share limits, circuit state and update notifications."""

    redis_url: Annotated[Secret, AfterValidator(_redis_url)]


class Settings(_Section):
    roadster: RoadsterSettings
    dealers: dict[str, DealerSettings]
    callers: dict[str, CallerSettings]
    http: HttpSettings = HttpSettings()
    uploads: UploadSettings | None = None
    store: StoreSettings = Field(default_factory=StoreSettings)
    roadie: RoadieSettings | None = None
    mykaarma: MyKaarmaSettings | None = None
    webhooks: WebhookSettings = WebhookSettings()
    replicas: ReplicasSettings | None = None

    def operations(self) -> Mapping[str, Operation]:
        return overridden(self.roadster.operations)

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
            orders="any" if dealer.orders == "any" else frozenset(dealer.orders),
            mykaarma_dealer_uuid=dealer.mykaarma_dealer_uuid,
            mykaarma_dealer_id=dealer.mykaarma_dealer_id,
        )

    def caller_as_of_now(self, name: str) -> Caller:
        """The caller, or after a reload that took it out, one of its name who may do nothing."""
        return self.caller(name) if name in self.callers else Caller(name)

    def caller(self, name: str) -> Caller:
        """Raises ConfigurationError for a name that is not configured."""
        if name not in self.callers:
            raise ConfigurationError(
                [f"callers.{name}: no such caller; there are: {', '.join(self.callers) or 'none'}"]
            )
        found = self.callers[name]
        return Caller(
            name,
            tuple(found.dealers),
            found.access,
            found.personal_data,
            dict(self._unconfigured(found.dealers)),
            calls_per_minute=found.calls_per_minute,
            writes_per_hour=found.writes_per_hour,
        )

    def _unconfigured(self, dpids: Sequence[str]) -> Iterator[tuple[str, str]]:
        """As `Caller` has it, for one of these dealers."""
        if self.roadie is None:
            yield "deliveries", "[roadie]"
        if self.mykaarma is None:
            yield "crm", "[mykaarma]"
        elif dpids and not any(self.dealers[dpid].mykaarma_dealer_uuid for dpid in dpids if dpid in self.dealers):
            yield "crm", f"dealers.{dpids[0]}.mykaarma_dealer_uuid"
