"""The model lines of each make, with trims, engines and prices. They are plausible and invented."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

FWD, RWD, AWD = "Front-Wheel Drive", "Rear-Wheel Drive", "All-Wheel Drive"
FOUR_WD = "Four-Wheel Drive"


@dataclass(frozen=True)
class EngineKind:
    label: str
    type: Literal["Gas", "Hybrid", "Electric"]
    horsepower: int
    mfg_code: str


@dataclass(frozen=True)
class Gearbox:
    label: str
    speeds: int


@dataclass(frozen=True)
class TrimLevel:
    """A trim level. `base` is the price in dollars before destination, colours, packages and options."""

    name: str
    base: int
    drivetrain: str


@dataclass(frozen=True)
class ModelLine:
    """A model with its engine, prices and trims.

    `wmi` is positions 1 to 3 of its VINs and `vds` positions 4 to 8. `residual` is the percent of MSRP that remains
    after 36 months, `rebate` is in dollars, `weight` in pounds and `ev_range` in miles.
    """

    model: str
    body: str
    wmi: str
    vds: str
    plant: str
    engine: EngineKind
    gearbox: Gearbox
    city_mpg: int
    highway_mpg: int
    weight: int
    residual: int
    rebate: int
    trims: tuple[TrimLevel, ...]
    ev_range: int | None = None


@dataclass(frozen=True)
class Paint:
    label: str
    generic: str
    rgb: str
    msrp: int = 0


@dataclass(frozen=True)
class Extra:
    """A package, an option or a dealer option, with its price in dollars."""

    name: str
    msrp: int


@dataclass(frozen=True)
class Make:
    destination: int
    lines: tuple[ModelLine, ...]
    paints: tuple[Paint, ...]
    interiors: tuple[Paint, ...]
    packages: tuple[Extra, ...]
    options: tuple[Extra, ...]


def _trims(*trims: tuple[str, int, str]) -> tuple[TrimLevel, ...]:
    return tuple(TrimLevel(*trim) for trim in trims)


_AUTO6, _AUTO8 = Gearbox("6-Speed Automatic", 6), Gearbox("8-Speed Automatic", 8)
_CVT, _ECVT = Gearbox("Continuously Variable", 0), Gearbox("Electronic Continuously Variable", 0)
_MANUAL6, _SINGLE = Gearbox("6-Speed Manual", 6), Gearbox("Single-Speed", 1)

_SKYACTIV = EngineKind("2.5L 4 Cylinder", "Gas", 187, "PY-VPS")
_SKYACTIV2 = EngineKind("2.0L 4 Cylinder", "Gas", 181, "PE-VPS")
_MAZDA_HYBRID = EngineKind("2.5L 4 Cylinder Hybrid", "Hybrid", 219, "A25A-FXS")
_MAZDA_SIX = EngineKind("3.3L 6 Cylinder Turbo", "Gas", 280, "H3T-VPTS")

_MAZDA = Make(
    destination=1420,
    lines=(
        ModelLine("CX-5", "SUV", "JM3", "KFBCM", "0", _SKYACTIV, _AUTO6, 26, 31, 3655, 60, 1000,
                  _trims(("2.5 S Select", 30250, AWD), ("2.5 S Preferred", 31750, AWD), ("2.5 S Premium", 34500, AWD))),
        ModelLine("CX-50", "SUV", "7MM", "VABBM", "N", _SKYACTIV, _AUTO6, 25, 31, 3704, 61, 500,
                  _trims(("2.5 S Select", 30500, AWD), ("2.5 S Preferred", 31850, AWD), ("2.5 S Premium", 34700, AWD))),
        ModelLine("CX-50 Hybrid", "SUV", "7MM", "VACAM", "N", _MAZDA_HYBRID, _ECVT, 39, 37, 3950, 62, 0,
                  _trims(("Preferred", 33970, AWD), ("Premium", 37300, AWD), ("Premium Plus", 40050, AWD))),
        ModelLine("CX-30", "SUV", "3MV", "DMBBM", "M", _SKYACTIV, _AUTO6, 26, 33, 3388, 58, 750,
                  _trims(("2.5 S", 25195, AWD), ("2.5 S Select Sport", 26990, AWD), ("2.5 S Preferred", 28990, AWD))),
        ModelLine("Mazda3", "Sedan", "JM1", "BPACL", "1", _SKYACTIV, _AUTO6, 28, 37, 3124, 57, 500,
                  _trims(("2.5 S", 24150, FWD), ("2.5 S Select Sport", 25790, FWD), ("2.5 S Preferred", 27140, FWD))),
        ModelLine("CX-90", "SUV", "JM3", "KKBHA", "1", _MAZDA_SIX, _AUTO8, 24, 28, 4834, 56, 2000,
                  _trims(("3.3 Turbo Select", 38800, AWD), ("3.3 Turbo Preferred", 42250, AWD))),
        ModelLine("MX-5 Miata", "Convertible", "JM1", "NDAC7", "0", _SKYACTIV2, _MANUAL6, 26, 34, 2366, 63, 0,
                  _trims(("Sport", 29330, RWD), ("Club", 32830, RWD), ("Grand Touring", 34230, RWD))),
    ),
    paints=(
        Paint("Soul Red Crystal Metallic", "red", "7D1220", 595), Paint("Machine Gray Metallic", "gray", "4D4A47", 595),
        Paint("Jet Black Mica", "black", "0B0C0E"), Paint("Deep Crystal Blue Mica", "blue", "1B2A41"),
        Paint("Snowflake White Pearl", "white", "F2F2EF", 395), Paint("Platinum Quartz Metallic", "silver", "C6C2B8"),
    ),
    interiors=(Paint("Black Leatherette", "black", "191919"), Paint("Greige Leatherette", "beige", "B8AA98"),
               Paint("Terracotta Leather", "brown", "7A3E2A", 300)),
    packages=(Extra("Carbon Edition Package", 1450), Extra("Appearance Package", 975), Extra("Towing Package", 650)),
    options=(Extra("Roof Rails", 400), Extra("Cargo Cover", 250), Extra("Illuminated Door Sills", 425),
             Extra("Wireless Charging Pad", 275)),
)  # fmt: skip

_SMARTSTREAM = EngineKind("2.0L 4 Cylinder", "Gas", 147, "G4NS")
_HYUNDAI_25 = EngineKind("2.5L 4 Cylinder", "Gas", 187, "G4KN")
_HYUNDAI_TURBO = EngineKind("2.5L 4 Cylinder Turbo", "Gas", 277, "G4KP")
_HYUNDAI_HYBRID = EngineKind("1.6L 4 Cylinder Hybrid", "Hybrid", 139, "G4LL")
_HYUNDAI_TURBO_HYBRID = EngineKind("1.6L 4 Cylinder Turbo Hybrid", "Hybrid", 231, "G4FT")
_HYUNDAI_MOTOR = EngineKind("Electric Motor", "Electric", 225, "EM17")

_HYUNDAI = Make(
    destination=1150,
    lines=(
        ModelLine("Elantra", "Sedan", "KMH", "LM4DG", "U", _SMARTSTREAM, _CVT, 31, 41, 2725, 56, 500,
                  _trims(("SE", 21875, FWD), ("SEL", 23125, FWD), ("Limited", 26725, FWD))),
        ModelLine("Elantra Hybrid", "Sedan", "KMH", "LM4DJ", "U", _HYUNDAI_HYBRID, _AUTO6, 49, 52, 2967, 57, 750,
                  _trims(("Blue", 25450, FWD), ("SEL Sport", 26600, FWD), ("Limited", 29700, FWD))),
        ModelLine("Sonata", "Sedan", "5NP", "EG4JA", "H", _HYUNDAI_25, _AUTO8, 25, 36, 3120, 55, 1500,
                  _trims(("SE", 27450, FWD), ("SEL", 29450, FWD), ("N Line", 35550, FWD))),
        ModelLine("Tucson", "SUV", "KM8", "JBCDE", "U", _HYUNDAI_25, _AUTO8, 25, 32, 3329, 58, 1000,
                  _trims(("SE", 29250, FWD), ("SEL", 31135, AWD), ("Limited", 39480, AWD))),
        ModelLine("Tucson Hybrid", "SUV", "KM8", "JBDD1", "U", _HYUNDAI_TURBO_HYBRID, _AUTO6, 35, 35, 3720, 59, 750,
                  _trims(("Blue", 33465, AWD), ("SEL Convenience", 36270, AWD), ("Limited", 40920, AWD))),
        ModelLine("Santa Fe", "SUV", "5NM", "P14GL", "H", _HYUNDAI_TURBO, _AUTO8, 20, 29, 4045, 57, 1500,
                  _trims(("SE", 34650, FWD), ("SEL", 37150, AWD), ("Calligraphy", 48150, AWD))),
        ModelLine("IONIQ 5", "SUV", "KM8", "KRDAF", "U", _HYUNDAI_MOTOR, _SINGLE, 129, 99, 4464, 52, 5000,
                  _trims(("SE", 46650, RWD), ("SEL", 49600, RWD), ("Limited", 54300, RWD)), ev_range=318),
        ModelLine("IONIQ 6", "Sedan", "KMH", "M34AC", "A", _HYUNDAI_MOTOR, _SINGLE, 134, 114, 4222, 50, 5000,
                  _trims(("SE", 42600, RWD), ("SEL", 45850, RWD), ("Limited", 50850, RWD)), ev_range=342),
    ),
    paints=(
        Paint("Atlas White", "white", "F4F4F2", 495), Paint("Abyss Black Pearl", "black", "101216"),
        Paint("Ecotronic Gray", "gray", "5C6166"), Paint("Intense Blue", "blue", "0F3C78"),
        Paint("Ultimate Red", "red", "8A1020", 495), Paint("Shimmering Silver", "silver", "B9BCC0"),
    ),
    interiors=(Paint("Black Cloth", "black", "3F3F3F"), Paint("Gray Cloth", "gray", "808284"),
               Paint("Black Leather", "black", "191919", 350)),
    packages=(Extra("Convenience Package", 1300), Extra("Tech Package", 1900), Extra("Premium Package", 2450)),
    options=(Extra("Carpeted Floor Mats", 210), Extra("Cargo Net", 65), Extra("Mudguards", 150),
             Extra("Cross Bars", 310)),
)  # fmt: skip

_TOYOTA_HYBRID = EngineKind("2.5L 4 Cylinder Hybrid", "Hybrid", 225, "A25A-FXS")
_COROLLA = EngineKind("2.0L 4 Cylinder", "Gas", 169, "M20A-FKS")
_PRIUS = EngineKind("2.0L 4 Cylinder Hybrid", "Hybrid", 194, "M20A-FXS")
_RAV4 = EngineKind("2.5L 4 Cylinder", "Gas", 203, "A25A-FKS")
_TURBO24 = EngineKind("2.4L 4 Cylinder Turbo", "Gas", 265, "T24A-FTS")
_TOYOTA_MOTOR = EngineKind("Electric Motor", "Electric", 201, "1XM")

_TOYOTA = Make(
    destination=1135,
    lines=(
        ModelLine("Camry", "Sedan", "4T1", "DAACK", "U", _TOYOTA_HYBRID, _ECVT, 53, 50, 3450, 63, 0,
                  _trims(("LE", 28700, FWD), ("SE", 31000, FWD), ("XLE", 33700, FWD), ("XSE", 34900, FWD))),
        ModelLine("Corolla", "Sedan", "5YF", "S4MCE", "P", _COROLLA, _CVT, 32, 41, 2955, 60, 500,
                  _trims(("LE", 22325, FWD), ("SE", 24765, FWD), ("XSE", 28040, FWD))),
        ModelLine("Prius", "Hatchback", "JTD", "ACAAU", "3", _PRIUS, _ECVT, 57, 56, 3097, 64, 0,
                  _trims(("LE", 28350, FWD), ("XLE", 31795, FWD), ("Limited", 35365, AWD))),
        ModelLine("RAV4", "SUV", "2T3", "P1RFV", "W", _RAV4, _AUTO8, 27, 35, 3455, 62, 500,
                  _trims(("LE", 29250, FWD), ("XLE", 30760, AWD), ("XLE Premium", 33650, AWD))),
        ModelLine("RAV4 Hybrid", "SUV", "2T3", "MWRFV", "W", _TOYOTA_HYBRID, _ECVT, 41, 38, 3775, 64, 0,
                  _trims(("LE", 32300, AWD), ("XLE", 33810, AWD), ("Limited", 40530, AWD))),
        ModelLine("Highlander", "SUV", "5TD", "KDRBH", "S", _TURBO24, _AUTO8, 22, 29, 4155, 60, 750,
                  _trims(("LE", 39520, FWD), ("XLE", 42320, AWD), ("Limited", 47675, AWD))),
        ModelLine("Tacoma", "Truck", "3TY", "LB5JN", "T", _TURBO24, _AUTO8, 19, 24, 4430, 65, 0,
                  _trims(("SR5", 36220, FOUR_WD), ("TRD Sport", 39400, FOUR_WD), ("TRD Off-Road", 41800, FOUR_WD))),
        ModelLine("bZ4X", "SUV", "JTM", "AAAAA", "A", _TOYOTA_MOTOR, _SINGLE, 131, 107, 4266, 50, 4000,
                  _trims(("XLE", 37070, FWD), ("Limited", 41800, FWD)), ev_range=252),
    ),
    paints=(
        Paint("Ice Cap", "white", "F5F5F3"), Paint("Midnight Black Metallic", "black", "0E0F11"),
        Paint("Celestial Silver Metallic", "silver", "C3C6C8"), Paint("Underground", "gray", "4A4C4F"),
        Paint("Supersonic Red", "red", "8F0D16", 475), Paint("Reservoir Blue", "blue", "22406B"),
    ),
    interiors=(Paint("Black Fabric", "black", "191919"), Paint("Ash Fabric", "gray", "8B8C89"),
               Paint("Boulder SofTex", "gray", "565A5C", 250)),
    packages=(Extra("Convenience Package", 1015), Extra("Premium Audio Package", 1375), Extra("Weather Package", 575)),
    options=(Extra("Door Edge Guards", 155), Extra("Blackout Emblems", 139), Extra("Cargo Tray", 130),
             Extra("Dash Camera", 450)),
)  # fmt: skip

MAKES: Mapping[str, Make] = {"Mazda": _MAZDA, "Hyundai": _HYUNDAI, "Toyota": _TOYOTA}

DEALER_OPTIONS = (Extra("All Weather Mats", 299), Extra("Window Tint", 499), Extra("Paint Protection Film", 899))
"""Options that a dealer of any make installs. Their prices come on top of the MSRP."""
