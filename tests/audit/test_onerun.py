"""One run with many canaries: tronie's own methods, and a small private logistic regression."""

from __future__ import annotations

import math

import numpy as np
import pyarrow as pa
import pytest
from scipy.stats import binom

from tronie.audit.bounds import Guesses, one_run_epsilon, one_run_gaussian_epsilon
from tronie.audit.onerun import coins, one_run, one_run_of
from tronie.audit.power import best_guesses, one_run_power
from tronie.audit.result import Audit
from tronie.errors import InputError
from tronie.measure import curator as curator_module
from tronie.measure.noise import InsecureNoise, Noise, discrete_gaussian
from tronie.privacy.budget import Budget
from tronie.privacy.gdp import gdp_mu
from tronie.schema.schema import Schema
from tronie.synth.learning import TRAIN
from tronie.synth.methods import METHODS
from tronie.synth.settings import DEFAULTS, Settings, Training
from tronie.synth.workload import Workload

DELTA = 1e-5


def test_coins_are_fair_and_repeatable() -> None:
    assert np.array_equal(coins(100, seed=1), coins(100, seed=1))
    assert not np.array_equal(coins(100), coins(100))
    assert abs(int(coins(10_000, seed=2).sum()) - 5000) < 200


def ideal(mu: float, canaries: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    included = coins(canaries, seed=seed)
    return np.random.default_rng(seed + 1000).normal(size=canaries) + mu * included, included


def test_both_bounds_are_reported() -> None:
    scores, included = ideal(gdp_mu(4.0, DELTA), 1000, 1)
    by_gaussian = one_run(scores, included, 4.0, DELTA, 100, claim="gaussian")
    by_any = one_run(scores, included, 4.0, DELTA, 100)
    found = Guesses(1000, 100, by_any.details["correct"])
    assert by_gaussian.lower == one_run_gaussian_epsilon(found, DELTA)
    assert by_any.lower == one_run_epsilon(found, DELTA)
    assert by_gaussian.details == by_any.details
    assert by_any.details["lower_gaussian_dp"] == by_gaussian.lower > by_any.lower > 0
    assert by_gaussian.power == one_run_power(4.0, DELTA, 1000, 100, claim="gaussian")
    assert by_gaussian.runs == 1000
    assert by_gaussian.relation == "add/remove one canary"
    assert f"{by_any.lower:.2f}" in by_any.finding


def test_as_many_guesses_as_show_most_by_default() -> None:
    scores, included = ideal(1.0, 500, 2)
    audit = one_run(scores, included, 4.0, DELTA, claim="gaussian")
    assert audit.details["guessed"] == best_guesses(4.0, DELTA, 500)


@pytest.mark.parametrize("claim", ["any", "gaussian"])
def test_ideal_canaries_break_no_tight_claim(claim: str) -> None:
    """150 runs at a tight claim: violations are no more frequent than stated."""
    epsilon = 2.0
    mu = gdp_mu(epsilon, DELTA)
    flagged = sum(
        one_run(*ideal(mu, 300, seed), epsilon, DELTA, claim=claim).verdict == "violation"
        for seed in range(150)
    )
    assert flagged <= binom.ppf(0.999, 150, 0.05)


def test_what_may_be_concluded() -> None:
    epsilon = 1.0
    assert one_run(*ideal(9.0, 500, 3), epsilon, DELTA).verdict == "violation"
    assert one_run(*ideal(0.0, 100, 3), epsilon, DELTA).verdict == "inconclusive"
    assert one_run(*ideal(0.0, 5000, 3), epsilon, DELTA, claim="gaussian").verdict == "consistent"
    assert one_run([], [], epsilon, DELTA).verdict == "inconclusive"


@pytest.mark.parametrize(
    ("scores", "included", "guesses"), [([1.0], [True, False], 1), ([1.0], [True], 2)]
)
def test_nonsense_is_refused(scores: list[float], included: list[bool], guesses: int) -> None:
    with pytest.raises(InputError):
        one_run(scores, included, 1.0, DELTA, guesses)


# --- tronie's methods -------------------------------------------------------------------------------


def tables(canaries: int, columns: int, values: int) -> tuple[pa.Table, pa.Table, Schema]:
    """Known rows, canaries of random values, and a schema."""
    rng = np.random.default_rng(7)
    names = [f"c{i}" for i in range(columns)]
    kind = {"kind": "category", "values": list(range(values)), "nullable": False}
    schema = Schema.model_validate({"name": "canaries", "columns": dict.fromkeys(names, kind)})
    marked = {name: rng.integers(0, values, canaries) for name in names}
    if columns == 1:
        marked = {"c0": np.arange(canaries)}
    rows = {name: rng.integers(0, values, 100) for name in names}
    return pa.table(rows), pa.table(marked), schema


def audited(method: str = "independent", epsilon: float = 8.0, columns: int = 1) -> Audit:
    rows, canaries, schema = tables(600, columns, 600 if columns == 1 else 25)
    settings = DEFAULTS
    if method == "direct":
        settings = Settings(workload=Workload.of_pairs(list(schema.columns)))
    elif any(s.name == TRAIN for s in METHODS[method].plan(schema, Budget(epsilon, DELTA)).steps):
        settings = Settings(training=Training(epochs=0.5))
    return one_run_of(
        method,
        rows,
        canaries,
        schema,
        epsilon,
        DELTA,
        included=coins(600, seed=5),
        settings=settings,
        noise=InsecureNoise(5),
    )


@pytest.mark.parametrize("method", [name for name in METHODS if name != "gibbs"])
def test_every_method_keeps_its_claim(method: str) -> None:
    audit = audited(method, columns=3)
    assert audit.verdict != "violation"
    assert audit.name == f"one run: {method}"
    assert audit.details["correct"] > 0.55 * audit.details["guessed"]


def test_canaries_of_their_own_cells_show_much() -> None:
    audit = audited()
    assert audit.verdict == "consistent"
    assert 2.0 < audit.lower < 8.0


def test_too_little_noise_is_flagged(monkeypatch: pytest.MonkeyPatch) -> None:
    def little(sigma: float, size: int, noise: Noise) -> np.ndarray:
        return discrete_gaussian(sigma / 4, size, noise)

    monkeypatch.setattr(curator_module, "discrete_gaussian", little)
    audit = audited(epsilon=2.0)
    assert audit.verdict == "violation"
    assert audit.lower > 2.0


def test_fresh_coins_by_default() -> None:
    rows, canaries, schema = tables(50, 1, 50)
    audits = [one_run_of("independent", rows, canaries, schema, 8.0, DELTA) for _ in range(3)]
    assert all(audit.runs == 50 and audit.verdict != "violation" for audit in audits)


def test_discovered_columns_are_scored_by_what_was_found() -> None:
    schema = Schema.model_validate(
        {"name": "open", "columns": {"x": {"kind": "integer", "nullable": False}}}
    )
    rows = pa.table({"x": np.arange(-300, 300)})
    canaries = pa.table({"x": np.arange(-100, 100)})
    audit = one_run_of(
        "independent", rows, canaries, schema, 8.0, DELTA, noise=InsecureNoise(1), guesses=50
    )
    assert audit.verdict != "violation"


def test_canaries_are_single_rows() -> None:
    rows, canaries, schema = tables(10, 1, 10)
    several = schema.model_copy(update={"unit": schema.unit.model_copy(update={"max_rows": 2})})
    with pytest.raises(InputError, match="single rows"):
        one_run_of("independent", rows, canaries, several, 1.0, DELTA)


# --- a private logistic regression ------------------------------------------------------------------


def train(
    included: np.ndarray,
    *,
    sigma: float,
    steps: int = 20,
    clip: float | None = 1.0,
    noise: float = 1.0,
    seed: int = 0,
) -> np.ndarray:
    """DP-SGD on full batches; the score of each canary is how far the model moved towards it.

    Ordinary rows have 5 features. Canary i has a feature of its own, large and with a wrong label, so that
    its clipped gradient points that way alone. Each step releases the sum of clipped gradients with
    noise of ``sigma * clip``: all steps together are Gaussian DP with mu = sqrt(steps) / sigma.

    Args:
        included: Which canaries take part.
        sigma: Noise multiplier.
        steps: Steps.
        clip: Largest norm of a row's gradient; None for no clipping at all.
        noise: Part of the noise that is really added.
        seed: For data and noise.
    """
    rng = np.random.default_rng(seed)
    canaries, features = len(included), 5
    x = np.zeros((300 + canaries, features + canaries))
    x[:300, :features] = rng.normal(size=(300, features))
    y = np.append(x[:300, 0] + 0.3 * rng.normal(size=300) > 0, np.zeros(canaries)).astype(float)
    x[300 + np.arange(canaries), features + np.arange(canaries)] = -30.0
    taking_part = np.append(np.ones(300, bool), included)
    x, y = x[taking_part], y[taking_part]
    weights, start = np.zeros(x.shape[1]), np.zeros(x.shape[1])
    for _ in range(steps):
        error = 1 / (1 + np.exp(-(x @ weights))) - y
        norms = np.abs(error) * np.linalg.norm(x, axis=1)
        scale = (
            np.ones(len(x)) if clip is None else np.minimum(1.0, clip / np.maximum(norms, 1e-12))
        )
        gradient = (scale * error) @ x
        weights -= 0.0005 * (gradient + noise * sigma * rng.normal(size=len(weights)))
    return (weights - start)[features:]


def regression_audit(epsilon: float, seed: int = 0, **changes: float | None) -> Audit:
    steps = 20
    sigma = math.sqrt(steps) / gdp_mu(epsilon, DELTA)
    included = coins(400, seed=seed)
    scores = train(included, sigma=sigma, steps=steps, seed=seed + 50, **changes)
    return one_run(scores, included, epsilon, DELTA, claim="gaussian", name="one run: regression")


def test_a_private_regression_keeps_its_claim() -> None:
    """40 trainings: no more violations than stated, and bounds that show something."""
    audits = [regression_audit(2.0, seed) for seed in range(40)]
    flagged = sum(audit.verdict == "violation" for audit in audits)
    assert flagged <= binom.ppf(0.999, 40, 0.05)
    assert np.median([audit.lower for audit in audits]) > 0.3


@pytest.mark.parametrize("changes", [{"noise": 0.0}, {"noise": 0.2}, {"clip": None}])
def test_broken_regressions_are_flagged(changes: dict[str, float | None]) -> None:
    audit = regression_audit(2.0, **changes)
    assert audit.verdict == "violation"
    assert audit.details["lower_any_mechanism"] > 2.0
