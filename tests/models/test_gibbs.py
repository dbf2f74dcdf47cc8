"""Fields that no tree holds: fitted, drawn from, conditioned, stored."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import load, save

from tronie.errors import BundleError, ConditionError, InputError, SchemaError
from tronie.models import gibbs as gibbs_module
from tronie.models.estimation import estimate
from tronie.models.factor import Factor
from tronie.models.field import TREE, draw, kind_of, read_field
from tronie.models.gibbs import GibbsField
from tronie.models.gibbs_chains import Chains, Term, _choose
from tronie.models.gibbs_fit import Measured, _drawn_by, estimate_field
from tronie.models.marginal import Marginal
from tronie.models.propagation import IMPOSSIBLE
from tronie.schema.domain import Domain

DOMAIN = Domain({"a": 3, "b": 4, "c": 3, "d": 2})
PAIRS = list(itertools.combinations(DOMAIN, 2))
ROWS = 20_000
ORDER = Factor(DOMAIN.project(["a", "b"]), np.tri(4, 3, 0).T)


def truth(seed: int = 0, *, ruled: bool = False) -> Factor:
    """A joint distribution of pairwise dependences, as counts."""
    rng = np.random.default_rng(seed)
    logs = Factor.full(DOMAIN, 0.0)
    for pair in PAIRS:
        part = DOMAIN.project(pair)
        logs = logs + Factor(part, 0.7 * rng.normal(size=part.shape))
    counts = logs.project(DOMAIN.columns).exp()
    if ruled:
        counts = counts * ORDER.project(["a", "b"])
    return counts.project(DOMAIN.columns).normalise(ROWS)


def measure(joint: Factor, sd: float, seed: int = 1) -> list[Marginal]:
    rng = np.random.default_rng(seed)
    cliques = [(c,) for c in DOMAIN] + PAIRS
    tables = {clique: joint.project(clique).values for clique in cliques}
    return [Marginal(c, t + rng.normal(0, sd, t.shape), np.array(sd)) for c, t in tables.items()]


def field_of(joint: Factor, sd: float = 2.0, **options: Any) -> GibbsField:
    """Pairs that close circles, in a model that begins with a tree of three."""
    marginals = measure(joint, sd)
    zeros = options.pop("zeros", [])
    tree = [m for m in marginals if len(m.clique) == 1 or "a" in m.clique]
    start = estimate(DOMAIN, tree, float(ROWS), zeros=zeros)
    return estimate_field(start, [Measured(m) for m in marginals], zeros, **options)


@pytest.fixture(scope="module")
def joint() -> Factor:
    return truth()


@pytest.fixture(scope="module")
def field(joint: Factor) -> GibbsField:
    return field_of(joint)


@pytest.fixture(scope="module")
def ruled() -> GibbsField:
    return field_of(truth(3, ruled=True), zeros=[ORDER])


def distance(one: Factor, two: Factor) -> float:
    """Total variation."""
    values = [f.values / f.sum() for f in (one, two.project(one.columns))]
    return float(np.abs(values[0] - values[1]).sum() / 2)


def counted(rows: dict[str, Any], columns: tuple[str, ...]) -> Factor:
    domain = DOMAIN.project(columns)
    table = np.zeros(domain.shape)
    np.add.at(table, tuple(rows[c] for c in columns), 1)
    return Factor(domain, table)


# Every test of distances below draws 20,000 rows with fixed seeds. Independent rows of 72 cells are at
# about 0.02 from what they were drawn from, those of a pair of 12 cells at 0.008.


def test_pairs_that_close_circles_are_all_held(field: GibbsField, joint: Factor) -> None:
    for pair in PAIRS:
        assert distance(field.marginal(pair), joint.project(pair)) < 0.004
    # The tree that it began with has only the pairs of a right.
    assert distance(field.tree.marginal(("b", "c")), joint.project(("b", "c"))) > 0.05
    assert field.convergence is not None
    assert field.convergence.converged


def test_the_joint_distribution_is_that_of_largest_entropy(
    field: GibbsField, joint: Factor
) -> None:
    """The truth has pair terms only, so that is the truth."""
    assert distance(field.marginal(DOMAIN.columns), joint) < 0.025


def test_chance_alone_is_close_to_the_fitted_counts(field: GibbsField, joint: Factor) -> None:
    """Chains that are not steered stay where the fit says: the potentials are right."""
    chains = Chains(DOMAIN, field.terms, field.population)
    for _ in range(20):
        chains.sweep(np.random.default_rng(5))
    for pair in PAIRS:
        assert distance(counted(chains.codes, pair), joint.project(pair)) < 0.02


def test_steered_rows_are_closer_than_independent_ones(field: GibbsField, joint: Factor) -> None:
    rows = field.sample(ROWS, np.random.default_rng(2))
    errors = [distance(counted(rows, pair), joint.project(pair)) for pair in PAIRS]
    assert max(errors) < 0.004
    few = field.sample(2000, np.random.default_rng(2))
    # 2,000 independent rows of a pair are at about 0.025.
    assert max(distance(counted(few, pair), joint.project(pair)) for pair in PAIRS) < 0.012


def test_marginals_agree_with_one_another(field: GibbsField) -> None:
    whole = field.marginal(DOMAIN.columns)
    assert whole.sum() == pytest.approx(field.total)
    for pair in PAIRS:
        np.testing.assert_allclose(whole.project(pair).values, field.marginal(pair).values)
    assert field.marginal(("d", "a")).columns == ("d", "a")
    with pytest.raises(SchemaError):
        field.marginal(("a", "e"))


def test_what_cannot_occur_never_does(ruled: GibbsField) -> None:
    joint = truth(3, ruled=True)
    for rows in (
        ruled.population,
        ruled.sample(5000, np.random.default_rng(0)),
        ruled.sample(500, np.random.default_rng(0)),
        ruled.sample(500, np.random.default_rng(0), {"c": np.array([1, 0, 0.5])}),
    ):
        assert (rows["a"] <= rows["b"]).all()
    for pair in PAIRS:
        assert distance(ruled.marginal(pair), joint.project(pair)) < 0.004


def test_a_rule_of_three_columns_holds() -> None:
    domain = DOMAIN.project(["a", "c", "d"])
    values = np.ones(domain.shape)
    values[1, 2, 1] = values[0, 0, :] = 0
    rule = Factor(domain, values)
    joint = (truth(4) * rule).project(DOMAIN.columns).normalise(ROWS)
    model = field_of(joint, zeros=[rule], stages=4)
    assert (counted(model.population, ("a", "c", "d")).values[values == 0] == 0).all()
    assert distance(model.marginal(("a", "c")), joint.project(("a", "c"))) < 0.005


def test_coarse_tables_of_a_triple_and_of_groups_are_explained(joint: Factor) -> None:
    """A pair is known by groups of one column, a triple by all codes."""
    singles = [m for m in measure(joint, 1.0) if len(m.clique) == 1]
    groups = np.array([0, 0, 1, 1])
    table = joint.project(("b", "c")).values
    coarse = np.array([table[:2].sum(axis=0), table[2:].sum(axis=0)])
    triple = joint.project(("a", "c", "d")).values
    start = estimate(DOMAIN, singles, float(ROWS))
    measured = [
        *map(Measured, singles),
        Measured(Marginal(("b", "c"), coarse, np.array(1.0)), {"b": groups}),
        Measured(Marginal(("b", "c"), coarse + 1, np.array(1.0)), {"b": groups}),
        Measured(Marginal(("a", "c", "d"), triple, np.array(1.0))),
    ]
    model = estimate_field(start, measured, stages=6)
    found = model.marginal(("b", "c")).values
    found = np.array([found[:2].sum(axis=0), found[2:].sum(axis=0)])
    assert np.abs(found - coarse).sum() / 2 / ROWS < 0.003
    assert distance(model.marginal(("a", "c", "d")), joint.project(("a", "c", "d"))) < 0.005
    # Within a group nothing is known, and codes keep the proportions that they have alone.
    alone = joint.project(("b",)).values
    within = model.marginal(("b", "c")).values[:2, 0]
    assert within[0] / within.sum() == pytest.approx(alone[0] / alone[:2].sum(), abs=0.03)


def test_noise_is_smoothed_and_not_repeated(joint: Factor) -> None:
    noisy = field_of(joint, sd=150.0)
    measured = {m.clique: m for m in measure(joint, 150.0)}
    ours, theirs = (
        [
            np.abs(table - joint.project(pair).values).sum()
            for pair, table in zip(PAIRS, tables, strict=True)
        ]
        for tables in (
            [noisy.marginal(pair).values for pair in PAIRS],
            [measured[pair].values for pair in PAIRS],
        )
    )
    assert sum(ours) < 0.8 * sum(theirs)


def test_the_same_seed_gives_the_same(field: GibbsField, joint: Factor) -> None:
    again = field_of(joint)
    for column in DOMAIN:
        np.testing.assert_array_equal(again.population[column], field.population[column])
    one, two, other = (field.sample(1500, np.random.default_rng(s)) for s in (1, 1, 2))
    assert all((one[c] == two[c]).all() for c in DOMAIN)
    assert not all((one[c] == other[c]).all() for c in DOMAIN)


@pytest.mark.parametrize("n", [0, 1, 7, 999, 1000, 45_001])
def test_any_number_of_rows(n: int, field: GibbsField, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gibbs_module, "BLOCK", 30_000)
    rows = field.sample(n, np.random.default_rng(0))
    assert list(rows) == list(DOMAIN)
    assert all(len(codes) == n and codes.dtype == np.uint8 for codes in rows.values())


def test_a_negative_number_of_rows_is_refused(field: GibbsField) -> None:
    with pytest.raises(InputError, match="-1"):
        field.sample(-1, np.random.default_rng(0))


def conditional(joint: Factor, evidence: dict[str, Any]) -> Factor:
    for column, likelihood in evidence.items():
        joint = joint * Factor(DOMAIN.project([column]), np.asarray(likelihood, float))
    return joint.project(DOMAIN.columns)


@pytest.mark.parametrize(
    "evidence",
    [
        {"d": np.array([True, False])},
        {"a": np.array([0.2, 1.0, 0.0]), "c": np.array([1, 1, 0])},
    ],
)
@pytest.mark.parametrize("matches", [500, 10**9])
def test_conditional_rows_follow_the_conditional_distribution(
    evidence: dict[str, Any],
    matches: int,
    field: GibbsField,
    joint: Factor,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Whether they begin as rows of the population or of the tree (here all have to)."""
    monkeypatch.setattr(gibbs_module, "LEAST_MATCHES", matches)
    expected = conditional(joint, evidence)
    rows = field.sample(ROWS, np.random.default_rng(3), evidence)
    for column, likelihood in evidence.items():
        assert (np.asarray(likelihood)[rows[column]] > 0).all()
    for pair in PAIRS:
        assert distance(counted(rows, pair), expected.project(pair)) < 0.02
    given_these = field.condition(evidence, np.random.default_rng(3))
    assert given_these.total == pytest.approx(expected.sum(), rel=0.1)
    assert given_these.marginal(("b",)).sum() == pytest.approx(given_these.total)


def test_conditions_that_cannot_be_met_are_refused(ruled: GibbsField) -> None:
    rng = np.random.default_rng(0)
    with pytest.raises(ConditionError, match="no row"):
        ruled.sample(5, rng, {"a": np.array([0, 0, 1]), "b": np.array([1, 0, 0, 0])})
    with pytest.raises(ConditionError, match="not in the model"):
        ruled.sample(5, rng, {"e": np.array([1])})
    with pytest.raises(ConditionError, match="no evidence"):
        ruled.sample(5, rng, {"a": np.array([1, 0])})


def test_a_code_without_probability_is_never_chosen() -> None:
    scores = np.array([[IMPOSSIBLE, 0.0, 1.0, IMPOSSIBLE]] * 3, np.float32)
    assert _choose(scores, np.array([0.0, 0.5, 1.0], np.float32)).tolist() == [1, 2, 2]


@settings(max_examples=30)
@given(st.lists(st.floats(0, 10), min_size=2, max_size=50), st.integers(0, 2**32))
def test_rows_are_drawn_by_weight_to_less_than_one(weights: list[float], seed: int) -> None:
    w = np.array(weights) + 1e-3
    w /= w.mean()
    counts = np.bincount(_drawn_by(w, np.random.default_rng(seed)), minlength=len(w))
    assert counts.sum() == len(w)
    assert (np.abs(counts - w) < 1 + 1e-9).all()


def test_steering_moves_no_row_without_need() -> None:
    """Two codes that are alike, and counts that are as they should be but for ten rows."""
    rows = 4000
    codes = {"x": np.repeat(np.array([0, 1], np.uint8), [1990, 2010])}
    term = Term(("x",), (np.arange(2),), np.zeros(2), np.array([2000.0, 2000.0]))
    chains = Chains(Domain({"x": 2}), [term], codes)
    chains.steer(float(rows), np.random.default_rng(0))
    assert abs(int(chains.codes["x"].sum()) - 2000) <= 15


def stored(field: Any) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    arrays = load(save({k: np.ascontiguousarray(v) for k, v in field.to_arrays().items()}))
    return field.structure(), dict(arrays)


def test_a_stored_field_comes_back(ruled: GibbsField) -> None:
    structure, arrays = stored(ruled)
    again = read_field(kind_of(ruled), structure, arrays)
    assert isinstance(again, GibbsField)
    assert (again.total, again.convergence) == (ruled.total, ruled.convergence)
    evidence = {"d": np.array([0, 1])}
    for options in ((), (evidence,)):
        one, two = (draw(m, 1200, np.random.default_rng(4), *options) for m in (ruled, again))
        assert all((one[c] == two[c]).all() for c in DOMAIN)


def test_a_tree_is_a_field_too(field: GibbsField) -> None:
    structure, arrays = stored(field.tree)
    assert kind_of(field.tree) == TREE
    again = read_field(TREE, structure, arrays)
    one, two = (draw(m, 300, np.random.default_rng(4)) for m in (field.tree, again))
    assert all((one[c] == two[c]).all() for c in DOMAIN)
    with pytest.raises(BundleError, match="'magic'"):
        read_field("magic", structure, arrays)


def edit(name: str, change: Any) -> Any:
    return lambda s, a: (s, {**a, name: np.ascontiguousarray(change(a[name]))})


def without(name: str) -> Any:
    return lambda s, a: (s, {k: v for k, v in a.items() if k != name})


def structured(change: Any) -> Any:
    return lambda s, a: (change(s), a)


def columns(s: dict[str, Any], names: list[str]) -> dict[str, Any]:
    return {**s, "terms": [{**s["terms"][0], "columns": names}, *s["terms"][1:]]}


def set_first(value: float) -> Any:
    def change(array: np.ndarray) -> np.ndarray:
        changed = array.copy()
        changed.flat[0] = value
        return changed

    return change


BROKEN = {
    "no terms": structured(lambda s: {k: v for k, v in s.items() if k != "terms"}),
    "an unknown column": structured(lambda s: columns(s, ["a", "z"])),
    "no column": structured(lambda s: columns(s, [])),
    "a tree less": structured(lambda s: {**s, "tree": {}}),
    "a table less": without("term.0.counts"),
    "a table more": lambda s, a: (s, {**a, "term.99.counts": np.ones(2)}),
    "a broken tree": edit("tree.belief.0", lambda t: t * 2),
    "endless potentials": edit("term.0.potential", set_first(np.inf)),
    "counts that are NaN": edit("term.0.counts", set_first(np.nan)),
    "counts of another shape": edit("term.0.counts", np.ravel),
    "narrow potentials": edit("term.0.potential", lambda t: t.astype(np.float32)),
    "groups with a gap": edit("term.0.groups", lambda g: g + (g > 0)),
    "negative groups": edit("term.0.groups", lambda g: g - 1),
    "endless groups": edit("term.0.groups", set_first(2**60)),
    "too few groups": edit("term.0.groups", lambda g: g[:-1]),
    "groups that are fractions": edit("term.0.groups", lambda g: g / 2),
    "codes beyond the domain": edit("population.0", lambda p: p + 3),
    "codes that are signed": edit("population.0", lambda p: p.astype(np.int64)),
    "codes in a square": edit("population.0", lambda p: p[:4].reshape(2, 2)),
    "a shorter column": edit("population.0", lambda p: p[:-1]),
    "rows that are ruled out": edit("population.1", np.zeros_like),
}


@pytest.mark.parametrize("change", BROKEN.values(), ids=BROKEN)
def test_a_damaged_field_is_refused(change: Any, ruled: GibbsField) -> None:
    with pytest.raises(BundleError, match="corrupt"):
        GibbsField.from_arrays(*change(*stored(ruled)))


def test_a_field_without_rows_is_refused(ruled: GibbsField) -> None:
    structure, arrays = stored(ruled)
    empty = {k: v[:0] if k.startswith("population") else v for k, v in arrays.items()}
    with pytest.raises(BundleError, match="corrupt"):
        GibbsField.from_arrays(structure, empty)
