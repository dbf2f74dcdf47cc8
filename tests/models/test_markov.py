from __future__ import annotations

import itertools
import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from brute_models import brute_model, random_model
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import load, save

from tronie.errors import BundleError, ConditionError, DomainTooLarge, SchemaError
from tronie.models import elimination
from tronie.models.factor import Factor
from tronie.models.junction import junction_tree
from tronie.models.markov import Convergence, MarkovRandomField
from tronie.schema.domain import Domain

SIZES = {"a": 2, "b": 3, "c": 4, "d": 2, "e": 3, "f": 2}
GRAPHS = [
    [],
    [("a", "b"), ("b", "c"), ("c", "d"), ("d", "e"), ("e", "f")],
    [("a", "b"), ("a", "c"), ("a", "d"), ("a", "e"), ("c", "f")],
    [("a", "b"), ("b", "c"), ("c", "d"), ("d", "a"), ("e", "a"), ("e", "f")],
    [("a", "b", "c"), ("c", "d", "e"), ("e", "f")],
    [("a", "b"), ("b", "c"), ("e", "f")],
]
SUBSETS = [s for k in range(len(SIZES) + 1) for s in itertools.combinations(SIZES, k)]


@pytest.mark.parametrize("impossible", [0.0, 0.4])
@pytest.mark.parametrize("cliques", GRAPHS)
def test_all_marginals_match_brute_force(cliques: list[tuple[str, ...]], impossible: float) -> None:
    model, joint = brute_model(SIZES, cliques, seed=len(cliques), impossible=impossible)
    for columns, marginal in zip(SUBSETS, model.marginals(SUBSETS), strict=True):
        expected = joint.project(columns).values * model.total
        assert marginal.columns == columns
        np.testing.assert_allclose(marginal.values, expected, atol=1e-10)


@given(seed=st.integers(0, 2**32), columns=st.permutations(list(SIZES)), k=st.integers(0, 6))
def test_marginals_come_in_the_order_asked_for(seed: int, columns: list[str], k: int) -> None:
    model, joint = brute_model(SIZES, GRAPHS[1], seed=seed)
    marginal = model.marginal(columns[:k])
    np.testing.assert_allclose(
        marginal.values, joint.project(columns[:k]).values * model.total, atol=1e-10
    )


def test_forgetting_messages_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    model, _ = brute_model(SIZES, GRAPHS[1])
    whole = model.marginals(SUBSETS)
    monkeypatch.setattr(elimination, "KEPT_CELLS", 0)
    for one, two in zip(whole, model.marginals(SUBSETS), strict=True):
        np.testing.assert_array_equal(one.values, two.values)


def test_long_chains_need_no_deep_recursion() -> None:
    names = [f"c{i}" for i in range(1500)]
    model = random_model(dict.fromkeys(names, 2), list(itertools.pairwise(names)))
    ends = model.marginal([names[0], names[-1]])
    assert ends.sum() == pytest.approx(model.total)


def test_tables_beyond_the_limit_are_refused() -> None:
    sizes = {f"c{i}": 10 for i in range(5)}
    model, _ = brute_model(sizes, list(itertools.pairwise(sizes)))
    assert model.marginal(["c0", "c4"], max_cells=1000).sum() == pytest.approx(model.total)
    with pytest.raises(DomainTooLarge, match="limit is 1,000"):
        model.marginal(list(sizes), max_cells=1000)
    apart, _ = brute_model(sizes, [])
    with pytest.raises(DomainTooLarge):
        apart.marginal(list(sizes), max_cells=1000)


def test_unknown_columns_are_refused() -> None:
    model, _ = brute_model(SIZES, GRAPHS[1])
    with pytest.raises(SchemaError, match="nonsense"):
        model.marginal(["a", "nonsense"])


@pytest.mark.parametrize("impossible", [0.0, 0.3])
@pytest.mark.parametrize("cliques", GRAPHS)
@settings(max_examples=15)
@given(data=st.data())
def test_conditioning_is_bayes_rule(
    cliques: list[tuple[str, ...]], impossible: float, data: Any
) -> None:
    model, joint = brute_model(SIZES, cliques, seed=3, impossible=impossible)
    columns = data.draw(st.lists(st.sampled_from(list(SIZES)), unique=True, max_size=3))
    soft = data.draw(st.booleans())
    evidence = {}
    posterior = joint
    for column in columns:
        number = st.sampled_from([0.0, 0.1, 0.5, 1.0]) if soft else st.booleans()
        drawn = data.draw(st.lists(number, min_size=SIZES[column], max_size=SIZES[column]))
        evidence[column] = np.array(drawn)
        posterior = posterior * Factor(Domain({column: SIZES[column]}), np.array(drawn, float))
    if posterior.sum() == 0:
        with pytest.raises(ConditionError):
            model.condition(evidence)
        return
    given_rows = model.condition(evidence)
    assert given_rows.total == pytest.approx(model.total * posterior.sum(), rel=1e-9)
    for pair in itertools.combinations(SIZES, 2):
        expected = posterior.normalise(given_rows.total).project(pair).values
        np.testing.assert_allclose(
            given_rows.marginal(pair).values, expected, atol=1e-10 * given_rows.total
        )


def test_evidence_flows_up_and_down_the_tree() -> None:
    model, joint = brute_model(SIZES, GRAPHS[1])
    for observed, other in [("a", "f"), ("f", "a"), ("c", "a"), ("c", "f")]:
        mask = np.arange(SIZES[observed]) == 1
        expected = joint.project([observed, other]).values[1]
        np.testing.assert_allclose(
            model.condition({observed: mask}).marginal([other]).normalise().values,
            expected / expected.sum(),
            atol=1e-12,
        )


def test_impossible_or_misshapen_evidence_is_refused() -> None:
    model, _ = brute_model(SIZES, GRAPHS[1])
    for evidence in (
        {"a": np.zeros(2, bool)},
        {"nonsense": np.ones(2, bool)},
        {"a": np.ones(3, bool)},
        {"a": np.array([[True, True]])},
        {"a": np.array([0.5, np.nan])},
        {"a": np.array([0.5, -0.5])},
    ):
        with pytest.raises(ConditionError):
            model.condition(evidence)


def test_combinations_without_mass_cannot_be_conditioned_on() -> None:
    tree = junction_tree(Domain({"a": 2, "b": 2}), [("a", "b")])
    model = MarkovRandomField(tree, 1.0, (np.array([[0.5, 0.0], [0.0, 0.5]]),))
    first, second = np.array([True, False]), np.array([False, True])
    assert model.condition({"a": first, "b": first}).total == pytest.approx(0.5)
    with pytest.raises(ConditionError, match="a, b"):
        model.condition({"a": first, "b": second})


@pytest.mark.parametrize("cliques", GRAPHS)
def test_a_stored_model_is_the_same_model(cliques: list[tuple[str, ...]]) -> None:
    model, _ = brute_model(SIZES, cliques, impossible=0.3)
    model = MarkovRandomField(model.tree, model.total, model.beliefs, Convergence(0.01, 20, True))
    text = json.dumps(model.structure())
    arrays = load(save(model.to_arrays()))
    again = MarkovRandomField.from_arrays(json.loads(text), arrays)
    assert again.tree == model.tree
    assert again.total == model.total
    assert again.convergence == model.convergence
    for one, two in zip(model.beliefs, again.beliefs, strict=True):
        np.testing.assert_array_equal(one, two)


def stored() -> tuple[dict[str, Any], dict[str, Any]]:
    model, _ = brute_model(SIZES, GRAPHS[1])
    return model.structure(), model.to_arrays()


@pytest.mark.parametrize(
    "change",
    [
        {"total": 0.0},
        {"total": float("nan")},
        {"total": "many"},
        {"domain": {"a": 0}},
        {"domain": {**SIZES, "g": 2}},
        {"cliques": [["a", "f"]]},
        {"cliques": None},
        {"parents": [-1, -1, -1, -1, -1]},
        {"parents": [-1]},
        {"convergence": {"rms": 0.1}},
        {"surplus": 1},
    ],
)
def test_a_damaged_structure_is_refused(change: dict[str, Any]) -> None:
    structure, arrays = stored()
    with pytest.raises(BundleError, match="corrupt"):
        MarkovRandomField.from_arrays({**structure, **change}, arrays)


@pytest.mark.parametrize(
    "damage",
    [
        lambda table: table[..., :-1],
        lambda table: table.ravel(),
        lambda table: np.where(table == table.max(), np.nan, table),
        lambda table: np.where(table == table.max(), np.inf, table),
        lambda table: table - table.max() / 2,
        lambda table: table * 1.001,
        lambda table: table[..., ::-1],
    ],
)
@pytest.mark.parametrize("i", [0, 2])
def test_damaged_tables_are_refused(damage: Callable[[np.ndarray], np.ndarray], i: int) -> None:
    structure, arrays = stored()
    arrays[f"belief.{i}"] = damage(arrays[f"belief.{i}"])
    with pytest.raises(BundleError, match="corrupt"):
        MarkovRandomField.from_arrays(structure, arrays)


def test_missing_and_surplus_tables_are_refused() -> None:
    structure, arrays = stored()
    with pytest.raises(BundleError, match="too many"):
        MarkovRandomField.from_arrays(structure, {**arrays, "belief.99": np.ones(1)})
    del arrays["belief.0"]
    with pytest.raises(BundleError, match="missing"):
        MarkovRandomField.from_arrays(structure, arrays)
