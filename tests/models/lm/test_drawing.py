"""Rows drawn from a language model, one choice at a time."""

from __future__ import annotations

import numpy as np
import pytest
from lm_tables import SIZES, TEXTS, Recurrent, grammar_of, joint

from tronie.models.estimation import estimate
from tronie.models.factor import Factor
from tronie.models.lm.drawing import Feedback, Raking, Walk, Writer, draw_given, draw_rows
from tronie.models.nets.drawing import Step
from tronie.models.nets.frame import drawing_order, drawing_steps
from tronie.models.propagation import IMPOSSIBLE
from tronie.schema.domain import Domain

ORDER = tuple(SIZES)


def steps_of(given: dict[str, np.ndarray] | None = None) -> list[Step]:
    tree = estimate(Domain(SIZES), [], 1.0)
    return sorted(drawing_steps(tree, ORDER, given or {}), key=lambda step: step.column)


def shares_of(rows: np.ndarray) -> np.ndarray:
    edges = [np.arange(size + 1) for size in SIZES.values()]
    return np.histogramdd(rows, edges)[0] / len(rows)


def writer_of(serial: str = "sentence", **more: object) -> Writer:
    return Writer(Recurrent(), grammar_of(serial), **more)


@pytest.mark.parametrize("serial", ["sentence", "compact"])
def test_rows_have_the_models_probabilities(serial: str) -> None:
    """All 50 kinds of rows, by 60,000 rows: total variation below 0.02 (0.01 is expected of chance)."""
    writer = writer_of(serial, temperature=1.5, biases={(0, 0): np.array([0.5, -1.0], np.float32)})
    rows = draw_rows(writer, steps_of(), 60_000, np.random.default_rng(0))
    assert np.abs(shares_of(rows) - joint(writer)).sum() / 2 < 0.02


def test_log_probabilities_of_rows_are_those_of_whole_texts() -> None:
    writer = writer_of()
    walk = Walk(
        writer,
        steps_of(),
        300,
        lambda place, rows, shares: (rows * (3 + place[0]) // 2) % shares.shape[1],
    )
    rows = walk.to_the_end()
    np.testing.assert_allclose(walk.logs, np.log(joint(writer)[tuple(rows.T)]), rtol=1e-4)


def test_rows_that_begin_alike_are_read_once() -> None:
    reader = Recurrent()
    writer = Writer(reader, grammar_of())
    draw_rows(writer, steps_of(), 5000, np.random.default_rng(0))
    kinds = int(np.prod(list(SIZES.values())))
    assert reader.tokens_read < kinds * writer.grammar.longest


@pytest.mark.parametrize("block", [1, 7, 100])
def test_blocks_change_nothing_but_chance(block: int) -> None:
    writer = writer_of()
    rows = draw_rows(writer, steps_of(), 100, np.random.default_rng(0), block=block)
    assert rows.shape == (100, 4)
    assert (rows >= 0).all()
    assert (rows < np.array(list(SIZES.values()))).all()
    again = draw_rows(writer, steps_of(), 100, np.random.default_rng(0), block=block)
    np.testing.assert_array_equal(rows, again)


def ruled(
    rule: Factor, given: dict[str, np.ndarray] | None = None
) -> tuple[Writer, list[Step], list[str]]:
    """A model that writes columns in an order in which a rule can be kept."""
    tree = estimate(Domain(SIZES), [], 1.0, zeros=(rule,))
    order = drawing_order(tree)
    steps = sorted(drawing_steps(tree, order, given or {}), key=lambda step: step.column)
    grammar = grammar_of(texts={name: TEXTS[name] for name in order})
    return Writer(Recurrent(), grammar), steps, list(order)


def test_no_row_breaks_a_rule() -> None:
    allowed = np.array([[1, 0, 0, 1, 0], [0, 1, 1, 0, 0.0]])
    rule = Factor(Domain({"sex": SIZES["sex"], "age": SIZES["age"]}), allowed)
    writer, steps, order = ruled(rule)
    rows = draw_rows(writer, steps, 4000, np.random.default_rng(0))
    sex, age = (rows[:, order.index(name)].tolist() for name in ("sex", "age"))
    assert set(zip(sex, age, strict=True)) == {(0, 0), (0, 3), (1, 1), (1, 2)}


@pytest.mark.parametrize(
    "given",
    [
        {"sex": np.array([0.0, 1.0])},
        {"age": np.array([0.0, 0.5, 1.0, 0.0, 0.1])},
        {"size": np.array([1.0, 0, 1, 0, 0]), "age": np.array([0.0, 1, 1, 0, 0])},
        {"same": np.array([0.3])},
    ],
    ids=["early", "late", "both", "nothing"],
)
def test_rows_given_something_are_the_models_given_that(given: dict[str, np.ndarray]) -> None:
    """By 40,000 rows from 16 times as many: total variation below 0.02."""
    writer = writer_of()
    wanted = joint(writer)
    for place, name in enumerate(ORDER):
        if name in given:
            shape = [1] * len(ORDER)
            shape[place] = -1
            wanted = wanted * given[name].reshape(shape)
    wanted /= wanted.sum()
    rng = np.random.default_rng(0)
    rows = draw_given(writer, steps_of(given), 40_000, rng, candidates=4)
    assert np.abs(shares_of(rows) - wanted).sum() / 2 < 0.02


def test_rules_are_looked_at_ahead_of_what_is_given() -> None:
    """The earlier column must make room for what is given of the later one, and of a part of it."""
    rule = Factor(Domain({"size": SIZES["size"], "age": SIZES["age"]}), np.eye(5))
    for first in ("size", "age"):
        writer, steps, order = ruled(rule, {first: np.array([0.0, 0, 0, 1, 0])})
        rows = draw_given(writer, steps, 50, np.random.default_rng(0), block=40)
        assert (rows[:, order.index("size")] == 3).all()
        assert (rows[:, order.index("age")] == 3).all()
        assert draw_given(writer, steps, 0, np.random.default_rng(0)).shape == (0, 4)


def test_counts_are_closer_than_chance() -> None:
    """Counts of pairs err by less than half of what independent rows' would, on average."""
    writer = writer_of()
    n = 4000
    rows = draw_rows(writer, steps_of(), n, np.random.default_rng(0))
    pairs = joint(writer).sum(axis=(1, 2))
    found = shares_of(rows).sum(axis=(1, 2))
    chance = np.sqrt(2 / np.pi * pairs * (1 - pairs) / n).sum()
    assert np.abs(found - pairs).sum() < 0.5 * chance


def test_counts_of_very_many_codes_are_balanced_alone() -> None:
    feedback = Feedback((3000, 2000))
    feedback.begin(6000)
    shares = np.tile(np.array([0.25, 0.75], np.float32), (6000, 1))
    rng = np.random.default_rng(0)
    drawn = feedback.draw((1, 0), np.arange(6000), shares, rng)
    feedback.note(0, np.zeros(6000, np.int64))
    assert abs(drawn.mean() - 0.75) < 0.003


@pytest.mark.parametrize("block", [500, 20_000])
def test_raked_columns_have_the_wanted_shares(block: int) -> None:
    """Within 0.01, and the first column's, on which nothing acts, within 0.003."""
    writer = writer_of()
    rng = np.random.default_rng(3)
    shares = {place: rng.dirichlet(np.ones(size)) for place, size in enumerate(SIZES.values())}
    shares[0] = np.array([0.5, 0.5, 0.0, 0.0, 0.0])
    raking = Raking(writer.grammar, shares)
    draw_rows(writer, steps_of(), 20_000, rng, shift=raking.shift, block=block)
    raked = Writer(writer.reader, writer.grammar, raking.biases)
    rows = draw_rows(raked, steps_of(), 20_000, np.random.default_rng(5))
    for place, size in enumerate(SIZES.values()):
        found = np.bincount(rows[:, place], minlength=size) / len(rows)
        assert np.abs(found - shares[place]).max() < (0.003 if place == 0 else 0.01)


def test_raking_leaves_alone_what_no_row_may_choose() -> None:
    raking = Raking(grammar_of(), {1: np.array([0.5, 0.5])})
    logs = np.array([[0.0, IMPOSSIBLE]], np.float32)
    np.testing.assert_array_equal(raking.shift((1, 0), logs, np.array([3.0])), [0.0, 0.0])
