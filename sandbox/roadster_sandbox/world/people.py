"""Names of nobody, for people that a seed makes."""

from __future__ import annotations

FIRST_NAMES = ("Steve", "Carlos", "Natalie", "Faye", "Ida", "Otto", "Wilma", "Hugo", "Marta", "Nils", "Greta", "Omar")
LAST_NAMES = (
    "Example",
    "Sample",
    "Placeholder",
    "Fictive",
    "Madeup",
    "Fantasia",
    "Inventa",
    "Pretend",
    "Dummy",
    "Mock",
)
