from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from schema_strategies import schemas

from tronie.errors import SchemaError
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
from tronie.schema.constraints import Function
from tronie.schema.schema import PrivacyUnit, Schema

ROOT = Path(__file__).resolve().parents[2]
REFERENCE = ROOT / "docs" / "reference" / "schema.json"

MIXED = Schema(
    name="mixed",
    columns={
        "who": Identifier(),
        "age": Integer(min=0, max=99),
        "pay": Decimal(),
        "town": OpenCategory(),
        "born": Date(),
        "seen": Datetime(),
        "ill": Boolean(),
        "ward": Category(values=("a", "b")),
        "floor": Integer(min=1, max=2),
        "code": Category(values=("x", "y")),
        "note": Text(),
    },
    constraints=(
        Function(of="ward", gives="floor", table=(("a", 1), ("b", 2))),
        Function(of="ill", gives="code"),
    ),
)


def test_modelled_derived_and_unknown_columns() -> None:
    assert [*MIXED.modelled] == ["age", "ill", "ward", "code"]
    assert {gives: rule.of for gives, rule in MIXED.derived.items()} == {"floor": "ward"}
    assert MIXED.unknowns() == {
        "pay": "bounds",
        "town": "values",
        "born": "bounds",
        "seen": "bounds",
    }


@settings(max_examples=40, deadline=None)
@given(schemas())
def test_every_column_has_one_fate(schema: Schema) -> None:
    unread = {n for n, c in schema.columns.items() if isinstance(c, Identifier | Text)}
    fates = [set(schema.modelled), set(schema.derived), set(schema.unknowns()), unread]
    assert sum(len(fate) for fate in fates) == len(schema.columns)
    assert set.union(*fates) == set(schema.columns)
    assert all(column.points >= 0 for column in schema.modelled.values())


def test_resolve_replaces_unknown_columns_and_keeps_their_order() -> None:
    resolved = MIXED.resolve(
        {"town": Category(values=("Oslo",), other=True), "pay": Decimal(min=0, max=9)}
    )
    assert [*resolved.columns] == [*MIXED.columns]
    assert [*resolved.modelled] == ["age", "pay", "town", "ill", "ward", "code"]
    assert resolved.columns["town"].origin == resolved.columns["pay"].origin == "released"
    assert resolved.columns["age"].origin == "declared"
    assert [*resolved.unknowns()] == ["born", "seen"]
    assert Schema.parse(resolved.to_yaml()) == resolved


@pytest.mark.parametrize(
    ("name", "column"),
    [
        ("age", Integer(min=0, max=9)),
        ("nobody", Integer(min=0, max=9)),
        ("pay", Integer(min=0, max=9)),
        ("town", OpenCategory()),
    ],
)
def test_resolve_takes_only_what_was_unknown(name: str, column: Integer) -> None:
    with pytest.raises(SchemaError, match=f"column '{name}' has no unknown domain"):
        MIXED.resolve({name: column})


def test_what_is_not_supported_yet() -> None:
    MIXED.require_supported()
    people = Schema(
        name="x",
        unit=PrivacyUnit(kind="id", id_column="who"),
        columns={"who": Identifier(), "ill": Boolean()},
    )
    with pytest.raises(SchemaError, match="bounding the rows of a person comes later") as caught:
        people.require_supported()
    assert "only if it is true" in caught.value.remedy
    with pytest.raises(SchemaError, match="no column can be modelled"):
        Schema(name="x", columns={"who": Identifier(), "note": Text()}).require_supported()
    Schema(name="x", columns={"town": OpenCategory()}).require_supported()


def test_a_schema_is_frozen_and_compared_by_value() -> None:
    with pytest.raises(ValueError, match="frozen"):
        MIXED.name = "other"  # type: ignore[misc]
    assert Schema.model_validate(MIXED.model_dump()) == MIXED
    assert Schema.model_validate(MIXED) is MIXED


def test_the_reference_is_up_to_date() -> None:
    expected = json.dumps(Schema.json_schema(), indent=2) + "\n"
    assert REFERENCE.read_text(encoding="utf-8") == expected, (
        "write it anew: python -c 'import json; from tronie.schema.schema import Schema; "
        f"print(json.dumps(Schema.json_schema(), indent=2))' > {REFERENCE.relative_to(ROOT)}"
    )


def test_the_reference_names_all_kinds() -> None:
    reference = Schema.json_schema()
    kinds = reference["properties"]["columns"]["additionalProperties"]["discriminator"]["mapping"]
    assert {"category", "open_category", "integer", "identifier"} <= set(kinds)
    assert reference["additionalProperties"] is False
