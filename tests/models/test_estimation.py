from __future__ import annotations

import itertools

import numpy as np
import pytest
from brute_models import random_model

from tronie.errors import DomainTooLarge, SchemaError
from tronie.models.estimation import SLACK, estimate
from tronie.models.factor import Factor
from tronie.models.marginal import Marginal
from tronie.models.markov import MarkovRandomField
from tronie.schema.domain import Clique, Domain

SIZES = {"a": 2, "b": 3, "c": 4, "d": 2, "e": 5}
CHAIN = [("a", "b"), ("b", "c"), ("c", "d"), ("d", "e")]
RING = [*CHAIN, ("e", "a"), ("a", "b", "c")]


def measure(
    joint: Factor, cliques: list[Clique], sd: float, *, seed: int | None = None
) -> list[Marginal]:
    """Marginals of a table of counts, exact or (with a seed) as noisy as their sd says."""
    rng = np.random.default_rng(seed)
    marginals = []
    for clique in cliques:
        exact = joint.project(clique).values
        noise = sd * rng.normal(size=exact.shape) if seed is not None else 0.0
        marginals.append(Marginal(clique, exact + noise, np.array(sd)))
    return marginals


def counts(total: float, *, sparse: float = 0.0, seed: int = 0) -> Factor:
    """A random table of counts, some cells of which are empty."""
    rng = np.random.default_rng(seed)
    values = rng.gamma(0.3, size=Domain(SIZES).shape)
    values[rng.random(values.shape) < sparse] = 0.0
    return Factor(Domain(SIZES), values).normalise(total)


def tree_problem(
    columns: int, codes: int, total: float, sd: float
) -> tuple[Domain, list[Marginal]]:
    """Single columns and a random tree of pairs, measured with noise."""
    rng = np.random.default_rng(7)
    sizes = {f"c{i}": int(rng.integers(2, codes + 1)) for i in range(columns)}
    pairs = [(f"c{i}", f"c{rng.integers(max(i - 3, 0), i)}") for i in range(1, columns)]
    truth = random_model(sizes, pairs, seed=1, total=total)
    marginals = []
    for clique in [*((c,) for c in sizes), *pairs]:
        exact = truth.marginal(clique).values
        marginals.append(Marginal(clique, exact + sd * rng.normal(size=exact.shape), np.array(sd)))
    return Domain(sizes), marginals


@pytest.mark.parametrize("total", [1000.0, 50_000.0])
@pytest.mark.parametrize("sparse", [0.0, 0.8])
@pytest.mark.parametrize("cliques", [[("a",), ("e",)], CHAIN, RING, [tuple(SIZES)]])
def test_exact_counts_are_reproduced(cliques: list[Clique], sparse: float, total: float) -> None:
    joint = counts(total, sparse=sparse)
    model = estimate(Domain(SIZES), measure(joint, cliques, 1e-3), total)
    assert model.convergence is not None
    assert model.convergence.converged
    for clique in cliques:
        exact = joint.project(clique).values
        assert np.abs(model.marginal(clique).values - exact).max() < 1e-6 * total


def test_the_residual_is_slack_times_noise_times_log_potential() -> None:
    rng = np.random.default_rng(0)
    counted = rng.gamma(1.0, size=(4, 6)) * 200
    sd = 5.0
    domain = Domain({"a": 4, "b": 6})
    model = estimate(
        domain, [Marginal(("a", "b"), counted, np.array(sd))], counted.sum(), tolerance=1e-6
    )
    fitted = model.marginal(("a", "b")).values
    multipliers = (counted - fitted) / (SLACK * sd) - np.log(fitted)
    np.testing.assert_allclose(multipliers, multipliers[0, 0], atol=1e-4)


def test_single_columns_alone_give_independence() -> None:
    joint = counts(1000.0)
    model = estimate(Domain(SIZES), measure(joint, [("a",), ("e",)], 1.0), 1000.0)
    pair = model.marginal(("a", "e")).values
    np.testing.assert_allclose(pair, np.outer(pair.sum(1), pair.sum(0)) / 1000, rtol=1e-9)


def test_columns_that_were_not_measured_are_uniform() -> None:
    model = estimate(Domain({"a": 4, "b": 2}), [], 8.0)
    assert model.marginal(("a", "b")).values.tolist() == [[1.0, 1.0]] * 4
    assert model.convergence is not None
    assert (model.convergence.converged, model.convergence.iterations) == (True, 0)


@pytest.mark.parametrize("sd", [3.0, 100.0, 3000.0])
def test_any_noise_gives_a_distribution(sd: float) -> None:
    joint = counts(1000.0, sparse=0.5)
    marginals = measure(joint, [*RING, ("a",), ("e",)], sd, seed=1)
    assert sd < 100 or any((m.values < 0).any() for m in marginals)
    model = estimate(Domain(SIZES), marginals, 1000.0)
    assert model.convergence is not None
    assert model.convergence.converged
    for clique in [*RING, ("b", "e")]:
        values = model.marginal(clique).values
        assert (values >= 0).all()
        assert values.sum() == pytest.approx(1000.0)


def test_the_fit_is_closer_to_the_truth_than_what_was_measured() -> None:
    joint = counts(5000.0)
    raw, fitted = 0.0, 0.0
    for seed in range(10):
        marginals = measure(joint, RING, 30.0, seed=seed)
        model = estimate(Domain(SIZES), marginals, 5000.0)
        for marginal in marginals:
            exact = joint.project(marginal.clique).values
            raw += float(((marginal.values - exact) ** 2).sum())
            fitted += float(((model.marginal(marginal.clique).values - exact) ** 2).sum())
    assert fitted < 0.6 * raw


def test_more_slack_is_smoother() -> None:
    joint = counts(1000.0)
    marginals = measure(joint, RING, 20.0, seed=0)
    entropies = []
    for slack in (0.1, 1.0, 10.0):
        p = estimate(Domain(SIZES), marginals, 1000.0, slack=slack).marginal(("a", "b", "c"))
        p = p.normalise().values
        entropies.append(-(p * np.log(p)).sum())
    assert entropies == sorted(entropies)


def test_cells_may_differ_in_noise() -> None:
    # The last code was measured as the sum of 100 values, ten times as noisy; the sum is known.
    exact = np.array([400.0, 300.0, 200.0, 100.0])
    sd = np.array([2.0, 2.0, 2.0, 20.0])
    errors = []
    for seed in range(200):
        noisy = exact + sd * np.random.default_rng(seed).normal(size=4)
        model = estimate(Domain({"a": 4}), [Marginal(("a",), noisy, sd)], 1000.0)
        errors.append(model.marginal(("a",)).values - exact)
    rms = np.sqrt(np.mean(np.square(errors), axis=0))
    # Exact cells keep about their own noise; the noisy one is what they leave over.
    assert (rms[:3] < 2.6).all()
    assert rms[3] < 5.0


def test_structural_zeros_are_exact() -> None:
    domain = Domain(SIZES)
    order = Factor(domain.project(["b", "c"]), np.tri(3, 4, k=1)[:, ::-1])
    triple = np.ones((2, 2, 5))
    triple[1, 1, 2:] = 0
    rule = Factor(domain.project(["a", "d", "e"]), triple)
    marginals = measure(counts(1000.0), CHAIN, 10.0, seed=0)
    model = estimate(domain, marginals, 1000.0, zeros=[order, rule])
    assert model.convergence is not None
    assert model.convergence.converged
    assert all(np.isfinite(belief).all() for belief in model.beliefs)
    for mask in (order, rule):
        table = model.marginal(mask.columns).values
        assert np.array_equal(table == 0.0, mask.values == 0.0)


def test_exact_counts_are_reproduced_under_structural_zeros() -> None:
    domain = Domain(SIZES)
    mask = Factor(domain.project(["b", "c"]), np.tri(3, 4, k=1)[:, ::-1])
    joint = (counts(1000.0) * mask).normalise(1000.0)
    model = estimate(domain, measure(joint, CHAIN, 1e-3), 1000.0, zeros=[mask])
    for clique in CHAIN:
        exact = joint.project(clique).values
        assert np.abs(model.marginal(clique).values - exact).max() < 1e-3


def test_zeros_that_leave_nothing_are_refused() -> None:
    domain = Domain({"a": 2, "b": 2, "c": 2})
    never = [
        Factor(domain.project(["a", "b"]), [[1, 0], [1, 0]]),
        Factor(domain.project(["b", "c"]), [[0, 0], [1, 1]]),
    ]
    with pytest.raises(SchemaError, match="no possible row"):
        estimate(domain, [], 10.0, zeros=never)


def test_repeated_measurements_count_as_one_better_one() -> None:
    domain = Domain({"a": 2, "b": 3})
    table = counts(1000.0).project(("a", "b")).values
    one = [
        Marginal(("a", "b"), table + 5, np.array(10.0)),
        Marginal(("b", "a"), (table - 5).T, np.array(10.0)),
    ]
    two = [Marginal(("a", "b"), table, np.array(10 / 2**0.5))]
    fitted = [estimate(domain, m, 1000.0, tolerance=1e-7).marginal(("a", "b")) for m in (one, two)]
    np.testing.assert_allclose(fitted[0].values, fitted[1].values, rtol=1e-6)


def test_running_out_of_iterations_is_recorded() -> None:
    domain, marginals = tree_problem(8, 20, 20_000.0, 10.0)
    short = estimate(domain, marginals, 20_000.0, max_iterations=3)
    assert short.convergence is not None
    assert not short.convergence.converged
    assert short.convergence.iterations == 3
    assert short.convergence.rms > 0.03
    assert short.marginal(("c0", "c7")).sum() == pytest.approx(20_000.0)
    full = estimate(domain, marginals, 20_000.0)
    assert full.convergence is not None
    assert full.convergence.converged
    assert full.convergence.rms < 0.03


def test_a_tree_of_thirteen_pairs_takes_few_steps() -> None:
    domain, marginals = tree_problem(14, 32, 50_000.0, 20.0)
    convergence = estimate(domain, marginals, 50_000.0).convergence
    assert convergence is not None
    assert convergence.converged
    assert convergence.iterations < 80


def test_a_warm_start_takes_fewer_steps_to_the_same_model() -> None:
    domain, marginals = tree_problem(10, 20, 20_000.0, 10.0)
    before = estimate(domain, marginals[:-2], 20_000.0)
    cold = estimate(domain, marginals, 20_000.0, tolerance=1e-4)
    warm = estimate(domain, marginals, 20_000.0, tolerance=1e-4, warm=before)
    again = estimate(domain, marginals, 20_000.0, tolerance=1e-3, warm=warm)
    assert _iterations(again) == 0
    assert _iterations(warm) < 0.8 * _iterations(cold)
    for marginal in marginals:
        one, two = (m.marginal(marginal.clique).values for m in (cold, warm))
        np.testing.assert_allclose(one, two, atol=0.1)


def test_a_warm_start_from_other_codes_starts_cold() -> None:
    domain, marginals = tree_problem(4, 8, 1000.0, 10.0)
    other = estimate(Domain({c: n + 1 for c, n in domain.sizes.items()}), [], 1000.0)
    different = estimate(
        Domain({"c0": 3}), [Marginal(("c0",), np.array([1.0, 2, 3]), np.array(1.0))], 6.0
    )
    for warm in (other, different):
        model = estimate(domain, marginals, 1000.0, warm=warm)
        assert _iterations(model) == _iterations(estimate(domain, marginals, 1000.0))


def _iterations(model: MarkovRandomField) -> int:
    assert model.convergence is not None
    return model.convergence.iterations


def test_the_same_input_gives_the_same_model() -> None:
    domain, marginals = tree_problem(6, 10, 5000.0, 10.0)
    one, two = (estimate(domain, marginals, 5000.0) for _ in range(2))
    for left, right in zip(one.beliefs, two.beliefs, strict=True):
        np.testing.assert_array_equal(left, right)


def test_the_order_of_measurements_does_not_matter() -> None:
    domain, marginals = tree_problem(6, 10, 5000.0, 10.0)
    one = estimate(domain, marginals, 5000.0, tolerance=1e-6)
    two = estimate(domain, marginals[::-1], 5000.0, tolerance=1e-6)
    for pair in itertools.combinations(domain, 2):
        np.testing.assert_allclose(one.marginal(pair).values, two.marginal(pair).values, atol=1e-2)


@pytest.mark.parametrize("total", [0.0, -5.0, np.nan, np.inf])
def test_a_total_that_is_no_number_of_rows_is_refused(total: float) -> None:
    with pytest.raises(SchemaError, match="number of rows"):
        estimate(Domain({"a": 2}), [], total)


def test_what_does_not_fit_the_domain_is_refused() -> None:
    domain = Domain({"a": 2, "b": 3})
    for clique, shape in ((("a",), (3,)), (("nonsense",), (2,)), (("a", "b"), (3, 2))):
        with pytest.raises(SchemaError):
            estimate(domain, [Marginal(clique, np.ones(shape), np.array(1.0))], 10.0)
    with pytest.raises(SchemaError):
        estimate(domain, [], 10.0, zeros=[Factor(Domain({"a": 3}), np.ones(3))])


def test_a_model_beyond_the_limit_is_refused() -> None:
    domain = Domain({"a": 100, "b": 100})
    marginals = [Marginal(("a", "b"), np.ones((100, 100)), np.array(1.0))]
    with pytest.raises(DomainTooLarge):
        estimate(domain, marginals, 10_000.0, max_cells=5000)
