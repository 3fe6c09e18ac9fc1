"""The resources of the protocol, for one caller."""

from __future__ import annotations

import base64

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
from pydantic_core import to_json

from roadster_client import MalformedAnswer
from roadster_server.calls.calls import Calls
from roadster_server.calls.context import Context, CurrentCaller
from roadster_server.calls.results import FAILURE_META, LONGEST_ANSWER
from roadster_tools import (
    RESOURCES,
    TOOLS,
    AdmittedCall,
    Caller,
    Failure,
    FailureKind,
    File,
    Resource,
    left_out_of,
    resource_at,
    verdict,
)

_NO_ADDRESS = (
    "is no address of resources/templates/list, or spelt otherwise: lower-case scheme, VIN in capitals, "
    "numbers without leading zeros, only what must be percent-encoded, nothing after it"
)
_CALLER_ERRORS: tuple[FailureKind, ...] = ("invalid_arguments", "refused", "not_found")


def may_read(caller: Caller, resource: Resource) -> bool:
    """Returns whether the caller may read the resource at its own dealers."""
    return verdict(caller, TOOLS[resource.tool_name]).is_allowed and resource.visibility(caller).is_allowed


def templates_of(caller: Caller) -> list[McpResourceTemplate]:
    """Returns the templates of the resources that the caller may read, in the order of `RESOURCES`."""
    return [
        McpResourceTemplate(
            uri_template=resource.template,
            name=resource.name,
            title=resource.title,
            description=resource.description,
            mime_type=resource.mime_type,
            annotations=_annotations(resource),
        )
        for resource in RESOURCES
        if may_read(caller, resource)
    ]


def resources_of(caller: Caller) -> list[tuple[Resource, str]]:
    """Returns what can be listed without an upstream: each of the caller's dealers, if it may read them."""
    return [
        (resource, dealer)
        for resource in RESOURCES
        if resource.parameters == ["dealer"] and may_read(caller, resource)
        for dealer in caller.dealers
    ]


def mcp_resource(resource: Resource, dealer: str) -> McpResource:
    """Returns the dealer's resource for `resources/list`."""
    return McpResource(
        uri=resource.address(dealer=dealer),
        name=dealer,
        title=f"{resource.title} {dealer}",
        description=resource.description,
        mime_type=resource.mime_type,
        annotations=_annotations(resource),
    )


async def read_resource(calls: Calls, current_caller: CurrentCaller, ctx: Context, uri: str) -> ReadResourceResult:
    """Returns the resource at `uri`. Raises MCPError with the text of the failure, and its kind in the data."""
    match = resource_at(uri)
    if match is None:
        raise mcp_error(await calls.refuse(current_caller, ctx, {"uri": _NO_ADDRESS}))
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
        raise mcp_error(outcome, uri)
    return ReadResourceResult(contents=[outcome])


def mcp_error(failure: Failure, uri: str | None = None) -> MCPError:
    """Returns the protocol's error for a failure.

    The specification wants the address of a resource that is not found in it. No other address is repeated, because a
    refused one may hold any text.
    """
    data = {FAILURE_META: failure.kind} | ({"uri": uri} if failure.kind == "not_found" else {})
    code = INVALID_PARAMS if failure.kind in _CALLER_ERRORS else INTERNAL_ERROR
    return MCPError(code=code, message=failure.text, data=data)


def _annotations(resource: Resource) -> Annotations:
    """Marks a file as meant for the person, and any other answer for the model too."""
    return Annotations(audience=["user"] if resource.file else ["user", "assistant"])
