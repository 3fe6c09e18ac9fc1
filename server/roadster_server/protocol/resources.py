"""The resources of the protocol, for one caller."""

from __future__ import annotations

import base64
import re

from mcp.shared.exceptions import MCPError
from mcp_types import (
    INTERNAL_ERROR,
    INVALID_PARAMS,
    Annotations,
    BlobResourceContents,
    ReadResourceResult,
    TextResourceContents,
)
from mcp_types import Resource as McpResource
from mcp_types import ResourceTemplate as McpResourceTemplate
from mcp_types.version import is_version_at_least
from pydantic_core import to_json

from roadster_client import MalformedAnswer
from roadster_server.calls.calls import Calls
from roadster_server.calls.context import Context, CurrentCaller
from roadster_server.calls.results import FAILURE_META, LONGEST_ANSWER
from roadster_server.calls.view_hosts import MIME_TYPE
from roadster_tools import TOOLS, AdmittedCall, Failure, File, Resource, left_out_of, resource_at

from .counting import count_request
from .views import VIEW_META, View, view_at
from .visible import audience_of

_NO_ADDRESS = (
    "is no address of resources/templates/list, or spelt otherwise: lower-case scheme, VIN in capitals, "
    "numbers without leading zeros, only what must be percent-encoded, nothing after it"
)
_NOT_FOUND_UNTIL_2026 = -32002
"""The code of protocol 2025-11-25 for a resource that does not exist. Protocol 2026-07-28 has -32602 for it."""
_REPEATABLE_ADDRESS = re.compile("[!-~]{1,2000}")
"""Only the characters of a URI (RFC 3986), so an error repeats no sentence and no invisible character."""


def mcp_template(resource: Resource) -> McpResourceTemplate:
    """Returns the resource for `resources/templates/list`."""
    return McpResourceTemplate(
        uri_template=resource.template,
        name=resource.name,
        title=resource.title,
        description=resource.description,
        mime_type=resource.mime_type,
        annotations=Annotations(audience=audience_of(resource)),
    )


def mcp_resource(resource: Resource, dealer: str) -> McpResource:
    """Returns the dealer's resource for `resources/list`."""
    return McpResource(
        uri=resource.address(dealer=dealer),
        name=dealer,
        title=f"{resource.title} {dealer}",
        description=resource.description,
        mime_type=resource.mime_type,
        annotations=Annotations(audience=audience_of(resource)),
    )


async def read_resource(calls: Calls, current_caller: CurrentCaller, ctx: Context, uri: str) -> ReadResourceResult:
    """Returns the resource at `uri`. Raises MCPError with the text of the failure, and its kind in the data."""
    view = view_at(uri, current_caller())
    if view is not None:
        await count_request(calls.services.limiter, current_caller())
        return _read_view(view)
    match = resource_at(uri)
    if match is None:
        raise unknown_address(await calls.refuse(current_caller, ctx, {"uri": _NO_ADDRESS}), ctx, uri)
    resource, arguments = match

    async def read_content(admitted_call: AdmittedCall) -> TextResourceContents | BlobResourceContents:
        content = await resource.read(admitted_call)
        if isinstance(content, File):
            blob = base64.b64encode(content.content).decode()
            return BlobResourceContents(uri=uri, mime_type=content.content_type, blob=blob)
        notices = {"notices": admitted_call.notices} if admitted_call.notices else {}
        fields = content.structured_content() | notices | left_out_of(admitted_call.left_out)
        text = to_json(fields).decode()
        if len(text) > LONGEST_ANSWER:
            name = resource.tool_name
            raise MalformedAnswer(name, f"the answer is larger than {LONGEST_ANSWER} characters")
        return TextResourceContents(uri=uri, mime_type=resource.mime_type, text=text)

    outcome = await calls.use(current_caller, ctx, TOOLS[resource.tool_name], arguments, read_content)
    if isinstance(outcome, Failure):
        raise mcp_error(outcome, ctx, uri)
    return ReadResourceResult(contents=[outcome])


def _read_view(view: View) -> ReadResourceResult:
    """Returns the document of the view."""
    content = TextResourceContents(uri=view.uri, mime_type=MIME_TYPE, text=view.document, _meta=dict(VIEW_META))
    return ReadResourceResult(contents=[content])


def mcp_error(failure: Failure, ctx: Context, uri: str) -> MCPError:
    """Returns the protocol's error for a failed read of the resource at `uri`."""
    if failure.kind == "not_found":
        return _not_found(failure, ctx, uri)
    # Hosts show no reason for INVALID_PARAMS, so a refusal has the other code.
    code = INVALID_PARAMS if failure.kind == "invalid_arguments" else INTERNAL_ERROR
    return MCPError(code=code, message=failure.text, data={FAILURE_META: failure.kind})


def unknown_address(failure: Failure, ctx: Context, uri: str) -> MCPError:
    """Returns the protocol's error for an address at which there is no resource for anybody."""
    is_counted = failure.kind == "invalid_arguments"  # otherwise the caller has reached its limit of calls
    return _not_found(failure, ctx, uri) if is_counted else mcp_error(failure, ctx, uri)


def _not_found(failure: Failure, ctx: Context, uri: str) -> MCPError:
    is_since_2026 = is_version_at_least(ctx.protocol_version, "2026-07-28")
    address = {"uri": uri} if _REPEATABLE_ADDRESS.fullmatch(uri) else {}
    return MCPError(
        code=INVALID_PARAMS if is_since_2026 else _NOT_FOUND_UNTIL_2026,
        message=failure.text,
        data={FAILURE_META: failure.kind} | address,
    )
