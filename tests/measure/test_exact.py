"""A curator without privacy answers exactly, and under no meter that could be certified."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from neighbours import CODINGS, LOOSE, records

from tronie.errors import BudgetError, Cancelled, DomainTooLarge, InputError, SchemaMismatch
from tronie.measure.comparisons import Overlaps
from tronie.measure.curator import Meter
from tronie.measure.descent import (
    ORDINARY_BATCH,
    ORDINARY_EPOCHS,
    ORDINARY_STEPS,
    Descent,
    default_descent,
    ordinary_descent,
)
from tronie.measure.discovery import Keys, Magnitudes
from tronie.measure.exact import ExactCurator, Unmetered
from tronie.measure.noise import InsecureNoise
from tronie.measure.queries import Marginal, Misfits, Selection, Total
from tronie.measure.records import Records
from tronie.privacy.accounting import fits
from tronie.privacy.budget import Budget, NoPrivacy
from tronie.privacy.events import MIN_SIGMA
from tronie.schema.columns import Integer
from tronie.schema.schema import Schema
from tronie.tables.sources import open_source

ROWS = [{"a": "xyz"[i % 3], "b": i % 10, "c": i % 2 == 0} for i in range(60)]


def curator(rows: list[dict[str, object]] = ROWS, seed: int = 0) -> ExactCurator:
    found = ExactCurator(records(rows), Unmetered(), noise=InsecureNoise(seed))
    found.recode(CODINGS)
    return found


def test_no_meter_that_charges() -> None:
    for meter in (Meter(LOOSE), Meter(NoPrivacy())):
        with pytest.raises(BudgetError, match="cannot be charged"):
            ExactCurator(records(ROWS), meter)


def test_nothing_is_recorded() -> None:
    meter = Unmetered()
    found = ExactCurator(records(ROWS), meter)
    found.recode(CODINGS)
    found.ask([Total(MIN_SIGMA)] * 100)
    assert meter.events == ()
    assert not found.budget.dp


def test_counts_are_exact() -> None:
    total, table = curator().ask([Total(MIN_SIGMA), Marginal(("a", "c"), MIN_SIGMA)])
    assert total == 60
    assert table[:3, :2].tolist() == [[10, 10], [10, 10], [10, 10]]
    assert table.sum() == 60


def test_distances_are_exact() -> None:
    (exact,) = curator().ask([Marginal(("a", "c"), MIN_SIGMA)])
    off = exact.copy()
    off[0, 0] += 7
    (distance,) = curator().ask([Misfits({("a", "c"): off}, MIN_SIGMA)])
    assert distance.tolist() == [7]


def test_the_farthest_candidate_is_chosen() -> None:
    (a, b) = curator().ask([Marginal(("a",), MIN_SIGMA), Marginal(("c",), MIN_SIGMA)])
    far = {("a",): a + 1, ("c",): b + 3}
    assert curator().select(Selection(far, 1e-9)) == ("c",)
    assert curator().select(Selection({("a",): a, ("c",): b}, 1e-9)) == ("a",)


def test_limits_of_memory_hold(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tronie.tables.counting.MAX_CELLS", 3)
    with pytest.raises(DomainTooLarge):
        curator().ask([Marginal(("a", "b"), MIN_SIGMA)])
    with pytest.raises(DomainTooLarge):
        curator().select(Selection({("a", "b"): np.zeros((5, 6), np.int64)}, 1e-9))


def test_every_value_is_named() -> None:
    schema = Schema.model_validate({"name": "x", "columns": {"word": {"kind": "open_category"}}})
    table = pa.table({"word": ["often"] * 9 + ["once", None]})
    found = ExactCurator(Records(open_source(table), schema), Unmetered())
    values, counts = found.keys(Keys("word", MIN_SIGMA, 0.1))
    assert (values, counts.tolist()) == (("often", "once"), [9, 1])


def test_bounds_are_sought_exactly() -> None:
    schema = Schema.model_validate({"name": "x", "columns": {"n": {"kind": "integer"}}})
    found = ExactCurator(Records(open_source(pa.table({"n": [0, 4, 5]})), schema), Unmetered())
    (histogram,) = found.explore([Magnitudes("n", Integer(), MIN_SIGMA)])
    assert histogram.sum() == 3
    assert histogram.max() == 1


def test_overlaps_are_exact() -> None:
    points = {"a": np.array([0, 1, 2]), "c": np.array([0, 0, 0])}
    met, strangers = curator().overlap(Overlaps(points, ("a",), MIN_SIGMA))
    assert (met, strangers) == (3, 0)


def test_rows_that_do_not_fit_are_refused() -> None:
    schema = Schema.model_validate(
        {
            "name": "x",
            "columns": {
                "a": {"kind": "integer", "min": 0, "max": 1, "outside": "error"},
                "b": {"kind": "open_category"},
            },
        }
    )
    rows = Records(open_source(pa.table({"a": [5], "b": ["x"]})), schema)
    with pytest.raises(SchemaMismatch):
        ExactCurator(rows, Unmetered()).keys(Keys("b", MIN_SIGMA, 0.1))


def test_an_ordinary_training_takes_many_steps() -> None:
    large, small = ordinary_descent(100_000), ordinary_descent(100)
    assert large.rate == pytest.approx(ORDINARY_BATCH / 100_000)
    assert large.steps == round(ORDINARY_EPOCHS / large.rate)
    assert (small.rate, small.steps) == (1.0, ORDINARY_STEPS)
    assert ordinary_descent(0).rate == 1.0
    assert ordinary_descent(100_000, effort=0.5).steps == round(0.5 * large.steps)
    wished = ordinary_descent(1000, epochs=2, batch_size=100, learning_rate=0.5)
    assert (wished.rate, wished.steps, wished.learning_rate) == (0.1, 20, 0.5)


def test_its_settings_overdraw_any_budget() -> None:
    one_step = replace(ordinary_descent(1000), rate=1.0, steps=1)
    assert not fits([one_step.event(())], Budget(10_000.0))
    with pytest.raises(BudgetError, match="ordinary_descent"):
        default_descent(NoPrivacy())


torch = pytest.importorskip("torch")


class Shares(torch.nn.Module):
    """A logit for each code of the first column; the loss is what the code costs."""

    def __init__(self) -> None:
        super().__init__()
        self.logits = torch.nn.Linear(1, 5, bias=False)
        self.logits.weight.data.zero_()

    def forward(self, codes: Any) -> Any:
        logits = self.logits(torch.ones(len(codes), 1))
        return torch.nn.functional.cross_entropy(logits, codes[:, 0], reduction="none")


def trained(
    descent: Descent, rows: list[dict[str, object]] = ROWS, **options: object
) -> np.ndarray:
    network = Shares()
    state = curator(rows).train(network, ["a"], descent, **options)
    assert state.receipt.events == ()
    assert state.next == descent.steps
    return network.logits.weight.detach().softmax(0)[:, 0].numpy()


SETTINGS = Descent(rate=1.0, steps=80, noise_multiplier=1e-3, max_grad_norm=1e-9, learning_rate=0.3)


def test_training_reaches_the_shares_of_the_rows() -> None:
    """A largest norm of 1e-9 would stop a private training at the start."""
    rows = [{"a": "x" if i < 45 else "y", "b": 0, "c": True} for i in range(60)]
    shares = trained(SETTINGS, rows)
    assert shares[:2] == pytest.approx([0.75, 0.25], abs=0.02)


def test_nothing_is_drawn_but_batches() -> None:
    assert np.array_equal(trained(SETTINGS), trained(SETTINGS))


def test_memory_changes_nothing() -> None:
    few = replace(SETTINGS, steps=5)
    apart = trained(replace(few, physical_batch=7))
    assert apart == pytest.approx(trained(few), rel=1e-4)


def test_an_empty_table_teaches_nothing() -> None:
    assert trained(SETTINGS, []) == pytest.approx(np.full(5, 0.2))


def test_steps_are_announced() -> None:
    steps: list[int] = []
    trained(Descent(rate=1.0, steps=3, noise_multiplier=1e-3), after_step=steps.append)
    assert steps == [0, 1, 2]


def test_training_can_be_stopped() -> None:
    def stop(stage: str) -> None:
        if "step 2" in stage:
            raise Cancelled("stop")

    found = ExactCurator(records(ROWS), Unmetered(), checkpoint=stop)
    found.recode(CODINGS)
    with pytest.raises(Cancelled):
        found.train(Shares(), ["a"], SETTINGS)


def test_training_cannot_be_resumed() -> None:
    state = curator().train(Shares(), ["a"], Descent(rate=1.0, steps=1, noise_multiplier=1.0))
    with pytest.raises(BudgetError, match="cannot be resumed"):
        curator().train(Shares(), ["a"], SETTINGS, state=state)
    with pytest.raises(BudgetError, match="cannot be resumed"):
        curator().train(Shares(), ["a"], SETTINGS, keep=lambda state: None)


def test_networks_are_checked_as_in_private_training() -> None:
    network = torch.nn.Sequential(torch.nn.Linear(1, 1), torch.nn.Dropout(0.5))
    with pytest.raises(InputError, match="drops out"):
        curator().train(network, ["a"], SETTINGS)
