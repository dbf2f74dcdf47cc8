"""The methods by name."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from synth_tables import curator_of, schema_of, settings_for

from tronie.errors import InputError
from tronie.privacy.accounting import fits, total_mu
from tronie.privacy.budget import Budget
from tronie.synth.independent import Independent
from tronie.synth.methods import AUTO, METHODS, best_for, method_named
from tronie.synth.mst import Mst
from tronie.synth.settings import Effort

SCHEMA = schema_of(
    {
        "x": {"kind": "integer", "min": 0, "max": 3, "nullable": False},
        "y": {"kind": "integer", "min": 0, "max": 3, "nullable": False},
    }
)


def test_methods_are_found_by_name() -> None:
    assert method_named("independent") == Independent()
    assert method_named("mst") == Mst()
    assert all(name == method.name for name, method in METHODS.items())


def test_the_choice_rests_on_public_facts_and_says_why() -> None:
    kind = {"kind": "category", "values": [0, 1], "nullable": False}
    efforts: list[tuple[int, Effort, str, str]] = [
        (1, "normal", "independent", "single column"),
        (2, "normal", "glaze", "in its time"),
        (2, "high", "gibbs", "may take time"),
        (61, "high", "glaze", "in its time"),
        (601, "high", "mst", "601 columns"),
    ]
    for count, effort, name, reason in efforts:
        method, why = best_for(schema_of({f"c{i}": dict(kind) for i in range(count)}), effort)
        assert method.name == name
        assert reason in why


def test_an_unknown_name_is_refused_with_the_choice() -> None:
    with pytest.raises(InputError, match="'best'") as caught:
        method_named("best")
    assert all(name in caught.value.remedy for name in [AUTO, *METHODS])


LONG = {"lstm", "vae", "gan", "llm"}
"""Methods that take long to learn a dependence, and have tests of their own of it."""


def test_independence_forgets_dependence_and_mst_keeps_it() -> None:
    x = np.arange(4000) % 4
    table, budget = pa.table({"x": x, "y": x}), Budget(20.0)
    joint = {}
    for name, method in METHODS.items():
        if name in LONG:
            continue
        curator, meter = curator_of(table, SCHEMA, budget)
        fitted = method.fit(
            curator, SCHEMA, method.plan(SCHEMA, budget, settings_for(name, SCHEMA))
        )
        joint[name] = fitted.model.marginal(("x", "y")).values / fitted.model.total
        assert fits(meter.events, budget)
        assert total_mu(meter.events) >= 0.98 * budget.mu
        assert fitted.prepared.total == pytest.approx(4000, abs=10)
    np.testing.assert_allclose(joint["independent"], 1 / 16, atol=0.005)
    for name in set(joint) - {"independent"}:
        np.testing.assert_allclose(joint[name], np.eye(4) / 4, atol=0.005, err_msg=name)
