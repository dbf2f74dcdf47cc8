from __future__ import annotations

from typing import Any

import pytest

from tronie.errors import SchemaError
from tronie.schema.columns import Category
from tronie.schema.schema import Schema

COLUMNS: dict[str, Any] = {
    "key": {"kind": "identifier"},
    "note": {"kind": "text"},
    "sex": {"kind": "category", "values": ["f", "m"], "nullable": False},
    "city": {"kind": "open_category"},
    "region": {"kind": "open_category"},
    "ill": {"kind": "boolean"},
    "age": {"kind": "integer", "min": 0, "max": 99, "nullable": False},
    "years": {"kind": "integer", "min": 100, "max": 200, "nullable": False},
    "weeks": {"kind": "integer"},
    "height": {"kind": "decimal", "min": 0, "max": 2, "resolution": 0.01},
    "birth": {"kind": "date", "min": "1900-01-01", "max": "2020-12-31"},
    "death": {"kind": "date"},
}


def schema(*constraints: dict[str, Any], unit: dict[str, Any] | None = None) -> Schema:
    data = {"name": "x", "columns": COLUMNS, "constraints": list(constraints)}
    return Schema.model_validate(data if unit is None else {**data, "unit": unit})


def impossible(**when: Any) -> dict[str, Any]:
    return {"kind": "impossible", "when": when}


def function(of: str, gives: str, table: Any = None) -> dict[str, Any]:
    return {"kind": "function", "of": of, "gives": gives, "table": table}


def order(low: str, high: str, *, strict: bool = False) -> dict[str, Any]:
    return {"kind": "order", "low": low, "high": high, "strict": strict}


YEARS = [["f", 100], ["m", 200]]


def test_constraints_that_fit() -> None:
    fine = schema(
        impossible(sex=["m"], ill=[True, None]),
        impossible(age={"max": 15}, height={"min": 1.999}),
        impossible(weeks={"min": 3}, city=["Oslo"], death={"min": "2020-01-01"}),
        impossible(ill=[True], death={}),
        impossible(years=[150], sex=["f"]),
        function("sex", "years", YEARS),
        function("city", "region"),
        order("age", "weeks"),
        order("birth", "death", strict=True),
        unit={"kind": "id", "id_column": "key", "max_rows": 3},
    )
    assert len(fine.constraints) == 9


@pytest.mark.parametrize(
    ("rule", "what"),
    [
        (impossible(sox=["m"]), "names the column 'sox', which the schema does not have"),
        (impossible(key=["m"]), "'key', of kind identifier"),
        (impossible(note=["m"]), "'note', of kind text"),
        (impossible(sex=["x"]), "column 'sex': 'x' is not in the domain"),
        (impossible(sex=[None]), "column 'sex': missing values"),
        (impossible(sex={"min": 1}), "column 'sex': a range needs an ordered column"),
        (impossible(city={"min": 1}), "column 'city': a range needs an ordered column"),
        (impossible(age=[100]), "column 'age': 100 is not in the domain"),
        (impossible(age={"min": 100}), "column 'age': the range holds no value"),
        (impossible(age={"min": 9, "max": 3}), "column 'age': the range's min is above its max"),
        (impossible(weeks={"min": 9, "max": 3}), "column 'weeks': the range's min is above"),
        (impossible(weeks=["many"]), "column 'weeks': 'many' is not in the domain"),
        (impossible(death={"min": "soon"}), "column 'death': 'soon' is no date"),
        (impossible(death=[3]), "column 'death': 3 is no date"),
        (impossible(sex=["f", "m"]), "leaves no possible row"),
        (impossible(sex=["f", "m"], age={}), "leaves no possible row"),
        (function("sox", "ill"), "'sox', which the schema does not have"),
        (function("sex", "key"), "'key', of kind identifier"),
        (function("age", "ill"), "determining column 'age' is of kind integer"),
        (function("sex", "height"), "determined column 'height' is of kind decimal"),
        (function("city", "ill", []), "the domain of column 'city' is not declared"),
        (function("sex", "weeks", YEARS), "the domain of column 'weeks' is not declared"),
        (function("sex", "years", YEARS[:1]), "from 'sex' to 'years': the table leaves out 'm'"),
        (function("sex", "age", YEARS), "100 is not in the domain of the integer column"),
        (order("age", "agf"), "'agf', which the schema does not have"),
        (order("age", "height"), "compares 'age' (integer) with 'height' (decimal)"),
        (order("sex", "ill"), "compares 'sex' (category) with 'ill' (boolean)"),
        (order("years", "age"), "'years' starts above the end of 'age'"),
    ],
)
def test_a_constraint_that_does_not_fit(rule: dict[str, Any], what: str) -> None:
    with pytest.raises(SchemaError) as caught:
        schema(order("birth", "death"), rule)
    assert f"constraint 2 ({rule['kind']})" in caught.value.what
    assert what in caught.value.what
    assert caught.value.remedy


@pytest.mark.parametrize(
    ("rules", "what"),
    [
        ([function("sex", "ill"), function("city", "ill")], "two constraints determine the column"),
        (
            [function("sex", "ill", [["f", True], ["m", False]]), function("ill", "region")],
            "what 'region' is determined by, 'ill', is itself computed",
        ),
        (
            [function("sex", "ill"), function("ill", "sex")],
            "circle: 'ill' determines 'sex' determines 'ill'",
        ),
        ([function("sex", "sex")], "circle: 'sex' determines 'sex'"),
        ([function("sex", "years", YEARS), order("age", "years")], "determined by a function"),
        ([function("sex", "age"), order("age", "years")], "determined by a function"),
        ([order("age", "weeks"), order("weeks", "age")], "circle: 'weeks' <= 'age' <= 'weeks'"),
        ([order("age", "age")], "circle"),
    ],
)
def test_constraints_that_contradict_each_other(rules: list[dict[str, Any]], what: str) -> None:
    with pytest.raises(SchemaError) as caught:
        schema(*rules)
    assert what in caught.value.what


def test_functions_may_form_a_chain() -> None:
    table = [[True, "f"], [False, "m"], [None, "m"]]
    chain = schema(function("ill", "sex", table), function("sex", "years", YEARS))
    assert [*chain.derived] == ["sex", "years"]
    assert not {"sex", "years"} & set(chain.modelled)
    schema(function("city", "ill"), function("ill", "sex", table))
    schema(function("city", "ill"), function("ill", "region"))


def test_a_strict_order_needs_room() -> None:
    columns = {
        "a": {"kind": "integer", "min": 5, "max": 9, "nullable": False},
        "b": {"kind": "integer", "min": 0, "max": 5, "nullable": False},
    }
    data = {"name": "x", "columns": columns, "constraints": [order("a", "b")]}
    Schema.model_validate(data)
    with pytest.raises(SchemaError, match="no possible row"):
        Schema.model_validate({**data, "constraints": [order("a", "b", strict=True)]})
    columns["a"]["origin"] = "released"
    Schema.model_validate({**data, "constraints": [order("a", "b", strict=True)]})


@pytest.mark.parametrize(
    ("unit", "what"),
    [
        ({"kind": "id"}, "names no id_column"),
        ({"kind": "id", "id_column": "who"}, "'who' is not a column"),
        ({"kind": "id", "id_column": "sex"}, "'sex' is of kind category"),
        ({"kind": "row", "id_column": "key"}, "is a row, but names an id_column"),
    ],
)
def test_a_unit_that_does_not_fit(unit: dict[str, Any], what: str) -> None:
    with pytest.raises(SchemaError, match=what):
        schema(unit=unit)


def test_what_was_found_cannot_break_a_rule() -> None:
    open_schema = schema(
        impossible(city=["Oslo"], weeks={"min": 100}),
        impossible(weeks={}, ill=[False, True, None]),
        impossible(death={"min": "2100-01-01"}),
        order("weeks", "age"),
        function("city", "region"),
    )
    found = {
        "city": Category(values=(), other=True),
        "region": Category(values=("east",), other=True),
        "weeks": {"kind": "integer", "min": 90, "max": 99, "nullable": False},
        "death": {"kind": "date", "min": "2000-01-01", "max": "2001-01-01", "nullable": False},
    }
    data = {"name": "x", "columns": found}
    columns = Schema.model_validate(data).columns
    assert not open_schema.resolve(columns).unknowns()
