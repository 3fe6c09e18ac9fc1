"""The typed tools, and the gate in front of them. `TOOLS` lists all of them, and `RESOURCES` gives them addresses."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .answers import FileLink, ToolAnswer, left_out_of, left_out_text
    from .arguments.raw_arguments import HOST_ARGUMENTS, ReadArguments, read_arguments
    from .choices import MOST_CHOICES, name_choices, near_names, some_of
    from .cursors import Seal, Unsealable
    from .failures import (
        AccessRefused,
        EarlierFailure,
        Failure,
        FailureKind,
        InvalidArguments,
        KeyOutcomeUnknown,
        Limited,
        NotConfirmed,
        ToolFailure,
        Uncounted,
        Unrecorded,
        WaitingForPerson,
        failure,
    )
    from .files.files import File
    from .files.upload_folder import UploadFolder
    from .gate.access import (
        Access,
        Caller,
        ConfirmWay,
        Verdict,
        approval_verdict,
        dealer_choices,
        dealer_verdict,
        verdict,
    )
    from .gate.admission import AdmittedCall, admit
    from .gate.gate import CallOversight, Gate, Grant, PendingWrite, Services, WritePreview
    from .gate.waiting_files import FileWanted, Uploads, WaitingFiles
    from .resources import APPROVAL_RESOURCE, CUSTOMER_RESOURCE, RESOURCES, Resource, resource_at
    from .stored_tools import TOOLS, TOOLSETS
    from .tool import Tool
    from .toolsets.feed import vins_in_stock
    from .toolsets.forms import usable_template_ids

__all__ = [
    "APPROVAL_RESOURCE",
    "CUSTOMER_RESOURCE",
    "HOST_ARGUMENTS",
    "MOST_CHOICES",
    "RESOURCES",
    "TOOLS",
    "TOOLSETS",
    "Access",
    "AccessRefused",
    "AdmittedCall",
    "CallOversight",
    "Caller",
    "ConfirmWay",
    "EarlierFailure",
    "Failure",
    "FailureKind",
    "File",
    "FileLink",
    "FileWanted",
    "Gate",
    "Grant",
    "InvalidArguments",
    "KeyOutcomeUnknown",
    "Limited",
    "NotConfirmed",
    "PendingWrite",
    "ReadArguments",
    "Resource",
    "Seal",
    "Services",
    "Tool",
    "ToolAnswer",
    "ToolFailure",
    "Uncounted",
    "Unrecorded",
    "Unsealable",
    "UploadFolder",
    "Uploads",
    "Verdict",
    "WaitingFiles",
    "WaitingForPerson",
    "WritePreview",
    "admit",
    "approval_verdict",
    "dealer_choices",
    "dealer_verdict",
    "failure",
    "left_out_of",
    "left_out_text",
    "name_choices",
    "near_names",
    "read_arguments",
    "resource_at",
    "some_of",
    "usable_template_ids",
    "verdict",
    "vins_in_stock",
]

_MODULES = {
    "answers": "FileLink ToolAnswer left_out_of left_out_text",
    "arguments.raw_arguments": "HOST_ARGUMENTS ReadArguments read_arguments",
    "choices": "MOST_CHOICES name_choices near_names some_of",
    "cursors": "Seal Unsealable",
    "failures": (
        "AccessRefused EarlierFailure Failure FailureKind InvalidArguments KeyOutcomeUnknown Limited NotConfirmed "
        "ToolFailure Uncounted Unrecorded WaitingForPerson failure"
    ),
    "files.files": "File",
    "files.upload_folder": "UploadFolder",
    "gate.access": "Access Caller ConfirmWay Verdict approval_verdict dealer_choices dealer_verdict verdict",
    "gate.admission": "AdmittedCall admit",
    "gate.gate": "CallOversight Gate Grant PendingWrite Services WritePreview",
    "gate.waiting_files": "FileWanted Uploads WaitingFiles",
    "resources": "APPROVAL_RESOURCE CUSTOMER_RESOURCE RESOURCES Resource resource_at",
    "stored_tools": "TOOLS TOOLSETS",
    "tool": "Tool",
    "toolsets.feed": "vins_in_stock",
    "toolsets.forms": "usable_template_ids",
}
"""The names above by the module that defines them. A server's start uses few of them, so a module is loaded when a name
of it is first used."""

_HOMES = {name: module for module, names in _MODULES.items() for name in names.split()}

if not TYPE_CHECKING:  # a type checker would take any name for one of this package

    def __getattr__(name: str) -> Any:
        if name not in _HOMES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        value = globals()[name] = getattr(import_module(f".{_HOMES[name]}", __name__), name)
        return value
