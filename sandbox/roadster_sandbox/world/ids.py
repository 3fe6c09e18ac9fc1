"""The numbers that the records of a world are counted from. They follow the seed, as vehicles and prices do."""

from __future__ import annotations

from dataclasses import dataclass

DEFAULT_SEED = 7


@dataclass(frozen=True)
class FirstIds:
    """The id of the first record of each kind. Those of the default seed are in the references' samples."""

    customer: int = 1_650_260
    document: int = 1_602_287
    shipment: int = 152_040
    template: int = 278
    service_customer: int = 1


def first_ids(seed: int) -> FirstIds:
    """Returns the first ids in the world of the seed."""
    # Two of 80,000 seeds in a row never have the same ids, and each id has at most as many digits as the reference's.
    offset = (seed - DEFAULT_SEED) * 1_009 % 80_000 * 10
    samples = FirstIds()
    return FirstIds(**{name: sample + offset for name, sample in vars(samples).items()})
