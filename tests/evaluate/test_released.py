"""Scores that may be published: near the internal ones, paid for, certified, refused where too inexact."""

from __future__ import annotations

import dataclasses
import json
import math
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from scored_tables import SCHEMA, table
from synth_tables import schema_of

import tronie
from tronie.errors import (
    BudgetExceeded,
    Cancelled,
    InputError,
    SchemaError,
    SchemaMismatch,
    TooInexact,
    TronieError,
)
from tronie.evaluate.distances import Distributions, distributions
from tronie.evaluate.headline import headline
from tronie.evaluate.released import (
    METHOD,
    ReleasedEvaluation,
    _released_size,
    released_scores,
)
from tronie.evaluate.tables import read_tables
from tronie.measure.noise import InsecureNoise
from tronie.models.uncertainty import Measurements
from tronie.privacy.budget import SAMPLER_DELTA, Budget
from tronie.privacy.certificate import Certificate
from tronie.privacy.ledger import Ledger
from tronie.schema.schema import Schema

ROWS = 4000
REAL, SYNTHETIC = table(ROWS, 0), table(ROWS, 1)
ENOUGH = 4.0
"""An epsilon that is enough for so many rows."""


@pytest.fixture
def book(tmp_path: Path) -> Ledger:
    return Ledger(tmp_path / "ledger.sqlite")


def score(**options: Any) -> ReleasedEvaluation:
    """A release report on the small table."""
    given = {"rows": ROWS, "epsilon": ENOUGH, **options}
    return released_scores(
        given.pop("synthetic", SYNTHETIC),
        given.pop("real", REAL),
        given.pop("schema", SCHEMA),
        **given,
    )


def exact_scores(found: Distributions) -> dict[str, float]:
    """The internal report's numbers, by the names of the released ones."""
    whole = headline(found)
    return {
        "score": whole.score.value,
        **{part.name: part.value for part in whole.parts},
        **{column.name: column.intersection for column in found.columns},
        **{", ".join(pair.columns): pair.intersection for pair in found.pairs},
    }


def gaps(released: ReleasedEvaluation, exact: dict[str, float]) -> dict[str, float]:
    """How far each number is from the internal one, in standard deviations."""
    scores = (released.headline.score, *released.means, *released.columns, *released.pairs)
    assert len(scores) == len(exact)
    return {one.name: (one.value - exact[one.name]) / one.error for one in scores}


@pytest.mark.parametrize("rows", [ROWS, None])
def test_intervals_cover_the_internal_numbers(rows: int | None) -> None:
    """95 % intervals, over 40 reports: below 85 % with a chance of 0.4 % for each number.

    With a number of rows that was released as well they are upper bounds, which cover more often.
    """
    internal = exact_scores(distributions(read_tables(REAL, {"s": SYNTHETIC}, SCHEMA), "s"))
    found = [gaps(score(rows=rows, noise=InsecureNoise(seed)), internal) for seed in range(40)]
    for name in internal:
        inside = np.mean([abs(one[name]) <= 1.96 for one in found])
        assert inside >= 0.85, name
        spread = math.sqrt(np.mean([one[name] ** 2 for one in found]))
        assert spread < 1.4, name
        if rows and name in ("pairs", "triples", "age", "age, town"):
            assert spread > 0.65, name


@pytest.fixture(scope="module")
def adult(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The demo table, a model of it, rows of that, and the internal report's numbers."""
    folder = files("tronie") / "data"
    with as_file(folder / "adult.parquet") as path:
        real = pq.read_table(path)
    with as_file(folder / "adult.yaml") as path:
        schema = Schema.read(path)
    book = tmp_path_factory.mktemp("adult") / "ledger.sqlite"
    model = tronie.fit(real, schema, epsilon=1.0, method="mst", noise=InsecureNoise(3), ledger=book)
    synthetic = model.sample(seed=0)
    found = distributions(read_tables(real, {"s": synthetic}, schema), "s")
    return {
        "real": real,
        "model": model,
        "schema": schema,
        "synthetic": synthetic,
        "exact": exact_scores(found),
    }


@pytest.mark.parametrize(
    ("schema", "rows", "epsilon"),
    [("model", None, 0.1), ("schema", 48_842, 0.1), ("schema", None, 0.2)],
)
def test_adult(
    adult: dict[str, Any], schema: str, rows: int | None, epsilon: float, book: Ledger
) -> None:
    """The score is known to a point, and the internal numbers are where they are said to be."""
    released = score(
        synthetic=adult["synthetic"],
        real=adult["real"],
        schema=adult[schema],
        rows=rows,
        epsilon=epsilon,
        noise=InsecureNoise(5),
        ledger=book,
    )
    assert 0.3 < released.headline.score.error < 1.0
    found = gaps(released, adult["exact"])
    few = ("score", "columns", "pairs", "triples")
    assert all(abs(found[name]) <= 1.96 for name in few)
    assert np.mean([abs(gap) <= 1.96 for gap in found.values()]) >= 0.9
    assert book.spent("adult").epsilon == pytest.approx(epsilon)
    assert (released.release is None) == (schema == "schema")


def test_whole_rows(book: Ledger) -> None:
    """Against sets: how many different rows are replayed, and how many real rows hold only known towns."""
    real = pa.table(
        {
            "town": ["a"] * 3000 + ["b"] * 900 + ["c"] * 100,
            "age": np.tile(np.arange(10), 400),
            "paid": [True] * ROWS,
        }
    )
    synthetic = pa.table({"town": ["a", "b"] * 50, "age": [1, 2] * 50, "paid": [True, False] * 50})
    found = [
        score(real=real, synthetic=synthetic, epsilon=40.0, noise=InsecureNoise(seed), ledger=book)
        for seed in range(25)
    ]
    for place, truth in ((0, 1 / 2), (1, 3900 / 4000)):
        ones = [released.whole[place] for released in found]
        z = np.array([(one.value - truth) / one.error for one in ones])
        assert abs(z.mean()) < 4 / math.sqrt(25)
        assert 0.6 < z.std() < 1.45
    replayed, covered = found[0].whole
    assert (replayed.name, covered.name) == ("replayed rows", "covered rows")
    assert "97" in covered.meaning or "98" in covered.meaning


def test_the_certificate_holds_and_the_ledger_knows(book: Ledger, tmp_path: Path) -> None:
    released = score(ledger=book, name="mine")
    certificate = released.certificate
    assert certificate.verify().ok
    assert (certificate.dataset, certificate.method) == ("test", METHOD)
    assert certificate.claim.epsilon == ENOUGH
    assert {event.query for event in certificate.events} == {"misfits", "overlaps"}
    certificate.write(tmp_path / "certificate.json")
    assert Certificate.read(tmp_path / "certificate.json").verify().ok
    facts = {fact.item: fact.how for fact in certificate.public}
    assert facts["number of rows"] == "declared: 4,000"
    assert "synthetic rows" in facts
    (entry,) = book.entries("test")
    assert (entry.state, entry.note) == ("committed", METHOD)
    assert entry.epsilon == pytest.approx(ENOUGH)
    assert (released.name, released.rows) == ("mine", ROWS)


def test_a_number_of_rows_that_is_asked_for_is_not_declared() -> None:
    released = score(rows=None)
    assert "number of rows" not in {fact.item for fact in released.certificate.public}
    assert abs(released.size.rows - ROWS) < 6 * released.size.sd
    assert released.certificate.verify().ok
    assert released.certificate.events[0].query == "total"


def test_test_noise_is_named_in_the_certificate() -> None:
    assert score(noise=InsecureNoise(0)).certificate.noise == "INSECURE"


def test_a_unit_of_several_rows_costs_more() -> None:
    several = schema_of(
        {name: column.model_dump() for name, column in SCHEMA.columns.items()},
        unit={"max_rows": 3},
    )
    one, three = score(epsilon=12.0), score(epsilon=12.0, schema=several)
    assert three.headline.score.error == pytest.approx(3 * one.headline.score.error, rel=0.2)
    assert three.certificate.unit.max_rows == 3
    assert three.certificate.verify().ok


def test_a_model_brings_its_schema_its_rows_and_its_free_numbers(book: Ledger) -> None:
    open_schema = schema_of(
        {"town": {"kind": "open_category"}, "age": {"kind": "integer"}, "paid": {"kind": "boolean"}}
    )
    model = tronie.fit(REAL, open_schema, epsilon=4.0, delta=1e-6, discover=True, ledger=book)
    released = score(
        synthetic=model.sample(seed=1), schema=model, rows=None, epsilon=6.0, ledger=book
    )
    assert released.size.origin == "as released with the model"
    assert released.size.rows == pytest.approx(model.field.total, abs=60)
    assert released.size.sd < model.measurements.total_sd
    assert released.release is not None
    assert {column.name for column in released.columns} == {"town", "age", "paid"}
    assert len(book.entries("test")) == 2


def test_a_model_that_does_not_know_its_noise_knows_no_size(book: Ledger) -> None:
    model = tronie.fit(REAL, SCHEMA, epsilon=4.0, method="independent", ledger=book)
    bare = dataclasses.replace(model, measurements=Measurements())
    released = score(schema=bare, rows=None, epsilon=6.0, ledger=book)
    assert released.size.origin == "released with this report"


def test_a_models_number_of_rows_is_as_exact_as_it_says(book: Ledger) -> None:
    """Root mean square of 25 errors, in their sds: within 0.6 and 1.45 but for a chance of 0.1 %."""
    errors = []
    for seed in range(25):
        model = tronie.fit(
            REAL, SCHEMA, epsilon=1.0, method="independent", noise=InsecureNoise(seed), ledger=book
        )
        size = _released_size(model)
        assert size is not None
        errors.append((size.rows - ROWS) / size.sd)
    assert 0.6 < math.sqrt(np.mean(np.square(errors))) < 1.45


def test_derived_columns_are_compared_as_well() -> None:
    """A rule does not hide the column that it computes."""
    schema = schema_of(
        {
            **{name: column.model_dump() for name, column in SCHEMA.columns.items()},
            "zone": {"kind": "category", "values": ["n", "s"]},
            "note": {"kind": "text"},
        },
        constraints=[
            {
                "kind": "function",
                "of": "town",
                "gives": "zone",
                "table": [["a", "n"], ["b", "n"], ["c", "s"]],
            }
        ],
    )
    real, synthetic = (
        rows.append_column(
            "zone", pa.array(["s" if town == "c" else "n" for town in rows["town"].to_pylist()])
        )
        for rows in (REAL, SYNTHETIC)
    )
    real = real.append_column("note", pa.array(["words"] * ROWS))
    released = score(real=real, synthetic=synthetic, schema=schema)
    assert {column.name for column in released.columns} == {"town", "age", "paid", "zone"}


def test_one_column_has_neither_pairs_nor_triples() -> None:
    schema = schema_of({"age": SCHEMA.columns["age"].model_dump()})
    released = score(schema=schema)
    assert [part.name for part in released.means] == ["columns"]
    assert released.pairs == ()


def test_the_result_is_plain_data_and_sentences(tmp_path: Path) -> None:
    SCHEMA.write(tmp_path / "schema.yaml")
    released = score(schema=tmp_path / "schema.yaml")
    plain = json.loads(json.dumps(released.to_dict(), allow_nan=False))
    assert plain["headline"]["score"]["error"] == released.headline.score.error > 0
    assert plain["size"] == {"rows": ROWS, "sd": 0.0, "origin": "as declared"}
    assert len(plain["columns"]) == len(plain["pairs"]) == 3
    assert plain["certificate"]["method"] == METHOD
    text = "\n".join(released.sentences)
    for words in ("Score: ", "Columns: ", "Pairs: ", "Triples: ", "Replayed rows: ", "4,000 ± 0"):
        assert words in text
    assert text.count("±") == 8
    worst = [column.value - column.ceiling for column in released.columns]
    assert worst == sorted(worst)


# --- the ledger --------------------------------------------------------------------------------------


def states(book: Ledger) -> list[str]:
    return [entry.state for entry in book.entries()]


def test_a_score_that_would_be_too_inexact_costs_nothing(book: Ledger) -> None:
    with pytest.raises(InputError, match="standard deviation"):
        score(epsilon=0.1, ledger=book)
    assert states(book) == []


def test_a_refusal_after_a_look_has_cost_that_look(book: Ledger) -> None:
    with pytest.raises(TooInexact, match="Only a look") as caught:
        score(epsilon=0.1, rows=None, ledger=book)
    assert not isinstance(caught.value, InputError)
    (entry,) = book.entries()
    assert entry.state == "committed"
    assert [event.query for event in entry.events] == ["total"]
    assert 0.08 < entry.mu / Budget(0.1).mu < 0.16
    assert 0.005 < book.spent("test").epsilon < 0.02


def test_a_cap_forbids_a_report(book: Ledger) -> None:
    with pytest.raises(BudgetExceeded):
        score(ledger=book, max_epsilon=ENOUGH / 2)
    assert states(book) == []
    score(ledger=book, max_epsilon=1.01 * ENOUGH)
    with pytest.raises(BudgetExceeded):
        score(ledger=book, max_epsilon=1.01 * ENOUGH)
    assert states(book) == ["committed"]


@pytest.mark.parametrize(
    ("stage", "state"), [("counting", "cancelled"), ("comparing", "committed")]
)
def test_a_stopped_report_has_cost_what_was_answered(stage: str, state: str, book: Ledger) -> None:
    def stop(told: str) -> None:
        if told.startswith(stage):
            raise Cancelled("stopped.")

    with pytest.raises(Cancelled):
        score(ledger=book, watch=stop)
    (entry,) = book.entries()
    assert entry.state == state
    if state == "committed":
        # The last question was charged before it was stopped.
        assert entry.mu == pytest.approx(Budget(ENOUGH).mu, rel=1e-6)


def test_rows_that_do_not_fit_cost_nothing(book: Ledger) -> None:
    with pytest.raises(SchemaMismatch) as caught:
        score(real=table(ROWS, 0, "abz"), ledger=book)
    assert "'z'" not in str(caught.value)
    assert states(book) == ["cancelled"]


@pytest.mark.parametrize(
    ("given", "error", "words"),
    [
        (
            {"schema": schema_of({"age": {"kind": "integer"}, "paid": {"kind": "boolean"}})},
            SchemaError,
            "'age'",
        ),
        (
            {"schema": schema_of({"note": {"kind": "text"}})},
            SchemaError,
            "no column can be modelled",
        ),
        ({"rows": 0}, InputError, "number of rows is 0"),
        ({"rows": 2**41}, InputError, "number of rows"),
        ({"epsilon": 0.0}, InputError, "epsilon"),
        ({"delta": 2 * SAMPLER_DELTA}, InputError, "delta"),
        ({"real": REAL.drop_columns(["age"])}, SchemaMismatch, "lacks 'age'"),
        ({"synthetic": SYNTHETIC.slice(0, 0)}, InputError, "no rows"),
    ],
)
def test_what_makes_no_sense_costs_nothing(
    given: dict[str, Any], error: type[TronieError], words: str, book: Ledger
) -> None:
    with pytest.raises(error, match=words):
        score(**given, ledger=book)
    assert states(book) == []
