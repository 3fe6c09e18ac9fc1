"""Reads an upstream's refusal: decides which error it is, and which of its words may be repeated.

A model reads the text of our errors, so an upstream's text must not bring instructions or names into it. Only
Roadster's words are repeated, and only if each is a word of the reference: one that it names a field with, or one
that says what is wrong with a field.
"""

from __future__ import annotations

import re
from typing import Any

from .errors import CodeReported, NotFound, RequestRefused, TooLate, Unauthorised
from .identity import plain_name
from .visible_text import is_absent

_PLAIN_WORDS = re.compile(r"[A-Za-z_]{2,20}( [A-Za-z_]{2,20}){0,5}")

# The words that say what is wrong with a field, then the words that the documents name their fields with.
_WORDS = frozenset(
    """
    missing invalid unknown unsupported required duplicate expired not found is are already exists too large long short
    co app doc docs ids id uuid vin dpid zip utm body query path value values type types status code codes name date
    first last email phone customer partner dealer agent vehicle make model trim year color exterior interior option
    payment deal lease finance cash down months miles term terms rate amount financed annual mileage tax taxes fees
    trade in ownership payoff offer plan plans tier accessories analytics source medium campaign checkout
    credit score incentives document documents file contents relationship size from updated since stock link
    template templates form forms data definition description pages fields stream order orders title
    reference item items pickup delivery location after deliver between options address contact notes street city state
    start end signature length width height weight quantity shipment requester user list
    """.split()  # noqa: SIM905 - a list of quoted words would be hard to read
)

_LARGEST_CODE = 99_999
"""The largest of myKaarma's error codes that is repeated. A longer number may be a telephone number."""

_NO_SUCH_SHIPMENT = "1006"
_AGAINST_RULES = "1003"
_ROADIE_CODES = {
    "1001": "is missing",
    "1002": "is not valid",
    _AGAINST_RULES: "is against Roadie's rules",
    "1004": "names an address that Roadie does not find",
    "1005": "leaves no route between the two places",
}
_PARAMETER = re.compile(r"[a-z_]+([.\[][a-z0-9_]+\]?){0,5}")


def repeatable_words(text: object) -> str | None:
    """Returns `text` if it is one to six words of the documents, else None."""
    return text if isinstance(text, str) and _PLAIN_WORDS.fullmatch(text) and _is_of_documents(text) else None


_FAILED = re.compile(r"\s*(error|fail|failed|failure)\s*", re.IGNORECASE)
_NO = ("false", "no", "0")


def has_failed_status(body: Any) -> bool:
    """Returns whether the answer's own status is an error, in any spelling."""
    return isinstance(body, dict) and any(
        plain_name(name) == "status" and _FAILED.fullmatch(str(value)) is not None for name, value in body.items()
    )


def reports_failure(body: Any) -> bool:
    """Returns whether an answer with a good HTTP status says that the call failed: by an error, or by no success."""
    if not isinstance(body, dict):
        return False
    fields = [(plain_name(name), value) for name, value in body.items()]
    has_error = any(name.startswith("error") and value and not is_absent(value) for name, value in fields)
    return has_error or any(name in ("success", "ok") and str(value).strip().lower() in _NO for name, value in fields)


def refusal_error(
    operation: str, status: int, body: Any, *, request_id: str | None
) -> RequestRefused | NotFound | Unauthorised:
    """Returns the error for a refusal with one of the documented bodies.

    - Roadster's is `{"status": "error", "error": "Missing email"}`.
    - Roadie's is `{"errors": [{"code", "parameter", "message"}]}`. The error says the code in our words, and names the
      parameter where it is a field of the documents.
    - myKaarma's is `{"errors": [{"errorCode", "errorTitle", "errorMessage"}]}`, also with status 200. The error repeats
      only the code. No document explains the codes, except that some are those of HTTP.
    """
    body = body if isinstance(body, dict) else {}
    errors = body.get("errors")
    first = errors[0] if isinstance(errors, list) and errors and isinstance(errors[0], dict) else {}
    code = str(first.get("code"))
    if code == _NO_SUCH_SHIPMENT:
        return NotFound(operation, request_id=request_id)
    if code == _AGAINST_RULES and first.get("parameter") == "state":
        too_late = "the delivery was picked up, or is delivered, canceled or over, and cannot be changed any more"
        return TooLate(operation, status, too_late, request_id=request_id)
    if code in _ROADIE_CODES:
        parameter = first.get("parameter")
        is_field = isinstance(parameter, str) and _PARAMETER.fullmatch(parameter) and _is_of_documents(parameter)
        explanation = f"{parameter} {_ROADIE_CODES[code]}" if is_field else _ROADIE_CODES[code]
        return RequestRefused(operation, status, explanation, request_id=request_id)
    match first.get("errorCode"):
        case 401 | 403 as own_status:
            return Unauthorised(operation, own_status, request_id=request_id)
        case 404:
            return NotFound(operation, request_id=request_id)
        case int(own_code) if 0 <= own_code <= _LARGEST_CODE:
            explanation = f"myKaarma reports error code {own_code:d}"
            return CodeReported(operation, status, explanation, request_id=request_id)
    return RequestRefused(operation, status, repeatable_words(body.get("error")), request_id=request_id)


def _is_of_documents(text: str) -> bool:
    """Returns whether every word of `text`, also between underscores and dots, is a word of the documents."""
    return all(word in _WORDS for word in re.split(r"[^a-z]+", text.lower()) if word)
