"""The memorisation ladder."""

from __future__ import annotations

import datetime as dt
import math
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

import tronie
from tronie.audit.bounds import Claim
from tronie.audit.ladder import RUNGS, ladder
from tronie.audit.secrets import draw_secrets
from tronie.errors import InputError
from tronie.schema.schema import Schema
from tronie.tables.matching import comparable, row_keys

ROWS = 3000
SMALL = {1: 200, 2: 60, 16: 16}


@pytest.fixture(scope="module")
def rides() -> pa.Table:
    rng = np.random.default_rng(0)
    return pa.table(
        {
            "hour": rng.integers(0, 24, ROWS),
            "lat": np.round(rng.normal(52, 0.1, ROWS), 5),
            "lon": np.round(rng.normal(4, 0.1, ROWS), 5),
            "town": rng.choice(["Delft", "Gouda", "Lisse"], ROWS),
            "day": [
                dt.date(2020, 1, 1) + dt.timedelta(days=int(d)) for d in rng.integers(0, 99, ROWS)
            ],
        }
    )


@pytest.fixture(scope="module")
def schema() -> Schema:
    degrees = {"kind": "decimal", "resolution": 0.00001}
    return Schema.model_validate(
        {
            "name": "rides",
            "columns": {
                "hour": {"kind": "integer", "min": 0, "max": 23},
                "lat": {**degrees, "min": 50, "max": 54},
                "lon": {**degrees, "min": 3, "max": 8},
                "town": {"kind": "category", "values": ["Delft", "Gouda", "Lisse"]},
                "day": {"kind": "date", "min": "2020-01-01", "max": "2020-12-31"},
            },
        }
    )


PLACE = ["lat", "lon"]


@pytest.mark.parametrize("epsilon", [1.0, None])
def test_a_copy_remembers_from_the_first_rung_on(
    rides: pa.Table, schema: Schema, epsilon: float | None
) -> None:
    for facts in (None, schema):
        found = ladder(
            lambda rows: rows, rides, schema=facts, columns=PLACE, epsilon=epsilon, seed=1
        )
        assert found.verdict == "violation"
        assert found.lower > 2.5
        assert [rung["rate"] for rung in found.details["rungs"]] == [1.0] * len(RUNGS)
        assert found.details["control"]["replayed"] == 0
        assert found.details["first_rung_epsilon"] > found.lower
        assert found.runs == sum(RUNGS.values())
        rungs = found.details["rungs"]
        inserted = sum(rung["copies"] * rung["inserted"] for rung in rungs)
        assert found.details["inserted_rows"] == inserted
        assert all(rung["inserted"] + rung["controls"] == RUNGS[rung["copies"]] for rung in rungs)


def test_our_release_does_not(rides: pa.Table, schema: Schema) -> None:
    def ours(rows: pa.Table) -> Any:
        return tronie.fit(rows, schema, epsilon=1.0).sample(seed=1)

    found = ladder(ours, rides, schema=schema, columns=PLACE, epsilon=1.0, claim="gaussian", seed=1)
    assert found.verdict == "consistent"
    assert found.lower == 0.0
    assert 0.5 <= found.power < 1.0
    allowed = [rung["allowed"] for rung in found.details["rungs"]]
    assert allowed == sorted(allowed)
    assert allowed[0] < 0.03
    assert allowed[-1] > 0.99
    assert "No rung shows" in found.finding


def test_what_copies_only_what_it_saw_often_is_caught_there(rides: pa.Table) -> None:
    """Values that k rows share come out, as in a histogram with a threshold and no noise."""

    def thresholded(rows: pa.Table) -> pa.Table:
        (keys,) = row_keys(comparable([rows], columns=PLACE).tables)
        return rows.take(pa.array(np.flatnonzero(np.bincount(keys)[keys] >= 2)))

    found = ladder(thresholded, rides, columns=PLACE, rungs=SMALL, epsilon=0.5, seed=1)
    once, twice, often = found.details["rungs"]
    assert once["rate"] == 0.0
    assert once["lower"] == 0.0
    assert twice["rate"] == often["rate"] == 1.0
    assert found.lower == twice["lower"] > 0.5
    assert twice["low"] > twice["allowed"]
    assert found.verdict == "violation"


def released(epsilon: float) -> Any:
    """Rows in the output as likely as randomised response allows, for each row on its own."""

    def run(rows: pa.Table) -> pa.Table:
        rng = np.random.default_rng(rows.num_rows)
        seen = rng.random(rows.num_rows) < 1 - math.exp(-epsilon) / 2
        absent = pa.table({name: rng.permutation(rows[name].to_numpy()) for name in PLACE})
        return pa.concat_tables([rows.take(pa.array(np.flatnonzero(seen))).select(PLACE), absent])

    return run


def test_rates_have_their_intervals(rides: pa.Table) -> None:
    found = ladder(released(0.1), rides, columns=PLACE, rungs={1: 400}, seed=2)
    (rung,) = found.details["rungs"]
    assert rung["low"] < 1 - math.exp(-0.1) / 2 < rung["high"]
    assert rung["low"] < rung["rate"] < rung["high"]
    assert rung["high"] - rung["low"] < 0.2


def test_whole_rows_are_secrets_by_default(rides: pa.Table) -> None:
    seen: list[pa.Table] = []

    def run(rows: pa.Table) -> pa.Table:
        seen.append(rows)
        return rides

    found = ladder(run, rides, rungs=SMALL, seed=3)
    assert found.details["columns"] == rides.column_names
    assert seen[0].schema == rides.schema
    assert seen[0].num_rows == ROWS + found.details["inserted_rows"]
    assert found.verdict == "consistent"
    assert found.details["control"]["replayed"] == 0


def test_coins_and_secrets_are_repeatable(rides: pa.Table) -> None:
    one, two, three = (
        ladder(lambda rows: rows, rides, columns=PLACE, rungs=SMALL, seed=seed)
        for seed in (1, 1, 2)
    )
    assert one == two
    assert one != three


def test_a_gaussian_claim_is_held_to_more(rides: pa.Table) -> None:
    """Eight rows together: a release at the edge of what (epsilon, delta) alone would allow."""
    bounds: dict[Claim, list[float]] = {
        claim: [
            rung["allowed"]
            for rung in ladder(
                lambda rows: rides, rides, columns=PLACE, epsilon=1.0, claim=claim, seed=1
            ).details["rungs"]
        ]
        for claim in ("any", "gaussian")
    }
    assert all(a <= b for a, b in zip(bounds["gaussian"], bounds["any"], strict=True))
    assert bounds["gaussian"][3] < 0.25 < bounds["any"][3]


def test_no_rung_is_refused(rides: pa.Table) -> None:
    for rungs in ({}, {0: 5}):
        with pytest.raises(InputError, match="no rung"):
            ladder(lambda rows: rows, rides, rungs=rungs)


# --- secrets -----------------------------------------------------------------------------------------


def test_secrets_are_new_distinct_and_of_the_tables_types(rides: pa.Table, schema: Schema) -> None:
    for facts in (None, schema):
        for columns in (None, PLACE, ["hour", "lat", "day"]):
            drawn = draw_secrets(rides, 200, np.random.default_rng(1), facts, columns)
            assert drawn.num_rows == 200
            names = columns or rides.column_names
            assert drawn.schema == pa.schema([rides.schema.field(name) for name in names])
            known, keys = row_keys(comparable([rides, drawn], facts, names).tables)
            assert len(np.unique(keys)) == 200
            assert not np.isin(keys, known).any()


def test_numbers_have_as_many_digits_as_those_of_the_table(rides: pa.Table) -> None:
    drawn = draw_secrets(rides, 50, np.random.default_rng(1), None, ["lat"])["lat"].to_numpy()
    assert (np.round(drawn, 5) == drawn).all()
    assert (np.round(drawn, 4) != drawn).any()
    fine = pa.table({"x": np.random.default_rng(0).random(100)})
    many = draw_secrets(fine, 50, np.random.default_rng(1), None, None)["x"].to_numpy()
    assert (np.round(many, 6) == many).all()


def test_dictionaries_and_texts_are_drawn_from_their_values() -> None:
    rng = np.random.default_rng(0)
    table = pa.table(
        {
            "a": pa.array(rng.choice(list("xyz"), 6).tolist()).dictionary_encode(),
            "b": rng.choice(list("pqrs"), 6),
        }
    )
    drawn = draw_secrets(table, 4, rng, None, None)
    assert drawn.schema == table.schema
    assert set(drawn["a"].to_pylist()) <= set("xyz")


def test_too_few_combinations_are_refused(rides: pa.Table) -> None:
    with pytest.raises(InputError, match="too few values for 5 secrets"):
        draw_secrets(rides, 5, np.random.default_rng(0), None, ["town"])


def test_secrets_may_be_drawn_in_another_way(rides: pa.Table) -> None:
    def north(count: int, rng: np.random.Generator) -> pa.Table:
        return pa.table({"lon": rng.uniform(4, 5, count), "lat": rng.uniform(80, 90, count)})

    found = ladder(lambda rows: rows, rides, columns=PLACE, rungs=SMALL, secrets=north, seed=1)
    assert found.verdict == "violation"
    drawn = draw_secrets(rides, 20, np.random.default_rng(1), None, PLACE, north)
    assert min(drawn["lat"].to_pylist()) > 79
