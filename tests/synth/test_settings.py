"""Wishes of a user: which are refused, and what they mean for a table."""

from __future__ import annotations

import json
from typing import Any

import pytest
from synth_tables import schema_of

from tronie.errors import InputError
from tronie.synth.language_settings import LanguageSettings
from tronie.synth.settings import (
    CELL_BYTES,
    DEFAULTS,
    EFFORTS,
    LEAST_MEMORY,
    Settings,
    Training,
    workload_columns,
)
from tronie.synth.workload import Workload

SCHEMA = schema_of(
    {
        "id": {"kind": "identifier"},
        "age": {"kind": "integer", "min": 0, "max": 9},
        "town": {"kind": "open_category"},
        "notes": {"kind": "text"},
        "pay": {"kind": "decimal"},
    }
)
WORKLOAD = Workload({("age", "town"): 2.0})


def test_without_wishes_all_pairs_are_alike() -> None:
    assert Settings() == DEFAULTS
    assert DEFAULTS.workload_of(SCHEMA).weights == {
        ("age", "town"): 1.0,
        ("age", "pay"): 1.0,
        ("town", "pay"): 1.0,
    }


def test_columns_of_a_workload_are_those_with_values_to_model() -> None:
    assert workload_columns(SCHEMA) == ["age", "town", "pay"]


def test_a_target_weighs_its_pairs() -> None:
    assert Settings(target="pay").workload_of(SCHEMA).weights == {
        ("age", "town"): 1.0,
        ("age", "pay"): 4.0,
        ("town", "pay"): 4.0,
    }


@pytest.mark.parametrize("target", ["id", "notes", "shoe"])
def test_a_target_must_be_a_column_with_values(target: str) -> None:
    with pytest.raises(InputError, match=f"target '{target}'.*\n.*age, town, pay"):
        Settings(target=target).workload_of(SCHEMA)


def test_a_workload_is_taken_as_it_is() -> None:
    assert Settings(workload=WORKLOAD).workload_of(SCHEMA) is WORKLOAD


@pytest.mark.parametrize(
    ("wishes", "fault"),
    [
        ({"rows": -1}, "cannot have -1 rows"),
        ({"effort": "huge"}, "no effort 'huge'.*\n.*fast, normal, high"),
        ({"max_memory": LEAST_MEMORY - 1}, "63 MiB are too few.*\n.*64"),
        ({"max_memory": -5}, "-5 MiB are too few"),
        ({"target": "age", "workload": WORKLOAD}, "both a target and a workload"),
    ],
)
def test_wishes_that_make_no_sense(wishes: dict[str, Any], fault: str) -> None:
    with pytest.raises(InputError, match=fault):
        Settings(**wishes)


@pytest.mark.parametrize("effort", EFFORTS)
def test_the_least_that_may_be_asked(effort: Any) -> None:
    settings = Settings(rows=0, effort=effort, max_memory=LEAST_MEMORY)
    assert (settings.rows, settings.effort, settings.max_memory) == (0, effort, LEAST_MEMORY)


def test_memory_bounds_the_cells_of_a_model() -> None:
    assert Settings().cells(123) == 123
    assert Settings(max_memory=100).cells(123) == 100 * 2**20 // CELL_BYTES


@pytest.mark.parametrize(
    ("levers", "what"),
    [
        ({"epochs": 0}, "epochs of the training is 0"),
        ({"learning_rate": -1.0}, "learning_rate"),
        ({"noise_multiplier": float("inf")}, "noise_multiplier"),
        ({"max_grad_norm": float("nan")}, "max_grad_norm"),
        ({"batch_size": 100}, "not the number of rows"),
    ],
)
def test_levers_that_make_no_sense(levers: Any, what: str) -> None:
    with pytest.raises(InputError, match=what):
        Training(**levers)


def test_levers_are_plain_data() -> None:
    levers = Training(epochs=2, batch_size=100, rows=1000)
    assert Settings(training=levers).to_dict()["training"] == {
        "epochs": 2,
        "batch_size": 100,
        "rows": 1000,
    }


def test_settings_are_plain_data() -> None:
    settings = Settings(rows=5, effort="fast", max_memory=100, workload=WORKLOAD)
    data = json.loads(json.dumps(settings.to_dict()))
    assert data == {
        "rows": 5,
        "effort": "fast",
        "max_memory": 100,
        "workload": [{"columns": ["age", "town"], "weight": 2.0}],
        "target": None,
        "prior": False,
        "training": {},
        "language": LanguageSettings().to_dict(),
    }
    assert Settings(target="age").to_dict() == {
        **dict.fromkeys(("rows", "max_memory", "workload")),
        "effort": "normal",
        "target": "age",
        "prior": False,
        "training": {},
        "language": LanguageSettings().to_dict(),
    }
