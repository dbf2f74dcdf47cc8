"""Everything about synthetic tables, worked out together."""

from __future__ import annotations

import json
import resource
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from tronie.errors import InputError
from tronie.evaluate.distances import distributions
from tronie.evaluate.evaluation import Evaluation, evaluate
from tronie.evaluate.headline import headline
from tronie.evaluate.range_queries import range_queries
from tronie.evaluate.tables import Tables, read_tables
from tronie.schema.schema import Schema

SCHEMA = Schema.model_validate(
    {
        "name": "people",
        "columns": {
            "age": {"kind": "integer", "min": 0, "max": 99, "nullable": True},
            "wage": {"kind": "decimal", "min": 0, "max": 100, "resolution": 0.5, "nullable": False},
            "city": {"kind": "category", "values": ["a", "b", "c"], "nullable": False},
            "rich": {"kind": "boolean", "nullable": False},
        },
    }
)


def people(rows: int, seed: int) -> pa.Table:
    rng = np.random.default_rng(seed)
    age = rng.integers(18, 90, rows)
    wage = np.clip(np.rint(age + rng.normal(0, 10, rows)), 0, 100)
    return pa.table(
        {
            "age": pa.array(age, mask=rng.random(rows) < 0.05),
            "wage": wage,
            "city": np.array(list("abc"))[np.minimum(age // 30, 2)].tolist(),
            "rich": (wage > 55).tolist(),
        }
    )


@pytest.fixture(scope="module")
def tables() -> Tables:
    strange = people(600, 2).set_column(2, "city", pa.array(["?"] * 60 + ["a"] * 540))
    synthetic = {"fine": people(800, 1), "strange": strange}
    return read_tables(people(1000, 0), synthetic, SCHEMA, holdout=people(500, 3))


@pytest.fixture(scope="module")
def learned(tables: Tables) -> tuple[Evaluation, ...]:
    return evaluate(tables, target="rich", seed=1)


def test_each_synthetic_table_is_evaluated(tables: Tables, learned: tuple[Evaluation, ...]) -> None:
    assert [found.name for found in learned] == ["fine", "strange"]
    assert [found.rows for found in learned] == [800, 600]
    for found in learned:
        assert found.real_rows == 1000
        assert found.distributions == distributions(tables, found.name)
        assert found.headline == headline(found.distributions)
        pairs = [pair.distance for pair in found.distributions.pairs]
        assert found.kmarginal.score == pytest.approx(1000 * (1 - np.mean(pairs)))
        assert found.dependence.columns == ("age", "wage", "city", "rich")
        assert found.structure.test is not None
        assert found.structure.test.holdout_auc is not None
        assert found.use is not None
        assert found.use.target == "rich"
        assert found.queries == found.use.range_queries
        assert found.likelihood is None
        assert found.skipped == ()
    fine, strange = learned
    assert fine.headline.score.value > strange.headline.score.value
    assert fine.holdout is not None
    assert fine.holdout.score.value > 90
    assert fine.invalid == {}
    assert strange.invalid == {"city": pytest.approx(0.1)}


def test_without_learning_only_what_is_learned_is_left_out(
    tables: Tables, learned: tuple[Evaluation, ...]
) -> None:
    stages: list[str] = []
    for found, full in zip(
        evaluate(tables, learn=False, seed=1, watch=stages.append), learned, strict=True
    ):
        assert found.use is None
        assert found.structure.test is None
        assert found.structure.projection == full.structure.projection
        assert found.queries == range_queries(tables, found.name, seed=1)
        same = {"use": full.use, "structure": full.structure, "queries": full.queries}
        assert replace(found, **same) == full
    assert stages == ["reading the real rows", "comparing fine", "comparing strange"]


def test_it_is_plain_data(learned: tuple[Evaluation, ...]) -> None:
    for found in learned:
        data = found.to_dict()
        assert json.loads(json.dumps(data, allow_nan=False))["headline"]["score"]["value"] > 0
        assert data["use"]["target"] == "rich"


def test_what_could_not_be_learned_is_said() -> None:
    few = read_tables(people(8, 0), {"it": people(8, 1)}, SCHEMA)
    (found,) = evaluate(few, target="rich")
    assert found.structure.test is None
    assert found.use is not None
    assert not found.use.tasks
    told = " ".join(found.skipped)
    assert "too few rows for the classifier" in told
    assert "nothing was predicted" in told
    (unlearned,) = evaluate(few, learn=False)
    assert unlearned.skipped == ()


def test_an_unknown_target_is_refused(tables: Tables) -> None:
    with pytest.raises(InputError):
        evaluate(tables, target="height")


NUMBER: dict[str, Any] = {"kind": "integer", "min": 0, "max": 9, "nullable": True}


@pytest.mark.parametrize(
    ("real", "synthetic"),
    [
        ({"n": [1, 2, 3]}, {"n": [3]}),
        ({"n": [1, 1, 1], "m": [2, 2, 2]}, {"n": [1, 1], "m": [2, 2]}),
        ({"n": [1, None], "m": [None, None]}, {"n": [None, None], "m": [1, 2]}),
    ],
)
def test_degenerate_tables(real: dict[str, Any], synthetic: dict[str, Any]) -> None:
    def table(columns: dict[str, Any]) -> pa.Table:
        return pa.table({name: pa.array(values, pa.int64()) for name, values in columns.items()})

    schema = Schema.model_validate({"name": "d", "columns": dict.fromkeys(real, NUMBER)})
    (found,) = evaluate(read_tables(table(real), {"it": table(synthetic)}, schema), learn=False)
    assert 0 <= found.headline.score.value <= 100
    json.dumps(found.to_dict(), allow_nan=False)


def test_a_real_table_of_ordinary_size_takes_seconds() -> None:
    """The budget on Adult is 15 CPU seconds; this is a tenth of its cells, with room for slow machines."""
    tables = read_tables(people(20_000, 4), {"it": people(20_000, 5)}, SCHEMA)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_utime
    evaluate(tables, learn=False)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_utime - before < 10
