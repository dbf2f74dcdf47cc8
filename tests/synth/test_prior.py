"""Public rows help where they are near the truth, and do no harm where they are not."""

from __future__ import annotations

import itertools

import numpy as np
import pyarrow as pa
import pytest
from synth_tables import curator_of, schema_of

from tronie.errors import InputError
from tronie.measure.records import Records
from tronie.privacy.accounting import total_mu
from tronie.privacy.budget import Budget
from tronie.schema.schema import Schema
from tronie.synth.gibbs import Gibbs
from tronie.synth.glaze import Glaze
from tronie.synth.method import Synthesizer
from tronie.synth.mst import Mst
from tronie.synth.settings import DEFAULTS, Settings
from tronie.tables.sources import open_source

ROWS, SIZE = 4000, 6
NAMES = tuple("abcdef")


def people(seed: int, *, permuted: bool = False) -> pa.Table:
    """A chain of columns, each near the one before; or the same, each column on its own."""
    rng = np.random.default_rng(seed)
    columns = {"a": rng.integers(0, SIZE, ROWS)}
    for before, name in itertools.pairwise(NAMES):
        step = rng.choice(3, ROWS, p=[0.6, 0.3, 0.1])
        columns[name] = (columns[before] + step) % SIZE
    if permuted:
        columns = {name: rng.permutation(values) for name, values in columns.items()}
    return pa.table(columns)


SCHEMA: Schema = schema_of(
    {n: {"kind": "category", "values": list(range(SIZE)), "nullable": False} for n in NAMES}
)


def error(method: Synthesizer, prior: pa.Table | None, epsilon: float) -> float:
    """Mean total variation over all pairs, mean over three seeds of the noise."""
    table, budget = people(0), Budget(epsilon, 1e-6)
    settings = DEFAULTS
    if prior is not None:
        settings = Settings(prior=Records(open_source(prior), SCHEMA))
    errors: list[float] = []
    for seed in range(3):
        curator, meter = curator_of(table, SCHEMA, budget, seed=seed)
        fitted = method.fit(curator, SCHEMA, method.plan(SCHEMA, budget, settings))
        assert total_mu(meter.events) <= budget.mu
        for pair in itertools.combinations(NAMES, 2):
            groups = [fitted.prepared.codings[c].groups[table[c].to_numpy()] for c in pair]
            model = fitted.model.marginal(pair).values / fitted.model.total
            truth = np.zeros(model.shape)
            np.add.at(truth, tuple(groups), 1 / ROWS)
            errors.append(float(np.abs(model - truth).sum() / 2))
    return float(np.mean(errors))


with_prior = pytest.mark.parametrize("method", [Glaze(), Gibbs()], ids=lambda method: method.name)


@with_prior
def test_rows_of_the_same_kind_help_most_where_noise_is_large(method: Synthesizer) -> None:
    assert error(method, people(1), 0.3) < 0.8 * error(method, None, 0.3)


@with_prior
@pytest.mark.parametrize("epsilon", [0.3, 3.0])
def test_rows_of_another_kind_do_little_harm(method: Synthesizer, epsilon: float) -> None:
    """At most a fifth more error, though all that they say of pairs is wrong."""
    assert error(method, people(1, permuted=True), epsilon) < 1.2 * error(method, None, epsilon)


def test_a_plan_shows_the_step_only_with_a_prior() -> None:
    settings = Settings(prior=Records(open_source(people(1)), SCHEMA))
    plan = Glaze().plan(SCHEMA, Budget(1.0), settings)
    assert "prior" in [step.name for step in plan.steps]
    assert sum(step.share for step in plan.steps) == pytest.approx(1)
    assert plan.to_dict()["settings"]["prior"] is True
    assert "prior" not in [step.name for step in Glaze().plan(SCHEMA, Budget(1.0)).steps]


def test_a_method_that_has_no_use_for_it_says_so() -> None:
    settings = Settings(prior=Records(open_source(people(1)), SCHEMA))
    with pytest.raises(InputError, match="mst makes no use of a prior"):
        Mst().plan(SCHEMA, Budget(1.0), settings)


def test_columns_of_a_single_code_are_left_alone() -> None:
    table = people(0).append_column("g", pa.array([0] * ROWS)).select(["a", "g"])
    schema = schema_of(
        {
            "a": {"kind": "category", "values": [*range(SIZE)], "nullable": False},
            "g": {"kind": "category", "values": [0], "nullable": False},
        }
    )
    settings = Settings(prior=Records(open_source(table), schema))
    budget = Budget(1.0, 1e-6)
    curator, meter = curator_of(table, schema, budget)
    fitted = Glaze().fit(curator, schema, Glaze().plan(schema, budget, settings))
    assert fitted.model.domain.columns == ("a", "g")
    assert total_mu(meter.events) <= budget.mu
