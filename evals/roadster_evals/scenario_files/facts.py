"""The facts of a scenario: what it takes from the world of a seed. `[facts]` of a scenario's file names them.

    [facts]
    car = { find = "vehicle", dealer = "umazda", model = "CX-5" }
    deal = { find = "quote", dealer = "umazda", vin = "{car.vin}", deal_type = "lease", term_months = 36 }

Each function here finds one kind of fact. It reads the sandbox's world and its formulas, and never asks the server, so
an expectation does not come from what it tests. The same seed, scenario and name give the same fact.
"""

from __future__ import annotations

import base64
import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from decimal import Decimal
from random import Random
from typing import Any

from roadster_sandbox import DEALERS
from roadster_sandbox.answers import Refused
from roadster_sandbox.apis.roadster import ApiCall, quote_payments
from roadster_sandbox.world.dealers import SandboxDealer
from roadster_sandbox.world.inventory import Vehicle
from roadster_sandbox.world.pdf import make_pdf
from roadster_sandbox.world.people import FIRST_NAMES, LAST_NAMES
from roadster_sandbox.world.plans import PLANS
from roadster_sandbox.world.service_records import record_of
from roadster_sandbox.world.world import World
from roadster_tools import name_choices

_STREETS = ("Made-Up Avenue", "Nowhere Street", "Fiction Road", "Sample Lane", "Pretend Boulevard")


class FactError(ValueError):
    """A fact cannot be found in a world. The text says why."""


def find_fact(name: str, parameters: Mapping[str, Any], world: World, scenario: str) -> Any:
    """Returns the fact of a row in `[facts]`: a value, or a table of values. Raises FactError."""
    kind = parameters.get("find")
    finder = FINDERS.get(kind) if isinstance(kind, str) else None
    if finder is None:
        raise FactError(f"facts.{name}: find is {kind!r}; it is one of {', '.join(FINDERS)}")
    wishes = {key: value for key, value in parameters.items() if key != "find"}
    sources = {
        "world": world,
        "random": Random(f"{world.seed} {scenario} {name}"),  # noqa: S311 - no secret, only a choice to repeat
    }
    names = inspect.signature(finder).parameters
    choices = [each for each in names if each not in ("world", "random", "filters")]
    choices += _FILTERS if "filters" in names else ()
    for key in wishes:
        if key not in choices:
            raise FactError(f"facts.{name}: {kind} has no {key}; it has {', '.join(choices)}")
    needs = [each for each in choices if each in names and names[each].default is inspect.Parameter.empty]
    if missing := [each for each in needs if each not in wishes]:
        raise FactError(f"facts.{name}: {kind} needs {' and '.join(missing)}")
    try:
        return finder(**{key: value for key, value in sources.items() if key in names}, **wishes)
    except FactError as error:
        raise FactError(f"facts.{name}: {error}") from None
    except Refused as error:
        reason = error.error or "it is not this dealer's, or there is none"
        raise FactError(f"facts.{name}: {kind}: the sandbox refuses it with {error.status}: {reason}") from None
    except (TypeError, ValueError, KeyError, IndexError) as error:
        raise FactError(f"facts.{name}: {kind}: {type(error).__name__}: {error}") from None


def _vehicle(world: World, random: Random, dealer: str, **filters: Any) -> dict[str, Any]:
    """Any vehicle in stock that is not reserved, and fits the wishes."""
    vehicles = [each for each in _stock_of(world, dealer, filters) if not each.reserved]
    if not vehicles:
        raise FactError(_explain_absence(world, dealer, filters))
    return _describe(random.choice(vehicles))


def _explain_absence(world: World, dealer: str, filters: Mapping[str, Any]) -> str:
    """Says that there is no such vehicle. A value that no vehicle of the dealer has may be misspelt."""
    stock = [_describe(each) for each in _stock_of(world, dealer, {})]
    for name in ("model", "body", "color", "drivetrain"):
        values = sorted({each[name] for each in stock})
        if name in filters and filters[name] not in values:
            return (
                f"{dealer} has no vehicle with the {name} {filters[name]} in this world; it is {name_choices(values)}"
            )
    return f"{dealer} has no such vehicle in this world"


def _stock(world: World, random: Random, dealer: str, **filters: Any) -> dict[str, Any]:
    """The vehicles in stock that fit the filters: how many, the first in the feed, and the cheapest."""
    feed = _stock_of(world, dealer, filters)
    vehicles = sorted(feed, key=lambda each: each.price)
    if not vehicles:
        return {"count": 0, "vins": [], "cheapest_vins": []}
    cheapest = [each for each in vehicles if each.price == vehicles[0].price]
    return {
        "count": len(vehicles),
        "vins": [each.vin for each in vehicles],
        "first": _describe(feed[0]),
        "cheapest": _describe(cheapest[0]),
        "cheapest_vins": [each.vin for each in cheapest],
        "cheapest_models": sorted({each.line.model for each in cheapest}),
        "dearest": _describe(vehicles[-1]),
        "any": _describe(random.choice(vehicles)),
    }


def _group(
    world: World, random: Random, dealer: str, by: str, fewest: int, most: int, **filters: Any
) -> dict[str, Any]:
    """A colour or a model with `fewest` to `most` vehicles in stock among those that fit the filters."""
    vehicles = _stock_of(world, dealer, filters)
    values = sorted({str(_describe(each)[by]) for each in vehicles})
    sizes = {value: [each for each in vehicles if _describe(each)[by] == value] for value in values}
    fitting = [value for value, members in sizes.items() if fewest <= len(members) <= most]
    if not fitting:
        raise FactError(f"no {by} has {fewest} to {most} of these vehicles in this world")
    value = random.choice(fitting)
    members = sorted(sizes[value], key=lambda each: each.price)
    lowest = [each.vin for each in members if each.price == members[0].price]
    return {"value": value, "count": len(members), "cheapest": _describe(members[0]), "cheapest_vins": lowest}


_FILTERS = ("model", "body", "color", "year", "drivetrain", "price_max", "price_min", "electric", "besides")
"""The filters for vehicles. `besides` is a VIN, or a list of them, that is not meant."""


def _stock_of(world: World, dealer: str, filters: Mapping[str, Any]) -> list[Vehicle]:
    besides = filters.get("besides", ())
    besides = (besides,) if isinstance(besides, str) else tuple(besides)
    return [
        each
        for each in world.vehicles[_dealer_of(dealer).dpid].values()
        if each.in_stock
        and each.vin not in besides
        and filters.get("model") in (None, each.line.model)
        and filters.get("body") in (None, each.line.body)
        and filters.get("year") in (None, each.year)
        and filters.get("color") in (None, each.paint.generic.lower())
        and filters.get("drivetrain") in (None, each.trim.drivetrain)
        and filters.get("electric") in (None, each.line.ev_range is not None)
        and each.price <= filters.get("price_max", each.price)
        and each.price >= filters.get("price_min", each.price)
    ]


def _describe(vehicle: Vehicle) -> dict[str, Any]:
    """Returns what a person could say about a vehicle. `mistyped` is its VIN with a wrong last digit."""
    wrong = str((int(vehicle.vin[-1]) + 5) % 10)
    details = vehicle.to_details()
    return {
        **{name: details[name] for name in ("vin", "make", "model", "year", "trim", "city_mpg", "highway_mpg")},
        "ev_range": vehicle.line.ev_range,
        "body": vehicle.line.body,
        "color": vehicle.paint.generic.lower(),
        "color_name": vehicle.paint.label,
        "drivetrain": vehicle.trim.drivetrain,
        "stock_number": vehicle.stock_number,
        "price": vehicle.price,
        "msrp": vehicle.msrp,
        "reserved": vehicle.reserved,
        "mistyped": vehicle.vin[:-1] + wrong,
    }


def _quote(
    world: World,
    dealer: str,
    vin: str,
    deal_type: str = "finance",
    term_months: int | None = None,
    customer_cash: float = 0,
    annual_miles: int = 12_000,
    credit_score: int = 750,
    trade_value: float | None = None,
    trade_payoff: float = 0,
    plans: Sequence[Mapping[str, Any]] = (),
) -> dict[str, Any]:
    """The terms of the deal that `deal_type` names, by the sandbox's own arithmetic, with `apr` in percent."""
    body: dict[str, Any] = {
        "dealer": {"dpid": dealer},
        "customer": {"credit_score": credit_score},
        "vehicle": {"vin": vin},
        "payment": {"deal_type": deal_type, "customer_cash": customer_cash, "annual_mileage": annual_miles},
        "plans": [dict(plan) for plan in plans],
    }
    if term_months is not None:
        body["payment"]["term"] = term_months
    if trade_value is not None:
        ownership = "financed" if trade_payoff else "owned"
        body["trade_in"] = {"value": trade_value, "payoff": trade_payoff, "ownership": ownership}
    terms: dict[str, Any] = quote_payments(world, ApiCall({}, {}, body))["deals"][deal_type]["terms"]
    return {**terms, "apr": round(100 * terms["interest_rate"], 4)} if "interest_rate" in terms else terms


def _person(random: Random, besides: Sequence[str] = ()) -> dict[str, Any]:
    """Somebody who does not exist, with a telephone number of the block that is for fiction.

    `besides` are email addresses of others in the scenario.
    """
    emails = {besides} if isinstance(besides, str) else {*besides}
    while True:
        first, last = random.choice(FIRST_NAMES), random.choice(LAST_NAMES)
        email = f"{first}.{last}@example.com".lower()
        if email not in emails:
            break
    line = random.randrange(100, 200)
    return {
        "name": f"{first} {last}",
        "first_name": first,
        "last_name": last,
        "email": email,
        "phone": f"+12065550{line}",
        "phone_text": f"(206) 555-0{line}",
        "phone_digits": f"2065550{line}",
        "street": f"{random.randrange(10, 4000)} {random.choice(_STREETS)}",
        "city": "Seattle",
        "state": "WA",
        "zip": random.choice(("98101", "98103", "98105", "98112", "98122")),
    }


def _number(random: Random, low: int, high: int, step: int = 1) -> int:
    """A whole number from `low` to `high`, in steps."""
    return random.randrange(low, high + 1, step)


def _choice(random: Random, of: Sequence[Any]) -> Any:
    """One of the values."""
    return random.choice(list(of))


def _day(random: Random, year: int = 2099) -> dict[str, Any]:
    """A day of winter, with Pacific time at -08:00, and the next one."""
    (number, month), day = random.choice(((1, "January"), (2, "February"), (12, "December"))), random.randrange(1, 28)
    iso, text = f"{year}-{number:02d}-{{:02d}}".format, f"{month} {{}}, {year}".format
    return {"iso": iso(day), "text": text(day), "next_iso": iso(day + 1), "next_text": text(day + 1)}


def _dealer(random: Random, of: Sequence[str] = ("umazda", "hyundaidemo")) -> dict[str, Any]:
    """One of the dealers, with the fees that it charges."""
    dealer = _dealer_of(random.choice(list(of)))
    return {**asdict(dealer), **dealer.to_details()["configuration"]["fees"], "zip": str(dealer.zip_code)}


def _order(random: Random, dealer: str = "umazda") -> int:
    """An order that the sandbox's caller may add forms to."""
    return random.choice(_dealer_of(dealer).orders[:-1])


def _template(
    world: World, random: Random, dealer: str, name: str | None = None, besides: Sequence[str] = ()
) -> dict[str, Any]:
    """A form template of the dealer that is not deleted. `id` is a text, as the tools show it."""
    templates = [
        each
        for each in world.templates
        if each.dpid == _dealer_of(dealer).dpid and not each.is_deleted and str(each.id) not in besides
    ]
    template = random.choice([each for each in templates if name in (None, each.name)])
    fields = [field for page in template.definition["pages"] for field in page["fields"]]
    return {
        "id": str(template.id),
        "number": template.id,
        "name": template.name,
        "size": len(template.file),
        "fields": len(fields),
        "pages": len(template.definition["pages"]),
        "agents_too": any(field["signee"] == "__agent__" for field in fields),
        "names": [each.name for each in templates],
        "ids": [str(each.id) for each in templates],
    }


def _service_customer(world: World, random: Random, dealer: str = "umazda") -> dict[str, Any]:
    """A customer of the workshop with orders. `newest` and `any` are closed orders."""
    seller = _dealer_of(dealer)
    customers = world.service_customers
    uuids = [each.uuid for each in customers[seller.dpid]]
    records = [(uuid, record_of(customers, uuid, [seller.mykaarma_uuid])) for uuid in uuids]
    uuid, record = random.choice([each for each in records if each[1]["dealerOrderInfoList"]])
    orders = [_describe_order(each) for each in record["dealerOrderInfoList"] if each["close_date"]]
    communications = {each["commType"]: each["commValue"] for each in record["customerInfo"]["communications"]}
    return {
        "uuid": uuid,
        "name": f"{record['customerInfo']['fname']} {record['customerInfo']['lname']}",
        "phone": communications["PHONE"],
        "email": communications["EMAIL"],
        "car": record["customerInfo"]["vehicles"][0],
        "orders": len(record["dealerOrderInfoList"]),
        "closed": len(orders),
        "newest": orders[-1],
        "newest_row": len(record["dealerOrderInfoList"]) - 1,
        "any": random.choice(orders),
        "oldest": orders[0],
        "paid": round(sum(each["amount"] for each in orders), 2),
    }


def _old_car(world: World, random: Random) -> dict[str, Any]:
    """A car that a customer could trade in: that of a customer of a workshop."""
    cars = [customer.vehicle for customers in world.service_customers.values() for customer in customers]
    year, make, model, vin = random.choice(cars)
    return {"year": int(year), "make": make, "model": model, "vin": vin}


def ids_of(world: World) -> dict[str, Any]:
    """The ids that the first and the second customer, document and delivery of the world get."""
    first = world.first_ids
    kinds = {"customer": first.customer, "document": first.document, "delivery": first.shipment}
    second = {f"{kind}_2": number + 1 for kind, number in kinds.items()}
    return {**kinds, **second, "tracking_number": f"RESANDBOX{first.shipment:07d}"}


def _describe_order(order: Mapping[str, Any]) -> dict[str, Any]:
    return {"number": order["order_number"], "amount": order["order_amount"], "date": order["order_date"][:10]}


def _plan(random: Random) -> dict[str, Any]:
    """A protection plan in one of its tiers."""
    plan = random.choice(list(PLANS.values()))
    tier = random.choice(plan.tiers)
    years = tier.title.partition("/")[0]
    return {"id": plan.id, "title": plan.title, "tier": tier.code, "tier_title": tier.title, "years": years,
            "price": tier.price}  # fmt: skip


def _file(random: Random, kind: str) -> dict[str, Any]:
    """A small file in base64: a PDF of one to three pages, or a picture of one point."""
    if kind == "png":
        return {"contents": _PNG, "size": len(base64.b64decode(_PNG))}
    contents = make_pdf(f"Sample {random.randrange(10**6)}", random.randrange(1, 4))
    return {"contents": base64.b64encode(contents).decode(), "size": len(contents)}


_PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg=="


def _difference(of: Sequence[float]) -> float:
    """The first number less the second, to the cent."""
    first, second = of
    return float(Decimal(str(first)) - Decimal(str(second)))


def _sum(of: Sequence[float]) -> float:
    """The sum of the numbers, to the cent."""
    return float(sum((Decimal(str(each)) for each in of), Decimal(0)))


def _product(of: Sequence[float]) -> float:
    """The product of two numbers, to the cent."""
    first, second = of
    return float(round(Decimal(str(first)) * Decimal(str(second)), 2))


def _least(of: Sequence[Mapping[str, Any]], by: str) -> dict[str, Any]:
    """The first of the tables with the smallest value under the name `by`, as `least`, and another one as `other`."""
    ranking = sorted(of, key=lambda each: float(each[by]))
    return {"least": ranking[0], "other": ranking[-1]}


def _dealer_of(dpid: str) -> SandboxDealer:
    dealers = {each.dpid: each for each in DEALERS}
    if dpid not in dealers:
        raise FactError(f"there is no dealer {dpid!r}; there is {', '.join(dealers)}")
    return dealers[dpid]


FINDERS: Mapping[str, Callable[..., Any]] = {
    "vehicle": _vehicle,
    "stock": _stock,
    "group": _group,
    "quote": _quote,
    "person": _person,
    "dealer": _dealer,
    "order": _order,
    "template": _template,
    "service_customer": _service_customer,
    "old_car": _old_car,
    "ids": ids_of,
    "plan": _plan,
    "file": _file,
    "day": _day,
    "number": _number,
    "choice": _choice,
    "difference": _difference,
    "sum": _sum,
    "product": _product,
    "least": _least,
}
"""The function of each kind of fact, by the name that `find` takes."""
