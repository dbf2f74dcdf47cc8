"""The audit has teeth: bugs that broke other tools are planted, and each is flagged as a violation.

All games have fixed seeds. Without a bug a game is wrongly flagged with a probability below 5 %; with one,
bounds are so far above the claim that other seeds would do as well.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from scipy.stats import binom

from tronie.audit.games import Neighbours
from tronie.audit.mechanisms import mechanism_game
from tronie.audit.result import Audit
from tronie.audit.whitebox import method_game, play
from tronie.measure import curator as curator_module
from tronie.measure import discovery as discovery_module
from tronie.measure import noise as noise_module
from tronie.measure.curator import Curator, Meter
from tronie.measure.noise import InsecureNoise, Noise, discrete_gaussian
from tronie.models.histogram import Histogram, group_nominal
from tronie.privacy.events import Event
from tronie.schema.schema import Schema
from tronie.synth import prepare as prepare_module
from tronie.synth.plan import Plan

log = logging.getLogger(__name__)
"""Shown by ``pytest --log-cli-level INFO``."""

EPSILON, DELTA = 8.0, 1e-5
RUNS = 150


def play_here(
    method: str = "independent", runs: int = RUNS, pair: str | Neighbours = "ones"
) -> Audit:
    return play(method, EPSILON, DELTA, runs, pair=pair, noise=InsecureNoise(5))


def assert_caught(audit: Audit) -> None:
    log.info("%s: %s", audit.name, audit.finding)
    assert audit.verdict == "violation", audit.finding
    assert audit.confidence == 0.95
    assert audit.lower > EPSILON


@pytest.mark.parametrize(
    ("method", "pair"), [("independent", "ones"), ("mst", "ones"), ("independent", "unseen")]
)
def test_correct_code_is_not_flagged(method: str, pair: str) -> None:
    audit = play_here(method, pair=pair)
    assert audit.verdict == "consistent", audit.finding
    assert audit.lower < EPSILON


@pytest.mark.parametrize("method", ["independent", "mst"])
def test_half_the_noise(method: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def halved(sigma: float, size: int, noise: Noise) -> Any:
        return discrete_gaussian(sigma / 2, size, noise)

    monkeypatch.setattr(curator_module, "discrete_gaussian", halved)
    assert_caught(play_here(method, runs=250))


@pytest.mark.parametrize(("method", "runs"), [("independent", 500), ("direct", 200)])
def test_a_budget_that_is_not_split(
    method: str, runs: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Several marginals get the whole budget of their step each, and one of them is charged."""
    sigma, charge = Plan.sigma, Meter.charge

    def unsplit(plan: Plan, step: str, weight: float = 1.0, sensitivity: float = 1.0) -> float:
        return sigma(plan, step, 1.0, sensitivity)

    def forgetful(meter: Meter, events: Sequence[Event]) -> None:
        charge(meter, events[:1])

    monkeypatch.setattr(Plan, "sigma", unsplit)
    monkeypatch.setattr(Meter, "charge", forgetful)
    assert_caught(play_here(method, runs))


def test_noise_for_another_neighbouring_relation(monkeypatch: pytest.MonkeyPatch) -> None:
    """Replacing a row moves a histogram by the root of 2; so noise was divided by it, for one row alone."""
    sigma = Plan.sigma

    def shrunk(plan: Plan, step: str, weight: float = 1.0, sensitivity: float = 1.0) -> float:
        return sigma(plan, step, weight, sensitivity) / 2**0.5

    monkeypatch.setattr(Plan, "sigma", shrunk)
    monkeypatch.setattr(Meter, "charge", lambda meter, events: None)
    assert_caught(play_here(runs=700))


def test_a_number_of_rows_that_is_not_private(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a row is replaced, the number of rows is public; where one is added it is not."""
    blur = Curator._blur

    def exact_total(curator: Curator, exact: np.ndarray, sigma: float) -> np.ndarray:
        return exact if exact.shape == () else blur(curator, exact, sigma)

    monkeypatch.setattr(Curator, "_blur", exact_total)
    audit = play_here()
    assert_caught(audit)
    assert audit.details["less_noise_than_declared"] == ["total"]


def test_rows_of_a_unit_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    """Noise for one row, where a unit has three."""
    sigma = Plan.sigma

    def forgetful(plan: Plan, step: str, weight: float = 1.0, sensitivity: float = 1.0) -> float:
        return sigma(plan, step, weight, sensitivity) / plan.rows_per_unit

    monkeypatch.setattr(Plan, "sigma", forgetful)
    monkeypatch.setattr(Meter, "charge", lambda meter, events: None)
    assert_caught(play_here(pair="unit"))


def test_codes_from_raw_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Values are merged by the exact histogram; all answers are as they should be."""
    exact: list[np.ndarray] = []
    blur = Curator._blur

    def leak(curator: Curator, answer: np.ndarray, sigma: float) -> np.ndarray:
        exact.append(answer)
        return blur(curator, answer, sigma)

    def group_raw(histogram: Histogram, total: float, **options: Any) -> Any:
        same = [a for a in exact if a.shape == histogram.counts.shape]
        return group_nominal(Histogram.single(histogram.grid, same[-1], 1.0), total, **options)

    monkeypatch.setattr(Curator, "_blur", leak)
    monkeypatch.setattr(prepare_module, "group_nominal", group_raw)
    game = method_game("mst", EPSILON, DELTA, noise=InsecureNoise(5))
    assert game.leak() == "question"
    assert_caught(game.play(100))


def test_bounds_from_raw_values(monkeypatch: pytest.MonkeyPatch) -> None:
    """The smallest and the largest value are taken for the bounds."""

    def discover(curator: Curator, schema: Schema, plan: Plan) -> Schema:
        source = curator._records._source
        found = {}
        for name in schema.unknowns():
            values = [v for batch in source.batches([name]) for v in batch.column(0).to_pylist()]
            column = schema.columns[name]
            facts = {"min": min(values), "max": max(values)}
            found[name] = type(column).model_validate({**column.model_dump(), **facts})
        resolved = schema.resolve(found)
        curator.adopt(resolved)
        return resolved

    monkeypatch.setattr(prepare_module, "discover", discover)
    pair = Neighbours.of(
        "count", {"columns": {"count": {"kind": "integer"}}}, [{"count": 1}] * 10, [{"count": 99}]
    )
    assert_caught(play_here(runs=40, pair=pair))


def test_categories_from_raw_values(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every value is named, however rare."""
    monkeypatch.setattr(discovery_module, "gaussian_threshold", lambda sigma, delta, k: 1)
    assert_caught(play_here(runs=200, pair="unseen"))


def test_a_result_from_raw_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    """All questions are as they should be, but the number of rows of the model is the true one."""
    prepare = prepare_module.prepare

    def peek(curator: Curator, schema: Schema, plan: Plan) -> Any:
        prepared = prepare(curator, schema, plan)
        rows = curator._records.count([()], {})[()]
        return type(prepared)(
            prepared.schema, float(rows), prepared.codings, prepared.oneways, prepared.zeros
        )

    monkeypatch.setattr("tronie.synth.independent.prepare", peek)
    assert method_game("independent", EPSILON, DELTA, noise=InsecureNoise(5)).leak() == "result"
    assert_caught(play_here(runs=40))


@pytest.mark.parametrize("method", ["independent", "mst", "glaze"])
def test_the_same_noise_in_every_run(method: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(curator_module, "OperatingSystemNoise", lambda: InsecureNoise(0))
    assert_caught(play(method, EPSILON, DELTA, 60))


def test_a_monotone_factor_in_the_exponential_mechanism(monkeypatch: pytest.MonkeyPatch) -> None:
    """Weights exp(epsilon * score / k), as if all scores moved the same way: what `mwem` chooses by."""
    game = mechanism_game("selection", EPSILON, DELTA, noise=InsecureNoise(6))
    assert game.play(400).verdict == "consistent"
    honest = noise_module.exponential_weights

    def monotone(scores: np.ndarray, epsilon: float, sensitivity: int) -> list[int]:
        return honest(scores, 2 * epsilon, sensitivity)

    monkeypatch.setattr(noise_module, "exponential_weights", monotone)
    assert_caught(game.play(400))


def test_correct_code_is_flagged_no_more_often_than_stated() -> None:
    """60 audits of 40 runs a side; their scores are played in one go and divided."""
    audits, runs = 60, 40
    game = method_game("independent", 4.0, DELTA, noise=InsecureNoise(7))
    without, included = game.observe(audits * runs)
    some = [slice(start, start + runs) for start in range(0, audits * runs, runs)]
    verdicts = [game.judge(without.take(s), included.take(s)).verdict for s in some]
    flagged = verdicts.count("violation")
    log.info("%d of %d audits of correct code were flagged", flagged, audits)
    assert flagged <= binom.ppf(0.999, audits, 0.05)


def test_what_an_audit_says() -> None:
    audit = play_here(runs=30)
    assert audit.relation == "add/remove one unit"
    assert audit.runs == 60
    assert audit.details["less_noise_than_declared"] == []
    assert audit.to_dict()["details"]["neighbours"] == "ones"
