"""Membership inference on the output."""

from __future__ import annotations

import itertools
import time

import numpy as np
import pyarrow as pa
import pytest

import tronie
from tronie.audit.membership import density, focal_points, selection_weights
from tronie.audit.replay import split
from tronie.errors import InputError
from tronie.measure.noise import InsecureNoise
from tronie.release.model import Model
from tronie.schema.schema import Schema

ROWS = 4000
COLUMNS = [f"c{i}" for i in range(6)]


def population(rows: int, seed: int) -> pa.Table:
    """Columns that depend on one another, some ordered and some not."""
    rng = np.random.default_rng(seed)
    hidden = rng.normal(size=rows)
    columns = {}
    for place, name in enumerate(COLUMNS):
        values = np.clip(np.rint(3 * (hidden + rng.normal(size=rows)) + 10), 0, 19).astype(int)
        columns[name] = values if place < 4 else np.array(list("abcdefghijklmnopqrst"))[values]
    return pa.table(columns)


SCHEMA = Schema.model_validate(
    {
        "name": "people",
        "columns": {
            name: {"kind": "integer", "min": 0, "max": 19}
            if place < 4
            else {"kind": "category", "values": list("abcdefghijklmnopqrst")}
            for place, name in enumerate(COLUMNS)
        },
    }
)


@pytest.fixture(scope="module")
def groups() -> tuple[pa.Table, pa.Table]:
    return split(population(ROWS, 0), seed=1)


def overfitted(rows: pa.Table) -> pa.Table:
    """Real rows drawn with replacement, one cell in eight taken from another row."""
    rng = np.random.default_rng(2)
    drawn = rng.integers(0, rows.num_rows, rows.num_rows)
    moved = {
        name: np.where(
            rng.random(rows.num_rows) < 1 / 8, rng.integers(0, rows.num_rows, rows.num_rows), drawn
        )
        for name in rows.column_names
    }
    return pa.table({name: rows[name].take(pa.array(at)) for name, at in moved.items()})


def exact_model(rows: pa.Table) -> Model:
    """A marginal model with next to no noise."""
    return tronie.fit(rows, SCHEMA, epsilon=1e5, delta=1e-5, method="mst", noise=InsecureNoise(0))


@pytest.mark.parametrize("schema", [None, SCHEMA], ids=["values", "lattice"])
def test_a_copy_is_told_by_its_density(
    groups: tuple[pa.Table, pa.Table], schema: Schema | None
) -> None:
    members, control = groups
    begun = time.process_time()
    found = density(members, members, control, schema=schema, epsilon=1.0)
    assert time.process_time() - begun < 5
    assert found.verdict == "violation"
    assert found.lower > 3.5
    assert found.details["auc"] > 0.95
    assert [rate["tpr"] for rate in found.details["rates"]] > [0.85, 0.85]


def test_so_is_an_overfitted_generator(groups: tuple[pa.Table, pa.Table]) -> None:
    members, control = groups
    found = density(overfitted(members), members, control, epsilon=1.0)
    assert found.verdict == "violation"
    assert found.details["auc"] > 0.65
    rate = found.details["rates"][1]
    assert rate["low"] > 0.2 > rate["allowed"] * 2


def test_other_people_are_not(groups: tuple[pa.Table, pa.Table]) -> None:
    members, control = groups
    output = population(members.num_rows, 7)
    for attack in (density, focal_points):
        for epsilon in (1.0, None):
            found = attack(output, members, control, epsilon=epsilon)
            assert found.verdict == "consistent"
            assert found.lower < 0.2
            assert 0.46 < found.details["auc"] < 0.54
            assert found.details["rates"][1]["low"] < 0.01 + 0.02


def test_focal_points_find_members_of_a_model_with_little_noise(
    groups: tuple[pa.Table, pa.Table],
) -> None:
    members, control = groups
    model = exact_model(members)
    output = model.sample(20_000, seed=1)
    known = focal_points(output, members, control, model=model, epsilon=0.1)
    assert known.verdict == "violation"
    assert known.details["marginals"] == len(COLUMNS) - 1
    weights = selection_weights([model])
    guessed = focal_points(output, members, control, schema=SCHEMA, weights=weights, epsilon=0.1)
    blind = focal_points(output, members, control, columns=COLUMNS[:3], epsilon=0.1)
    assert blind.details["marginals"] == 3
    assert guessed.verdict == "violation"
    assert known.details["auc"] > guessed.details["auc"] > blind.details["auc"] > 0.5
    assert known.details["auc"] > density(output, members, control).details["auc"]


def test_noise_hides_them(groups: tuple[pa.Table, pa.Table]) -> None:
    members, control = groups
    model = tronie.fit(members, SCHEMA, epsilon=1.0, method="mst", noise=InsecureNoise(0))
    found = focal_points(
        model.sample(seed=1), members, control, model=model, epsilon=1.0, claim="gaussian"
    )
    assert found.verdict == "consistent"
    assert found.details["auc"] < 0.56
    for rate in found.details["rates"]:
        assert rate["low"] < rate["allowed"]
        assert rate["fpr"] < rate["allowed"] < 2.8 * rate["fpr"]


def test_weights_are_how_often_sets_were_measured(groups: tuple[pa.Table, pa.Table]) -> None:
    models = [exact_model(rows) for rows in groups]
    weights = selection_weights(models)
    assert set(weights.values()) <= {0.5, 1.0}
    assert sum(weights.values()) == pytest.approx(len(COLUMNS) - 1)
    assert set(weights) <= set(itertools.combinations(COLUMNS, 2))


def test_fewer_units_may_be_attacked(groups: tuple[pa.Table, pa.Table]) -> None:
    members, control = groups
    found = density(members, members, control, targets=500)
    assert found.runs == found.details["attacked"] == 500
    assert found == density(members, members, control, targets=500)
    assert found != density(members, members, control, targets=500, seed=1)
    assert found.verdict == "violation"


def test_a_correct_claim_is_rarely_contradicted() -> None:
    """60 tables of other people's rows: at 95 % confidence, more than 9 alarms have probability 0.1 %."""
    alarms = 0
    for seed in range(60):
        members, control = split(population(300, seed), seed=seed)
        output = population(150, 1000 + seed)
        alarms += focal_points(output, members, control).verdict == "violation"
    assert alarms <= 9


def test_small_and_odd_tables() -> None:
    rows = population(40, 3)
    members, control = rows.slice(0, 39), rows.slice(39)
    found = density(members, members, control)
    assert 0.0 <= found.details["auc"] <= 1.0
    alone = density(rows, rows, rows.slice(0, 1), targets=1)
    assert alone.runs == 1
    constant = pa.table({"a": [1] * 50, "b": ["x"] * 50})
    assert density(constant, constant, constant).details["auc"] == 0.5


def test_what_cannot_be_attacked_is_refused(groups: tuple[pa.Table, pa.Table]) -> None:
    members, control = groups
    for attack in (density, focal_points):
        with pytest.raises(InputError, match="no rows"):
            attack(members.slice(0, 0), members, control)
    with pytest.raises(InputError, match="no marginal over two columns"):
        focal_points(members, members, control, columns=["c0"])
    with pytest.raises(InputError, match="no marginal over odd"):
        focal_points(members, members, control, weights={("c0", "odd"): 1.0})
