"""A quote of several answers."""

from __future__ import annotations

import pytest

from roadster_client import ForeignDealer, TimedOut
from roadster_client.models.quotes import Deals, Quote
from roadster_client.roadster.quoted_deals import combine_deals

SOUND = Quote(deals=Deals(cash=None))


def test_one_answer_of_another_dealer_withholds_the_quote() -> None:
    with pytest.raises(ForeignDealer):
        combine_deals({"cash": SOUND, "finance": TimedOut("quote_payments", "late"), "lease": ForeignDealer("x")})


def test_one_answer_that_failed_leaves_the_others() -> None:
    late = TimedOut("quote_payments", "late")
    assert combine_deals({"cash": SOUND, "finance": late}).errors == {"finance": late}
