from __future__ import annotations

import datetime as dt
from typing import Any

import pytest

from tronie.errors import SchemaError
from tronie.schema.columns import Boolean, Integer
from tronie.schema.constraints import Function, Impossible, Range
from tronie.schema.schema import Schema


def column(**fields: Any) -> dict[str, Any]:
    return {"name": "x", "columns": {"c": fields}}


def rule(**fields: Any) -> dict[str, Any]:
    return {"name": "x", "columns": {"c": {"kind": "boolean"}}, "constraints": [fields]}


@pytest.mark.parametrize(
    ("data", "what", "remedy"),
    [
        (
            {"tronie": 2, "novelty": 1},
            "the schema is written in format 2; this tronie reads format 1.",
            "Upgrade tronie.",
        ),
        ({"tronie": 0, **column(kind="text")}, "field 'tronie': 0 is not possible", "Write 1."),
        (column(), "column 'c': it has no kind.", "kind: integer"),
        (column(kind="int"), "column 'c': unknown kind 'int'.", "Did you mean 'integer'?"),
        (column(kind="integer", mx=3), "column 'c': unknown field 'mx'.", "Did you mean 'max'?"),
        (column(kind="text", zzz=3), "column 'c': unknown field 'zzz'.", "Possible are nullable"),
        (column(kind="integer", min="a"), "column 'c', field 'min': ", "Correct it."),
        (column(kind="category"), "column 'c': the field 'values' is missing.", "Add it."),
        (column(kind="category", values="ab"), "field 'values': 'ab' is not a list.", "Write a"),
        (
            column(kind="category", values=["a", None]),
            "column 'c', field 'values', entry 2: None is not text",
            "nullable: true",
        ),
        (
            column(kind="category", values=[dt.date(2020, 1, 1)]),
            "column 'c', field 'values', entry 1: datetime.date(2020, 1, 1) is not text",
            "put dates in quotes",
        ),
        (column(kind="category", values=[]), "column 'c': a category needs at least one value", ""),
        (column(kind="integer", min=2, max=1), "column 'c': min is above max.", ""),
        (
            column(kind="integer", outside="drop"),
            "column 'c', field 'outside': 'drop' is not possible here.",
            "Write 'clip', 'missing' or 'error'.",
        ),
        ({"name": "x", "columns": {"c": 3}}, "column 'c': 3 is not a mapping.", "pairs"),
        ({"name": "x", "columns": {}}, "field 'columns': ", ""),
        ({"name": "x", "columns": 3}, "field 'columns': 3 is not a mapping.", ""),
        (
            {"columns": {"c": {"kind": "text"}}},
            "the schema: the field 'name' is missing.",
            "Add it.",
        ),
        ({"nam": 1, **column(kind="text")}, "the schema: unknown field 'nam'.", "'name'"),
        ({"name": "a\ud800", "columns": {"c": {"kind": "text"}}}, "field 'name': ", ""),
        ({"name": "a", "columns": {"a\ud800": {"kind": "text"}}}, "field 'columns': ", "Correct"),
        (
            {"unit": {"max_row": 1}, **column(kind="text")},
            "field 'unit': unknown field",
            "max_rows",
        ),
        ({"unit": {"max_rows": 0}, **column(kind="text")}, "field 'unit', field 'max_rows': ", ""),
        ({"constraints": 3, **column(kind="text")}, "field 'constraints': 3 is not a list.", ""),
        (rule(), "constraint 1: it has no kind.", "kind: order"),
        (rule(kind="ordr"), "constraint 1: unknown kind 'ordr'.", "Did you mean 'order'?"),
        (rule(kind="order", low="c"), "constraint 1 (order): the field 'high' is missing.", "Add"),
        (rule(kind="order", lo=1), "constraint 1 (order): unknown field 'lo'.", "'low'"),
        (rule(kind="impossible", when={}), "constraint 1 (impossible), field 'when': ", ""),
        (rule(kind="impossible", when={"c": []}), "constraint 1 (impossible), column 'c': ", ""),
        (rule(kind="impossible", when={"c": 3}), "column 'c': 3 is not a list.", "[first, second]"),
        (
            rule(kind="impossible", when={"c": {"mn": 3}}),
            "constraint 1 (impossible), column 'c': unknown field 'mn'.",
            "Did you mean 'min'?",
        ),
        (
            rule(kind="impossible", when={"c": {"min": True}}),
            "column 'c', field 'min': a bound is a number, a date or a datetime.",
            "",
        ),
        (
            rule(kind="impossible", when={"c": [float("nan")]}),
            "a rule's values are finite numbers and valid text.",
            "",
        ),
        (
            rule(kind="function", of="c", gives="c", table=[["a"]]),
            "constraint 1 (function), field 'table', entry 1: ",
            "",
        ),
        (["x"], "the schema: ['x'] is not a mapping.", ""),
    ],
)
def test_what_where_and_remedy(data: Any, what: str, remedy: str) -> None:
    with pytest.raises(SchemaError) as caught:
        Schema.model_validate(data)
    assert what in caught.value.what
    assert remedy in caught.value.remedy
    assert caught.value.remedy
    assert "\n" not in caught.value.what


def test_how_many_places_are_wrong() -> None:
    with pytest.raises(SchemaError, match=r"unknown field 'a'\. 2 more places need correction\."):
        Schema.model_validate(
            {
                "name": "x",
                "columns": {"c": {"kind": "text", "a": 1, "b": 1}, "d": {}, "e": {"kind": "t"}},
            }
        )
    with pytest.raises(SchemaError, match="1 more place needs correction"):
        Schema.model_validate({"name": "x", "columns": {"c": {}, "d": {}}})


def test_a_long_value_is_cut_short() -> None:
    with pytest.raises(SchemaError) as caught:
        Schema.model_validate({"name": "x", "columns": list(range(10_000))})
    assert len(caught.value.what) < 200


def test_made_in_python_it_says_the_same() -> None:
    with pytest.raises(SchemaError, match="field 'name'"):
        Schema(name="", columns={"c": Boolean()})
    with pytest.raises(SchemaError, match="names the column 'd'"):
        Schema(name="x", columns={"c": Boolean()}, constraints=(Function(of="c", gives="d"),))


def test_rules_take_dates_as_objects() -> None:
    day = dt.date(2020, 1, 31)
    assert Range(min=day).min == "2020-01-31"  # type: ignore[arg-type]
    assert Impossible(when={"c": (day, None)}).when == {"c": ("2020-01-31", None)}  # type: ignore[dict-item]
    assert Integer().kind == "integer"
