"""NIST's score and the equivalent sub-sample."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from tronie.evaluate.distances import DistanceReference, compared
from tronie.evaluate.kmarginal import SHARES, KMarginal, Subsamples, _deviations, kmarginal
from tronie.evaluate.tables import Tables, read_tables
from tronie.schema.schema import Schema

COLUMN: dict[str, Any] = {"kind": "category", "values": list(range(12)), "nullable": False}


def made(rows: int, seed: int, columns: int = 4) -> pa.Table:
    rng = np.random.default_rng(seed)
    skewed = np.minimum(rng.geometric(0.3, (columns, rows)) - 1, 11)
    return pa.table({f"c{n}": values for n, values in enumerate(skewed)})


def tables_of(real: pa.Table, synthetic: pa.Table) -> tuple[Tables, DistanceReference, Subsamples]:
    columns = dict.fromkeys(real.column_names, COLUMN)
    schema = Schema.model_validate({"name": "k", "columns": columns})
    tables = read_tables(real, {"it": synthetic}, schema)
    reference = DistanceReference.of(tables)
    return tables, reference, Subsamples.of(reference, tables.real.rows)


def score(real: pa.Table, synthetic: pa.Table) -> KMarginal:
    tables, reference, subsamples = tables_of(real, synthetic)
    return kmarginal(compared(tables, tables.synthetic["it"], reference), subsamples)


def test_scores_of_sub_samples_are_the_mean_of_simulated_ones() -> None:
    """Means over 40 sub-samples, within 5 standard errors."""
    real = made(5000, 0)
    tables, reference, subsamples = tables_of(real, real)
    rng = np.random.default_rng(1)
    for share in (0.002, 0.01, 0.1, 0.5, 0.9):
        scores: list[float] = []
        for _ in range(40):
            drawn = tables.real.take(rng.choice(5000, int(share * 5000), replace=False))
            found = compared(tables, drawn, reference)
            scores.append(1000 * (1 - np.mean([pair.distance for pair in found.pairs])))
        error = np.std(scores) / np.sqrt(40)
        assert subsamples.score(share) == pytest.approx(np.mean(scores), abs=5 * error + 0.2)


def test_deviations_are_those_of_binomial_variables() -> None:
    rng = np.random.default_rng(2)
    for share in (0.05, 0.5, 0.97):
        exact = _deviations(share)
        for n in (1, 2, 7, 60, 400):
            drawn = np.abs(rng.binomial(n, share, 200_000) - n * share)
            error = drawn.std() / np.sqrt(200_000)
            assert exact[n] == pytest.approx(drawn.mean(), abs=5 * error)
        assert exact[0] == 0.0


def test_a_sub_sample_finds_its_own_size() -> None:
    real = made(20_000, 3)
    for share in (0.05, 0.3):
        found = score(real, real.slice(0, int(share * 20_000)))
        assert found.subsample == pytest.approx(share, rel=0.3)


def test_other_rows_of_the_population_score_like_a_third() -> None:
    """Two samples of n rows differ like a sub-sample of n / 3 from n rows: 2 / n = (3 - 1) / n."""
    assert score(made(20_000, 4), made(20_000, 5)).subsample == pytest.approx(1 / 3, rel=0.3)


def test_the_ends_of_the_scale() -> None:
    real = made(500, 6)
    same = score(real, real)
    assert same.score == 1000.0
    assert same.subsample == pytest.approx(1.0)
    assert [share for share, _ in same.curve] == list(SHARES)
    scores = [value for _, value in same.curve]
    assert scores == sorted(scores)
    assert 0 < scores[0] < scores[-1] < 1000
    apart = pa.table({name: [11] * 500 for name in real.column_names})
    assert score(made(500, 7), apart).subsample == 0.0


def test_one_column_is_scored_by_itself() -> None:
    real = made(4000, 8, columns=1)
    found = score(real, made(4000, 9, columns=1))
    assert 950 < found.score < 1000
    assert 0.05 < found.subsample < 1.0


def test_the_whole_table_is_no_sub_sample() -> None:
    real = made(50, 10)
    assert tables_of(real, real)[2].score(1.0) == 1000.0
