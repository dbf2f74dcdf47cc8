"""Public tables that private ones are compared with, and what is estimated from the distances."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scored_tables import SCHEMA, table
from synth_tables import schema_of

from tronie.errors import InputError, SchemaMismatch
from tronie.evaluate.distances import distributions
from tronie.evaluate.headline import LEAST_SPAN, means_of
from tronie.evaluate.references import BASELINE, GUESS, OWN, SCALE, Group, Subject
from tronie.evaluate.tables import read_tables
from tronie.measure.records import Records
from tronie.tables.sources import open_source

counts = st.lists(st.integers(0, 40), min_size=5, max_size=5).map(np.array)


def only(real: np.ndarray, group: Group, rows: float) -> float:
    """The total variation of a single table, without noise."""
    distances = group.query(rows, 1.0).exact({("a",): real})
    return group.variations(distances, rows)["a",]


def variation(real: np.ndarray, synthetic: np.ndarray, rows: int) -> float:
    """Total variation, synthetic rows outside the domain included."""
    outside = 1 - synthetic.sum() / rows
    return float(np.abs(real / real.sum() - synthetic / rows).sum() + outside) / 2


@given(counts.filter(np.any), counts.filter(np.any), st.integers(0, 30), st.integers(1, 9))
def test_the_true_number_of_rows_gives_the_total_variation(
    real: np.ndarray, synthetic: np.ndarray, outside: int, times: int
) -> None:
    """Tables of any sizes, codes outside the domain included: a distance is off by a row at most."""
    rows = int(synthetic.sum()) + outside
    group = Group({("a",): np.append(synthetic, outside)}, rows, {"a": 5})
    n = times * int(real.sum())
    gap = only(times * real, group, n) - variation(real, synthetic, rows)
    assert -(1 + 5 / SCALE) / (2 * n) <= gap <= 5 / (2 * n * SCALE) + 1e-12


@given(counts.filter(np.any), counts.filter(np.any), st.integers(-60, 60))
def test_a_wrong_number_of_rows_moves_it_by_half_its_error(
    real: np.ndarray, synthetic: np.ndarray, off: int
) -> None:
    rows = int(synthetic.sum())
    group = Group({("a",): synthetic}, rows, {"a": 5})
    n = 50 * int(real.sum())
    said = max(n + off, 1)
    gap = only(50 * real, group, said) - variation(real, synthetic, rows)
    assert abs(gap) <= (abs(said - n) + 1 + 5 / SCALE) / (2 * said) + 1e-12


@pytest.mark.parametrize("towns", ["abc", "abz"])
def test_the_means_are_those_of_the_internal_report(towns: str) -> None:
    """From exact distances of all groups, with and without values outside the domain."""
    real, synthetic = table(900, 0), table(1300, 1, towns)
    tables = read_tables(real, {"s": synthetic}, SCHEMA)
    expected = means_of(distributions(tables, "s"))
    subject = Subject.read(synthetic, SCHEMA)
    records = Records(open_source(real), SCHEMA)
    assert subject.parts == tuple(expected) == ("columns", "pairs", "triples")
    for (part, which), group in subject.groups.items():
        query = group.query(900, 1.0)
        distances = query.exact(records.count(query.cliques, subject.codings))
        found = np.mean(list(group.variations(distances, 900).values()))
        order = expected[part]
        wanted = order.distance if which == OWN else order.baseline
        assert found == pytest.approx(wanted, abs=1 / 1800)
        assert subject.expected(part, 900) == pytest.approx(order.expected)


def test_a_guess_has_the_points_that_it_is_made_for() -> None:
    for order in Subject.read(table(2000, 3), SCHEMA).guess(2000).values():
        assert order.points == pytest.approx(GUESS)
        assert order.ceiling - order.floor >= LEAST_SPAN


def test_one_column_has_one_part() -> None:
    subject = Subject.read(table(50, 0), schema_of({"age": SCHEMA.columns["age"].model_dump()}))
    assert subject.parts == ("columns",)
    assert set(subject.groups) == {("columns", OWN), ("columns", BASELINE)}


def test_rows_outside_the_domain_are_nobody() -> None:
    """A synthetic row with an impossible value equals no private row, also where that lacks the value."""
    real = pa.table({"town": ["a", None, "c"], "age": [1, 1, 1], "paid": [True, True, True]})
    synthetic = pa.table({"town": ["a", "zz", "b"], "age": [1, 1, 1], "paid": [True, True, True]})
    query = Subject.read(synthetic, SCHEMA).overlaps(1.0)
    assert query.listed == ("town", "paid")
    assert Records(open_source(real), SCHEMA).overlap(query).tolist() == [1, 2]


def test_a_synthetic_table_needs_rows_and_columns() -> None:
    with pytest.raises(InputError, match="no rows"):
        Subject.read(table(0, 0), SCHEMA)
    with pytest.raises(SchemaMismatch, match="lacks the column 'paid'"):
        Subject.read(table(10, 0).drop_columns(["paid"]), SCHEMA)
