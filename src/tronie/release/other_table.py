"""Another public table, read as codes: what a language model learns before it meets a private row."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tronie.errors import InputError
from tronie.measure.exact import ExactCurator, Unmetered
from tronie.measure.records import Records
from tronie.privacy.budget import NoPrivacy
from tronie.release.drafting import draft
from tronie.release.model import MODEL_SUFFIX, Model, present
from tronie.release.without_privacy import require_private
from tronie.schema.schema import Schema
from tronie.synth.independent import Independent
from tronie.synth.language_settings import LanguageSettings
from tronie.synth.prepare import prepare
from tronie.synth.settings import OtherTable
from tronie.tables.codec import check_types
from tronie.tables.sources import open_source

WHAT = "the other table"


def other_table(wishes: LanguageSettings, private: Any = None) -> OtherTable | None:
    """Rows of the other table that is named for the first stage, checked; None if none is named.

    They are public, so all is worked out exactly: bounds, values, and codes as fine as a private table of
    as many rows would have with very much budget.

    Args:
        wishes: Which table, and the schema of it if there is one.
        private: The private table, where one is given; it must not be the other one.

    Raises:
        InputError: If it cannot be read, does not fit its schema, holds nothing to learn, is the private
            table's file, or was made without privacy.
    """
    if wishes.other is None:
        return None
    place = Path(wishes.other)
    if isinstance(private, str | Path) and _is_same(place, Path(private)):
        raise InputError(
            "the other table is the private one.", "Name a table that everybody may see."
        )
    model = Model.load(place) if place.suffix == MODEL_SUFFIX else None
    require_private(wishes.other if model is None else model, WHAT)
    try:
        return _read(model or wishes.other, _schema(wishes, model))
    except InputError as error:
        raise InputError(f"{WHAT}: {error.what}", error.remedy) from None


def _is_same(one: Path, two: Path) -> bool:
    return one.exists() and two.exists() and one.samefile(two)


def _schema(wishes: LanguageSettings, model: Model | None) -> Schema:
    """What its columns are: as declared, as a model says, or with the values and bounds that they have."""
    if wishes.other_schema is not None:
        return Schema.read(wishes.other_schema)
    if model is not None:
        return model.schema
    return draft(wishes.other, public=wishes.other)


def _read(source: Any, schema: Schema) -> OtherTable:
    """Codes of all rows."""
    table = open_source(source.sample(seed=0) if isinstance(source, Model) else source)
    schema = present(schema, table.schema.names)
    schema.require_supported()
    check_types(schema, table.schema)
    records = Records(table, schema)
    curator = ExactCurator(records, Unmetered())
    found = prepare(curator, schema, Independent().plan(schema, NoPrivacy()))
    codes = records.under(found.schema).codes(list(found.codings), found.codings)
    if not len(codes) or not any(coding.size > 1 for coding in found.codings.values()):
        raise InputError(
            "there is nothing to learn: it has no rows, or one value in each column.",
            "Name another table.",
        )
    return OtherTable(found.schema, found.codings, codes)
