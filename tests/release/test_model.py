"""A model draws rows, answers for its marginals, and refuses what it cannot do."""

from __future__ import annotations

import datetime as dt
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

import tronie
from tronie.errors import ConditionError, InputError, SchemaError
from tronie.measure.noise import InsecureNoise
from tronie.schema.schema import Schema

ZIP = {"Delft": "26", "Gouda": "28", "Lisse": "21", None: None}


def rows(model: tronie.Model, n: int = 400, **options: Any) -> list[dict[str, Any]]:
    return model.sample(n, seed=0, **options).table.to_pylist()


def test_the_number_of_rows_is_the_released_estimate(model: tronie.Model) -> None:
    assert model.rows == round(model.field.total)
    assert abs(model.rows - 600) < 60
    assert len(model.sample(seed=0)) == model.rows
    assert len(model.sample(0)) == 0


def test_left_out_columns_are_named(model: tronie.Model) -> None:
    assert model.dropped == ("secret", "note")
    assert not {"secret", "note"} & set(model.types.names)


def test_rules_hold_and_private_values_are_gone(model: tronie.Model) -> None:
    for number, row in enumerate(rows(model), 1):
        assert row["id"] == f"V-{number:03d}"
        assert row["zip"] == ZIP[row["town"]]
        assert not (row["paid"] and row["age"] is not None and row["age"] <= 9)
        assert row["paid"] is not None
        assert row["cost"] is None or row["cost"] * 4 == int(row["cost"] * 4)


def test_seeds_repeat(model: tronie.Model) -> None:
    one, two, other = (model.sample(50, seed=seed).table for seed in (1, 1, 2))
    assert one.equals(two)
    assert not one.equals(other)
    assert not model.sample(50).table.equals(model.sample(50).table)


CONDITIONS: dict[str, tuple[dict[str, Any], Any]] = {
    "a value": ({"town": "Lisse"}, lambda r: r["town"] == "Lisse"),
    "values": ({"town": ["Lisse", "Gouda"]}, lambda r: r["town"] in {"Lisse", "Gouda"}),
    "missing": ({"age": None}, lambda r: r["age"] is None),
    "missing or a value": ({"age": [None, 30]}, lambda r: r["age"] in {None, 30}),
    "truth": ({"paid": True}, lambda r: r["paid"]),
    "a number": ({"age": 41}, lambda r: r["age"] == 41),
    "a range": (
        {"cost": tronie.Range(min=10, max=12.5)},
        lambda r: 10 <= r["cost"] <= 12.5,
    ),
    "dates": (
        {"seen": tronie.Range(min="2020-03-02", max="2020-03-04")},
        lambda r: dt.date(2020, 3, 2) <= r["seen"] <= dt.date(2020, 3, 4),
    ),
    "a computed column": ({"zip": ["26"]}, lambda r: r["town"] == "Delft"),
    "a computed column and its source": (
        {"zip": ["26", "28"], "town": ["Gouda", "Lisse"]},
        lambda r: r["town"] == "Gouda",
    ),
    "two columns": (
        {"paid": True, "age": tronie.Range(max=12)},
        lambda r: r["paid"] and 10 <= r["age"] <= 12,
    ),
}


@pytest.mark.parametrize(("given", "holds"), CONDITIONS.values(), ids=CONDITIONS)
def test_conditions_hold_in_every_row(given: dict[str, Any], holds: Any, model: Any) -> None:
    drawn = rows(model, 100, given=given)
    assert len(drawn) == 100
    assert all(holds(row) for row in drawn)
    assert all(row["zip"] == ZIP[row["town"]] for row in drawn)


@pytest.mark.parametrize(
    ("given", "error", "match"),
    [
        ({"height": 3}, ConditionError, "'height'"),
        ({"id": "V-001"}, ConditionError, "'id'"),
        ({"note": "x"}, ConditionError, "'note'"),
        ({"town": "Paris"}, SchemaError, "Paris"),
        ({"town": tronie.Range(min=1)}, SchemaError, "ordered"),
        ({"age": 1000}, SchemaError, "1000"),
        ({"paid": None}, SchemaError, "missing"),
        ({"age": 3, "paid": True}, ConditionError, "no row"),
        ({"town": "Delft", "zip": "28"}, ConditionError, "no row"),
    ],
)
def test_conditions_that_cannot_be_met_are_refused(
    given: dict[str, Any], error: type[InputError], match: str, model: tronie.Model
) -> None:
    with pytest.raises(error, match=match):
        model.sample(10, given=given)


@pytest.mark.parametrize("options", [{"n": -1}, {"n": 5, "seed": -1}])
def test_negative_numbers_are_refused(options: dict[str, int], model: tronie.Model) -> None:
    with pytest.raises(InputError, match="-1"):
        model.sample(**options)


def test_marginals_sum_to_the_rows(model: tronie.Model) -> None:
    one = model.marginal(["town"]).table
    assert one.column_names == ["town", "rows", "standard_error"]
    assert set(one["town"].to_pylist()) >= {"Delft", "Gouda", "Lisse"}
    assert sum(one["rows"].to_pylist()) == pytest.approx(model.field.total)
    two = model.marginal(["paid", "town"]).table
    assert two.num_rows == 2 * one.num_rows
    by_town: dict[str, float] = dict.fromkeys(one["town"].to_pylist(), 0.0)
    for row in two.to_pylist():
        by_town[row["town"]] += row["rows"]
    assert list(by_town.values()) == pytest.approx(one["rows"].to_pylist(), rel=1e-6)


def test_a_measured_marginal_has_a_standard_error(model: tronie.Model) -> None:
    """About that of the noise: single columns of a dozen codes, measured at epsilon 5."""
    errors = model.marginal(["town"]).table["standard_error"].to_pylist()
    sd = next(m.sd for m in model.measurements.marginals if m.clique == ("town",))
    assert all(0 < error < 2 * float(np.max(sd)) for error in errors)
    plain = model.marginal(["town"], errors=False).table
    assert plain["standard_error"].null_count == plain.num_rows


def test_an_unmeasured_marginal_has_none_but_may_have_a_bound() -> None:
    """Two columns depend on one another, the others on none; the seed is fixed."""
    rng = np.random.default_rng(0)
    rows = 3000
    columns = {name: rng.integers(0, 9, rows) for name in "abcdef"}
    columns["b"] = (columns["a"] + (rng.random(rows) < 0.1)) % 9
    kind = {"kind": "category", "values": list(range(9)), "nullable": False}
    schema = Schema.model_validate({"name": "abc", "columns": dict.fromkeys("abcdef", kind)})
    noise = InsecureNoise(0)
    model = tronie.fit(pa.table(columns), schema, epsilon=0.3, method="glaze", noise=noise)
    bounds = {(m.columns): model.error_bound(m.columns) for m in model.measurements.misfits}
    assert bounds
    assert ("a", "b") not in bounds
    assert model.error_bound(["a", "b"]) is None
    for pair, bound in bounds.items():
        table = model.marginal(pair).table
        assert table["standard_error"].null_count == table.num_rows
        held = model.field.marginal(pair).values / model.field.total
        truth = np.zeros(held.shape)
        np.add.at(truth, tuple(model.codings[c].groups[columns[c]] for c in pair), 1 / rows)
        assert bound is not None
        assert np.abs(held - truth).sum() / 2 <= bound <= 1


@pytest.mark.parametrize("columns", [[], ["zip"], ["id"], ["town", "absent"]])
def test_marginals_are_of_modelled_columns(columns: list[str], model: tronie.Model) -> None:
    with pytest.raises(ConditionError, match="no modelled column") as caught:
        model.marginal(columns)
    assert "town" in caught.value.remedy


def test_samples_follow_the_marginal(model: tronie.Model) -> None:
    # 20,000 rows: a share is within 5 sds, 0.018.
    drawn = model.sample(20_000, seed=3).table["town"].to_pylist()
    marginal = model.marginal(["town"]).table.to_pylist()
    for row in marginal:
        if row["town"] in ZIP:
            share = drawn.count(row["town"]) / len(drawn)
            assert share == pytest.approx(row["rows"] / model.field.total, abs=0.018)


def test_functions_may_follow_one_another() -> None:
    values = {"a": ["p", "q", "r"], "b": ["s", "t"], "c": ["u", "v"]}
    columns = {n: {"kind": "category", "values": v, "nullable": False} for n, v in values.items()}
    # Declared last first, so that one has to wait for the other.
    rules = [
        {"kind": "function", "of": "b", "gives": "c", "table": [["s", "v"], ["t", "u"]]},
        {
            "kind": "function",
            "of": "a",
            "gives": "b",
            "table": [["p", "s"], ["q", "t"], ["r", "t"]],
        },
    ]
    schema = Schema.model_validate({"name": "chain", "columns": columns, "constraints": rules})
    at = np.arange(300) % 3
    table = pa.table(
        {
            "a": np.array(["p", "q", "r"])[at].tolist(),
            "b": np.array(["s", "t", "t"])[at].tolist(),
            "c": np.array(["v", "u", "u"])[at].tolist(),
        }
    )
    model = tronie.fit(table, schema, epsilon=3.0, noise=InsecureNoise(0))
    expected = {"p": ("s", "v"), "q": ("t", "u"), "r": ("t", "u")}
    for row in model.sample(100, seed=0).table.to_pylist():
        assert (row["b"], row["c"]) == expected[row["a"]]
    given = model.sample(50, given={"c": "u"}, seed=0).table["a"].to_pylist()
    assert set(given) == {"q", "r"}
