"""Models that are networks: rows, rules, conditions, files."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from nets_tables import field_of

from tronie.errors import BundleError, ConditionError, InputError, SchemaError
from tronie.models.factor import Factor
from tronie.models.field import draw, kind_of, read_field
from tronie.models.nets.net_field import NetField
from tronie.models.nets.shape import BODIES, Body
from tronie.schema.domain import Domain

DOMAIN = Domain({"a": 4, "b": 3, "c": 3, "d": 2})


def rising(low: str, high: str) -> Factor:
    """Only rows in which one column is below another."""
    sizes = DOMAIN[low], DOMAIN[high]
    return Factor(Domain({low: sizes[0], high: sizes[1]}), np.triu(np.ones(sizes), 1))


CHAIN = (rising("b", "c"), rising("c", "a"))
"""b < c < a: a row that begins with b = 2, or a = 1 alone, has no end."""


@pytest.mark.parametrize("body", BODIES)
def test_rules_hold_in_every_row(body: Body) -> None:
    field = field_of(DOMAIN, CHAIN, body=body)
    rows = field.sample(3000, np.random.default_rng(0))
    assert (rows["b"] < rows["c"]).all()
    assert (rows["c"] < rows["a"]).all()
    assert set(rows["a"]) == {2, 3}
    assert set(rows["d"]) == {0, 1}
    assert {column.dtype for column in rows.values()} == {np.dtype(np.uint8)}


def test_rules_and_conditions_hold_together() -> None:
    field = field_of(DOMAIN, CHAIN)
    given = {"c": np.array([True, True, True]), "a": np.array([0.0, 0.0, 0.0, 0.5])}
    rows = field.sample(2000, np.random.default_rng(0), given)
    assert set(rows["a"]) == {3}
    assert (rows["b"] < rows["c"]).all()
    assert set(rows["c"]) == {1, 2}
    with pytest.raises(ConditionError):
        field.sample(1, np.random.default_rng(0), {"b": np.array([False, False, True])})
    with pytest.raises(ConditionError):
        field.sample(1, np.random.default_rng(0), {"e": np.array([True])})


def test_a_condition_on_ruled_columns_leaves_the_others_odds() -> None:
    """Given d, which no rule ties, rows are those of the joint with that d (TV below 0.03)."""
    field = field_of(DOMAIN, CHAIN)
    assert field.order[0] == "d"
    joint = field.sample(40_000, np.random.default_rng(0))
    kept = joint["d"] == 1
    given = field.sample(20_000, np.random.default_rng(1), {"d": np.array([0.0, 0.3])})
    assert (given["d"] == 1).all()
    for column in "abc":
        one = np.bincount(joint[column][kept], minlength=DOMAIN[column]) / kept.sum()
        two = np.bincount(given[column], minlength=DOMAIN[column]) / 20_000
        assert np.abs(one - two).sum() / 2 < 0.03


def test_marginals_are_counts_of_the_population() -> None:
    field = field_of(DOMAIN)
    table = field.marginal(["c", "a"])
    assert table.columns == ("c", "a")
    assert table.sum() == pytest.approx(100)
    expected = np.histogram2d(field.population["c"], field.population["a"], [range(4), range(5)])[0]
    np.testing.assert_allclose(table.values, expected * 2)
    with pytest.raises(SchemaError):
        field.marginal(["z"])
    assert field.convergence is None


def test_equal_seeds_give_equal_rows_through_the_list_of_kinds() -> None:
    field = field_of(DOMAIN)
    assert kind_of(field) == "net"
    one, two, other = (draw(field, 200, np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert all(np.array_equal(one[c], two[c]) for c in DOMAIN)
    assert any(not np.array_equal(one[c], other[c]) for c in DOMAIN)
    assert list(one) == list(DOMAIN)
    with pytest.raises(InputError):
        field.sample(-1, np.random.default_rng(0))


@pytest.mark.parametrize("body", BODIES)
def test_a_stored_model_is_the_same(body: Body) -> None:
    field = field_of(DOMAIN, CHAIN, body=body)
    again = read_field("net", field.structure(), field.to_arrays())
    one, two = (f.sample(300, np.random.default_rng(0)) for f in (field, again))
    assert all(np.array_equal(one[c], two[c]) for c in DOMAIN)
    assert np.array_equal(again.marginal(["a"]).values, field.marginal(["a"]).values)


Change = Callable[[dict[str, Any], dict[str, Any]], Any]


def replace(name: str, change: Callable[[Any], Any]) -> Change:
    """Damage one array."""
    return lambda arrays, structure: arrays.update({name: change(arrays[name])})


def emptied(arrays: dict[str, Any], structure: dict[str, Any]) -> None:
    arrays.update({f"population.{n}": arrays[f"population.{n}"][:0] for n in range(4)})


DAMAGE: dict[str, Change] = {
    "extra": lambda arrays, structure: arrays.update({"other.table": np.zeros(1)}),
    "structure": lambda arrays, structure: structure.update(width="8"),
    "order": lambda arrays, structure: structure.update(order=structure["order"][::-1]),
    "missing column": lambda arrays, structure: structure.update(order=structure["order"][1:]),
    "no guide": lambda arrays, structure: arrays.pop("guide.norm.bias"),
    "unknown tie": lambda arrays, structure: arrays.update({"tie.1.0": np.zeros((2, 2))}),
    "tie's shape": replace("tie.0.1", lambda array: array[:-1]),
    "tie's type": replace("tie.0.1", lambda array: array.astype(np.float64)),
    "tie's numbers": replace("tie.0.1", lambda array: array * np.float32("inf")),
    "heads": lambda arrays, structure: structure.update(heads=3),
    "missing": lambda arrays, structure: arrays.pop("net.norm.bias"),
    "shape": replace("net.norm.bias", lambda array: array[:-1]),
    "type": replace("net.norm.bias", lambda array: array.astype(np.float64)),
    "no number": replace("net.norm.bias", lambda array: array * np.float32("nan")),
    "no population": lambda arrays, structure: arrays.pop("population.0"),
    "lengths": replace("population.0", lambda array: array[:-1]),
    "codes": replace("population.0", lambda array: array + np.uint8(200)),
    "signed": replace("population.0", lambda array: array.astype(np.int8)),
    "empty": emptied,
    "ruled out": replace("population.1", np.zeros_like),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_model_is_refused(damage: str) -> None:
    field = field_of(DOMAIN, CHAIN)
    arrays, structure = dict(field.to_arrays()), field.structure()
    NetField.from_arrays(structure, arrays)
    DAMAGE[damage](arrays, structure)
    with pytest.raises(BundleError):
        NetField.from_arrays(structure, arrays)
