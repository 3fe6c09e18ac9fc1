"""How costs grow with the numbers of dealers, callers, vehicles, events and audit records."""
