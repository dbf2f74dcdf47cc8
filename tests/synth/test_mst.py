"""The spanning tree and what is measured along it."""

from __future__ import annotations

import itertools

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from synth_tables import curator_of, schema_of

from tronie.privacy.accounting import fits, total_mu
from tronie.privacy.budget import Budget
from tronie.privacy.events import Exponential
from tronie.schema.domain import Clique
from tronie.synth import mst as mst_module
from tronie.synth.mst import Mst, rounded, spanning_tree

NAMES = "abcdef"
SIZE = 4


def connected(columns: str, pairs: list[Clique]) -> bool:
    """Whether a walk along the pairs reaches every column."""
    reached = {columns[0]}
    for _ in columns:
        reached |= {c for pair in pairs if reached & set(pair) for c in pair}
    return reached == set(columns)


@given(st.integers(2, 5), st.data())
def test_no_spanning_tree_is_heavier(count: int, data: st.DataObject) -> None:
    columns = NAMES[:count]
    pairs = list(itertools.combinations(columns, 2))
    weights = dict(zip(pairs, data.draw(st.tuples(*[st.integers(-9, 9)] * len(pairs)))))  # noqa: B905
    tree = spanning_tree(weights)
    assert len(tree) == count - 1
    assert connected(columns, tree)
    assert [weights[pair] for pair in tree] == sorted(map(weights.get, tree), reverse=True)
    heaviest = max(
        sum(weights[pair] for pair in chosen)
        for chosen in itertools.combinations(pairs, count - 1)
        if connected(columns, list(chosen))
    )
    assert sum(weights[pair] for pair in tree) == heaviest


def test_pairs_that_do_not_fit_are_left_out() -> None:
    weights = {("a", "b"): 3, ("b", "c"): 2, ("a", "c"): 1}
    assert spanning_tree(weights, lambda tree: ("b", "c") not in tree) == [("a", "b"), ("a", "c")]
    assert spanning_tree(weights, lambda tree: False) == []


def test_references_are_rounded_to_the_nearest_integer() -> None:
    table = rounded(np.array([[0.4, 0.6], [-1.2, 7.0]]))
    assert table.dtype == np.int64
    assert table.tolist() == [[0, 1], [-1, 7]]


SCHEMA = schema_of(
    {name: {"kind": "integer", "min": 0, "max": SIZE - 1, "nullable": False} for name in NAMES[:5]}
)
TREE = {("a", "b"), ("b", "c"), ("b", "d"), ("d", "e")}


def tree_table(rows: int = 20_000) -> pa.Table:
    """Columns of which each follows its parent's value with probability 0.7 plus its share."""
    rng = np.random.default_rng(11)

    def child(parent: np.ndarray, shift: int) -> np.ndarray:
        free = rng.integers(0, SIZE, rows)
        return np.where(rng.random(rows) < 0.7, (parent + shift) % SIZE, free)

    a = rng.choice(SIZE, rows, p=[0.4, 0.3, 0.2, 0.1])
    b = child(a, 1)
    d = child(b, 2)
    return pa.table({"a": a, "b": b, "c": child(b, 3), "d": d, "e": child(d, 1)})


@pytest.mark.parametrize("selection", ["gaussian", "exponential"])
def test_much_budget_finds_the_tree_and_its_distribution(selection: str) -> None:
    table, budget = tree_table(), Budget(60.0)
    curator, meter = curator_of(table, SCHEMA, budget)
    method = Mst(selection=selection)
    fitted = method.fit(curator, SCHEMA, method.plan(SCHEMA, budget))
    measured = {e.columns for e in meter.events if e.query == "marginal" and len(e.columns) == 2}
    assert measured == TREE
    assert fits(meter.events, budget)
    for pair in itertools.combinations(SCHEMA.columns, 2):
        exact = np.zeros((SIZE, SIZE))
        np.add.at(exact, tuple(table[c].to_numpy() for c in pair), 1 / table.num_rows)
        # 20,000 rows: a pair that the tree does not hold is off by sampling alone, below 0.02.
        model = fitted.model.marginal(pair).values / fitted.model.total
        assert np.abs(model - exact).sum() / 2 < 0.02


@pytest.mark.parametrize("epsilon", [0.3, 3.0, 1000.0])
def test_exponential_selection_stays_within_its_budget(epsilon: float) -> None:
    table, budget = tree_table(200), Budget(epsilon)
    curator, meter = curator_of(table, SCHEMA, budget)
    method = Mst(selection="exponential")
    plan = method.plan(SCHEMA, budget)
    method.fit(curator, SCHEMA, plan)
    chosen = [event for event in meter.events if isinstance(event, Exponential)]
    assert len(chosen) == 4
    assert [event.candidates for event in chosen] == sorted(
        (event.candidates for event in chosen), reverse=True
    )
    assert total_mu(chosen) <= plan.mu * plan.share("select") ** 0.5
    if epsilon < 1000:
        assert total_mu(chosen) >= 0.99 * plan.mu * plan.share("select") ** 0.5


def test_pairs_get_noise_that_suits_their_size() -> None:
    schema = schema_of(
        {
            "small": {"kind": "boolean", "nullable": False},
            "other": {"kind": "boolean", "nullable": False},
            "large": {"kind": "category", "values": list(range(54)), "nullable": False},
        }
    )
    rng = np.random.default_rng(2)
    small = rng.random(20_000) < 0.5
    table = pa.table(
        {"small": small, "other": small, "large": rng.integers(0, 27, 20_000) + 27 * small}
    )
    curator, meter = curator_of(table, schema, Budget(0.5))
    Mst().fit(curator, schema, Mst().plan(schema, Budget(0.5)))
    sigmas = {e.columns: e.sigma for e in meter.events if len(e.columns) == 2}
    assert len(sigmas) == 2
    narrow = sigmas.pop(("small", "other"))
    (wide,) = sigmas.values()
    assert narrow / wide == pytest.approx((108 / 4) ** (1 / 3), rel=0.01)


def test_rules_may_leave_no_room_for_a_pair(monkeypatch: pytest.MonkeyPatch) -> None:
    rule = {"kind": "impossible", "when": {"a": [0], "b": [1]}}
    schema = SCHEMA.model_validate({**SCHEMA.model_dump(), "constraints": [rule]})
    monkeypatch.setattr(mst_module, "MODEL_CELLS", SIZE**2 * 2)
    for selection in ("gaussian", "exponential"):
        curator, meter = curator_of(tree_table(500), schema, Budget(5.0))
        method = Mst(selection=selection)
        fitted = method.fit(curator, schema, method.plan(schema, Budget(5.0)))
        pairs = [e.columns for e in meter.events if e.query == "marginal" and len(e.columns) == 2]
        assert 0 < len(pairs) < 4
        assert fitted.model.marginal(("a", "b")).values[0, 1] == 0
