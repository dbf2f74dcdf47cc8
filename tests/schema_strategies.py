"""Hypothesis strategies for columns, constraints and schemas of every kind."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any

from hypothesis import assume
from hypothesis import strategies as st

from tronie.errors import SchemaError
from tronie.schema.columns import (
    RESOLUTIONS,
    Boolean,
    Category,
    Column,
    Date,
    Datetime,
    Decimal,
    Identifier,
    Integer,
    OpenCategory,
    Ordered,
    Text,
)
from tronie.schema.constraints import Constraint, Function, Impossible, Order, Range
from tronie.schema.points import value_of
from tronie.schema.schema import PrivacyUnit, Schema

LOOKALIKES: list[bool | int | float | str] = [
    *("1", "1.0", "01", "1e5", "1_000", "0x1f", "0o17", "0b1", ".5", "+1", "-", "12:30", "1.5e3"),
    *("true", "True", "yes", "No", "on", "y", "null", "~", "", "None", ".nan", "-.inf", "<<", "="),
    *("2020-01-01", "2020-01-01 10:00:00", "2020-1-1", "089", "0.1.2", "1,2", "1e", "1__0"),
    *("a: b", "a #b", "#", "- x", "? x", "[x]", "{x}", "&a", "*a", "!x", "|", ">", "%", "@", "`"),
    *(
        " x",
        "x ",
        "x\ny",
        "\n",
        "\t",
        "a\x85b",
        "\u2028",
        "\ufeff",
        "'",
        '"',
        "\\",
        "é",
        "𝄞",
        "\x00",
    ),
    *(True, False, 0, 1, 1.0, 0.0, -0.0, 1e16, 1e-7, 1e300, 2**63, -1),
]
"""Values that a careless reader takes for one another, or for syntax."""

texts = st.one_of(
    st.text(max_size=12),
    st.sampled_from([value for value in LOOKALIKES if isinstance(value, str)]),
    st.text(alphabet="ab ,:'#\n", min_size=90, max_size=150),
)
values = st.one_of(
    st.sampled_from(LOOKALIKES),
    texts,
    st.booleans(),
    st.integers(),
    st.floats(allow_nan=False, allow_infinity=False),
)
value_lists = st.lists(values, min_size=1, max_size=12, unique_by=lambda v: (type(v), v)).map(tuple)

_SHARED = {
    "nullable": st.booleans(),
    "guessed": st.dictionaries(st.sampled_from(["kind", "nullable"]), texts, max_size=2),
    "origin": st.sampled_from(["declared", "public"]),
}


def _kind(
    make: Callable[..., Column],
    required: dict[str, st.SearchStrategy[Any]] | None = None,
    **optional: st.SearchStrategy[Any],
) -> st.SearchStrategy[Any]:
    """Columns of a kind, each optional field sometimes left out."""

    def build(fields: dict[str, Any]) -> Column:
        if fields.get("outside") == "missing":
            fields["nullable"] = True
        return make(**fields)

    return st.fixed_dictionaries(required or {}, optional={**_SHARED, **optional}).map(build)


def _between(make: Callable[..., Column]) -> Callable[..., Column]:
    """The same kind, with bounds given as one unordered pair."""

    def build(bounds: tuple[Any, Any], **fields: Any) -> Column:
        return make(min=min(bounds), max=max(bounds), **fields)

    return build


def _pairs(one: st.SearchStrategy[Any]) -> dict[str, st.SearchStrategy[Any]]:
    return {"bounds": st.tuples(one, one)}


_OUTSIDE = st.sampled_from(["clip", "missing", "error"])
_CENTURIES = st.datetimes(dt.datetime(1900, 1, 1), dt.datetime(2099, 12, 31))
_HUNDREDTHS = st.integers(-(10**9), 10**9).map(lambda n: n / 100)

categories = _kind(
    Category,
    {"values": value_lists},
    ordered=st.booleans(),
    outside=st.sampled_from(["missing", "error"]),
    other=st.booleans(),
    other_label=st.none() | texts,
)
booleans = _kind(Boolean)
integers = _kind(_between(Integer), _pairs(st.integers(-(2**51), 2**51)), outside=_OUTSIDE)
decimals = _kind(
    _between(Decimal),
    _pairs(_HUNDREDTHS),
    resolution=st.sampled_from([None, 0.01, 0.1, 0.25, 3.0, 1e-6]),
    outside=_OUTSIDE,
)
dates = _kind(_between(Date), _pairs(st.dates()), outside=_OUTSIDE)
datetimes = _kind(
    _between(Datetime),
    _pairs(_CENTURIES),
    resolution=st.sampled_from([*RESOLUTIONS]),
    outside=_OUTSIDE,
)
ordered = st.one_of(integers, decimals, dates, datetimes)
listed = st.one_of(categories, booleans)
modelled = st.one_of(listed, ordered)
unread = st.one_of(
    _kind(
        Identifier,
        pattern=st.none() | texts.map(lambda t: "{n}" + t.replace("{", "").replace("}", "")),
    ),
    _kind(Text),
)
unknown = st.one_of(
    _kind(
        OpenCategory,
        value_type=st.sampled_from(["string", "integer"]),
        other_label=st.none() | texts,
    ),
    *(_kind(kind, outside=_OUTSIDE) for kind in (Integer, Decimal, Date, Datetime)),
)
columns = st.one_of(modelled, unread, unknown)
names = texts.filter(bool) | st.sampled_from([str(v) for v in LOOKALIKES if v != ""])


@st.composite
def impossibles(draw: st.DrawFn, known: dict[str, Column]) -> Impossible:
    """A rule about one or two known columns that leaves some rows possible."""
    chosen = draw(st.lists(st.sampled_from([*known]), min_size=1, max_size=2, unique=True))
    when: dict[str, Any] = {}
    for name in chosen:
        column = known[name]
        place = st.integers(0, column.points - 1)
        if isinstance(column, Ordered) and draw(st.booleans()):
            low, high = sorted([draw(place), draw(place)])
            when[name] = Range(
                min=draw(st.none() | st.just(value_of(column, low))),
                max=draw(st.none() | st.just(value_of(column, high))),
            )
        else:
            wanted: list[Any] = [value_of(column, draw(place))]
            if column.nullable and draw(st.booleans()):
                wanted.append(None)
            when[name] = tuple(wanted)
    return Impossible(when=when)


@st.composite
def functions(draw: st.DrawFn, columns: dict[str, Column]) -> Function:
    """A function between two new listed columns, which are added."""
    of, gives = draw(listed), draw(st.one_of(listed, integers))
    columns["of\x00"], columns["gives\x00"] = of, gives
    if draw(st.booleans()):
        return Function(of="of\x00", gives="gives\x00")
    place = st.integers(0, gives.points - 1)
    missing = [None] if of.nullable or getattr(of, "other", False) else []
    table = tuple((key, value_of(gives, draw(place))) for key in [*of.values, *missing])
    return Function(of="of\x00", gives="gives\x00", table=table)


@st.composite
def schemas(draw: st.DrawFn) -> Schema:
    """Schemas with columns and constraints of every kind."""
    table: dict[str, Column] = draw(st.dictionaries(names, columns, min_size=1, max_size=6))
    known = {
        name: column
        for name, column in table.items()
        if isinstance(column, Category | Boolean | Ordered) and getattr(column, "bounded", True)
    }
    rules: list[Constraint] = []
    if known and draw(st.booleans()):
        rules.append(draw(impossibles(known)))
    if draw(st.booleans()):
        rules.append(draw(functions(table)))
    if draw(st.booleans()):
        table["low\x00"], table["high\x00"] = Integer(min=0, max=9), Integer(min=0, max=9)
        rules.append(Order(low="low\x00", high="high\x00", strict=draw(st.booleans())))
    unit = PrivacyUnit(max_rows=draw(st.integers(1, 5)))
    if draw(st.booleans()):
        table["key\x00"] = Identifier()
        unit = PrivacyUnit(kind="id", id_column="key\x00", max_rows=unit.max_rows)
    try:
        return Schema(name=draw(names), unit=unit, columns=table, constraints=tuple(rules))
    except SchemaError as error:
        assume("no possible row" not in error.what)
        raise
