"""The settings about approvals: whether anybody can approve a write, and whether that must be somebody else."""

from __future__ import annotations

from roadster_tools import Tool, approval_verdict

from .sections import Settings


def needs_two_people(settings: Settings, tool: Tool) -> bool:
    """Returns whether nobody may approve a write of the tool that they asked for themselves."""
    names = settings.approvals.two_person
    return tool.name in names or tool.toolset in names


def has_approver(settings: Settings, tool: Tool, dealer: str, requester: str) -> bool:
    """Returns whether the configuration lets anybody in to the pages who may approve a write of `requester`."""
    local = settings.people.local_caller
    is_second = local != requester or not needs_two_people(settings, tool)
    if local is not None and is_second and approval_verdict(settings.caller_as_of_now(local), tool, dealer).is_allowed:
        return True
    return any(
        settings.identity[caller.name.partition(":")[0]].client_id is not None
        and approval_verdict(caller, tool, dealer).is_allowed
        for caller in settings.rights.of_rules()
    )
