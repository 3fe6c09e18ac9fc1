"""The resources as the protocol shows and reads them, for the caller that asks."""

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
    resource_at,
    verdict,
)

_NO_ADDRESS = (
    "is no address of resources/templates/list, or spelt otherwise: lower-case scheme, VIN in capitals, "
    "numbers without leading zeros, only what must be percent-encoded, nothing after it"
)
_FOR_THE_CALLER_TO_MEND: tuple[FailureKind, ...] = ("invalid_arguments", "refused", "not_found")


def may_read(caller: Caller, resource: Resource) -> bool:
    """Whether the caller may read the resource at a dealer of its own."""
    return verdict(caller, TOOLS[resource.tool_name]).is_allowed and resource.visibility(caller).is_allowed


def templates_of(caller: Caller) -> list[McpResourceTemplate]:
    """The templates whose resources `caller` may read, in the order of the table."""
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


def resources_of(caller: Caller) -> list[McpResource]:
    """What can be listed without asking an upstream: the caller's dealers, where it may read them."""
    return [
        McpResource(
            uri=resource.address(dealer=dealer),
            name=dealer,
            title=f"{resource.title} {dealer}",
            description=resource.description,
            mime_type=resource.mime_type,
            annotations=_annotations(resource),
        )
        for resource in RESOURCES
        if resource.parameters == ["dealer"] and may_read(caller, resource)
        for dealer in caller.dealers
    ]


async def read_resource(calls: Calls, who: CurrentCaller, ctx: Context, uri: str) -> ReadResourceResult:
    """The resource at `uri`. Raises MCPError with the text of the failure, its kind in the data."""
    found = resource_at(uri)
    if found is None:
        raise told(await calls.refuse(who, ctx, {"uri": _NO_ADDRESS}))
    resource, arguments = found

    async def read(admitted: AdmittedCall) -> TextResourceContents | BlobResourceContents:
        content = await resource.read(admitted)
        if isinstance(content, File):
            blob = base64.b64encode(content.content).decode()
            return BlobResourceContents(uri=uri, mime_type=content.content_type, blob=blob)
        text = content.model_dump_json(exclude_none=True)
        if len(text) > LONGEST_ANSWER:
            name = resource.tool_name
            raise MalformedAnswer(name, f"the answer is larger than {LONGEST_ANSWER} characters")
        return TextResourceContents(uri=uri, mime_type=resource.mime_type, text=text)

    outcome = await calls.use(who, ctx, TOOLS[resource.tool_name], arguments, read)
    if isinstance(outcome, Failure):
        raise told(outcome, uri)
    return ReadResourceResult(contents=[outcome])


def told(failed: Failure, uri: str | None = None) -> MCPError:
    """`failed` as an error of the protocol.

    It repeats the address of what is not found, as the specification wishes, and no other: a refused one may hold
    anything.
    """
    data = {FAILURE_META: failed.kind} | ({"uri": uri} if failed.kind == "not_found" else {})
    code = INVALID_PARAMS if failed.kind in _FOR_THE_CALLER_TO_MEND else INTERNAL_ERROR
    return MCPError(code=code, message=failed.text, data=data)


def _annotations(resource: Resource) -> Annotations:
    """A file is for the person, an answer for the model too."""
    return Annotations(audience=["user"] if resource.file else ["user", "assistant"])
