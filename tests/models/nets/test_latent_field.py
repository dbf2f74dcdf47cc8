"""Models that are generators: rows, rules, conditions, files."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from latent_tables import latent_field

from tronie.errors import BundleError, ConditionError, InputError
from tronie.models.factor import Factor
from tronie.models.field import draw, kind_of, read_field
from tronie.models.nets.latent_field import LatentField
from tronie.schema.domain import Domain

DOMAIN = Domain({"a": 4, "b": 3, "c": 3, "d": 2})


def rising(low: str, high: str) -> Factor:
    """Only rows in which one column is below another."""
    sizes = DOMAIN[low], DOMAIN[high]
    return Factor(Domain({low: sizes[0], high: sizes[1]}), np.triu(np.ones(sizes), 1))


CHAIN = (rising("b", "c"), rising("c", "a"))
"""b < c < a: a row that begins with b = 2, or a = 1 alone, has no end."""


def test_rules_hold_in_every_row() -> None:
    field = latent_field(DOMAIN, CHAIN)
    rows = field.sample(3000, np.random.default_rng(0))
    assert (rows["b"] < rows["c"]).all()
    assert (rows["c"] < rows["a"]).all()
    assert set(rows["a"]) == {2, 3}
    assert set(rows["d"]) == {0, 1}
    assert {column.dtype for column in rows.values()} == {np.dtype(np.uint8)}


def test_rules_and_conditions_hold_together() -> None:
    """Rows given a are those of the joint with that a, though b and c depend on it (TV below 0.03)."""
    field = latent_field(DOMAIN, CHAIN)
    joint = field.sample(40_000, np.random.default_rng(0))
    given = {"c": np.array([True, True, True]), "a": np.array([0.0, 0.0, 0.0, 0.5])}
    rows = field.sample(20_000, np.random.default_rng(1), given)
    kept = joint["a"] == 3
    assert set(rows["a"]) == {3}
    assert (rows["b"] < rows["c"]).all()
    for column in "bcd":
        one = np.bincount(joint[column][kept], minlength=DOMAIN[column]) / kept.sum()
        two = np.bincount(rows[column], minlength=DOMAIN[column]) / 20_000
        assert np.abs(one - two).sum() / 2 < 0.03
    with pytest.raises(ConditionError):
        field.sample(1, np.random.default_rng(0), {"b": np.array([False, False, True])})
    with pytest.raises(ConditionError):
        field.sample(1, np.random.default_rng(0), {"e": np.array([True])})


def test_marginals_are_counts_of_the_population() -> None:
    field = latent_field(DOMAIN)
    table = field.marginal(["c", "a"])
    expected = np.histogram2d(field.population["c"], field.population["a"], [range(4), range(5)])[0]
    np.testing.assert_allclose(table.values, expected * 2)
    assert field.convergence is None


def test_equal_seeds_give_equal_rows_through_the_list_of_kinds() -> None:
    field = latent_field(DOMAIN, CHAIN)
    assert kind_of(field) == "latent"
    again = read_field("latent", field.structure(), field.to_arrays())
    one, two = (draw(f, 200, np.random.default_rng(1)) for f in (field, again))
    other = draw(field, 200, np.random.default_rng(2))
    assert all(np.array_equal(one[c], two[c]) for c in DOMAIN)
    assert any(not np.array_equal(one[c], other[c]) for c in DOMAIN)
    assert list(one) == list(DOMAIN)
    with pytest.raises(InputError):
        field.sample(-1, np.random.default_rng(0))


Change = Callable[[dict[str, Any], dict[str, Any]], Any]


def replace(name: str, change: Callable[[Any], Any]) -> Change:
    """Damage one array."""
    return lambda arrays, structure: arrays.update({name: change(arrays[name])})


DAMAGE: dict[str, Change] = {
    "extra": lambda arrays, structure: arrays.update({"other.table": np.zeros(1)}),
    "structure": lambda arrays, structure: structure.update(width="8"),
    "order": lambda arrays, structure: structure.update(order=structure["order"][::-1]),
    "width": lambda arrays, structure: structure.update(width=9),
    "no points": lambda arrays, structure: arrays.pop("points.all"),
    "points' shape": replace("points.all", lambda array: array[:, :-1]),
    "a number for points": replace("points.all", lambda array: np.float32(1.0)),
    "no point": replace("points.all", lambda array: array[:0]),
    "points' numbers": replace("points.all", lambda array: array * np.float32("nan")),
    "missing": lambda arrays, structure: arrays.pop("net.heads.0.bias"),
    "ruled out": replace("population.1", np.zeros_like),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_model_is_refused(damage: str) -> None:
    field = latent_field(DOMAIN, CHAIN)
    arrays, structure = dict(field.to_arrays()), field.structure()
    LatentField.from_arrays(structure, arrays)
    DAMAGE[damage](arrays, structure)
    with pytest.raises(BundleError):
        LatentField.from_arrays(structure, arrays)
