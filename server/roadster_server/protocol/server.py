"""The MCP server: one handler for each request of the protocol. Each answers for the caller of the request."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from mcp.server.caching import CacheHint
from mcp.server.context import CallNext, HandlerResult, ServerMiddleware, ServerRequestContext
from mcp.server.lowlevel import Server
from mcp.shared.exceptions import MCPError
from mcp.shared.inbound import X_MCP_HEADER_KEY
from mcp_types import (
    INTERNAL_ERROR,
    CallToolRequestParams,
    CompleteRequestParams,
    CompleteResult,
    ElicitResult,
    GetPromptRequestParams,
    GetPromptResult,
    ListPromptsResult,
    ListResourcesResult,
    ListResourceTemplatesResult,
    ListToolsResult,
    PaginatedRequestParams,
    ReadResourceRequestParams,
    ReadResourceResult,
    ServerCapabilities,
    ToolAnnotations,
)
from mcp_types import Tool as McpTool
from mcp_types.version import MODERN_PROTOCOL_VERSIONS
from pydantic import ValidationError

from roadster_server.calls.approvals.card_answers import CardAnswers, is_card_answer
from roadster_server.calls.approvals.cards import Cards
from roadster_server.calls.calls import Calls
from roadster_server.calls.context import CallResult, Context, CurrentCaller, has_views
from roadster_server.calls.view_hosts import EXTENSION, shows_views
from roadster_server.telemetry.logs import log_crash
from roadster_tools import TOOLS, Caller, Tool

from .completion import complete
from .counting import count_request
from .instructions import instructions
from .pages import page_of
from .prompts import fill_prompt, mcp_prompt
from .resources import mcp_resource, mcp_template, read_resource
from .views import tool_meta
from .visible import prompts_of, resources_of, templates_of, tools_of

if TYPE_CHECKING:  # for start time: only a server over HTTP has subscriptions
    from roadster_server.calls.limiter import Limiter

    from .subscriptions import Subscriptions

# Each caller has its own lists, so no cache on the way may show them to another.
_OWN_LISTS = CacheHint(ttl_ms=60_000, scope="private")

_DEFECT = "The server failed on this request; its operator finds why in the log."
_INTRODUCTIONS = ("initialize", "server/discover")

_COUNTED_AS_CALLS = ("tools/call", "resources/read", "resources/subscribe", "completion/complete")
"""Requests that are counted where their work begins, some of them with a record."""
_UNCOUNTED = ("ping", "resources/unsubscribe", *_COUNTED_AS_CALLS)


def build_server(
    calls: Calls,
    current_caller: CurrentCaller,
    subscriptions: Subscriptions | None = None,
    *,
    sessions: bool = True,
) -> Server[Any]:
    """Returns the server. `calls` carries out its tools, and `current_caller` runs in the context of each request.

    Without `subscriptions`, clients cannot subscribe to resources, because only a server over HTTP receives events, and
    are not told when their lists change. Without `sessions` the same holds for clients of protocol 2025-11-25, because
    they are notified over their session.
    """
    card_answers = CardAnswers(calls)

    async def list_tools(ctx: Any, params: PaginatedRequestParams | None) -> ListToolsResult:
        calls.services.store.wanted_soon.set()
        # Many clients read one page only, so this list is never divided.
        caller = current_caller()
        tools, next_cursor = page_of(tools_of(caller), params, most=len(TOOLS))
        has_headers = subscriptions is not None and ctx.protocol_version in MODERN_PROTOCOL_VERSIONS
        rows = [routable_tool(tool) if has_headers else mcp_tool(tool) for tool in tools]
        rows = [_with_view(row, caller, calls.services.approvals.cards) for row in rows] if has_views(ctx) else rows
        return ListToolsResult(tools=rows, next_cursor=next_cursor)

    async def call_tool(ctx: Any, params: CallToolRequestParams) -> CallResult:
        return await (card_answers.take if is_card_answer(params) else calls.answer)(current_caller, ctx, params)

    async def list_prompts(_ctx: Any, params: PaginatedRequestParams | None) -> ListPromptsResult:
        caller = current_caller()
        prompts, next_cursor = page_of([*prompts_of(caller).values()], params)
        return ListPromptsResult(prompts=[mcp_prompt(prompt, caller) for prompt in prompts], next_cursor=next_cursor)

    async def get_prompt(_ctx: Any, params: GetPromptRequestParams) -> GetPromptResult:
        return fill_prompt(params.name, params.arguments or {}, current_caller())

    async def list_resources(_ctx: Any, params: PaginatedRequestParams | None) -> ListResourcesResult:
        resources, next_cursor = page_of(resources_of(current_caller()), params)
        return ListResourcesResult(
            resources=[mcp_resource(resource, dealer) for resource, dealer in resources], next_cursor=next_cursor
        )

    async def list_templates(_ctx: Any, params: PaginatedRequestParams | None) -> ListResourceTemplatesResult:
        templates, next_cursor = page_of(templates_of(current_caller()), params)
        return ListResourceTemplatesResult(
            resource_templates=[mcp_template(resource) for resource in templates], next_cursor=next_cursor
        )

    async def read(ctx: Any, params: ReadResourceRequestParams) -> ReadResourceResult:
        return await read_resource(calls, current_caller, ctx, params.uri)

    async def on_completion(ctx: Any, params: CompleteRequestParams) -> CompleteResult:
        return CompleteResult(completion=await complete(calls, current_caller, ctx, params))

    server = _Server(
        "roadster-mcp",
        title="Roadster",
        version=version("roadster-mcp"),
        cache_hints={
            "tools/list": _OWN_LISTS,
            "prompts/list": _OWN_LISTS,
            "resources/list": _OWN_LISTS,
            "resources/templates/list": _OWN_LISTS,
        },
        get_tool_input_schema=lambda name: _routable_schema(TOOLS[name]) if name in TOOLS else None,
        on_list_tools=list_tools,
        on_call_tool=call_tool,
        on_list_prompts=list_prompts,
        on_get_prompt=get_prompt,
        on_list_resources=list_resources,
        on_list_resource_templates=list_templates,
        on_read_resource=read,
        on_completion=on_completion,
        on_subscribe_resource=subscriptions.follow if subscriptions and sessions else None,
        on_unsubscribe_resource=subscriptions.unfollow if subscriptions and sessions else None,
        on_subscriptions_listen=subscriptions.listen if subscriptions else None,
    )
    server.notifies_sessions = subscriptions is not None and sessions
    server.middleware += [_own_introduction(current_caller), _without_unreadable_answers]
    if subscriptions is not None:  # over HTTP. The one client of stdio holds up nobody else
        server.middleware.insert(0, _counted(calls.services.limiter, current_caller))
        server.middleware.append(_told_of_changes(server, subscriptions))
    server.middleware.insert(0, _without_internals)
    return server


class _Server(Server[Any]):
    """The SDK's server. It promises to tell of changed lists, where it does so.

    To clients of 2026-07-28 the SDK promises that wherever they can listen. To those of 2025-11-25 we say it ourselves.
    """

    notifies_sessions = False

    def get_capabilities(
        self, *arguments: Any, protocol_version: str | None = None, **options: Any
    ) -> ServerCapabilities:
        capabilities = super().get_capabilities(*arguments, protocol_version=protocol_version, **options)
        if protocol_version not in MODERN_PROTOCOL_VERSIONS:
            for capability in (capabilities.tools, capabilities.prompts, capabilities.resources):
                if capability is not None:
                    capability.list_changed = self.notifies_sessions
        return capabilities


def _told_of_changes(server: _Server, subscriptions: Subscriptions) -> ServerMiddleware[Any]:
    """Tells each session when its lists change, from its introduction on."""

    async def with_changes(ctx: ServerRequestContext[Any, Any], call_next: CallNext) -> HandlerResult:
        result = await call_next(ctx)
        if ctx.method == "initialize" and server.notifies_sessions:
            subscriptions.follow_lists(ctx)
        return result

    return with_changes


def _counted(limiter: Limiter, current_caller: CurrentCaller) -> ServerMiddleware[Any]:
    """Counts introductions, lists, prompts and streams as calls. Each takes as much work as a call from memory."""

    async def with_count(ctx: ServerRequestContext[Any, Any], call_next: CallNext) -> HandlerResult:
        if ctx.request_id is not None and ctx.method not in _UNCOUNTED:
            await count_request(limiter, current_caller())
        return await call_next(ctx)

    return with_count


def _own_introduction(current_caller: CurrentCaller) -> ServerMiddleware[Any]:
    """Gives each caller its own instructions, and tells of views only a client that shows them.

    The SDK's constructor takes one text and one set of extensions for all callers.
    """

    async def with_introduction(ctx: ServerRequestContext[Any, Any], call_next: CallNext) -> HandlerResult:
        result = await call_next(ctx)
        if ctx.method not in _INTRODUCTIONS or not isinstance(result, dict):
            return result
        if _introduces_views(ctx):
            result["capabilities"] = {**result["capabilities"], "extensions": {EXTENSION: {}}}
        return {**result, "instructions": instructions(current_caller())}

    return with_introduction


def _introduces_views(ctx: Context) -> bool:
    if ctx.method == "initialize":  # the SDK keeps the capabilities only after the answer
        return shows_views((ctx.params or {}).get("capabilities", {}).get("extensions"))
    return has_views(ctx)


def _with_view(row: McpTool, caller: Caller, cards: Cards) -> McpTool:
    tool = TOOLS[row.name]
    meta = tool_meta(tool, asks_by_card=cards.problem(caller, tool, host_has_views=True) is None)
    return row if meta is None else row.model_copy(update={"meta": meta})


async def _without_internals(ctx: ServerRequestContext[Any, Any], call_next: CallNext) -> HandlerResult:
    """Answers a defect in words of ours. The SDK would send the error's own text, which may name a file or a host."""
    try:
        return await call_next(ctx)
    except (MCPError, ValidationError):
        raise
    except Exception as error:  # noqa: BLE001 - a defect: the caller learns that it happened, the log where
        log_crash(error, method=ctx.method)
        raise MCPError(code=INTERNAL_ERROR, message=_DEFECT) from None


async def _without_unreadable_answers(ctx: ServerRequestContext[Any, Any], call_next: CallNext) -> HandlerResult:
    """Leaves out answers to questions that are none. The SDK would refuse the whole call, in words that say nothing."""
    if ctx.method == "tools/call" and ctx.params and "inputResponses" in ctx.params:
        answers = ctx.params["inputResponses"]
        answers = answers.items() if isinstance(answers, dict) else ()
        readable = {name: answer for name, answer in answers if _is_answer(answer)}
        ctx = replace(ctx, params={**ctx.params, "inputResponses": readable})
    return await call_next(ctx)


def _is_answer(answer: Any) -> bool:
    try:
        ElicitResult.model_validate(answer, by_name=False)
    except ValidationError:
        return False
    return True


def mcp_tool(tool: Tool) -> McpTool:
    """Returns the tool for `tools/list`."""
    return McpTool(
        name=tool.name,
        title=tool.title,
        description=tool.description,
        input_schema=tool.input_schema,
        output_schema=tool.output_schema,
        annotations=ToolAnnotations(
            read_only_hint=not tool.writes,
            destructive_hint=tool.destructive,
            idempotent_hint=not tool.writes,
            open_world_hint=True,
        ),
    )


def routable_tool(tool: Tool) -> McpTool:
    """Returns the tool for clients of 2026-07-28 over HTTP, which repeat the dealer in the header Mcp-Param-dealer.

    A gateway can route and meter by it. The SDK refuses a call whose header and arguments differ. Other clients do not
    get the mark, because some model APIs refuse a schema with a keyword that they do not know.
    """
    return mcp_tool(tool).model_copy(update={"input_schema": _routable_schema(tool)})


@cache
def _routable_schema(tool: Tool) -> dict[str, Any]:
    if not tool.of_one_dealer:
        return tool.input_schema
    properties = tool.input_schema["properties"]
    dealer = {**properties["dealer"], X_MCP_HEADER_KEY: "dealer"}
    return {**tool.input_schema, "properties": {**properties, "dealer": dealer}}
