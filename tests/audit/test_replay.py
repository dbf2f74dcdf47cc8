"""Replay with a control group."""

from __future__ import annotations

import time

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest

import tronie
from tronie.audit.replay import replay, split
from tronie.errors import InputError
from tronie.schema.schema import Schema

DATA = tronie.__path__[0] + "/data/"


@pytest.fixture(scope="module")
def adult() -> pa.Table:
    return pyarrow.parquet.read_table(DATA + "adult.parquet")


@pytest.fixture(scope="module")
def schema() -> Schema:
    return Schema.read(DATA + "adult.yaml")


@pytest.fixture(scope="module")
def groups(adult: pa.Table) -> tuple[pa.Table, pa.Table]:
    return split(adult, seed=1)


def shuffled(rows: pa.Table, seed: int = 0) -> pa.Table:
    """Each column on its own."""
    rng = np.random.default_rng(seed)
    order = {name: pa.array(rng.permutation(rows.num_rows)) for name in rows.column_names}
    return pa.table({name: rows[name].take(at) for name, at in order.items()})


def part_copied(rows: pa.Table, share: float) -> pa.Table:
    """Columns shuffled on their own, and some real rows in place of the last."""
    count = round(share * rows.num_rows)
    chosen = np.random.default_rng(1).choice(rows.num_rows, count, replace=False)
    return pa.concat_tables([shuffled(rows).slice(count), rows.take(pa.array(chosen))])


@pytest.mark.parametrize("epsilon", [1.0, 2.0, 4.0])
def test_a_copy_is_a_violation(groups: tuple[pa.Table, pa.Table], epsilon: float) -> None:
    members, control = groups
    begun = time.process_time()
    found = replay(members, members, control, epsilon=epsilon)
    assert time.process_time() - begun < 5
    assert found.verdict == "violation"
    assert found.lower > 8
    assert found.details["members"]["rate"] == 1.0
    assert found.details["control"]["replayed"] == 0


@pytest.mark.parametrize("epsilon", [1.0, 2.0, 4.0])
def test_so_is_a_copy_of_one_row_in_a_hundred(
    groups: tuple[pa.Table, pa.Table], schema: Schema, epsilon: float
) -> None:
    members, control = groups
    output = part_copied(members, 0.01)
    for facts in (None, schema):
        found = replay(output, members, control, schema=facts, epsilon=epsilon)
        assert found.verdict == "violation"
        assert 240 <= found.details["members"]["replayed"] <= 245


def test_also_where_chance_repeats_rows(groups: tuple[pa.Table, pa.Table], schema: Schema) -> None:
    members, control = groups
    columns = [name for name in members.column_names if name != "fnlwgt"]
    found = replay(
        part_copied(members, 0.01), members, control, columns=columns, schema=schema, epsilon=2.0
    )
    assert found.verdict == "violation"
    assert found.details["control"]["replayed"] > 0
    assert found.details["columns"] == columns


def test_shuffled_columns_and_other_people_are_none(groups: tuple[pa.Table, pa.Table]) -> None:
    members, control = groups
    columns = [name for name in members.column_names if name != "fnlwgt"]
    for output in (shuffled(members), control):
        for epsilon in (1.0, None):
            found = replay(output, members, control, columns=columns, epsilon=epsilon)
            assert found.verdict == "consistent"
            assert found.lower == 0.0
            assert "no sign" in found.finding


def test_nor_is_our_release(groups: tuple[pa.Table, pa.Table], schema: Schema) -> None:
    members, control = groups
    output = tronie.fit(members, schema, epsilon=1.0).sample(seed=1)
    columns = [name for name in members.column_names if name != "fnlwgt"]
    found = replay(output, members, control, schema=schema, columns=columns, epsilon=1.0)
    assert found.verdict == "consistent"
    assert found.lower < 0.5
    assert found.power > 0.9


def test_without_a_claim_any_repetition_contradicts(groups: tuple[pa.Table, pa.Table]) -> None:
    members, control = groups
    found = replay(part_copied(members, 0.01), members, control)
    assert found.verdict == "violation"
    assert found.epsilon is None
    assert "repeats its input" in found.finding


def test_groups_of_unlike_size(adult: pa.Table) -> None:
    members, control = split(adult.slice(0, 10_000), share=0.9, seed=2)
    assert 8_850 < members.num_rows < 9_150
    assert members.num_rows + control.num_rows == 10_000
    assert replay(members, members, control, epsilon=4.0).verdict == "violation"
    # All of both groups: nine of ten guesses are right by chance.
    found = replay(adult.slice(0, 10_000), members, control, epsilon=1.0)
    assert found.lower == 0.0
    assert found.details["members"]["rate"] == found.details["control"]["rate"] == 1.0


def test_rows_that_both_groups_have_are_no_evidence() -> None:
    rng = np.random.default_rng(3)
    binary = pa.table({f"b{i}": rng.integers(0, 2, 4000) for i in range(4)})
    members, control = split(binary, seed=1)
    found = replay(members, members, control, epsilon=1.0)
    assert found.runs == 0
    assert found.verdict == "inconclusive"


def test_a_correct_claim_is_rarely_contradicted() -> None:
    """100 tables of other people's rows: at 95 % confidence, more than 11 alarms have probability 0.4 %."""
    alarms = 0
    for seed in range(100):
        rng = np.random.default_rng(seed)
        people = pa.table({f"n{i}": rng.integers(0, 40, 900) for i in range(2)})
        output = pa.table({f"n{i}": rng.integers(0, 40, 900) for i in range(2)})
        members, control = split(people, seed=seed)
        alarms += replay(output, members, control).verdict == "violation"
    assert alarms <= 11


def test_what_cannot_be_audited_is_refused(adult: pa.Table) -> None:
    with pytest.raises(InputError, match="no rows"):
        replay(adult, adult, adult.slice(0, 0))
    with pytest.raises(InputError, match="the share is 1"):
        split(adult, share=1.0)
