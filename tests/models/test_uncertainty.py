"""Standard errors: what they are worth, where they are silent, and that they repeat."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tronie.errors import SchemaError
from tronie.models import uncertainty
from tronie.models.estimation import estimate
from tronie.models.factor import Factor
from tronie.models.marginal import Marginal
from tronie.models.markov import MarkovRandomField
from tronie.models.uncertainty import Misfit, Replicas, error_bound, replicate
from tronie.schema.domain import Clique, Domain

DOMAIN = Domain({"a": 2, "b": 3, "c": 4, "d": 5})
SINGLE: list[Clique] = [("a",), ("b",), ("c",), ("d",)]
CHAIN: list[Clique] = [("a", "b"), ("b", "c"), ("c", "d")]


def truth(total: float = 5000.0, seed: int = 0) -> Factor:
    """A table of counts whose columns depend on one another, cells from rare to frequent."""
    rng = np.random.default_rng(seed)
    return Factor(DOMAIN, np.floor(rng.gamma(0.6, size=DOMAIN.shape) * total / 72))


def measured(
    joint: Factor, cliques: list[Clique], sd: float, rng: np.random.Generator
) -> list[Marginal]:
    exact = [joint.project(clique) for clique in cliques]
    return [
        Marginal(f.columns, f.values + sd * rng.normal(size=f.values.shape), np.array(sd))
        for f in exact
    ]


def fitted(sd: float = 10.0, **options: Any) -> tuple[MarkovRandomField, list[Marginal]]:
    joint = truth()
    answers = measured(joint, [*SINGLE, *CHAIN], sd, np.random.default_rng(1))
    return estimate(DOMAIN, answers, joint.sum(), **options), answers


def errors(replicas: Replicas, *cliques: Clique) -> list[np.ndarray]:
    return [one.standard_error for one in replicas.uncertainty(cliques)]


@pytest.mark.parametrize("total_sd", [0.01, 1e6])
def test_an_even_column_has_the_error_of_its_measurement(total_sd: float) -> None:
    """Known to have 3000 rows, c cells keep 1 - 1 / c of their variance; else all of it."""
    domain = Domain({"x": 6})
    answer = Marginal(("x",), np.full(6, 500.0), np.array(20.0))
    model = estimate(domain, [answer], 3000.0)
    replicas = replicate(model, [answer], total_sd=total_sd, replicas=400)
    (error,) = errors(replicas, ("x",))
    expected = 20.0 * np.sqrt(5 / 6 if total_sd < 1 else 1.0)
    # 400 replicas of six cells: the root mean square is known to about 2 %.
    assert np.sqrt(np.mean(error**2)) == pytest.approx(expected, rel=0.08)
    rows = min(total_sd, 20.0 * np.sqrt(6))
    assert replicas.total_error == pytest.approx(rows, rel=0.15)


def test_intervals_hold_the_truth_as_often_as_they_say() -> None:
    """40 releases of a table of three columns, half of whose cells hold fewer rows than three noise sds.

    Cells of one release are dependent. Between releases the share of cells held has a standard deviation
    of 0.041 (single columns) and 0.032 (pairs), so its mean over 40 is known to 0.007 and 0.005. The
    lower limit is more than six of those below what is measured (0.971 and 0.966). Were errors claimed
    by a third too small, 0.86 would be held.
    """
    domain = Domain({"b": 3, "c": 4, "d": 5})
    cells = np.random.default_rng(5).gamma(0.25, size=domain.shape) * 2000 / 15
    joint = Factor(domain, np.floor(cells))
    cliques: list[Clique] = [("b",), ("c",), ("d",), ("b", "c"), ("c", "d")]
    held: dict[int, list[bool]] = {1: [], 2: []}
    for seed in range(40):
        rng = np.random.default_rng(seed)
        answers = measured(joint, cliques, 15.0, rng)
        model = estimate(domain, answers, joint.sum() + 5.0 * rng.normal())
        replicas = replicate(model, answers, total_sd=5.0, replicas=12, seed=seed)
        for clique, error in zip(cliques, errors(replicas, *cliques), strict=True):
            off = np.abs(model.marginal(clique).values - joint.project(clique).values)
            held[len(clique)] += (off <= 1.96 * error).ravel().tolist()
    for inside in held.values():
        assert 0.925 < np.mean(inside) < 0.99


def test_more_noise_means_more_error() -> None:
    small, large = (
        np.mean(errors(replicate(*fitted(sd), total_sd=5.0), ("b", "c"))[0]) for sd in (2.0, 20.0)
    )
    assert large > 4 * small


def test_a_marginal_that_no_measurement_holds_has_no_standard_error() -> None:
    model, answers = fitted()
    replicas = replicate(model, answers, total_sd=5.0, replicas=5)
    one, two, three = replicas.uncertainty([("c", "b"), ("d", "b"), ("a", "b", "c")])
    assert one.supported
    assert np.isfinite(one.standard_error).all()
    for modelled in (two, three):
        assert not modelled.supported
        assert np.isnan(modelled.standard_error).all()
        assert np.isfinite(modelled.noise).all()
    assert replicas.supports(["c"])
    assert not replicas.supports(["a", "d"])


def test_noise_alone_does_not_cover_what_the_model_assumes() -> None:
    """Why there is none: x and y are the same column, and the model takes them to be independent."""
    domain = Domain({"x": 2, "y": 2})
    answers = [Marginal((c,), np.array([500.0, 500.0]), np.array(5.0)) for c in "xy"]
    model = estimate(domain, answers, 1000.0)
    (found,) = replicate(model, answers, total_sd=5.0).uncertainty([("x", "y")])
    off = np.abs(model.marginal(("x", "y")).values - np.diag([500.0, 500.0]))
    assert (off > 20 * found.noise).all()
    assert not found.supported


def test_axes_follow_the_columns_asked_for() -> None:
    replicas = replicate(*fitted(), total_sd=5.0, replicas=4)
    one, other = errors(replicas, ("b", "c"), ("c", "b"))
    np.testing.assert_allclose(one, other.T)


def test_the_same_seed_gives_the_same_errors() -> None:
    model, answers = fitted()
    one, same, other = (
        errors(replicate(model, answers, total_sd=5.0, replicas=4, seed=seed), ("b",))[0]
        for seed in (3, 3, 4)
    )
    np.testing.assert_array_equal(one, same)
    assert (one != other).all()


def test_counts_are_not_used() -> None:
    model, answers = fitted()
    blank = [Marginal(m.clique, np.zeros(m.values.shape), m.sd) for m in answers]
    one, two = (
        errors(replicate(model, m, total_sd=5.0, replicas=4), ("b", "c"))[0]
        for m in (answers, blank)
    )
    np.testing.assert_array_equal(one, two)


def test_a_model_without_dual_variables_will_do() -> None:
    """As it comes out of a file."""
    model, answers = fitted()
    bare = MarkovRandomField(model.tree, model.total, model.beliefs)
    one, two = (errors(replicate(m, answers, total_sd=5.0), ("b", "c"))[0] for m in (model, bare))
    # Fits stop a little earlier or later.
    np.testing.assert_allclose(one, two, rtol=0.2, atol=0.3)


@pytest.mark.parametrize("ruled", [False, True])
def test_replicas_are_the_fits_that_their_dual_variables_stand_for(
    monkeypatch: pytest.MonkeyPatch, ruled: bool
) -> None:
    allowed = np.ones((2, 4))
    allowed[0, 1] = 0.0
    zeros = [Factor(DOMAIN.project(("a", "c")), allowed)] if ruled else []
    model, answers = fitted(zeros=zeros)
    fits: list[MarkovRandomField] = []

    def remembered(*arguments: Any, **options: Any) -> MarkovRandomField:
        fits.append(estimate(*arguments, **options))
        return fits[-1]

    monkeypatch.setattr(uncertainty, "estimate", remembered)
    replicas = replicate(model, answers, total_sd=5.0, zeros=zeros, replicas=3)
    for fit, again in zip(fits, replicas.models(), strict=True):
        for clique in (*CHAIN, ("a", "c"), ("a", "d")):
            expected = fit.marginal(clique).values
            np.testing.assert_allclose(again.marginal(clique).values, expected, atol=1e-8)
    if ruled:
        (found,) = replicas.uncertainty([("a", "c")])
        assert found.noise[0, 1] == 0.0
        assert (np.delete(found.noise.ravel(), 1) > 0).all()


def test_without_measurements_only_the_number_of_rows_is_uncertain() -> None:
    model = estimate(DOMAIN, [], 100.0)
    replicas = replicate(model, [], total_sd=10.0, replicas=400)
    assert replicas.total_error == pytest.approx(10.0, rel=0.15)
    assert not replicas.supports(["a"])


@pytest.mark.parametrize(("replicas", "total_sd"), [(1, 1.0), (5, 0.0), (5, float("nan"))])
def test_too_few_replicas_or_no_noise_are_refused(replicas: int, total_sd: float) -> None:
    model, answers = fitted()
    with pytest.raises(SchemaError, match="two replicas"):
        replicate(model, answers, total_sd=total_sd, replicas=replicas)


# --- bounds from released misfits --------------------------------------------------------------------


def test_the_latest_round_counts_whatever_the_order_of_columns() -> None:
    early, late = Misfit(("a", "b"), 500.0, 1.0, 0.0, 0), Misfit(("b", "a"), 100.0, 1.0, 20.0, 2)
    expected = (100 + 1.645 + 20) / 2000
    for order in ([early, late], [late, early]):
        assert error_bound(order, 1000.0) == {frozenset("ab"): pytest.approx(expected)}


@given(st.floats(-1e6, 1e6), st.floats(0.1, 1e4), st.floats(0, 1e6), st.floats(1, 1e6))
def test_a_bound_is_a_share(distance: float, sd: float, moved: float, total: float) -> None:
    ((bound,),) = [error_bound([Misfit(("a", "b"), distance, sd, moved, 0)], total).values()]
    assert 0 <= bound <= 1


def test_the_bound_holds_as_often_as_it_says() -> None:
    """2000 noisy distances, and a final model that moved away from the truth: at least 95 %, less three
    standard deviations of a share of 2000 (0.5 % each); moving nearer makes it hold more often."""
    rng = np.random.default_rng(0)
    counts, before = (truth(seed=seed).project(("a", "d")).values for seed in (0, 1))
    after = before + 1.2 * (before - counts)
    distance, moved = (float(np.abs(x - before).sum()) for x in (counts, after))
    real = np.abs(counts - after).sum() / 2e5
    noisy = distance + 50.0 * rng.normal(size=2000)
    bounds = [
        error_bound([Misfit(("a", "d"), one, 50.0, moved, 0)], 1e5).popitem()[1]
        for one in noisy.tolist()
    ]
    assert 0.935 < np.mean(np.array(bounds) >= real) < 0.965
