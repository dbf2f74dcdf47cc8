"""What a prior may be, what it must be, and that the certificate says so."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import tronie
from tronie.errors import InputError
from tronie.measure.noise import InsecureNoise
from tronie.schema.schema import Schema


def fit(table: pa.Table, schema: Schema, **options: Any) -> tronie.Model:
    return tronie.fit(table, schema, epsilon=1.0, noise=InsecureNoise(1), **options)


def test_rows_files_and_models_are_priors(
    table: pa.Table, schema: Schema, model: tronie.Model, tmp_path: Path
) -> None:
    pq.write_table(table, tmp_path / "public.parquet")
    model.save(tmp_path / "earlier.tronie")
    priors = [table, tmp_path / "public.parquet", model, str(tmp_path / "earlier.tronie")]
    fits = [fit(table, schema, prior=prior) for prior in priors]
    assert fits[0].sample(50, seed=0).table.equals(fits[1].sample(50, seed=0).table)
    assert fits[2].sample(50, seed=0).table.equals(fits[3].sample(50, seed=0).table)
    for found in fits:
        facts = [(fact.item, fact.how) for fact in found.certificate.public]
        assert ("prior", "rows that the user says are public") in facts


def test_a_release_takes_a_prior(table: pa.Table, schema: Schema, tmp_path: Path) -> None:
    release = tronie.synthesize(
        table,
        schema,
        output=tmp_path / "out",
        epsilon=1.0,
        prior=table,
        noise=InsecureNoise(1),
    )
    assert release.model.plan["settings"]["prior"] is True


def test_a_prior_must_fit_before_anything_is_spent(
    table: pa.Table, schema: Schema, tmp_path: Path
) -> None:
    ledger = tronie.Ledger(tmp_path / "ledger.sqlite")
    place = table.column_names.index("town")
    other = table.set_column(place, "town", pa.array(["Rome"] * len(table)))
    priors = {"town": other, "age": table.drop_columns(["age"]), "absent": tmp_path / "absent.csv"}
    for what, prior in priors.items():
        with pytest.raises(InputError, match=what):
            fit(table, schema, prior=prior, ledger=ledger)
    assert ledger.entries() == ()


def test_a_prior_needs_declared_domains(table: pa.Table, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="declares all bounds"):
        tronie.fit(table, epsilon=1.0, name="x", discover=True, prior=table)
