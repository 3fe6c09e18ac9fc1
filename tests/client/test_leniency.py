"""One odd field of an answer hides nothing else, and says where it was."""

from __future__ import annotations

import json
from collections import Counter
from typing import Annotated, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, BeforeValidator, TypeAdapter, ValidationError

from roadster_client import OPERATIONS, LeftOut, MalformedAnswer, OutcomeUnknown, Reader
from roadster_client.channel import read
from roadster_client.leniency import ignore_left_out, read_leniently
from roadster_client.models.events import EVENTS, CustomerEvent, read_event
from roadster_client.models.parts import Received
from roadster_client.upstream.exchange import Answer, Request
from tests.conftest import SAMPLES
from tests.odd_answers import ODD, lenient_places, path_of, places, with_value, without

from .test_models import ALL_RIGHTS, OPERATION_BY_SAMPLE

ANSWERS: dict[str, Any] = {
    operation: json.loads((SAMPLES / f"{sample}.json").read_text()) for sample, operation in OPERATION_BY_SAMPLE.items()
}
ANSWERS |= dict.fromkeys(("create_shipment", "update_shipment"), ANSWERS["get_shipment"])
ANSWERS["get_customer_record"]["customerInfo"]["vehicles"][0]["imageUrl"] = None  # in the sample it is no URL
ANSWERS["list_inventory"]["vehicles"][0]["vin"] = A = "4T1C11AK0LU322811"  # in the sample it is no VIN
ANSWERS["create_link"]["link"]["redirect_url"] = "https://express.example.com/"  # the sample has none
B = "5YJSA1E26HF000337"
SUBJECTS = {
    "list_inventory": {"vehicles"},
    "get_vehicle": {"vehicle_info"},
    "list_plans": {"plans"},
    "create_link": {"link", "link.redirect_url"},
    "get_dealer": {"configuration", "configuration.markups"},
    "quote_payments": {f"deals.{deal}.terms" for deal in ("cash", "finance", "lease")},
    **{
        operation: {f"{row}form_definition{path}" for path in ("", ".pages", ".pages.*.fields")}
        for operation, row in (("get_template", ""), ("list_templates", "*."))
    },
    **{operation: {"state", "items"} for operation in ("create_shipment", "get_shipment", "update_shipment")},
    "get_customer_record": {
        *(f"customerInfo.{name}" for name in ("vehicles", "communications", "secondaryCustomerData")),
        *("dealerOrderInfoList", "addressListV2", "addressList"),
    },
}
"""The fields that answers are about, by operation."""

WITHOUT_FIELDS = {"get_template_file", "cancel_shipment", "create_forms", "create_template"}
"""Their answers are a text, or are not looked into."""

BINDING_ONLY = {"get_document", "upload_document", "delete_documents"}
"""Their answers have only the field without which they are an error."""


def read_answer(operation: str, document: Any, reader: Reader = ALL_RIGHTS) -> tuple[Any, Counter[LeftOut]]:
    left_out = Counter[LeftOut]()
    answer = Answer(Request(OPERATIONS[operation]), document, None)
    return read(answer, reader, on_left_out=left_out.update), left_out


def is_sound(operation: str, document: Any) -> bool:
    try:
        TypeAdapter(OPERATIONS[operation].answer_type).validate_python(document, context=ALL_RIGHTS)
    except ValidationError:
        return False
    return True


def test_every_operation_has_a_sample() -> None:
    assert ANSWERS.keys() | WITHOUT_FIELDS == OPERATIONS.keys()


@pytest.mark.parametrize("operation", sorted(ANSWERS.keys() - WITHOUT_FIELDS - BINDING_ONLY))
@given(data=st.data())
def test_odd_field_reads_as_absent(operation: str, data: st.DataObject) -> None:
    """The rest is read as without the field, or as without the row or the object that the field identifies."""
    sound = ANSWERS[operation]
    place = data.draw(st.sampled_from(lenient_places(operation, sound)))
    value = data.draw(st.sampled_from(ODD))
    odd = with_value(sound, place, value)
    read_answer(operation, odd, Reader())
    result, left_out = read_answer(operation, odd)
    if is_sound(operation, odd):
        assert {kind.path for kind in left_out} <= SUBJECTS.get(operation, set())
        return
    shorter = [without(sound, place[:end]) for end in range(len(place), 0, -1)]
    # A list that holds a list is read without it.
    shorter += [with_value(sound, place, [])] if isinstance(value, list) else []
    assert any(result == read_answer(operation, document)[0] for document in shorter)
    if not (value is None or str(value).strip() == ""):
        path = path_of(place)
        assert any(path.startswith(kind.path) or kind.path.startswith(path) for kind in left_out)


@pytest.mark.parametrize(
    ("vehicle", "paths"),
    [
        ({"options": None}, set()),
        ({"price": ""}, set()),
        ({"year": " "}, set()),
        ({"in_stock": None}, set()),
        ({"exterior_color": ""}, set()),
        ({"packages": [None, {"name": "Mats"}]}, {("vehicles.*.packages.*", True)}),
        ({"packages": ["", 7, [], {"name": "Mats"}]}, {("vehicles.*.packages.*", True)}),
        ({"price": "Call for price"}, {("vehicles.*.price", False)}),
        ({"price": True}, {("vehicles.*.price", False)}),
        ({"model": False}, {("vehicles.*.model", False)}),
        ({"exterior_color": "Red"}, {("vehicles.*.exterior_color", False)}),
        ({"options": [{"name": None}, {"name": ""}, {}]}, {("vehicles.*.options.*", True)}),
        ({"options": [{"name": "Mats", "msrp": []}]}, {("vehicles.*.options.*.msrp", False)}),
        ({"vin": None, "price": "odd", "options": [{}]}, {("vehicles.*", True)}),
        ({"vin": ["x"]}, {("vehicles.*", True)}),
        ({"vin": 17}, {("vehicles.*", True)}),
        ({"vin": "4T1C11AK0LU32281\ufffd"}, {("vehicles.*", True)}),
        ({"price": -1}, {("vehicles.*.price", False)}),
        ({"msrp": -0.01}, {("vehicles.*.msrp", False)}),
    ],
    ids=str,
)
def test_left_out_names_rows_and_fields_by_path(vehicle: dict[str, Any], paths: set[tuple[str, bool]]) -> None:
    page, left_out = read_answer("list_inventory", {"vehicles": [{"vin": A, **vehicle}, {"vin": B}], "total": 2})
    assert {(kind.path, kind.is_row) for kind in left_out} == paths
    assert page.vehicles[-1].vin == B
    assert len(page.vehicles) == 2 - (("vehicles.*", True) in paths)


@pytest.mark.parametrize("rows", [[None], [""], ["odd"], [7], [[]], [True], [{}]], ids=str)
@pytest.mark.parametrize("operation", ["list_inventory", "list_plans", "list_documents", "list_templates"])
def test_what_stands_in_the_place_of_a_row_counts_as_a_row(operation: str, rows: list[Any]) -> None:
    name = {"list_inventory": "vehicles", "list_plans": "plans"}.get(operation)
    left_out = read_answer(operation, {name: rows * 2} if name else rows * 2)[1]
    assert left_out == {LeftOut(operation, f"{name}.*" if name else "*"): 2}
    assert next(iter(left_out)).is_row


def test_odd_item_of_a_list_of_plain_values_is_a_field() -> None:
    terms = {"price": 1, "fees_to_tax": ["doc", {}, [], None, ""]}
    quote, left_out = read_answer("quote_payments", {"deals": {"cash": {"terms": terms}}})
    assert quote.deals.cash.terms.fees_to_tax == ("doc", "")
    assert left_out == {LeftOut("quote_payments", "deals.cash.terms.fees_to_tax"): 2}
    assert not next(iter(left_out)).is_row


def test_left_out_counts_each_value() -> None:
    odd = {"vin": A, "price": "odd", "options": [{}, {"name": "Mats"}, {"name": 7, "msrp": "?"}]}
    _, left_out = read_answer("list_inventory", {"vehicles": [odd, odd, {}]})
    assert left_out == {
        LeftOut("list_inventory", "vehicles.*.price"): 2,
        LeftOut("list_inventory", "vehicles.*.options.*"): 2,
        LeftOut("list_inventory", "vehicles.*.options.*.msrp"): 2,
        LeftOut("list_inventory", "vehicles.*"): 1,
    }


@pytest.mark.parametrize("value", [None, {}, "missing"], ids=str)
@pytest.mark.parametrize(
    ("operation", "path"), [(name, path) for name, paths in SUBJECTS.items() for path in sorted(paths)]
)
def test_subject_that_is_missing_counts_as_left_out(operation: str, path: str, value: Any) -> None:
    """Nobody may take it for an answer that there is none."""
    sound = ANSWERS[operation]
    place = next(place for place in places(sound) if path_of(place) == path)
    document = without(sound, place) if value == "missing" else with_value(sound, place, value)
    left_out = read_answer(operation, document)[1]
    assert {*left_out.values()} == {1}
    # An object without another field is missing too.
    assert all(path.startswith(kind.path) and not kind.is_row for kind in left_out)
    assert read_answer(operation, sound)[1] == {}


def test_one_object_that_stands_for_a_list_loses_only_its_odd_field() -> None:
    """`programs.finance` may be an object or a list of them."""
    document = {"deals": {}, "programs": {"finance": {"term": "odd", "min_score": 720}}}
    quote, left_out = read_answer("quote_payments", document)
    assert [program.min_score for program in quote.programs.finance] == [720]
    assert [kind.path for kind in left_out] == ["programs.finance.*.term"]


@pytest.mark.parametrize("programs", [{"term": 36}, [{"term": 36}]], ids=["object", "list"])
def test_one_object_that_stands_for_a_list_is_a_row(programs: Any) -> None:
    class Program(Received):
        id: int

    class Programs(Received):
        finance: Annotated[tuple[Program, ...], BeforeValidator(lambda v: [v] if isinstance(v, dict) else v)] = ()

    left_out = Counter[LeftOut]()
    read_leniently(TypeAdapter(Programs), {"finance": programs}, None, "test", left_out.update)
    assert left_out == {LeftOut("test", "finance.*"): 1}


@pytest.mark.parametrize(
    ("operation", "document"),
    [
        ("create_customer", {"status": "ok", "customer": {}}),
        ("create_customer", {"status": "ok", "customer": {"id": True}}),
        ("create_customer", {"status": "ok", "customer": {"id": 0}}),
        ("upload_document", {"document_id": "odd"}),
        ("update_shipment", {"state": "scheduled"}),
        ("get_template", {"id": None}),
        ("get_template", {"id": 278, "order_id": ["367101"], "name": "Of Carlos Silva"}),
        ("get_document", {"contents": None}),
        ("list_inventory", []),
        ("list_documents", {}),
    ],
)
def test_answer_without_its_own_id_or_content_is_an_error(operation: str, document: Any) -> None:
    with pytest.raises(OutcomeUnknown if OPERATIONS[operation].writes else MalformedAnswer):
        read_answer(operation, document)


@pytest.mark.parametrize("order_id", [[], {}, True, 1.5, ["367101"]], ids=str)
def test_template_of_an_unreadable_order_is_left_out(order_id: Any) -> None:
    """Without its order it would pass for a template of every order, and a masked reader would see its names."""
    form = {"form_definition": {"pages": []}}
    rows = [{"id": 1, "name": "Of Carlos Silva", "order_id": order_id, **form}, {"id": 2, "name": "Plain", **form}]
    templates, left_out = read_answer("list_templates", rows, Reader())
    assert [template.name for template in templates] == ["Plain"]
    assert left_out == {LeftOut("list_templates", "*"): 1}


EVENT = json.loads((SAMPLES / "webhook_event.json").read_text())


@given(place=st.sampled_from(lenient_places(EVENTS, EVENT)), value=st.sampled_from(ODD))
def test_odd_field_of_an_event_reads_as_absent(place: tuple[str | int, ...], value: Any) -> None:
    left_out = Counter[LeftOut]()
    event = read_event(with_value(EVENT, place, value), ALL_RIGHTS, left_out.update)
    sections = set(CustomerEvent.model_fields) - {place[0]}
    sound = read_event(EVENT, ALL_RIGHTS, ignore_left_out)
    assert event.model_dump(include=sections) == sound.model_dump(include=sections)


@pytest.mark.parametrize("applicant", [[{"first_name": "Zebulon"}], {"first_name": "Zebulon", "relative": []}], ids=str)
def test_event_masks_the_names_of_what_it_leaves_out(applicant: Any) -> None:
    event = {"message": {"body": "Call Zebulon"}, "customer": {}, "credit_applicant": applicant}
    message = read_event(event, Reader(), ignore_left_out).message
    assert message is not None
    assert message.body == "Call ***"


def test_answer_with_too_many_odd_values_is_malformed() -> None:
    with pytest.raises(MalformedAnswer):
        read_answer("list_inventory", {"vehicles": [{}] * 20_000})


def test_deepest_chain_of_lost_identities_ends() -> None:
    """Each object identifies the one around it, so each round loses one level."""

    class Leaf(Received):
        id: int

    class Inner(Received):
        leaf: Leaf

    class Outer(Received):
        inner: Inner

    class Whole(Received):
        rows: tuple[Outer, ...] = ()

    document = {"rows": [{"inner": {"leaf": {"id": "odd"}}}, {"inner": {"leaf": {"id": 7}}}]}
    left_out = Counter[LeftOut]()
    whole = read_leniently(TypeAdapter(Whole), document, None, "test", left_out.update)
    assert [row.inner.leaf.id for row in whole.rows] == [7]
    assert left_out == {LeftOut("test", "rows.*"): 1}


def test_paths_hold_only_names_of_models() -> None:
    """A field with names of its own choice would bring an upstream's words into paths, and so into logs."""
    for model in _models(Received):
        for name, field in model.model_fields.items():
            assert "dict" not in str(field.annotation).lower(), (model, name)
            assert "mapping" not in str(field.annotation).lower(), (model, name)


def _models(root: type[BaseModel]) -> list[type[BaseModel]]:
    return [root, *(model for child in root.__subclasses__() for model in _models(child))]
