"""Mistakes in the configuration: one plain sentence for each setting, with its key and what to do."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from types import NoneType
from typing import Annotated, Any, Literal, get_args, get_origin

import pytest
import tomlkit
from pydantic import BaseModel

from roadster_server.settings.errors import ConfigurationError
from roadster_server.settings.loading import load
from roadster_server.settings.settings import Settings
from tests.server.settings.test_settings import GOOD, TOKEN, secrets, settings_of

__all__ = ["secrets"]  # a fixture

JARGON = re.compile(
    r"Input|String should|valid (string|integer|boolean|list|dictionary|number|path)|dictionary|instance of|pattern"
    r"|literal\[|list\[|str\b|dict\b|dataclass|pydantic|NoneType|None\b|parse|object",
)

WRONG: list[Any] = [5, -1, 2.5, True, "", "some words here", "*", "\\ #?", [], [5], [[]], {}, {"x": 1}, [{"x": 1}]]
WRONG_TYPES: list[Any] = [{"x": 1}, [[]], [{"x": 1}]]
"""No setting is a table with the key x, a list of lists, or a list of tables."""

REQUIRED: dict[str, dict[str, Any]] = {
    "uploads": {"folder": "/"},
    "roadie": {"token": "env:ROADSTER_API_KEY"},
    "mykaarma": {
        "username": "env:ROADSTER_API_KEY",
        "password": "env:ROADSTER_API_KEY",
        "requester_user_uuid": "0" * 32,
    },
    "replicas": {"redis_url": "env:REDIS_URL"},
    "identity.work": {"issuer": "https://login.example.com", "audiences": ["https://mcp.example.com/mcp"]},
    "dealer_groups.northwest": {"dealers": ["umazda"]},
}
"""Sections with required keys, which stand there while another of their keys is wrong."""


def bare(annotation: Any) -> Any:
    if get_origin(annotation) is Annotated:
        return bare(get_args(annotation)[0])
    members = [each for each in get_args(annotation) if each is not NoneType]
    return bare(members[0]) if len(members) == 1 and get_origin(annotation) not in (list, dict, Literal) else annotation


def settings_in(model: type[BaseModel] = Settings, above: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Yields the path of each setting and each section. Tables with names of your own have one of GOOD's."""
    names = {
        "dealers": "umazda",
        "callers": "local",
        "roles": "sales",
        "dealer_groups": "northwest",
        "identity": "work",
    }
    for key, field in model.model_fields.items():
        path, annotation = (*above, key), bare(field.annotation)
        yield path
        if get_origin(annotation) is dict and not above:
            path, annotation = (*path, names[key]), bare(get_args(annotation)[1])
            yield path
        if isinstance(annotation, type) and issubclass(annotation, BaseModel):
            yield from settings_in(annotation, path)


PATHS = sorted({".".join(path) for path in settings_in()})


def problems_of(path: str, value: Any, folder: Path) -> list[str]:
    """Returns the problems of a good configuration with this value at the path, without the file's name."""
    document: dict[str, Any] = tomllib.loads(GOOD)
    *sections, key = path.split(".")
    table = document
    for depth, section in enumerate(sections, 1):
        place = ".".join(sections[:depth])
        table = table.setdefault(section, dict(REQUIRED.get(place, {})))
    table[key] = value
    file = folder / "roadster.toml"
    file.write_text(tomlkit.dumps(document))
    try:
        load(file)
    except ConfigurationError as error:
        return [problem.removeprefix(f"{file}: ") for problem in error.problems]
    return []


@pytest.fixture(autouse=True)
def redis_url(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REDIS_URL", "redis://localhost")


def test_every_setting_is_tried() -> None:
    assert len(PATHS) > 55
    assert {"dealers.umazda.acknowledge.agent_id", "network.proxy", "identity.work.issuer"} <= {*PATHS}


@pytest.mark.parametrize("path", PATHS)
def test_wrong_value_is_one_plain_problem_with_its_key(path: str, tmp_path: Path) -> None:
    for value in WRONG:
        problems = [each for each in problems_of(path, value, tmp_path) if each.startswith(path)]
        lines = [problem for problem in problems if not problem.startswith(f"{path}.")]
        assert len(lines) <= 1, (value, problems)
        keys = [problem.partition(": ")[0] for problem in problems]
        assert len(set(keys)) == len(keys), (value, problems)
        for problem in problems:
            key, _, words = problem.partition(": ")
            assert re.fullmatch(r"[A-Za-z0-9_.]+", key), problem
            assert not JARGON.search(words.replace("the same", "")), problem
            assert words, problem


@pytest.mark.parametrize("path", PATHS)
def test_wrong_type_is_never_taken(path: str, tmp_path: Path) -> None:
    for value in WRONG_TYPES:
        problems = problems_of(path, value, tmp_path)
        assert problems, value
        assert all(problem.startswith(path) for problem in problems if "is missing" not in problem), (value, problems)


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        (
            '"express.umazda.com"',
            '"https://express.umazda.com"',
            "dealers.umazda.express_host: expected a host such as",
        ),
        ('"express.umazda.com"', "5", 'dealers.umazda.express_host: expected a text in quotes, as key = "value"'),
        (
            'partner_id = "CA317"',
            "orders = [367101]",
            'dealers.hyundaidemo.orders: entry 1: expected an order id in quotes, as "367101"',
        ),
        (
            'partner_id = "CA317"',
            'orders = "all"',
            'dealers.hyundaidemo.orders: expected "any", or a list of order ids, as orders = ["367101"]',
        ),
        (
            "[roadster]",
            "[roadster]\nbase_uri = 1",
            "roadster.base_uri: unknown key, expected one of base_url, api_key,",
        ),
        ("[store]", "[stor]", "near spellings: store; correct its spelling, or remove it"),
        (
            "[store]",
            "[zzz]",
            "zzz: unknown key, expected one of include, secrets_file, roadster, dealers, dealer_groups,",
        ),
        ("[store]", "[zzz]", "inventory, replicas, network; correct its spelling, or remove it"),
        ("[store]", '[store]\nsecrets_file = "secrets.env"', "store.secrets_file: stands below a table, and counts as"),
        ("[store]", '[store]\ninclude = ["more.toml"]', "counts as its key; put it before the first table"),
        ("[callers.local]", '[dealers]\nsecrets_file = "x"\n[callers.local]', "dealers.secrets_file: stands below a"),
        (
            "express_host",
            "expres_host",
            "dealers.umazda.expres_host: unknown key, expected one of api_key, partner_id, express_host, link_key,",
        ),
        (
            'payments = "read"',
            'payment = "read"',
            "callers.local.access.payment: unknown toolset or tool, expected one",
        ),
        ('payments = "read"', 'payment = "read"', "near spellings: payments"),
        ('dealers = ["umazda"]', 'dealers = ["umazada"]', "unknown dealer 'umazada', expected one of umazda, hyundai"),
        (
            "[callers.local]",
            "[http]\nanonymous_caller = 'locl'\n[callers.local]",
            "unknown caller 'locl', expected one",
        ),
        ("[callers.local]", "calls_per_minute = 'x'\n[callers.local]", "unknown key"),
    ],
)
def test_mistake_says_the_mend(old: str, new: str, problem: str, tmp_path: Path) -> None:
    assert old in GOOD
    with pytest.raises(ConfigurationError) as error:
        settings_of(GOOD.replace(old, new, 1), tmp_path)
    (line,) = error.value.problems
    assert problem in line
    assert TOKEN not in line
