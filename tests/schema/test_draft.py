from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tronie.errors import SchemaError
from tronie.schema.columns import (
    Boolean,
    Category,
    Column,
    Date,
    Datetime,
    Decimal,
    Integer,
    OpenCategory,
)
from tronie.schema.draft import (
    KINDS,
    MAX_PUBLIC_VALUES,
    Field,
    PublicFacts,
    draft,
    draft_public,
    explain,
)
from tronie.schema.hints import kind_of_type, suggest
from tronie.schema.schema import Schema

TYPES = {
    "int8": "integer",
    "uint64": "integer",
    "halffloat": "decimal",
    "float": "decimal",
    "double": "decimal",
    "decimal128(10, 2)": "decimal",
    "decimal256(40, 0)": "decimal",
    "string": "open_category",
    "large_string": "open_category",
    "string_view": "open_category",
    "dictionary<values=string, indices=int32, ordered=0>": "open_category",
    "dictionary<values=int64, indices=int8, ordered=1>": "open_category",
    "bool": "boolean",
    "date32[day]": "date",
    "date64[ms]": "date",
    "timestamp[us]": "datetime",
    "timestamp[ns, tz=Europe/Oslo]": "datetime",
    "extension<arrow.uuid>": "identifier",
    "list<item: string>": "text",
    "struct<a: int64>": "text",
    "time64[us]": "text",
    "binary": "text",
    "null": "text",
}


def one(name: str, kind: str, **options: Any) -> Column:
    return draft([Field(name, kind)], "x", **options).columns[name]


def public(name: str, kind: str, facts: PublicFacts, **options: Any) -> Column:
    return draft_public([Field(name, kind)], {name: facts}, "x", **options).columns[name]


@pytest.mark.parametrize(("kind", "expected"), TYPES.items())
def test_kind_by_type(kind: str, expected: str) -> None:
    column = one("x", kind)
    assert column.kind == expected
    assert column.nullable
    assert kind in column.guessed["kind"]


def test_the_types_are_those_that_arrow_writes() -> None:
    pa = pytest.importorskip("pyarrow")
    types = [pa.int32(), pa.float32(), pa.large_string(), pa.bool_(), pa.date32()]
    types += [pa.timestamp("ns", "UTC"), pa.decimal128(9, 3), pa.dictionary(pa.int8(), pa.string())]
    kinds = [kind_of_type(str(kind))[0] for kind in types]
    assert kinds == [
        *("integer", "decimal", "open_category", "boolean", "date", "datetime", "decimal"),
        "open_category",
    ]


def test_what_a_type_says_beside_the_kind() -> None:
    assert one("x", "decimal128(10, 2)") == Decimal(
        resolution=0.01, guessed=one("x", "decimal128(10, 2)").guessed
    )
    assert kind_of_type("decimal128(10, -2)") == ("decimal", {"resolution": 100.0})
    codes = one("x", "dictionary<values=int64, indices=int8, ordered=0>")
    assert isinstance(codes, OpenCategory)
    assert codes.value_type == "integer"


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (
            (
                "id user_id customerID UserId uuid SSN email e-mail phone phone_number Phone_No2 "
                "email_address home_address name NAME first_name lastName patient_name surname iban "
                "user_name url record_key ID_number"
            ),
            "identifier",
        ),
        ("comment user_comment Notes description text review_text", "text"),
        ("date birth_date date_of_birth dob created_at CreatedAt updated_on timestamp", "date"),
        ("zip zip_code status ProductType icd_code", "code"),
        (
            (
                "age sex identity phonebook notebook product_name country_name at on valid kid video "
                "amount paid 2020 Ålder x ~"
            ),
            None,
        ),
    ],
)
def test_what_names_suggest(names: str, expected: str | None) -> None:
    assert {name: suggest(name) for name in names.split()} == dict.fromkeys(names.split(), expected)


@given(st.text())
def test_any_name_will_do(name: str) -> None:
    assert suggest(name) in {"identifier", "text", "date", "code", None}


def test_names_decide_for_text_and_whole_numbers_only() -> None:
    assert one("user_id", "int64").kind == "identifier"
    assert one("user_id", "string").kind == "identifier"
    assert one("email", "bool").kind == "boolean"
    assert one("phone", "double").kind == "decimal"
    assert one("note", "string").kind == "text"
    assert one("note", "int64").kind == "integer"
    assert "suggests a date" in one("created_at", "string").guessed["kind"]
    assert "suggests a code" in one("zip", "int64").guessed["kind"]


def test_whether_values_may_be_missing() -> None:
    schema = draft([Field("a", "int64", nullable=False), Field("b", "int64")], "x")
    assert not schema.columns["a"].nullable
    assert "nullable" not in schema.columns["a"].guessed
    assert schema.columns["b"].nullable
    assert schema.columns["b"].guessed["nullable"]


def test_a_csv_has_no_types() -> None:
    fields = [Field("age", "string"), Field("sex", "string"), Field("id", "string")]
    schema = draft(fields, "x", typed=False, kinds={"age": "integer"})
    assert [column.kind for column in schema.columns.values()] == [
        *("integer", "open_category", "identifier")
    ]
    assert "kind" not in schema.columns["age"].guessed
    assert "--types" in schema.columns["sex"].guessed["kind"]


def test_declared_kinds() -> None:
    assert one("x", "decimal128(9, 1)", kinds={"x": "decimal"}).resolution == 0.1
    assert one("id", "int64", kinds={"id": "integer"}).kind == "integer"
    codes = one("x", "int64", kinds={"x": "category"})
    assert isinstance(codes, OpenCategory)
    assert codes.value_type == "integer"
    assert codes.guessed["kind"] == "its values are not listed"
    for kind in KINDS:
        expected = "open_category" if kind == "category" else kind
        assert one("x", "string", kinds={"x": kind}).kind == expected


@pytest.mark.parametrize(
    ("fields", "kinds", "what"),
    [
        ([], {}, "no columns"),
        ([Field("a", "int64"), Field("a", "int64")], {}, "2 columns are called 'a'"),
        ([Field("a", "int64")], {"b": "integer"}, "'b', which is not a column"),
        ([Field("a", "int64")], {"a": "int"}, "unknown kind 'int' for column 'a'"),
    ],
)
def test_refused_drafts(fields: list[Field], kinds: dict[str, str], what: str) -> None:
    with pytest.raises(SchemaError, match=what):
        draft(fields, "x", kinds=kinds)
    with pytest.raises(SchemaError, match=what):
        draft_public(fields, {}, "x", kinds=kinds)


@settings(max_examples=50, deadline=None)
@given(st.dictionaries(st.text(min_size=1), st.sampled_from([*TYPES]), min_size=1, max_size=5))
def test_drafts_come_back_with_their_reasons(types: dict[str, str]) -> None:
    schema = draft([Field(name, kind) for name, kind in types.items()], "x")
    back = Schema.parse(schema.to_yaml())
    assert back == schema
    assert explain(back) == explain(schema)
    assert {guess.column for guess in explain(schema)} == set(types)
    assert all(column.origin == "declared" for column in schema.columns.values())


def test_explain() -> None:
    assert explain(draft([Field("id", "int64"), Field("ok", "bool", nullable=False)], "x")) == [
        ("id", "kind", "the name looks like an identifier"),
        ("ok", "kind", "the type is bool"),
    ]
    assert explain(Schema(name="x", columns={"a": Boolean()})) == []


def test_public_categories() -> None:
    column = public("sex", "string", PublicFacts(nulls=False, values=("f", "m")))
    assert isinstance(column, Category)
    assert (column.values, column.nullable, column.origin) == (("f", "m"), False, "public")
    assert str(MAX_PUBLIC_VALUES) in column.guessed["kind"]
    many = public("town", "string", PublicFacts(nulls=True))
    assert (many.kind, many.origin, many.nullable) == ("open_category", "declared", True)
    empty = public("town", "string", PublicFacts(nulls=True, values=()))
    assert empty.guessed["kind"] == "every value is missing"
    codes = public(
        "c", "dictionary<values=int64, indices=int8, ordered=0>", PublicFacts(nulls=True)
    )
    assert isinstance(codes, OpenCategory)
    assert codes.value_type == "integer"


def test_public_integers() -> None:
    facts = PublicFacts(nulls=True, values=(1, 2, 3), min=1, max=3)
    column = public("n", "int64", facts)
    assert isinstance(column, Integer)
    assert (column.min, column.max, column.origin) == (1, 3, "public")
    gaps = PublicFacts(nulls=False, values=(0, 7, 99), min=0, max=99)
    codes = public("n", "int64", gaps)
    assert isinstance(codes, Category)
    assert (codes.values, codes.ordered, codes.nullable) == ((0, 7, 99), True, False)
    assert public("n", "int64", gaps, kinds={"n": "integer"}).kind == "integer"
    assert public("n", "int64", facts, kinds={"n": "category"}).kind == "category"
    assert public("n", "int64", PublicFacts(nulls=True, min=0, max=9)).kind == "integer"
    nothing = public("n", "int64", PublicFacts(nulls=True, values=()))
    assert isinstance(nothing, Integer)
    assert not nothing.bounded


def test_public_numbers_and_dates() -> None:
    number = public("x", "double", PublicFacts(nulls=False, min=0.5, max=2.0, resolution=0.25))
    assert isinstance(number, Decimal)
    assert (number.min, number.max, number.resolution) == (0.5, 2.0, 0.25)
    assert not number.nullable
    day = dt.date(2020, 1, 1)
    date = public("d", "date32[day]", PublicFacts(nulls=True, min=day, max=day))
    assert isinstance(date, Date)
    assert date.points == 1
    moment = dt.datetime(2020, 1, 1)
    facts = PublicFacts(nulls=True, min=moment, max=moment, resolution="minute")
    column = public("t", "timestamp[us]", facts)
    assert isinstance(column, Datetime)
    assert column.resolution == "minute"
    assert public("b", "bool", PublicFacts(nulls=False)).nullable is False


def test_identifiers_of_a_public_table_are_not_listed() -> None:
    column = public("email", "string", PublicFacts(nulls=False, values=("a@b.c",)))
    assert column.kind == "identifier"


def test_public_facts_that_do_not_fit_the_kind() -> None:
    with pytest.raises(SchemaError, match="column 'x' cannot be drafted as integer"):
        public("x", "int64", PublicFacts(nulls=False, min=0.5, max=2.5))
