"""A fit goes on after a crash, and only that fit."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from journals import Killed, killed_after

import tronie
from tronie.errors import (
    BudgetError,
    BudgetExceeded,
    BundleError,
    InputError,
    OutputError,
    SchemaMismatch,
)
from tronie.measure.journal import Journal
from tronie.measure.journal_file import open_journal
from tronie.measure.noise import InsecureNoise
from tronie.privacy.budget import Budget
from tronie.privacy.ledger import Ledger
from tronie.release import synthesize as synthesize_module
from tronie.release.journaling import give_up
from tronie.schema.schema import Schema

SMALL = Schema.model_validate(
    {
        "name": "small",
        "columns": {
            "x": {"kind": "integer", "min": 0, "max": 9},
            "y": {"kind": "category", "values": ["a", "b"]},
        },
    }
)

TABLE = pa.table({"x": [i % 10 for i in range(200)], "y": ["ab"[i % 10 > 4] for i in range(200)]})


@pytest.fixture
def book(tmp_path: Path) -> Ledger:
    return Ledger(tmp_path / "ledger.sqlite")


@pytest.fixture
def fit(tmp_path: Path, book: Ledger) -> Callable[..., tronie.Model]:
    """Fit a small table with a journal."""

    def make(**options: Any) -> tronie.Model:
        chosen = {"epsilon": 2.0, "method": "mst", "ledger": book, "noise": InsecureNoise(1)}
        options = {**chosen, "journal": tmp_path / "journal", **options}
        table, schema = options.pop("source", TABLE), options.pop("schema", SMALL)
        return tronie.fit(table, schema, **options)

    return make


def die_after(patch: pytest.MonkeyPatch, fit: Callable[..., Any], **options: Any) -> None:
    """A fit whose process dies when its first answer is written down."""
    with patch.context() as planted:
        planted.setattr(Journal, "record", killed_after(Journal.record))
        with pytest.raises(Killed):
            fit(**options)


def test_a_fit_that_ended_gives_the_same_model_at_no_cost(fit: Any, book: Ledger) -> None:
    first = fit()
    nothing = pa.table({"x": pa.array([], pa.int64()), "y": pa.array([], pa.string())})
    again = fit(source=nothing)
    assert again.sample(100, seed=1).table.equals(first.sample(100, seed=1).table)
    assert again.certificate.events == first.certificate.events
    assert again.certificate.claim == first.certificate.claim
    assert [entry.state for entry in book.entries()] == ["committed"]
    assert first.certificate.verify().epsilon_recomputed <= 2.0


def test_a_fit_that_died_goes_on_within_its_reservation(
    fit: Any, book: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    die_after(monkeypatch, fit, max_epsilon=2.0)
    assert [entry.state for entry in book.entries()] == ["touched"]
    model = fit(max_epsilon=2.0)
    (entry,) = book.entries()
    assert (entry.state, entry.events) == ("committed", model.certificate.events)


OTHERS: dict[str, tuple[dict[str, Any], str]] = {
    "budget": ({"epsilon": 1.0}, "epsilon, split of the budget"),
    "delta": ({"delta": 1e-6}, "delta, split"),
    "method": ({"method": "independent"}, "method, split of the budget"),
    "settings": ({"target": "x"}, "settings"),
    "noise": ({"noise": None}, "noise"),
    "prior": ({"prior": TABLE, "method": "glaze"}, "public rows"),
    "schema": ({"schema": SMALL.model_copy(update={"constraints": ()})}, "schema"),
    "name": ({"schema": SMALL.model_copy(update={"name": "other"})}, "data set, schema"),
}


@pytest.mark.parametrize(("options", "changed"), OTHERS.values(), ids=OTHERS)
def test_another_fit_is_refused(
    options: dict[str, Any],
    changed: str,
    fit: Any,
    book: Ledger,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if options.get("prior"):
        given = {"method": "glaze", "prior": TABLE.slice(5)}
        die_after(monkeypatch, fit, **given)
    elif "constraints" in repr(options):
        impossible = {"kind": "impossible", "when": {"y": ["a"], "x": {"max": 0}}}
        plain = SMALL.model_dump(mode="json")
        given = {"schema": Schema.model_validate({**plain, "constraints": [impossible]})}
        die_after(monkeypatch, fit, **given)
    else:
        die_after(monkeypatch, fit)
    with pytest.raises(InputError, match=f"not the same are .*{changed}"):
        fit(**options)
    assert [entry.state for entry in book.entries()] == ["touched"]


def test_another_ledger_is_refused(
    fit: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    die_after(monkeypatch, fit)
    with pytest.raises(BundleError, match="does not know the journal"):
        fit(ledger=tmp_path / "other.sqlite")


def test_without_privacy_there_is_no_journal(fit: Any) -> None:
    with pytest.raises(InputError, match="journal means nothing"):
        fit(epsilon=None, dp=False, ledger=None, noise=None)


def test_a_fit_that_never_got_an_answer_costs_nothing_and_may_begin_again(
    fit: Any, book: Ledger
) -> None:
    with pytest.raises(SchemaMismatch):
        fit(source=pa.table({"x": [1], "y": ["private"]}))
    assert [entry.state for entry in book.entries()] == ["cancelled"]
    model = fit()
    assert [entry.state for entry in book.entries()] == ["cancelled", "committed"]
    assert fit().certificate.events == model.certificate.events


def test_a_cap_that_forbids_it_leaves_a_journal_that_may_begin(fit: Any, book: Ledger) -> None:
    with pytest.raises(BudgetExceeded):
        fit(max_epsilon=1.0)
    assert book.entries() == ()
    assert fit().certificate.verify().epsilon_claimed == 2.0


def test_a_fit_that_is_stopped_keeps_its_reservation(fit: Any, book: Ledger) -> None:
    stages: list[str] = []

    def watch(stage: str) -> None:
        stages.append(stage)
        if len(stages) == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fit(watch=watch)
    assert [entry.state for entry in book.entries()] == ["touched"]
    assert book.spent("small").unfinished == 1
    fit()
    assert [entry.state for entry in book.entries()] == ["committed"]


def test_an_answer_that_is_lost_ends_the_fit(
    fit: Any, book: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(Journal, "charge", killed_after(Journal.charge))
        with pytest.raises(Killed):
            fit()
    for _ in range(2):
        with pytest.raises(BudgetExceeded, match="between a charge and its answer"):
            fit()
        (entry,) = book.entries()
        assert entry.state == "committed"
        assert 0 < entry.epsilon < 2.0


def test_a_method_that_asks_otherwise_than_then_is_refused(
    fit: Any, book: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    fit()
    monkeypatch.setattr("tronie.synth.plan.FIRST_CELLS", 8)
    monkeypatch.setattr("tronie.synth.plan.NARROW", 4)
    with pytest.raises(BundleError, match="was another one"):
        fit()
    assert len(book.entries()) == 1


def test_a_ledger_that_was_changed_is_found_out(
    fit: Any, book: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    fit()
    monkeypatch.setattr(
        "tronie.privacy.ledger.Reservation.entry",
        property(
            lambda reservation: book.entries()[0].__class__(
                **{**_fields(book.entries()[0]), "events": ()}
            )
        ),
    )
    with pytest.raises(BundleError, match="asked something else"):
        fit()


def _fields(entry: Any) -> dict[str, Any]:
    return {name: getattr(entry, name) for name in entry.__slots__}


def test_a_prior_may_be_a_model(fit: Any, tmp_path: Path, book: Ledger) -> None:
    prior = fit(journal=None).save(tmp_path / "prior.tronie")
    options = {"method": "glaze", "prior": prior}
    first = fit(**options)
    assert fit(**options).certificate.events == first.certificate.events
    assert len(book.entries()) == 2


def test_a_release_folder_that_could_not_be_made_is_made_by_another_call(
    tmp_path: Path, book: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(draft: Path, place: Path) -> None:
        raise OutputError(f"{place} could not be made.", "")

    options = {"epsilon": 2.0, "ledger": book, "journal": tmp_path / "journal", "seed": 1}
    with monkeypatch.context() as patch:
        patch.setattr(synthesize_module, "_rename", refuse)
        with pytest.raises(OutputError, match="could not be made"):
            tronie.synthesize(TABLE, SMALL, output=tmp_path / "out", **options)
    release = tronie.synthesize(TABLE, SMALL, output=tmp_path / "out", **options)
    assert release.model.certificate.verify().ok
    assert [entry.state for entry in book.entries()] == ["committed"]


def test_a_fit_that_is_given_up_costs_what_was_charged(
    fit: Any, book: Ledger, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    die_after(monkeypatch, fit)
    (before,) = book.entries()
    after = give_up(tmp_path / "journal", book)
    assert (before.state, after.state) == ("touched", "committed")
    assert 0 < after.epsilon < before.epsilon
    assert len(after.events) == 3  # the number of rows, x and y were one question
    assert give_up(tmp_path / "journal", book) == after
    with pytest.raises(BudgetError, match="has ended"):
        fit()
    assert book.entries() == (after,)


def test_a_fit_that_was_killed_before_any_answer_is_cancelled(book: Ledger, tmp_path: Path) -> None:
    asked = {"data set": "small", "epsilon": "1.0", "delta": "1e-05"}
    with open_journal(tmp_path / "journal", asked) as file:
        book.reserve("small", Budget(1.0, 1e-5), journal=(file.token, file.start))
    assert give_up(tmp_path / "journal", book).state == "cancelled"
    assert give_up(tmp_path / "journal", book).state == "cancelled"


def test_only_journals_of_the_ledger_are_given_up(fit: Any, book: Ledger, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="not a journal"):
        give_up(tmp_path / "nothing", book)
    assert not (tmp_path / "nothing").exists()
    fit()
    with pytest.raises(BundleError, match="does not know"):
        give_up(tmp_path / "journal", Ledger(tmp_path / "other.sqlite"))
