"""The operations on templates and forms. Each is a function of the world and one call."""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Callable, Mapping
from typing import Any

from roadster_sandbox.answers import Refused
from roadster_sandbox.world.dealers import SandboxDealer, find_dealer_of_order
from roadster_sandbox.world.templates import FormTemplate, next_id
from roadster_sandbox.world.world import World

from .requests import DpidQuery, FormsBody, TemplateBody, TemplateIdQuery, parse_request, resolve_dealer
from .roadster import ApiCall

RECEIPT_FIELDS = (
    "expiration",
    "etag",
    "checksum_crc32",
    "checksum_crc32c",
    "checksum_sha1",
    "checksum_sha256",
    "server_side_encryption",
    "version_id",
    "sse_customer_algorithm",
    "sse_customer_key_md5",
    "ssekms_key_id",
    "ssekms_encryption_context",
    "bucket_key_enabled",
    "request_charged",
)
"""The fields of the documented answer to a new template. The storage of the files defines them."""


def list_templates(world: World, call: ApiCall) -> Any:
    return [template.to_listing() for template in world.templates_of(_dealer(call)).values()]


def get_template(world: World, call: ApiCall) -> Any:
    return _template(world, call).to_listing()


def get_template_file(world: World, call: ApiCall) -> Any:
    """Returns the file in base64, a bare string."""
    return base64.b64encode(_template(world, call).file).decode()


def create_template(world: World, call: ApiCall) -> Any:
    """Returns the receipt of the file storage. Unknown fields are null, and the id of the new template is not in it."""
    body = parse_request(TemplateBody, call.body)
    dealer = _dealer(call)
    file = _pdf(body.file_stream)
    data = body.form_data.model_dump(mode="json", exclude_unset=True)
    world.templates.append(
        FormTemplate(
            id=next_id(world.templates),
            dpid=dealer.dpid,
            name=data["name"],
            file_name=data["file_name"],
            description=data.get("description"),
            definition=data["form_definition"],
            file=file,
        )
    )
    return dict.fromkeys(RECEIPT_FIELDS) | {
        "etag": hashlib.md5(file, usedforsecurity=False).hexdigest(),
        "checksum_sha256": base64.b64encode(hashlib.sha256(file).digest()).decode(),
        "server_side_encryption": "AES256",
        "bucket_key_enabled": False,
    }


def create_forms(world: World, call: ApiCall) -> Any:
    """Creates forms for an order. The request names no dealer: all templates must belong to the dealer of that order.

    Raises Refused(404) for an unknown order, and for templates that are unknown, deleted or another dealer's.
    """
    body = parse_request(FormsBody, call.body)
    dealer = find_dealer_of_order(call.path["order_id"])
    if dealer is None:
        raise Refused(404)
    templates = world.templates_of(dealer)
    if any(id_ not in templates or templates[id_].is_deleted for id_ in body.template_ids):
        raise Refused(404)
    world.forms.append({"dpid": dealer.dpid, "order_id": int(call.path["order_id"]), **body.model_dump(mode="json")})
    return {}


HANDLERS: Mapping[str, Callable[[World, ApiCall], Any]] = {
    "list_templates": list_templates,
    "get_template": get_template,
    "get_template_file": get_template_file,
    "create_template": create_template,
    "create_forms": create_forms,
}
"""The function of each operation, by its id."""


def _dealer(call: ApiCall) -> SandboxDealer:
    return resolve_dealer(parse_request(DpidQuery, call.query).dealer)


def _template(world: World, call: ApiCall) -> FormTemplate:
    dealer = _dealer(call)
    template = world.templates_of(dealer).get(parse_request(TemplateIdQuery, call.query).template_id)
    if template is None:
        raise Refused(404)
    return template


def _pdf(file_stream: str) -> bytes:
    header, _, contents = file_stream.partition(",")
    try:
        file = base64.b64decode(contents, validate=True)
    except (binascii.Error, ValueError):
        raise Refused(400, "Invalid file stream") from None
    if not (header.startswith("data:application/pdf;") and header.endswith(";base64") and b"%PDF-" in file[:1024]):
        raise Refused(400, "Invalid file stream")
    return file
