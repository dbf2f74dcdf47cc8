"""What every method must do, whatever it measures."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from synth_tables import chain

import tronie
from tronie.measure.noise import InsecureNoise
from tronie.schema.schema import Schema
from tronie.synth.aim import Aim
from tronie.synth.methods import METHODS
from tronie.synth.mst import Mst

JOBS = ["clerk", "cook", "judge", "nurse"]

SCHEMA = Schema.model_validate(
    {
        "name": "people",
        "columns": {
            "id": {"kind": "identifier", "pattern": "P-{n:04d}"},
            "age": {"kind": "integer", "min": 16, "max": 90},
            "job": {"kind": "category", "values": JOBS},
            "grade": {"kind": "integer", "min": 1, "max": 4, "nullable": False},
            "pay": {"kind": "decimal", "min": 0, "max": 5000, "resolution": 0.01},
            "born": {"kind": "date", "min": "1930-01-01", "max": "2010-12-31"},
            "hired": {"kind": "date", "min": "1945-01-01", "max": "2025-12-31"},
            "seen": {
                "kind": "datetime",
                "min": "2020-01-01T00:00:00",
                "max": "2024-12-31T23:00:00",
                "resolution": "hour",
            },
            "member": {"kind": "boolean"},
            "notes": {"kind": "text"},
        },
        "constraints": [
            {
                "kind": "function",
                "of": "job",
                "gives": "grade",
                "table": [["clerk", 2], ["cook", 1], ["judge", 4], ["nurse", 3], [None, 1]],
            },
            {"kind": "order", "low": "born", "high": "hired", "strict": True},
            {"kind": "impossible", "when": {"member": [True], "age": {"max": 20}}},
            {"kind": "impossible", "when": {"grade": [4], "age": {"max": 39}}},
        ],
    }
)


def people(rows: int, seed: int = 0) -> pa.Table:
    """A table that obeys the schema's constraints, with dependent columns and missing values."""
    rng = np.random.default_rng(seed)
    job = rng.choice(4, rows, p=[0.5, 0.3, 0.05, 0.15])
    age = np.where(job == 2, rng.integers(40, 91, rows), rng.integers(16, 91, rows))
    born = dt.date(2010, 12, 31).toordinal() - age * 300
    hired = born + rng.integers(5000, 7000, rows)
    seen = rng.integers(0, 365 * 24, rows)
    return pa.table(
        {
            "id": [f"secret{i}" for i in range(rows)],
            "age": pa.array(age, pa.int16()),
            "job": pa.DictionaryArray.from_arrays(
                pa.array(job, pa.int8(), mask=rng.random(rows) < 0.04), pa.array(JOBS)
            ),
            "grade": pa.array([[2, 1, 4, 3][j] for j in job], pa.uint8()),
            "pay": pa.array(np.round(rng.gamma(2 + 3 * job, 200).clip(0, 5000), 2)),
            "born": pa.array([dt.date.fromordinal(d) for d in born], pa.date32()),
            "hired": pa.array(
                [dt.date.fromordinal(d) if d % 9 else None for d in hired], pa.date32()
            ),
            "seen": pa.array(
                [dt.datetime(2020, 1, 1) + dt.timedelta(hours=int(h)) for h in seen],
                pa.timestamp("ms"),
            ),
            "member": pa.array((age > 20) & (rng.random(rows) < 0.7)),
            "notes": ["private words"] * rows,
        }
    )


TRAINED = {"transformer", "lstm", "hybrid", "vae", "gan", "marginal_net"}
"""Methods that train a network: briefly here, for what must hold of an untrained one too."""

CHEAP: dict[str, dict[str, Any]] = {
    "llm": {
        "language": tronie.LanguageSettings(stage1_rows=2048, population=4096),
        "training": tronie.Training(epochs=0.5),
    }
}
"""What makes methods quick enough for tests."""

VARIANTS = {"mst-exponential": Mst("exponential"), "aim-exponential": Aim("exponential")}


@pytest.fixture(params=[*METHODS, *VARIANTS], scope="module")
def method(request: pytest.FixtureRequest) -> Any:
    """Every method, and every variant of one."""
    return {**METHODS, **VARIANTS}[request.param]


def fitted(
    method: Any, table: Any, ledger: Path, *, epsilon: float = 2.0, **more: Any
) -> tronie.Model:
    """A model by a method that may not have a name of its own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tronie.release.fit.best_for", lambda schema, effort: (method, ""))
        if method.name == "direct":
            known = [name for name in table.column_names if name not in ("id", "notes", "label")]
            more["workload"] = chain(known)
        more = {**CHEAP.get(method.name, {}), **more}
        if method.name in TRAINED:
            more = {"effort": "fast", "training": tronie.Training(epochs=0.5)} | more
        return tronie.fit(table, more.pop("schema", SCHEMA), epsilon=epsilon, ledger=ledger, **more)


@pytest.fixture(scope="module")
def model(method: Any, tmp_path_factory: pytest.TempPathFactory) -> tronie.Model:
    """A model of 3,000 people."""
    ledger = tmp_path_factory.mktemp("ledger") / "ledger.sqlite"
    return fitted(method, people(3000), ledger, noise=InsecureNoise(7))


def test_it_spends_its_budget_and_no_more(model: tronie.Model) -> None:
    check = model.certificate.verify()
    assert check.epsilon_recomputed <= check.epsilon_claimed == 2.0
    assert check.problems == ("The noise came from a test source: nothing is guaranteed.",)
    assert check.epsilon_recomputed >= 0.98 * 2.0


def test_types_and_columns_come_back(model: tronie.Model) -> None:
    table = model.sample(500, seed=1).table
    expected = people(1).drop_columns(["notes"])
    assert table.schema.equals(expected.schema)
    assert table.num_rows == 500
    assert table["id"][0].as_py() == "P-0001"


def test_constraints_hold_in_every_row(model: tronie.Model) -> None:
    rows = model.sample(20_000, seed=2).table.to_pylist()
    grade = {"clerk": 2, "cook": 1, "judge": 4, "nurse": 3, None: 1}
    for row in rows:
        assert row["grade"] == grade[row["job"]]
        assert not (row["member"] and row["age"] is not None and row["age"] <= 20)
        assert not (row["grade"] == 4 and row["age"] is not None and row["age"] <= 39)
        if row["born"] is not None and row["hired"] is not None:
            assert row["born"] < row["hired"]
        assert row["seen"] is None or row["seen"].minute == 0


def test_the_same_seed_gives_the_same_rows(model: tronie.Model) -> None:
    assert model.sample(300, seed=5).table.equals(model.sample(300, seed=5).table)
    assert not model.sample(300, seed=5).table.equals(model.sample(300, seed=6).table)


def test_it_works_from_its_file(model: tronie.Model, tmp_path: Path) -> None:
    again = tronie.Model.load(model.save(tmp_path / "people.tronie"))
    assert again.sample(400, seed=3).table.equals(model.sample(400, seed=3).table)
    assert again.certificate == model.certificate
    assert again.marginal(["job"]).table.equals(model.marginal(["job"]).table)


def test_conditions_hold_and_move_the_rest(model: tronie.Model) -> None:
    judges = model.sample(2000, given={"grade": 4}, seed=4).table
    assert set(judges["job"].to_pylist()) == {"judge"}
    assert min(age for age in judges["age"].to_pylist() if age is not None) >= 40
    narrow = model.sample(
        500, given={"age": tronie.Range(min=31, max=33), "job": ["cook", None]}, seed=4
    ).table
    assert set(narrow["age"].to_pylist()) == {31, 32, 33}
    assert set(narrow["job"].to_pylist()) <= {"cook", None}


def test_conditional_rows_follow_the_joint_ones(model: tronie.Model) -> None:
    """Sampling given members equals filtering joint rows, up to sampling noise (TV < 0.05)."""
    joint = model.sample(60_000, seed=8).table
    kept = joint.filter(joint["member"]).column("job").to_pylist()
    given = model.sample(20_000, given={"member": True}, seed=9).table["job"].to_pylist()
    names = [*JOBS, None]
    one, two = (np.array([rows.count(n) for n in names]) / len(rows) for rows in (kept, given))
    assert np.abs(one - two).sum() / 2 < 0.05


def test_much_budget_gives_the_single_columns_back(method: Any, tmp_path: Path) -> None:
    table = people(3000)
    model = fitted(method, table, tmp_path / "l", epsilon=200.0, delta=1e-6)
    found = tronie.report(model.sample(3000, seed=1), real=table, schema=model.schema, learn=False)
    columns = found.evaluations[0].distributions.columns
    assert np.mean([column.distance for column in columns]) < 0.02
    assert abs(model.rows - 3000) <= 5


@pytest.mark.parametrize("rows", [0, 1])
def test_tiny_tables_are_tables_too(method: Any, rows: int, tmp_path: Path) -> None:
    model = fitted(method, people(rows), tmp_path / "l")
    assert model.certificate.verify().ok
    assert model.sample(10, seed=1).table.num_rows == 10
    assert model.sample(0).table.num_rows == 0


def test_one_column(method: Any, tmp_path: Path) -> None:
    schema = Schema.model_validate(
        {"name": "one", "columns": {"x": {"kind": "integer", "min": 0, "max": 9}}}
    )
    table = pa.table({"x": np.arange(500) % 10})
    model = fitted(method, table, tmp_path / "l", schema=schema)
    assert set(model.sample(1000, seed=1).table["x"].to_pylist()) <= {None, *range(10)}


def test_unknown_domains_are_found(method: Any, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    rows = 4000
    table = pa.table(
        {
            "city": rng.choice(["Delft", "Leiden", "Gouda"], rows, p=[0.6, 0.39, 0.01]),
            "height": np.round(rng.normal(1.75, 0.1, rows), 2),
            "day": pa.array(
                [dt.date(2019, 1, 1) + dt.timedelta(days=int(d)) for d in rng.integers(0, 99, rows)]
            ),
            "floor": rng.integers(-2, 12, rows),
            "when": pa.array(rng.integers(1_500_000_000, 1_600_000_000, rows), pa.timestamp("s")),
            "empty": pa.nulls(rows, pa.float64()),
            "label": [f"unique-{i}" for i in range(rows)],
        }
    )
    model = fitted(
        method, table, tmp_path / "l", schema=None, name="towns", discover=True, epsilon=3.0
    )
    assert model.certificate.verify().ok
    found = model.schema.columns
    assert {"Delft", "Leiden"} <= set(found["city"].values)
    assert found["height"].resolution == pytest.approx(0.01)
    assert found["floor"].min <= -2
    assert 11 <= found["floor"].max <= 16
    rows_back = model.sample(2000, seed=1).table
    assert rows_back.schema.equals(table.schema)
    days = [d for d in rows_back["day"].to_pylist() if d]
    assert dt.date(2017, 1, 1) < min(days)
    assert max(days) < dt.date(2022, 1, 1)
    assert "unique" not in str(rows_back["label"].to_pylist())
