"""A witness answers as any curator does, and only listens."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import pytest

from tronie.audit import witness as witness_module
from tronie.audit.games import Neighbours, neighbours
from tronie.audit.mechanisms import MECHANISMS
from tronie.audit.witness import Diverged, Enough, Remembered, Tape, Witness, fingerprint
from tronie.measure.comparisons import Overlaps
from tronie.measure.curator import Curator, Meter
from tronie.measure.discovery import Decimals, Magnitudes
from tronie.measure.noise import InsecureNoise
from tronie.measure.queries import Marginal, Total
from tronie.measure.records import Records
from tronie.privacy.budget import Budget
from tronie.release.fit import appoint
from tronie.schema.columns import Decimal, Integer
from tronie.schema.grid import Coding, Grid
from tronie.synth.methods import METHODS
from tronie.tables.sources import open_source

BUDGET = Budget(4.0, 1e-5)


def records(pair: Neighbours) -> tuple[Remembered, Remembered]:
    return (
        Remembered(open_source(pair.without), pair.schema),
        Remembered(open_source(pair.included), pair.schema),
    )


def witness_of(pair: Neighbours, used: int = 1, **options: Any) -> Witness:
    tables = records(pair)
    kind = partial(Witness, pair=tables, **options)
    return appoint(kind, tables[used], Meter(BUDGET), pair.schema, noise=InsecureNoise(3))


def codings(pair: Neighbours) -> dict[str, Coding]:
    columns = pair.schema.modelled
    return {name: Coding.identity(Grid.of(c, c.points)) for name, c in columns.items()}


@pytest.mark.parametrize("name", MECHANISMS)
@pytest.mark.parametrize("used", [0, 1])
def test_every_access_is_answered_as_by_a_curator(name: str, used: int) -> None:
    mechanism = MECHANISMS[name]
    pair = neighbours(mechanism.pair)
    rows = Records(open_source([pair.without, pair.included][used]), pair.schema)
    curator = appoint(Curator, rows, Meter(BUDGET), pair.schema, noise=InsecureNoise(3))
    witness = witness_of(pair, used)
    plain, heard = mechanism.ask(curator, BUDGET), mechanism.ask(witness, BUDGET)
    assert fingerprint(plain) == fingerprint(heard)
    assert curator._meter.events == witness._meter.events
    assert len(witness.evidence) >= 1


@pytest.mark.parametrize("method", ["mst", "glaze"])
@pytest.mark.parametrize("name", ["bounds", "category", "function", "missing"])
def test_methods_end_as_with_a_curator(method: str, name: str) -> None:
    pair, chosen = neighbours(name), METHODS[method]
    plan = chosen.plan(pair.schema, BUDGET, pair.settings(method))
    rows = Records(open_source(pair.included), pair.schema)
    curator = appoint(Curator, rows, Meter(BUDGET), pair.schema, noise=InsecureNoise(3))
    results = [chosen.fit(who, pair.schema, plan) for who in (curator, witness_of(pair))]
    assert fingerprint(results[0]) == fingerprint(results[1])


def test_evidence_is_kept_by_what_was_asked() -> None:
    pair = neighbours("ones")
    witness = witness_of(pair)
    witness.recode(codings(pair))
    witness.ask([Total(5.0), Marginal(("a", "b"), 4.0)])
    first = dict(witness.evidence)
    assert first.keys() == {"total", "marginal a b"}
    assert first["total"][1] == pytest.approx(1 / 25)
    assert first["marginal a b"][1] == pytest.approx(1 / 16)
    witness.ask([Total(5.0)])
    assert witness.evidence["total"][1] == pytest.approx(2 / 25)
    assert witness.evidence["marginal a b"] == first["marginal a b"]


def test_it_ends_when_the_budget_is_used_up() -> None:
    pair = neighbours("ones")
    witness = witness_of(pair, enough=0.3)
    witness.ask([Total(5.0)])
    with pytest.raises(Enough):
        witness.ask([Total(4.0)])
    assert len(witness._meter.events) == 2


def test_remembered_counts_are_those_of_records() -> None:
    pair = neighbours("missing")
    plain, remembered = Records(open_source(pair.included), pair.schema), records(pair)[1]
    cliques = [("a",), ("b", "c"), ()]
    for coding in (
        codings(pair),
        {**codings(pair), "b": Coding.identity(Grid.of(pair.schema.modelled["b"], 2))},
    ):
        for _ in range(2):
            found = remembered.count(cliques, coding)
            exact = plain.count(cliques, coding)
            assert all(np.array_equal(found[c], exact[c]) for c in cliques)


def test_remembered_counts_do_not_pile_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(witness_module, "MOST_TABLES", 2)
    pair = neighbours("missing")
    remembered = records(pair)[1]
    for clique in [("a",), ("b",), ("c",), ("a", "b"), ("b", "c"), ("a", "c"), ("a",)]:
        assert remembered.count([clique], codings(pair))[clique].sum() == 11
        assert len(remembered._tables) <= 3


def test_remembered_raw_answers_are_those_of_records() -> None:
    bounds, category = neighbours("bounds"), neighbours("category")
    queries = [
        Magnitudes("count", Integer(), 2.0),
        Decimals("price", Decimal(), 2.0),
        Magnitudes("price", Decimal(), 2.0),
    ]
    plain, remembered = Records(open_source(bounds.included), bounds.schema), records(bounds)[1]
    for _ in range(2):
        for found, exact in zip(remembered.tally(queries), plain.tally(queries), strict=True):
            assert np.array_equal(found, exact)
    assert records(category)[1].key_counts("city") == {"here": 401}


def ask_some(witness: Witness, sigma: float = 5.0) -> list[Any]:
    witness.recode(codings(neighbours("ones")))
    return witness.ask([Total(sigma), Marginal(("a",), sigma)])


def test_a_tape_answers_as_then() -> None:
    pair, tape = neighbours("ones"), Tape()
    said = ask_some(witness_of(pair, 1, tape=tape))
    tape.rewind()
    again = ask_some(witness_of(pair, 0, tape=tape))
    assert fingerprint(said) == fingerprint(again)


@pytest.mark.parametrize(
    "otherwise",
    [
        lambda witness: ask_some(witness, 6.0),
        lambda witness: witness.ask([Total(5.0)]),
        lambda witness: (ask_some(witness), witness.ask([Total(5.0)])),
        lambda witness: (ask_some(witness), witness.adopt(neighbours("missing").schema)),
        lambda witness: (
            ask_some(witness),
            witness.overlap(Overlaps({"a": np.array([0])}, (), 9.0)),
        ),
    ],
)
def test_a_tape_knows_what_was_asked(otherwise: Callable[[Witness], object]) -> None:
    pair, tape = neighbours("ones"), Tape()
    ask_some(witness_of(pair, tape=tape))
    tape.rewind()
    with pytest.raises(Diverged):
        otherwise(witness_of(pair, tape=tape))


def test_a_witness_of_other_records() -> None:
    """Whoever answers from a table that is none of the pair keeps doing so."""
    pair = neighbours("ones")
    rows = Records(open_source(pair.included), pair.schema)
    witness = appoint(
        partial(Witness, pair=records(pair)),
        rows,
        Meter(BUDGET),
        pair.schema,
        noise=InsecureNoise(0),
    )
    witness.adopt(pair.schema)
    assert witness._records not in witness._pair
    assert int(witness._records.count([()], {})[()]) == 11


def test_fingerprints_tell_everything_apart() -> None:
    pair = neighbours("ones")
    coding = codings(pair)["a"]
    things: list[Any] = [
        None,
        1,
        1.0,
        "1",
        [1],
        (1,),
        [[1]],
        [1, []],
        {"a": 1},
        {"a": 2},
        {"b": 1},
        np.array([1]),
        np.array([1.0]),
        np.array([[1]]),
        np.array(["x"]),
        math.nan,
        Total(1.0),
        Total(2.0),
        Marginal(("a",), 1.0),
        coding,
        replace(coding, weights=coding.weights * 2),
        pair.schema,
        neighbours("unit").schema,
        Integer(),
        Decimal(),
    ]
    digests = [fingerprint(thing) for thing in things]
    assert len(set(digests)) == len(things)
    assert digests == [fingerprint(thing) for thing in things]


def test_fingerprints_of_models_hold_their_tables() -> None:
    pair, chosen = neighbours("narrow"), METHODS["mst"]
    plan = chosen.plan(pair.schema, BUDGET)
    model = chosen.fit(witness_of(pair), pair.schema, plan).model
    tables = dict(model.to_arrays())
    before = fingerprint(model)
    next(iter(tables.values()))[...] *= 1.001
    assert fingerprint(model) != before
