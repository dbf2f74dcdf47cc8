"""Models that are language models: rows, rules, conditions, files, bases."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from lm_tables import base_folder, field_of

from tronie.errors import BundleError, ConditionError, InputError, SchemaError
from tronie.models.estimation import estimate
from tronie.models.factor import Factor
from tronie.models.field import draw, kind_of, read_field
from tronie.models.lm.drawing import Silent, Walk, Writer
from tronie.models.lm.grammar import Grammar
from tronie.models.lm.lessons import Lessons
from tronie.models.lm.lm_field import LanguageField, writing_steps
from tronie.models.lm.loading import open_base
from tronie.models.lm.network import LanguageNetwork
from tronie.models.lm.reading import CausalReader, open_reader
from tronie.schema.domain import Domain

DOMAIN = Domain({"a": 4, "b": 3, "c": 3, "d": 2})


def rising(low: str, high: str) -> Factor:
    """Only rows in which one column is below another."""
    sizes = DOMAIN[low], DOMAIN[high]
    return Factor(Domain({low: sizes[0], high: sizes[1]}), np.triu(np.ones(sizes), 1))


CHAIN = (rising("b", "c"), rising("c", "a"))
"""b < c < a: a row that begins with b = 2, or a = 1 alone, has no end."""


@pytest.fixture(scope="module")
def field() -> LanguageField:
    return field_of(DOMAIN, CHAIN)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return base_folder(tmp_path_factory.mktemp("base"))


def test_ten_thousand_of_ten_thousand_rows_are_valid(field: LanguageField) -> None:
    rows = field.sample(10_000, np.random.default_rng(0))
    assert (rows["b"] < rows["c"]).all()
    assert (rows["c"] < rows["a"]).all()
    assert set(rows["a"]) == {2, 3}
    assert set(rows["d"]) == {0, 1}
    assert {column.dtype for column in rows.values()} == {np.dtype(np.uint8)}
    assert {len(column) for column in rows.values()} == {10_000}
    assert list(rows) == list(DOMAIN)


@pytest.mark.parametrize("rank", [0, 2])
def test_rows_are_drawn_with_the_probabilities_that_training_sees(rank: int, folder: Path) -> None:
    """Log probabilities of drawn rows are the losses of the network, to 1e-4 nats."""
    field = replace(field_of(DOMAIN, rank=rank, folder=folder), biases={})
    rng = np.random.default_rng(0)
    model = open_base(folder).model(field.grammar.longest)
    network = LanguageNetwork(model, field.grammar, rng=rng, rank=rank)
    network.put(field.weights)
    reader = open_reader(field.base, field.weights, field.grammar)
    walk = Walk(
        Writer(reader, field.grammar),
        writing_steps(field.tree, field.grammar, {}),
        40,
        lambda place, rows, shares: (rows * (3 + place[1])) % shares.shape[1],
    )
    rows = walk.to_the_end()
    with torch.no_grad():
        losses = network(torch.tensor(rows)).numpy()
    np.testing.assert_allclose(-walk.logs, losses, atol=1e-4)
    assert np.ptp(losses) > 0.1


def test_a_shift_of_scores_is_part_of_what_is_read(field: LanguageField) -> None:
    reader = open_reader(field.base, field.weights, field.grammar)
    assert isinstance(reader, CausalReader)
    wider = np.concatenate([reader._heads, reader._heads[:, :1]], axis=1)
    reader._heads = wider
    known = reader.read(reader.start(), np.array([[0]]), np.array([[True]]))
    assert known.shape == (1, reader.width)
    assert known[0, -1] == 1.0


def test_rules_and_conditions_hold_together(field: LanguageField) -> None:
    given = {"c": np.array([True, True, True]), "a": np.array([0.0, 0.0, 0.0, 0.5])}
    rows = field.sample(1000, np.random.default_rng(0), given)
    assert set(rows["a"]) == {3}
    assert (rows["b"] < rows["c"]).all()
    assert set(rows["c"]) == {1, 2}
    with pytest.raises(ConditionError):
        field.sample(1, np.random.default_rng(0), {"b": np.array([False, False, True])})
    with pytest.raises(ConditionError):
        field.sample(0, np.random.default_rng(0), {"e": np.array([True])})


def test_a_condition_leaves_the_odds_of_the_other_columns() -> None:
    """Given the last column, rows are those of the joint with that value (TV below 0.04)."""
    field = field_of(DOMAIN, seed=2)
    last = field.order[-1]
    size = DOMAIN[last]
    joint = field.sample(30_000, np.random.default_rng(0))
    code = int(np.argmin(np.bincount(joint[last], minlength=size)))
    kept = joint[last] == code
    evidence = np.where(np.arange(size) == code, 0.3, 0.0)
    given = field.sample(10_000, np.random.default_rng(1), {last: evidence})
    assert (given[last] == code).all()
    for column in set(DOMAIN) - {last}:
        one = np.bincount(joint[column][kept], minlength=DOMAIN[column]) / kept.sum()
        two = np.bincount(given[column], minlength=DOMAIN[column]) / 10_000
        assert np.abs(one - two).sum() / 2 < 0.04


def test_marginals_are_counts_of_the_population(field: LanguageField) -> None:
    table = field.marginal(["c", "a"])
    expected = np.zeros((3, 4))
    np.add.at(expected, (field.population["c"], field.population["a"]), 100 / 50)
    np.testing.assert_allclose(table.values, expected)
    assert field.total == 100
    assert field.convergence is None
    with pytest.raises(SchemaError):
        field.marginal(["a", "a"])


def test_wrong_numbers_of_rows(field: LanguageField) -> None:
    assert all(not len(column) for column in field.sample(0, np.random.default_rng(0)).values())
    with pytest.raises(InputError, match="0 or more"):
        field.sample(-1, np.random.default_rng(0))


def test_equal_states_give_equal_rows_after_a_file_too(field: LanguageField) -> None:
    assert kind_of(field) == "lm"
    stored = json.loads(json.dumps(field.structure()))
    again = read_field("lm", stored, field.to_arrays())
    rows = [draw(one, 300, np.random.default_rng(1)) for one in (field, again)]
    assert all(np.array_equal(rows[0][c], rows[1][c]) for c in DOMAIN)
    np.testing.assert_array_equal(field.marginal(["a"]).values, again.marginal(["a"]).values)


def test_what_each_stage_taught_is_in_the_file(field: LanguageField) -> None:
    stages = {"before": {"value": 9.5, "decision": 4.0}, "training": {"value": 3.0}}
    lessons = Lessons(16, "a model", stages)
    assert lessons.kinds == ("value", "decision")
    told = replace(field, lessons=lessons)
    stored = json.loads(json.dumps(told.structure()))
    assert read_field("lm", stored, field.to_arrays()).lessons == lessons
    assert read_field("lm", field.structure(), field.to_arrays()).lessons is None
    del stored["lessons"]
    assert read_field("lm", stored, field.to_arrays()).lessons is None
    for wrong in (
        {**told.structure()["lessons"], "rows": 0},
        {**told.structure()["lessons"], "stages": {"before": {"value": 0.5}}},
        {**told.structure()["lessons"], "more": 1},
        {"rows": 3},
    ):
        with pytest.raises(BundleError):
            read_field("lm", {**stored, "lessons": wrong}, field.to_arrays())


def test_changes_need_their_base(folder: Path, tmp_path: Path) -> None:
    field = field_of(DOMAIN, rank=2, folder=folder)
    stored = field.structure()
    moved = {**stored, "base": {**stored["base"], "path": str(tmp_path / "gone")}}
    gone = read_field("lm", moved, field.to_arrays())
    assert gone.marginal(["a"]).values.sum() == pytest.approx(100)
    with pytest.raises(InputError, match="is not there"):
        draw(gone, 1, np.random.default_rng(0))
    other = base_folder(tmp_path / "other", seed=1)
    changed = {**stored, "base": {**stored["base"], "path": str(other)}}
    with pytest.raises(InputError, match="another language model"):
        draw(read_field("lm", changed, field.to_arrays()), 1, np.random.default_rng(0))


def test_without_torch_there_are_marginals_but_no_rows(
    field: LanguageField, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert field.marginal(["b"]).values.sum() == pytest.approx(100)
    with pytest.raises(InputError, match="not installed") as caught:
        field.sample(1, np.random.default_rng(0))
    assert "tronie[llm]" in caught.value.remedy


def test_columns_of_one_value_need_no_language_model() -> None:
    tree = estimate(Domain({"a": 1, "b": 1}), [], 5.0)
    texts = {"a": ("x",), "b": ("y",)}
    grammar = Grammar.of(["a", "b"], texts, lambda text: list(text.encode()), "compact")
    population = {name: np.zeros(3, np.uint8) for name in texts}
    field = LanguageField(tree, grammar, {}, {}, {}, 1.0, population)
    rows = field.sample(4, np.random.default_rng(0))
    assert rows["a"].tolist() == rows["b"].tolist() == [0, 0, 0, 0]
    silent = Silent()
    assert silent.read(
        silent.take(np.array([0])), np.zeros((2, 1), int), np.ones((2, 1), bool)
    ).shape == (2, 1)
    assert silent.head(np.array([0, 1])).shape == (2, 1)


def test_a_damaged_base_or_other_weights_are_refused(field: LanguageField) -> None:
    weights = dict(field.weights)
    with pytest.raises(BundleError, match="base"):
        open_reader({"rank": -1}, weights, field.grammar)
    weights.popitem()
    with pytest.raises(BundleError, match="do not fit"):
        open_reader(field.base, weights, field.grammar)


Change = Callable[[dict[str, Any], dict[str, Any]], object]


@pytest.mark.parametrize(
    "change",
    [
        lambda s, a: s.update(temperature=0.0),
        lambda s, a: s.pop("base"),
        lambda s, a: a.update(more=a["population.0"]),
        lambda s, a: s["grammar"]["columns"].reverse(),
        lambda s, a: s["grammar"]["columns"].pop(),
        lambda s, a: s["grammar"]["columns"][0].update(values=[[1], [2], [3], [4], [5]]),
        lambda s, a: a.update({"weight.more": np.array([np.nan], np.float32)}),
        lambda s, a: a.update({"weight.more": np.array([1.0])}),
        lambda s, a: a.update({"bias.9.0": np.zeros(2, np.float32)}),
        lambda s, a: a.update({"bias.0.0": np.zeros(9, np.float32)}),
        lambda s, a: a.update({"bias.0.0": np.full_like(a["bias.0.0"], np.inf)}),
        lambda s, a: a.pop("population.0"),
        lambda s, a: a.update({f"population.{n}": np.zeros(5, np.uint8) for n in range(4)}),
    ],
)
def test_what_is_no_model_is_refused(change: Change, field: LanguageField) -> None:
    structure = json.loads(json.dumps(field.structure()))
    arrays: dict[str, Any] = {name: array.copy() for name, array in field.to_arrays().items()}
    change(structure, arrays)
    with pytest.raises(BundleError):
        read_field("lm", structure, arrays)
