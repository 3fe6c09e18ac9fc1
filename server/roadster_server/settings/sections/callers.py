"""The sections that say who may do what: callers, roles, groups of dealers, and the people of identity providers."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Annotated, Any, Self

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from roadster_client import PersonalData
from roadster_server.settings.secrets import Secret
from roadster_tools import Access, ConfirmWay

from .forms import written_as
from .section import HTTPS, NO_REPETITION, Section

GROUP = "group:"
"""An entry of `dealers` that begins so names a group of dealers."""

_URL = "a URL without blanks and #"


def _level(value: Any) -> Any:
    if isinstance(value, Access):
        return value
    if isinstance(value, str) and value.upper() in Access.__members__:
        return Access[value.upper()]
    raise ValueError(f"expected one of {', '.join(level.name.lower() for level in Access)}")


class RightsSettings(Section):
    """The keys that callers and roles have in common."""

    access: dict[str, Annotated[Access, BeforeValidator(_level)]] = {}
    """Access levels by toolset or by tool. A tool's own level wins."""
    calls_per_minute: int | None = Field(default=None, ge=1)
    """The most calls in a minute. Refused calls count too, and over HTTP also lists and introductions."""
    writes_per_hour: int | None = Field(default=None, ge=1)
    """The most writes that are sent in an hour."""
    sessions: int = Field(default=16, ge=1)
    """The most sessions of protocol 2025-11-25 at once. One more ends the oldest idle one."""
    streams: int = Field(default=32, ge=1)
    """The most streams at once: of sessions, of `/sse`, and of `subscriptions/listen`."""
    confirm_by: Annotated[list[ConfirmWay], Field(min_length=1), NO_REPETITION] = ["form", "page"]
    """The ways in which a person is asked before a write at `confirm`: `form` is a question in the client, `page` a
    page of this server, `card` a view that the host shows, which is as strong as the host's word. The first one that is
    possible is taken."""
    personal_data: PersonalData = "masked"
    """The personal data that is shown, also in documents: `masked` is none, `contact` all but identity data."""
    dealer_figures: bool = False
    """`true` shows the dealer's own figures: invoice, profit, dealer cash, markups, what plans and options cost."""
    links: bool = True
    """`false` leaves resource links out of answers, for hosts that fail on them. The address in an answer stays."""


class RoleSettings(RightsSettings):
    """`[roles.NAME]`: what a kind of caller may do. Limits count for each person or caller, not for all of a role."""

    approves: Annotated[list[str], NO_REPETITION] = []
    """Toolsets and tools whose writes the role may approve on a page, at its own dealers. `approvals.two_person` keeps
    people from approving their own."""
    console: bool = False
    """`true` shows the role the console of the pages for people: what waits, the audit, figures and the configuration
    without secrets. The role sees what concerns its own dealers."""


class DealerGroupSettings(Section):
    """`[dealer_groups.NAME]`: a set of dealers, which `dealers = ["group:NAME"]` names."""

    dealers: Annotated[list[str], NO_REPETITION]
    """The dpids of the group."""


def _digest(text: str) -> str:
    if re.fullmatch(r"[0-9a-f]{64}", text) is None:
        raise ValueError("expected the 64 hexadecimal digits that `roadster-mcp token NAME` prints, not the token")
    return text


class CallerSettings(RightsSettings):
    """`[callers.NAME]`: one caller, its dealers and its access. A tool that no level covers is off."""

    token_sha256: Annotated[list[Annotated[str, AfterValidator(_digest)]], NO_REPETITION] = []
    """SHA-256 hashes of the caller's tokens. Two of them while one replaces the other."""
    role: str | None = None
    """The role that gives what is not set here. A key that is set here replaces the role's, `access` as a whole."""
    dealers: Annotated[list[str], NO_REPETITION] = []
    """The dpids that the caller may use, and groups as `group:NAME`. Exact names, no wildcard. An empty list allows
    nothing."""


def _claim_value(value: Any) -> Any:
    if isinstance(value, str | int):  # a bool is an int
        return value
    if isinstance(value, dict):
        problem = "rules do not look into a claim; have the provider put this into a claim of its own"
        raise ValueError(problem)  # noqa: TRY004 - pydantic takes only a ValueError
    raise ValueError("expected a text, a whole number, true or false; a claim that is a list need only contain it")


def _claims(value: Any) -> Any:
    if not isinstance(value, dict):
        raise ValueError('expected claims and their values, as { groups = "sales" }')  # noqa: TRY004 - pydantic takes only a ValueError
    if not value:
        raise ValueError(
            'names no claim; to match everybody, name the issuer, as { iss = "https://login.example.com" }'
        )
    if "" in value:
        raise ValueError("names a claim without a name; write the claim's name into the quotes")
    return value


class PeopleRule(Section):
    """`[[identity.NAME.people]]`: a rule that gives people a role. The first one that matches decides."""

    match: Annotated[
        dict[str, Annotated[Any, AfterValidator(_claim_value)]], Field(min_length=1), BeforeValidator(_claims)
    ]
    """Claims and their values. Each claim of the token equals its value here, or is a list that contains it."""
    role: str
    """The role of those who match."""
    dealers: Annotated[list[str], NO_REPETITION] = []
    """Their dealers, as in a caller."""
    dealers_claim: str | None = None
    """The claim that names their dealers instead. Only those that the configuration has are given."""

    @model_validator(mode="after")
    def _dealers_come_from_one_place(self) -> Self:
        if self.dealers and self.dealers_claim is not None:
            raise ValueError("has dealers and dealers_claim; leave out one of them")
        return self


_DURATION = re.compile(r"([1-9][0-9]{0,5})([smhd])")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


def duration(value: Any) -> Any:
    """Reads a number with its unit."""
    if isinstance(value, timedelta):
        return value
    written = _DURATION.fullmatch(value) if isinstance(value, str) else None
    if written is None:
        raise ValueError('expected a number and a unit in quotes, as "90s", "15m", "24h" or "7d"')
    return timedelta(**{_UNITS[written[2]]: int(written[1])})


class IdentitySettings(Section):
    """`[identity.NAME]`: an identity provider, whose JWTs say who a person is. Several may be named."""

    issuer: Annotated[str, Field(min_length=1)]
    """The JWT's `iss`, exactly as the provider writes it."""
    audiences: Annotated[list[Annotated[str, Field(min_length=1)]], NO_REPETITION, Field(min_length=1)]
    """Values of `aud` that a JWT for this server may have. One of them is usually `http.resource_url`."""
    jwks_url: Annotated[str, written_as(r"[^\s#\\]+", _URL), HTTPS] | None = None
    """The URL of the provider's keys: https, or http on a loopback host. Without it, the issuer's metadata name it."""
    scope: str = "roadster"
    """The scope that a JWT must have in `scope` or `scp`. `""` asks for none: then ID tokens and tokens for
    other purposes may be good as well."""
    advertised_scopes: Annotated[
        list[Annotated[str, written_as(r"[\x21\x23-\x5b\x5d-\x7e]+", "a scope")]], NO_REPETITION
    ] = []
    """The scopes that OAuth clients are told to ask for, where the provider wants them written in another way. The
    default is `scope`."""
    subject_claim: Annotated[str, Field(min_length=1)] = "sub"
    """The claim that identifies a person. It stays the same for as long as the person's account exists."""
    name_claim: str | None = None
    """The claim with a name to show to other people, such as `email`. It is never logged."""
    client_id: Annotated[str, written_as(r"[\x20-\x7e]+", "the client id that the provider shows")] | None = None
    """The client as which people sign in to the pages for people. Without it they cannot sign in there."""
    client_secret: Secret | None = None
    """The client's secret, where the provider gave it one."""
    sign_in_scopes: Annotated[
        list[Annotated[str, written_as(r"[\x21\x23-\x5b\x5d-\x7e]+", "a scope")]], NO_REPETITION
    ] = []
    """The scopes that a sign-in to the pages asks for besides `openid`, such as `profile`, `email` or `groups`: those
    that the provider needs before it names the claims of the rules."""
    longest_lifetime: Annotated[timedelta, BeforeValidator(duration)] = timedelta(hours=24)
    """A JWT that lives longer is refused. A number with its unit: `"90s"`, `"15m"`, `"24h"`, `"7d"`."""
    people: list[PeopleRule] = []
    """The rules. Someone whom none of them matches may do nothing."""

    @property
    def claims_of_rights(self) -> frozenset[str]:
        """The claims that say who somebody is, and which rule matches."""
        claims = {claim for rule in self.people for claim in [*rule.match, rule.dealers_claim]}
        return frozenset(claim for claim in {*claims, self.subject_claim} if claim)

    @property
    def claims_of_sign_in(self) -> frozenset[str]:
        """The same, and the claim that says what somebody is called."""
        return self.claims_of_rights | ({self.name_claim} if self.name_claim else set())
