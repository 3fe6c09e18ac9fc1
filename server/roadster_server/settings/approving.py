"""The settings about approvals: why nobody can answer for a write on a page or a card, and if it takes two people."""

from __future__ import annotations

from roadster_tools import Access, Caller, Tool, approval_verdict, verdict

from .sections.people import ApprovalSettings
from .settings import Settings


def needs_two_people(approvals: ApprovalSettings, tool: Tool) -> bool:
    """Returns whether nobody may approve a write of the tool that they asked for themselves."""
    return tool.name in approvals.two_person or tool.toolset in approvals.two_person


def card_problem(approvals: ApprovalSettings, caller: Caller, tool: Tool) -> str | None:
    """Returns why nobody can answer for a write of the caller on a card of a host, None where somebody can."""
    if "card" not in caller.confirm_by:
        return f'{caller.setting("confirm_by")} does not name "card"'
    if needs_two_people(approvals, tool):
        return "approvals.two_person names it, and a card is answered by the one who asked"
    current = verdict(caller, tool)
    return None if tool.writes and current.level == Access.CONFIRM else current.description


def approval_problem(settings: Settings, tool: Tool, dealer: str, requester: str) -> str | None:
    """Returns why nobody can approve a write of `requester` on a page, and what to do. None where somebody can."""
    local = settings.people.local_caller
    people = [
        caller
        for caller in settings.rights.of_rules()
        if settings.identity[caller.name.partition(":")[0]].client_id is not None
    ]
    if local is not None:
        people.append(settings.caller_as_of_now(local))
    if not people:
        return (
            "nobody can sign in to the pages; let the operator set people.local_caller, or client_id in "
            "[identity.NAME] with a rule for its people"
        )
    approvers = [caller.name for caller in people if approval_verdict(caller, tool, dealer).is_allowed]
    if not approvers:
        return (
            f"nobody who signs in to the pages may approve it at {dealer}; let the operator name {tool.toolset} or "
            f"{tool.name} in `approves` of a role of theirs that has this dealer"
        )
    # A rule may be of many people. So only the local caller is known to be the requester.
    if approvers == [requester] and needs_two_people(settings.approvals, tool):
        return (
            "approvals.two_person wants a second person, and only the one who asks may approve it; let the operator "
            "give somebody else who signs in a role that approves it"
        )
    return None
