from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tronie.cli.given import read_conditions
from tronie.errors import ConditionError
from tronie.schema.constraints import Range
from tronie.schema.schema import Schema

SCHEMA = Schema.parse(
    """
name: people
columns:
  age: {kind: integer, min: 0, max: 99}
  cost: {kind: decimal, min: -5, max: 5, resolution: 0.5}
  sex: {kind: category, values: [female, male]}
  place: {kind: category, values: ["a,b", "a", "b", "1..2", ""]}
  level: {kind: category, values: [1, 2, "2", true]}
  smoker: {kind: boolean}
  born: {kind: date, min: 2000-01-01, max: 2020-12-31}
  a=b: {kind: boolean}
  note: {kind: text}
"""
)


@pytest.mark.parametrize(
    ("text", "column", "condition"),
    [
        ("sex=female", "sex", ("female",)),
        ("sex=female,male", "sex", ("female", "male")),
        ("sex=", "sex", (None,)),
        ("sex=female,", "sex", ("female", None)),
        ("sex=other", "sex", ("other",)),
        ("age=30", "age", (30,)),
        ("age=30,40", "age", (30, 40)),
        ("age=", "age", (None,)),
        ("age=30..39", "age", Range(min=30, max=39)),
        ("age=30..", "age", Range(min=30)),
        ("age=..39", "age", Range(max=39)),
        ("cost=-1.5..2", "cost", Range(min=-1.5, max=2.0)),
        ("born=2001-02-03", "born", ("2001-02-03",)),
        ("born=2001-02-03..2002-01-01", "born", Range(min="2001-02-03", max="2002-01-01")),
        ("place=a,b", "place", ("a,b",)),
        ("place=b,a", "place", ("b", "a")),
        ("place=1..2", "place", ("1..2",)),
        ("place=", "place", ("",)),
        ("level=1", "level", (1,)),
        ("level=2", "level", ("2",)),
        ("level=true", "level", (True,)),
        ("smoker=true,false", "smoker", (True, False)),
        ("a=b=true", "a=b", (True,)),
        ("note=x", "note", "x"),
        ("nothing=x=y", "nothing", "x=y"),
    ],
)
def test_a_condition_is_read_in_the_type_of_its_column(
    text: str, column: str, condition: object
) -> None:
    found = read_conditions(SCHEMA, [text])
    assert found == {column: condition}
    if isinstance(condition, tuple):
        assert list(map(type, found[column])) == list(map(type, condition))  # type: ignore[arg-type]


def test_several_conditions() -> None:
    found = read_conditions(SCHEMA, ["age=1", "smoker=false"])
    assert found == {"age": (1,), "smoker": (False,)}


@pytest.mark.parametrize(
    ("texts", "what"),
    [
        (["age"], "not a condition"),
        (["age=young"], "'young' is not a whole number"),
        (["cost=1..much"], "'much' is not a number"),
        (["sex=female", "sex=male"], "twice"),
    ],
)
def test_what_is_no_condition_is_refused(texts: list[str], what: str) -> None:
    with pytest.raises(ConditionError, match=what) as error:
        read_conditions(SCHEMA, texts)
    assert error.value.remedy


@given(st.text(), st.text())
def test_any_text_is_read_or_refused(column: str, value: str) -> None:
    try:
        found = read_conditions(SCHEMA, [f"{column}={value}"])
    except ConditionError:
        return
    assert len(found) == 1
