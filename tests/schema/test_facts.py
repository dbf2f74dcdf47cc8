from __future__ import annotations

import datetime as dt

from hypothesis import given, settings
from schema_strategies import schemas

from tronie.schema.columns import (
    Boolean,
    Category,
    Date,
    Datetime,
    Decimal,
    Identifier,
    Integer,
    OpenCategory,
    Text,
)
from tronie.schema.constraints import Function, Impossible, Order, Range
from tronie.schema.schema import PrivacyUnit, Schema

DAY = dt.date(2020, 1, 1)


def test_facts_in_words() -> None:
    schema = Schema(
        name="x",
        unit=PrivacyUnit(max_rows=3),
        columns={
            "who": Identifier(),
            "key": Identifier(pattern="C-{n}"),
            "note": Text(),
            "sex": Category(values=("f",), nullable=False),
            "level": Category(values=(1, 2), ordered=True, outside="missing"),
            "town": Category(values=("a",), other=True, origin="released"),
            "open": OpenCategory(),
            "ill": Boolean(),
            "age": Integer(min=17, max=90, origin="public"),
            "pay": Decimal(resolution=0.01, outside="error"),
            "start": Date(min=DAY, max=DAY),
            "end": Date(),
            "seen": Datetime(),
        },
        constraints=(
            Function(of="sex", gives="age", table=(("f", 20),)),
            Function(of="level", gives="ill"),
            Impossible(when={"pay": Range(min=1, max=2), "town": ("a", None), "end": Range()}),
            Order(low="start", high="end", strict=True),
        ),
    )
    assert schema.public_facts() == [
        ("data set", "x"),
        ("unit", "row; promised: at most 3 rows about one person"),
        ("column 'who'", "identifier, never read, left out"),
        ("column 'key'", "identifier, never read, written anew as 'C-{n}'"),
        ("column 'note'", "text, never read, left out"),
        (
            "column 'sex'",
            "category of 1 value; no missing values; values outside are refused; declared",
        ),
        (
            "column 'level'",
            (
                "ordered category of 2 values; missing values allowed; values outside become missing; "
                "declared"
            ),
        ),
        (
            "column 'town'",
            (
                "category of 1 value, and a cell for others; missing values allowed; values outside "
                "are refused; found privately, and paid for"
            ),
        ),
        (
            "column 'open'",
            "category of string values, to be found privately; missing values allowed; declared",
        ),
        ("column 'ill'", "boolean of 2 values; missing values allowed; declared"),
        (
            "column 'age'",
            (
                "integer, from 17 to 90; missing values allowed; values outside move to the nearest "
                "bound; taken from a file that was declared public; computed from 'sex'"
            ),
        ),
        (
            "column 'pay'",
            (
                "decimal, bounds to be found privately, in steps of 0.01; missing values allowed; "
                "values outside are refused; declared"
            ),
        ),
        (
            "column 'start'",
            (
                "date, from 2020-01-01 to 2020-01-01; missing values allowed; values outside move to "
                "the nearest bound; declared"
            ),
        ),
        (
            "column 'end'",
            (
                "date, bounds to be found privately; missing values allowed; values outside move to "
                "the nearest bound; declared"
            ),
        ),
        (
            "column 'seen'",
            (
                "datetime, bounds to be found privately, to the second; missing values allowed; "
                "values outside move to the nearest bound; declared"
            ),
        ),
        ("constraint 1", "'sex' determines 'age' by a table of 1 line, declared"),
        (
            "constraint 2",
            "'level' determines 'ill' by the likeliest pairs, to be found privately",
        ),
        (
            "constraint 3",
            "never together: 'pay' from 1 to 2 and 'town' in ['a', None] and 'end' present",
        ),
        ("constraint 4", "'start' < 'end'"),
    ]


@settings(max_examples=30, deadline=None)
@given(schemas())
def test_every_part_is_named_once(schema: Schema) -> None:
    facts = schema.public_facts()
    subjects = [subject for subject, _ in facts]
    assert len(set(subjects)) == len(subjects) == 2 + len(schema.columns) + len(schema.constraints)
    assert all(fact for _, fact in facts)
