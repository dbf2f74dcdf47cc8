"""The curator charges first, then reads, then answers with noise."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from neighbours import CODINGS, LOOSE, SCHEMA, Watched, records, references

from tronie.errors import BudgetError, BudgetExceeded, Cancelled, DomainTooLarge, SchemaMismatch
from tronie.measure.curator import Curator, Meter
from tronie.measure.discovery import Keys, Magnitudes
from tronie.measure.noise import InsecureNoise, gaussian_threshold
from tronie.measure.queries import (
    MAX_OFFSET,
    MAX_WEIGHT,
    Marginal,
    Misfits,
    Selection,
    Total,
)
from tronie.measure.records import Records
from tronie.privacy.budget import Budget
from tronie.privacy.events import Gaussian
from tronie.schema.columns import Integer, OpenCategory
from tronie.schema.grid import Coding, Grid
from tronie.schema.schema import Schema
from tronie.tables.sources import open_source

ROWS = [{"a": "xyz"[i % 3], "b": i % 10, "c": i % 2 == 0} for i in range(60)]


WORDS = SCHEMA.model_copy(
    update={"columns": {**SCHEMA.columns, "a": OpenCategory(), "b": Integer()}}
)
"""Two columns whose domain is not known yet."""


def watched(values: dict[str, Any], schema: Schema = SCHEMA) -> tuple[Watched, Records]:
    source = Watched(open_source(pa.table(values)))
    return source, Records(source, schema)


def curator_of(rows: Records | None = None, **options: Any) -> tuple[Curator, Meter]:
    """A curator with test noise, its codes set."""
    meter = Meter(options.pop("budget", LOOSE), options.pop("on_first_answer", None))
    noise = InsecureNoise(options.pop("seed", 0))
    curator = Curator(rows or records(ROWS), meter, noise=noise, **options)
    curator.recode(CODINGS)
    return curator, meter


def test_events_are_kept_in_order() -> None:
    meter = Meter(Budget(1.0))
    events = [Gaussian(query=f"q{i}", sigma=100.0, sensitivity=1) for i in range(3)]
    meter.charge(events[:2])
    meter.charge(events[2:])
    assert meter.events == tuple(events)


def test_an_overdraft_leaves_the_record_as_it_was() -> None:
    budget = Budget(1.0)
    meter = Meter(budget)
    half = Gaussian(query="half", sigma=1.5 / budget.mu, sensitivity=1)
    meter.charge([half, half])
    with pytest.raises(BudgetExceeded, match="1 more accesses"):
        meter.charge([half])
    assert meter.events == (half, half)


def test_all_that_fits_together_may_be_charged_in_any_portions() -> None:
    budget = Budget(1.0)
    sigma = 10**0.5 / budget.mu
    event = Gaussian(query="tenth", sigma=sigma * (1 + 1 / sigma**2), sensitivity=1)
    meter = Meter(budget)
    for _ in range(10):
        meter.charge([event])
    with pytest.raises(BudgetExceeded):
        meter.charge([event])


def test_the_first_answer_is_announced_once() -> None:
    calls: list[str] = []
    curator, _ = curator_of(on_first_answer=lambda: calls.append("first"))
    assert calls == []
    curator.ask([Total(3.0)])
    curator.ask([Total(3.0)])
    assert calls == ["first"]


def test_public_facts_are_shown() -> None:
    curator, _ = curator_of(rows_per_unit=7, budget=Budget(2.0))
    assert curator.rows_per_unit == 7
    assert curator.budget == Budget(2.0)


def test_answers_are_exact_counts_plus_noise_of_the_stated_size() -> None:
    # 3,000 draws: mean within 5 sds of it, variance within 14 % (over 5 sds of a chi-square).
    curator, meter = curator_of()
    answers = np.array([int(a) for a in curator.ask([Total(20.0)] * 3000)])
    assert abs(answers.mean() - 60) < 5 * 20 / 3000**0.5
    assert abs(answers.var() / 400 - 1) < 0.14
    assert len(meter.events) == 3000


def test_each_cell_gets_noise_of_its_own() -> None:
    curator, _ = curator_of()
    (answer,) = curator.ask([Marginal(("a", "b"), 50.0)])
    assert answer.shape == (CODINGS["a"].size, CODINGS["b"].size)
    assert answer.dtype == np.int64
    assert len(np.unique(answer)) > 10


def test_little_noise_gives_the_contingency_table() -> None:
    curator, _ = curator_of()
    answers = curator.ask([Marginal(("c", "a"), 0.5), Marginal(("a",), 0.5), Total(0.5)])
    table = np.zeros((3, 4), int)
    for row in ROWS:
        table[int(row["c"]), "xyz".index(row["a"])] += 1
    assert np.abs(answers[0] - table).max() <= 4
    assert np.abs(answers[1] - table.sum(axis=0)).max() <= 4
    assert abs(int(answers[2]) - 60) <= 4


def test_what_is_charged_is_what_was_asked() -> None:
    curator, meter = curator_of(rows_per_unit=3)
    curator.ask([Total(9.0), Marginal(("a", "c"), 5.0), Misfits(references(1), 7.0)])
    total, marginal, misfits = meter.events
    assert total == Gaussian(query="total", sigma=9.0, sensitivity=3)
    assert marginal == Gaussian(query="marginal", columns=("a", "c"), sigma=5.0, sensitivity=3)
    assert misfits.columns == ("a", "b", "c")
    assert misfits.sensitivity == pytest.approx(3 * 3**0.5)


def test_charged_before_the_data_is_read() -> None:
    seen: list[int] = []
    curator, meter = curator_of(checkpoint=lambda stage: seen.append(len(meter.events)))
    curator.ask([Total(3.0), Marginal(("a",), 3.0)])
    assert seen == [2]


def test_an_overdraft_reads_nothing() -> None:
    source, rows = watched({"a": ["x"], "b": [1], "c": [True]})
    curator, meter = curator_of(rows, budget=Budget(0.1))
    asks: list[Callable[[], Any]] = [
        lambda: curator.ask([Total(0.5)]),
        lambda: curator.explore([Magnitudes("b", Integer(), 0.5)]),
        lambda: curator.keys(Keys("a", 0.5, 1e-12)),
    ]
    for ask in asks:
        with pytest.raises(BudgetExceeded):
            ask()
    assert source.passes == 0
    assert meter.events == ()


def test_a_table_too_large_is_refused_before_anything_is_charged() -> None:
    curator, meter = curator_of()
    huge = Coding.identity(Grid(np.arange(3_000_001)))
    curator.recode({"a": huge, "b": huge, "c": huge})
    with pytest.raises(DomainTooLarge):
        curator.ask([Marginal(("a", "b", "c"), 3.0)])
    with pytest.raises(DomainTooLarge):
        curator.select(Selection({("a", "b", "c"): np.zeros((1, 1, 1), int)}, 1.0))
    assert meter.events == ()


@pytest.mark.parametrize(("sigma", "error"), [(1e9, DomainTooLarge), (float("nan"), BudgetError)])
def test_noise_that_cannot_be_drawn_is_refused_before_anything_is_charged(
    sigma: float, error: type[Exception]
) -> None:
    curator, meter = curator_of()
    with pytest.raises(error):
        curator.ask([Total(sigma)])
    with pytest.raises(error):
        curator.explore([Magnitudes("b", Integer(), sigma)])
    with pytest.raises(error):
        curator.keys(Keys("a", sigma, 1e-12))
    assert meter.events == ()


def test_a_row_that_does_not_fit_stops_the_run_before_an_answer() -> None:
    calls: list[str] = []
    _, rows = watched({"a": ["x", "unlisted"], "b": [1, 2], "c": [True, False]})
    curator, meter = curator_of(rows, on_first_answer=lambda: calls.append("first"))
    with pytest.raises(SchemaMismatch, match="'a'") as caught:
        curator.ask([Total(3.0), Marginal(("a",), 3.0)])
    assert "unlisted" not in str(caught.value)
    assert calls == []
    assert len(meter.events) == 2


def test_counts_are_not_made_twice_until_codes_change() -> None:
    stages: list[str] = []
    curator, _ = curator_of(checkpoint=stages.append)
    curator.ask([Marginal(("a",), 3.0), Marginal(("b",), 3.0)])
    curator.ask([Marginal(("a",), 3.0), Total(3.0)])
    assert stages == ["counting 2 tables"]
    curator.recode(CODINGS)
    curator.ask([Marginal(("a",), 3.0)])
    assert stages[1:] == ["counting 1 tables"]


def test_a_checkpoint_may_stop_the_run() -> None:
    def stop(stage: str) -> None:
        raise Cancelled("stopped.", "")

    source, rows = watched({"a": ["x"], "b": [1], "c": [True]})
    calls: list[str] = []
    curator, _ = curator_of(rows, checkpoint=stop, on_first_answer=lambda: calls.append("first"))
    for ask in (
        lambda: curator.ask([Total(3.0)]),
        lambda: curator.explore([Magnitudes("b", Integer(), 3.0)]),
        lambda: curator.keys(Keys("a", 3.0, 1e-10)),
    ):
        with pytest.raises(Cancelled):
            ask()
    assert source.passes == 0
    assert calls == []


def test_adopting_a_schema_reads_rows_anew() -> None:
    curator, _ = curator_of()
    (before,) = curator.ask([Marginal(("b",), 0.5)])
    columns = {**SCHEMA.columns, "b": Integer(min=0, max=4)}
    schema = SCHEMA.model_copy(update={"columns": columns})
    curator.adopt(schema)
    curator.recode({"b": Coding.identity(Grid.of(columns["b"], 5))})
    (after,) = curator.ask([Marginal(("b",), 0.5)])
    assert before.shape == (5,)
    assert np.abs(after - [6, 6, 6, 6, 36, 0]).max() <= 4


def test_selection_finds_the_table_that_is_farthest() -> None:
    curator, meter = curator_of()
    exact = {pair: np.zeros(table.shape, int) for pair, table in references(0).items()}
    far = ("a", "c")
    near = {pair: table if pair == far else _counts(pair) for pair, table in exact.items()}
    assert [curator.select(Selection(near, 20.0)) for _ in range(20)] == [far] * 20
    assert meter.events[0].candidates == 3


def test_weights_and_offsets_decide_between_candidates_of_the_same_distance() -> None:
    # All tables are the same 20 rows from their references, so scores are 20 * weight - offset.
    near = {pair: _counts(pair) for pair in references(0)}
    for table in near.values():
        table[0, 0] += 20
    first, second, third = near
    curator, meter = curator_of()
    weights = {first: 3, second: 5, third: 4}
    query = Selection(near, 40.0, weights)
    assert query.sensitivity(rows_per_unit=2) == 10
    assert query.scores({pair: _counts(pair) for pair in near}).tolist() == [60, 100, 80]
    assert [curator.select(query) for _ in range(20)] == [second] * 20
    offsets = {first: -300, second: 50, third: 0}
    query = Selection(near, 40.0, weights, offsets)
    assert query.scores({pair: _counts(pair) for pair in near}).tolist() == [360, 50, 80]
    assert [curator.select(query) for _ in range(20)] == [first] * 20
    assert {event.epsilon for event in meter.events} == {40.0}


@pytest.mark.parametrize(
    ("weight", "offset"),
    [(0, 0), (-1, 0), (MAX_WEIGHT + 1, 0), (1.5, 0), (1, 0.5), (1, MAX_OFFSET + 1), (None, 0)],
)
def test_weights_and_offsets_are_whole_numbers_in_range(weight: Any, offset: Any) -> None:
    near = references(0)
    numbers = [dict.fromkeys(near, n) if n is not None else {} for n in (weight, offset)]
    with pytest.raises(TypeError, match="whole numbers"):
        Selection(near, 1.0, *numbers)


def _counts(pair: tuple[str, str]) -> np.ndarray:
    curator, _ = curator_of()
    (answer,) = curator.ask([Marginal(pair, 0.5)])
    return answer


def test_ties_are_broken_at_random() -> None:
    # Three equal candidates, 150 choices: each is chosen 20 to 80 times (5 sds: 50 +- 29).
    curator, _ = curator_of(records([]))
    chosen = [curator.select(Selection(references(0), 1.0)) for _ in range(150)]
    assert all(20 < chosen.count(pair) < 80 for pair in references(0))


def test_references_must_be_integers() -> None:
    for wrong in ({}, {("a",): np.ones(4)}):
        with pytest.raises(TypeError):
            Misfits(wrong, 1.0)
        with pytest.raises(TypeError):
            Selection(wrong, 1.0)


def test_frequent_keys_are_found_and_rare_ones_stay_hidden() -> None:
    words = ["common"] * 500 + ["usual"] * 300 + [f"secret-{i}" for i in range(200)] + [None] * 9
    _, rows = watched({"a": words, "b": [1] * len(words), "c": [True] * len(words)}, WORDS)
    curator, meter = curator_of(rows)
    values, counts = curator.keys(Keys("a", 10.0, 1e-10))
    assert values == ("common", "usual")
    assert np.abs(counts - [500, 300]).max() < 60
    (event,) = meter.events
    assert event.threshold == gaussian_threshold(10.0, 1e-10, 1)
    assert event.delta == 1e-10


def test_keys_of_an_empty_table_are_none() -> None:
    curator, _ = curator_of(records([]))
    values, counts = curator.keys(Keys("a", 10.0, 1e-10))
    assert values == ()
    assert counts.shape == (0,)


def test_number_keys_are_sorted_as_numbers() -> None:
    _, rows = watched({"a": ["x"] * 600, "b": [20, 3, 100] * 200, "c": [True] * 600}, WORDS)
    curator, _ = curator_of(rows)
    assert curator.keys(Keys("b", 2.0, 1e-10))[0] == (3, 20, 100)


def test_a_larger_unit_raises_the_threshold() -> None:
    words = {"a": ["x"] * 70, "b": [1] * 70, "c": [True] * 70}
    alone, _ = curator_of(watched(words)[1])
    many, meter = curator_of(watched(words)[1], rows_per_unit=50)
    assert alone.keys(Keys("a", 5.0, 1e-10))[0] == ("x",)
    assert many.keys(Keys("a", 5.0, 1e-10))[0] == ()
    assert meter.events[0].sensitivity == 50


@pytest.mark.parametrize("first", ["explore", "keys"])
def test_declared_columns_are_checked_before_the_first_answer(first: str) -> None:
    calls: list[str] = []
    stages: list[str] = []
    values = {"a": ["x"] * 90, "b": [1] * 90, "c": [7] + [0] * 89}
    options = {"on_first_answer": lambda: calls.append("first"), "checkpoint": stages.append}
    curator, _ = curator_of(watched(values, WORDS)[1], **options)
    asks: dict[str, Callable[[], Any]] = {
        "explore": lambda: curator.explore([Magnitudes("b", Integer(), 3.0)]),
        "keys": lambda: curator.keys(Keys("a", 3.0, 1e-10)),
    }
    with pytest.raises(SchemaMismatch, match="'c'"):
        asks[first]()
    assert (calls, stages) == ([], ["checking declared columns"])
    good, _ = curator_of(watched({**values, "c": [True] * 90}, WORDS)[1], **options)
    good.explore([Magnitudes("b", Integer(), 3.0)])
    good.keys(Keys("a", 3.0, 1e-10))
    assert calls == ["first"]
    assert stages.count("checking declared columns") == 2


def test_explored_histograms_have_noise_in_every_bucket() -> None:
    curator, meter = curator_of()
    query = Magnitudes("b", Integer(), 10.0)
    (answer,) = curator.explore([query])
    assert answer.shape == (query.size,)
    assert 0.8 < answer.std() / 10.0 < 1.3
    assert meter.events == (query.event(1),)
