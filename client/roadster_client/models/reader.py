"""The reader of an answer: the rights that decide how much of the answer is read at all."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from pydantic import ValidationInfo

PersonalData = Literal["masked", "contact"]
"""The personal data in an answer that its reader sees: none, or contact and financial data, but never identity data."""


@dataclass(frozen=True)
class Reader:
    """The rights of an answer's reader. It is the context in which the models are validated."""

    personal_data: PersonalData = "masked"
    dealer_figures: bool = False
    """True shows the dealer's own figures, such as invoice and profit."""

    @property
    def sees_contact_data(self) -> bool:
        return self.personal_data == "contact"

    def lost_right_of(self, other: Reader) -> Literal["personal_data", "dealer_figures"] | None:
        """Returns a right that only the other reader has, None where there is none."""
        if other.sees_contact_data and not self.sees_contact_data:
            return "personal_data"
        return "dealer_figures" if other.dealer_figures and not self.dealer_figures else None

    def with_rights_of(self, other: Reader) -> Reader:
        """Returns a reader who sees what either of the two sees."""
        is_contact = self.sees_contact_data or other.sees_contact_data
        return Reader("contact" if is_contact else "masked", self.dealer_figures or other.dealer_figures)


_NO_RIGHTS = Reader()


def reader_of(info: ValidationInfo) -> Reader:
    """Returns the reader for whom a model is validated. Without one, it is a reader without rights."""
    return info.context if isinstance(info.context, Reader) else _NO_RIGHTS
