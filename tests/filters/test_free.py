"""Filters that cost nothing."""

from __future__ import annotations

import datetime as dt
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

import tronie
from tronie.errors import InputError
from tronie.filters.applying import apply_filters
from tronie.filters.free import (
    BrokenRules,
    RareCells,
    RareCombinations,
    Repeated,
    Unlikely,
    log_likelihood,
)
from tronie.measure.noise import InsecureNoise
from tronie.models.uncertainty import Measurements
from tronie.release.model import Model
from tronie.schema.schema import Schema
from tronie.tables.matching import read_points

SCHEMA = Schema.model_validate(
    {
        "name": "people",
        "columns": {
            "age": {"kind": "integer", "min": 0, "max": 9},
            "sex": {"kind": "category", "values": ["f", "m"], "nullable": False},
            "town": {"kind": "category", "values": ["Delft", "Gouda", "Lisse"]},
        },
    }
)


def people(rows: int, seed: int) -> pa.Table:
    rng = np.random.default_rng(seed)
    age = rng.binomial(9, 0.4, rows)
    return pa.table(
        {
            "age": age,
            "sex": rng.choice(["f", "m"], rows),
            "town": np.where(
                age < 4, "Delft", rng.choice(["Gouda", "Lisse"], rows, p=[0.95, 0.05])
            ),
        }
    )


@pytest.fixture(scope="module")
def model() -> Model:
    return tronie.fit(people(3000, 0), SCHEMA, epsilon=5.0, method="mst", noise=InsecureNoise(1))


def kept(filter_: Any, rows: pa.Table) -> list[dict[str, Any]]:
    return apply_filters(rows, [filter_]).rows.table.to_pylist()


def test_rows_may_occur_so_often() -> None:
    rows = pa.table({"a": [1, 2, 1, 1, None, None], "b": ["x", "y", "x", "x", None, "z"]})
    assert kept(Repeated(), rows) == [rows.to_pylist()[i] for i in (0, 1, 4, 5)]
    assert len(kept(Repeated(2), rows)) == 5
    assert kept(Repeated(columns=("a",)), rows) == [rows.to_pylist()[i] for i in (0, 1, 4)]
    assert Repeated().keep(rows.slice(0, 0)).tolist() == []
    with pytest.raises(InputError, match="may occur 0 times"):
        kept(Repeated(0), rows)


def test_rare_combinations_of_the_synthetic_rows() -> None:
    rows = pa.table({"a": list("xxxyyy"), "b": list("ppqqqp"), "n": [1.0, 2, 3, 4, 5, 6]})
    few = RareCombinations(columns=("a", "b"))
    assert few.keep(rows).tolist() == [True, True, False, True, True, False]
    assert RareCombinations(size=1, fewer_than=4, columns=("a",)).keep(rows).tolist() == [False] * 6
    wide = rows.append_column("id", pa.array(range(6)))
    many = pa.concat_tables([wide] * 20)
    id_ = pa.array(np.arange(120))
    assert RareCombinations().keep(many.set_column(3, "id", id_)).all(), "ids are left out"
    assert RareCombinations(size=1).keep(rows.slice(0, 0)).tolist() == []


def test_too_few_or_too_many_sets_are_refused() -> None:
    rows = pa.table({f"c{i}": [1, 1] for i in range(30)})
    with pytest.raises(InputError, match="2 columns have no sets of 3"):
        kept(RareCombinations(size=3, columns=("c0", "c1")), rows)
    with pytest.raises(InputError, match="30 columns have too many sets of 5"):
        kept(RareCombinations(size=5), rows)


def test_likelihoods_are_those_of_the_model(model: Model) -> None:
    every = model.marginal(list(model.codings), errors=False)
    assert len(every) > 0
    rows = people(200, 3)
    points = read_points(rows, dict(model.schema.modelled))
    codes = {name: model.codings[name].code_of(points[name]) for name in model.codings}
    joint = model.field.marginal(list(model.codings)).values / model.field.total
    expected = np.log(joint[tuple(codes.values())])
    np.testing.assert_allclose(log_likelihood(model, codes), expected, rtol=1e-9)


def test_the_least_likely_rows_go(model: Model) -> None:
    rows = people(1000, 4)
    odd = pa.table({"age": [9, 9], "sex": ["f", "m"], "town": ["Delft", "Lisse"]})
    both = pa.concat_tables([rows, odd])
    mask = Unlikely(model, share=0.01).keep(both)
    assert 0 < (~mask).sum() <= 0.01 * len(both)
    assert not mask[-2]
    assert Unlikely(model, share=0.0).keep(both).all()
    assert Unlikely(model, least=0.1).keep(both).sum() == 0
    assert Unlikely(model).keep(both.slice(0, 0)).tolist() == []
    with pytest.raises(InputError, match="the share is 1"):
        Unlikely(model, share=1.0).keep(both)


def test_other_kinds_of_models_have_likelihoods_too() -> None:
    model = tronie.fit(people(600, 0), SCHEMA, epsilon=50.0, method="gibbs", noise=InsecureNoise(1))
    rows = people(300, 5)
    mask = Unlikely(model, share=0.05).keep(rows)
    assert 0 < (~mask).sum() <= 15


def test_cells_with_a_small_noisy_count(model: Model) -> None:
    rows = people(2000, 6)
    mask = RareCells(model, least=100).keep(rows)
    (measured,) = [m for m in model.measurements.marginals if set(m.clique) == {"age", "town"}]
    points = read_points(rows, {n: model.schema.modelled[n] for n in measured.clique})
    codes = tuple(model.codings[n].code_of(points[n]) for n in measured.clique)
    assert (~mask)[measured.values[codes] < 100].all()
    assert 0 < mask.sum() < len(mask)
    assert RareCells(model, least=-1e9).keep(rows).all()


def test_a_model_without_measurements_is_refused(model: Model) -> None:
    bare = Model(
        model.schema,
        model.types,
        model.codings,
        model.field,
        model.column_errors,
        model.certificate,
        model.plan,
        Measurements(),
    )
    with pytest.raises(InputError, match="does not say what was measured"):
        RareCells(bare).keep(people(5, 0))


RULES = Schema.model_validate(
    {
        "name": "stays",
        "columns": {
            "age": {"kind": "integer", "min": 0, "max": 99},
            "paid": {"kind": "boolean", "nullable": False},
            "town": {"kind": "category", "values": ["Delft", "Gouda"]},
            "zip": {"kind": "category", "values": ["26", "28"]},
            "came": {"kind": "date", "min": "2020-01-01", "max": "2020-12-31"},
            "left": {"kind": "date", "min": "2020-01-01", "max": "2020-12-31"},
        },
        "constraints": [
            {"kind": "impossible", "when": {"age": {"max": 9}, "paid": [True]}},
            {
                "kind": "function",
                "of": "town",
                "gives": "zip",
                "table": [["Delft", "26"], ["Gouda", "28"]],
            },
            {"kind": "order", "low": "came", "high": "left"},
        ],
    }
)
GOOD = {
    "age": 30,
    "paid": True,
    "town": "Delft",
    "zip": "26",
    "came": dt.date(2020, 3, 1),
    "left": dt.date(2020, 3, 5),
}
BROKEN: list[dict[str, Any]] = [
    {"age": 100},
    {"age": 3},
    {"town": "Lisse", "zip": None},
    {"zip": "28"},
    {"left": dt.date(2020, 2, 1)},
    {"came": dt.date(2019, 1, 1)},
    {"paid": None},
]
FINE: list[dict[str, Any]] = [
    {},
    {"age": None},
    {"age": 3, "paid": False},
    {"town": None, "zip": None},
    {"left": None},
    {"left": GOOD["came"]},
]


def stays(changes: list[dict[str, Any]]) -> pa.Table:
    types = pa.schema(
        [
            ("age", pa.int64()),
            ("paid", pa.bool_()),
            ("town", pa.string()),
            ("zip", pa.string()),
            ("came", pa.date32()),
            ("left", pa.date32()),
        ]
    )
    return pa.Table.from_pylist([GOOD | change for change in changes], schema=types)


def test_rows_that_break_rules_go() -> None:
    rule = BrokenRules(RULES)
    assert rule.keep(stays(FINE)).tolist() == [True] * len(FINE)
    assert rule.keep(stays(BROKEN)).tolist() == [False] * len(BROKEN)
    strict = RULES.model_dump()
    strict["constraints"][2]["strict"] = True
    same_day = stays([{"left": GOOD["came"]}, {}])
    assert BrokenRules(Schema.model_validate(strict)).keep(same_day).tolist() == [False, True]


def test_our_rows_break_none() -> None:
    rng = np.random.default_rng(0)
    changes: list[dict[str, Any]] = [
        {
            "age": int(age),
            "paid": bool(age > 40),
            "left": dt.date(2020, 4, 1) + dt.timedelta(int(age)),
        }
        for age in rng.integers(0, 99, 300)
    ]
    model = tronie.fit(stays(changes), RULES, epsilon=3.0, noise=InsecureNoise(0))
    assert BrokenRules(RULES).keep(model.sample(500, seed=1).table).all()
