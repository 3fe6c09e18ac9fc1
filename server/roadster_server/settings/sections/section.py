"""The base of all sections of the configuration, and what several of them check."""

from __future__ import annotations

from pydantic import AfterValidator, AnyHttpUrl, BaseModel, ConfigDict, SecretStr, ValidationError

from roadster_client import is_loopback


class Section(BaseModel):
    """A table of roadster.toml. An unknown key is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def _refuse_repetition(entries: list[str]) -> list[str]:
    places: dict[str, int] = {}
    for place, entry in enumerate(entries, 1):
        if (first := places.setdefault(entry, place)) < place:
            raise ValueError(f"entries {first} and {place} are the same; remove one of them")
    return entries


NO_REPETITION = AfterValidator(_refuse_repetition)


def check_https(url: str) -> str:
    """Returns a URL that nobody on the way may read or answer. Raises ValueError."""
    mend = "expected an https:// URL without a password, or an http:// URL of a loopback host"
    try:
        parts = AnyHttpUrl(url)
    except ValidationError:
        raise ValueError(mend) from None
    loopback = is_loopback((parts.host or "").strip("[]"))
    if parts.username is not None or not url.startswith(("https://", "http://") if loopback else "https://"):
        raise ValueError(mend)
    return url


HTTPS = AfterValidator(check_https)


def _check_header_text(secret: SecretStr) -> SecretStr:
    if not secret.get_secret_value().isascii() or not secret.get_secret_value().isprintable():
        raise ValueError("holds characters that no HTTP header can carry; copy the key again")
    return secret


HEADER_TEXT = AfterValidator(_check_header_text)
