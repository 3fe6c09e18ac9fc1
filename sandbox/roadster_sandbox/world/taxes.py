"""The taxes and the registration of each state. A quote takes those of the state in which the customer lives.

The figures are invented, near the real ones. The ranges of zip codes are real.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal


@dataclass(frozen=True)
class TaxRates:
    """Sales tax and use tax, as fractions, and the dollars of a registration, the fee `license` of a quote."""

    state: Decimal
    county: Decimal
    local: Decimal
    registration: Decimal

    @property
    def combined_rate(self) -> Decimal:
        return self.state + self.county + self.local


def _rates(state: str, county: str, local: str, registration: str) -> TaxRates:
    """Returns the rates of percentages and dollars."""
    return TaxRates(Decimal(state) / 100, Decimal(county) / 100, Decimal(local) / 100, Decimal(registration))


TAX_RATES: Mapping[str, TaxRates] = {
    "AK": _rates("0", "0", "1.75", "100"),
    "AL": _rates("2", "1", "1.5", "48.25"),
    "AR": _rates("6.5", "1", "1", "25"),
    "AZ": _rates("5.6", "0.7", "2", "68"),
    "CA": _rates("6", "1.25", "1", "120.25"),
    "CO": _rates("2.9", "1", "3.5", "75"),
    "CT": _rates("6.35", "0", "0", "120"),
    "DC": _rates("6", "0", "0", "92"),
    "DE": _rates("0", "0", "0", "40"),
    "FL": _rates("6", "1", "0", "225"),
    "GA": _rates("6.6", "0", "0", "20"),
    "HI": _rates("4", "0.5", "0", "77"),
    "IA": _rates("5", "0", "0", "130"),
    "ID": _rates("6", "0", "0", "69"),
    "IL": _rates("6.25", "1", "1.25", "151"),
    "IN": _rates("7", "0", "0", "21.35"),
    "KS": _rates("6.5", "1", "1.25", "49.25"),
    "KY": _rates("6", "0", "0", "21"),
    "LA": _rates("4.45", "2.5", "2.5", "76.50"),
    "MA": _rates("6.25", "0", "0", "60"),
    "MD": _rates("6", "0", "0", "135"),
    "ME": _rates("5.5", "0", "0", "35"),
    "MI": _rates("6", "0", "0", "150"),
    "MN": _rates("6.5", "0.5", "0", "110"),
    "MO": _rates("4.225", "1.5", "2.25", "33.25"),
    "MS": _rates("5", "0", "0", "14"),
    "MT": _rates("0", "0", "0", "217"),
    "NC": _rates("3", "0", "0", "38.75"),
    "ND": _rates("5", "0", "0", "73"),
    "NE": _rates("5.5", "0.5", "1", "15"),
    "NH": _rates("0", "0", "0", "43.20"),
    "NJ": _rates("6.625", "0", "0", "59"),
    "NM": _rates("4", "0", "0", "62"),
    "NV": _rates("6.85", "1.38", "0", "33"),
    "NY": _rates("4", "4.375", "0", "77.25"),
    "OH": _rates("5.75", "1.25", "0.25", "46"),
    "OK": _rates("3.25", "0", "0", "96"),
    "OR": _rates("0", "0", "0", "126"),
    "PA": _rates("6", "1", "0", "45"),
    "RI": _rates("7", "0", "0", "41.50"),
    "SC": _rates("5", "0", "0", "40"),
    "SD": _rates("4.2", "0", "0", "75.60"),
    "TN": _rates("7", "2.25", "0", "29"),
    "TX": _rates("6.25", "0", "0", "50.75"),
    "UT": _rates("4.85", "1.25", "1.35", "44"),
    "VA": _rates("4.15", "0", "0", "40.75"),
    "VT": _rates("6", "0", "0", "89"),
    "WA": _rates("6.5", "2.1", "1.8", "98.50"),
    "WI": _rates("5", "0.5", "0", "100"),
    "WV": _rates("6", "0", "0", "51.50"),
    "WY": _rates("4", "1", "0", "30"),
}
"""The rates of each state."""

_ZIP_CODES: Mapping[str, str] = {
    "AK": "995-999",
    "AL": "350-369",
    "AR": "716-729",
    "AZ": "850-865",
    "CA": "900-961",
    "CO": "800-816",
    "CT": "060-069",
    "DC": "200-200 202-205",
    "DE": "197-199",
    "FL": "320-339 341-349",
    "GA": "300-319 398-399",
    "HI": "967-968",
    "IA": "500-528",
    "ID": "832-838",
    "IL": "600-629",
    "IN": "460-479",
    "KS": "660-679",
    "KY": "400-427",
    "LA": "700-714",
    "MA": "010-027 055-055",
    "MD": "206-219",
    "ME": "039-049",
    "MI": "480-499",
    "MN": "550-567",
    "MO": "630-658",
    "MS": "386-397",
    "MT": "590-599",
    "NC": "270-289",
    "ND": "580-588",
    "NE": "680-693",
    "NH": "030-038",
    "NJ": "070-089",
    "NM": "870-884",
    "NV": "889-898",
    "NY": "005-005 100-149",
    "OH": "430-459",
    "OK": "730-732 734-749",
    "OR": "970-979",
    "PA": "150-196",
    "RI": "028-029",
    "SC": "290-299",
    "SD": "570-577",
    "TN": "370-385",
    "TX": "733-733 750-799 885-885",
    "UT": "840-847",
    "VA": "201-201 220-246",
    "VT": "050-054 056-059",
    "WA": "980-994",
    "WI": "530-549",
    "WV": "247-268",
    "WY": "820-831",
}
"""Ranges of the first three digits of the zip codes of each state."""

_RANGES = [(*digits.split("-"), state) for state, ranges in _ZIP_CODES.items() for digits in ranges.split()]


def state_of(zip_code: str) -> str | None:
    """Returns the state of a zip code, None for that of a territory, of an army post office or of no place."""
    start = zip_code.zfill(5)[:3]  # a number, as in the reference's sample, has lost its leading zeros
    return next((state for first, last, state in _RANGES if first <= start <= last), None)
