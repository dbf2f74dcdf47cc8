"""A journal gives the answers of then, charges once, and trusts nothing that was changed."""

from __future__ import annotations

import json
import shutil
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from journals import ROWS, Killed, killed_after, opened
from neighbours import CODINGS, SCHEMA, Watched, records, references

from tronie.errors import (
    BudgetError,
    BudgetExceeded,
    BundleError,
    InputError,
    OutputError,
    SchemaMismatch,
)
from tronie.measure import journal as module
from tronie.measure.comparisons import Overlaps
from tronie.measure.curator import Curator
from tronie.measure.discovery import Keys, Magnitudes
from tronie.measure.journal import Journal, JournaledCurator, Pace
from tronie.measure.journal_file import NAME, JournalFile, open_journal
from tronie.measure.noise import InsecureNoise
from tronie.measure.queries import Marginal, Selection, Total
from tronie.measure.records import Records
from tronie.privacy.ledger import Ledger
from tronie.schema.columns import Integer, OpenCategory
from tronie.schema.grid import Coding, Grid
from tronie.tables.sources import open_source


def watched() -> tuple[Watched, Records]:
    source = Watched(open_source(pa.Table.from_pylist(ROWS)))
    return source, Records(source, SCHEMA)


OVERLAPS = Overlaps({"a": np.array([0, 1]), "b": np.array([3, 4]), "c": np.array([0, 1])}, (), 3.0)

QUESTIONS: dict[str, Callable[[Curator], Any]] = {
    "ask": lambda curator: curator.ask([Total(9.0), Marginal(("a", "b"), 3.0)]),
    "select": lambda curator: curator.select(Selection(references(1), 1.0)),
    "overlap": lambda curator: curator.overlap(OVERLAPS),
}


def all_asked(curator: Curator) -> list[Any]:
    return [ask(curator) for ask in QUESTIONS.values()]


def same(one: Any, other: Any) -> bool:
    """Whether answers are equal, types included."""
    if isinstance(one, np.ndarray):
        return type(one) is type(other) and one.dtype == other.dtype and np.array_equal(one, other)
    if isinstance(one, list | tuple):
        pairs = zip(one, other, strict=True)
        return type(one) is type(other) and all(same(*pair) for pair in pairs)
    return type(one) is type(other) and one == other


def test_answers_of_then_cost_nothing_and_read_nothing(tmp_path: Path) -> None:
    with opened(tmp_path) as (curator, meter, _):
        said, events = all_asked(curator), meter.events
    source, rows = watched()
    with opened(tmp_path, rows, noise=InsecureNoise(9)) as (curator, meter, reservation):
        assert same(all_asked(curator), said)
        assert meter.events == events
        assert source.passes == 0
        assert reservation.state == "touched"
        (new,) = curator.ask([Total(9.0)])
        assert source.passes == 1
        assert (len(meter.events), new.shape) == (len(events) + 1, ())
    assert len(Ledger(tmp_path / "ledger.sqlite").entries()) == 1


def test_answers_are_those_of_a_curator_without_a_journal(tmp_path: Path) -> None:
    plain = Curator(records(ROWS), module.Meter(module.Budget(1e3)), noise=InsecureNoise(0))
    plain.recode(CODINGS)
    with opened(tmp_path) as (curator, _, _):
        assert same(all_asked(curator), all_asked(plain))


def test_found_values_and_raw_histograms_come_back(tmp_path: Path) -> None:
    columns = {**SCHEMA.columns, "a": OpenCategory(), "b": OpenCategory(), "c": Integer()}
    words = SCHEMA.model_copy(update={"columns": columns})
    values = {"a": ["x"] * 300 + ["y"] * 300, "b": [1, 2] * 300, "c": [7] * 600}
    rows = Records(open_source(pa.table(values)), words)
    found: list[Any] = []
    for _ in range(2):
        with opened(tmp_path, rows) as (curator, meter, _):
            keys = [curator.keys(Keys(name, 5.0, 1e-10)) for name in ("a", "b")]
            found.append([*keys, curator.explore([Magnitudes("c", Integer(), 5.0)])])
            assert len(meter.events) == 3
    assert same(found[0], found[1])
    assert (found[0][0][0], found[0][1][0]) == (("x", "y"), (1, 2))


@pytest.mark.parametrize("kind", QUESTIONS)
def test_another_question_is_refused(kind: str, tmp_path: Path) -> None:
    ask = QUESTIONS[kind]
    with opened(tmp_path) as (curator, _, _):
        ask(curator)
    others: list[Callable[[Curator], Any]] = [
        lambda curator: curator.ask([Total(9.0), Marginal(("a", "b"), 3.5)]),
        lambda curator: curator.select(Selection(references(2), 1.0)),
        lambda curator: (
            curator.recode({**CODINGS, "b": Coding.identity(Grid(np.arange(0, 11, 5)))}),
            ask(curator),
        ),
        lambda curator: (curator.adopt(SCHEMA), curator.recode(CODINGS), ask(curator)),
    ]
    for other in others:
        source, rows = watched()
        with opened(tmp_path, rows) as (curator, meter, _):
            with pytest.raises(BundleError, match=r"question 1 of the journal .* was another one"):
                other(curator)
            assert (source.passes, meter.events) == (0, ())


def test_a_unit_of_more_rows_makes_other_questions(tmp_path: Path) -> None:
    with opened(tmp_path) as (curator, _, _):
        curator.ask([Total(9.0)])
    with opened(tmp_path, rows_per_unit=2) as (curator, _, _), pytest.raises(BundleError):
        curator.ask([Total(9.0)])


def test_a_charge_without_an_answer_is_not_answered_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with opened(tmp_path) as (curator, _, _):
        curator.ask([Total(9.0)])
        with monkeypatch.context() as patch:
            patch.setattr(Journal, "charge", killed_after(Journal.charge))
            with pytest.raises(Killed):
                curator.ask([Total(7.0)])
    for _ in range(2):
        source, rows = watched()
        with opened(tmp_path, rows) as (curator, _, reservation):
            curator.ask([Total(9.0)])
            with pytest.raises(BudgetExceeded, match="between a charge and its answer"):
                curator.ask([Total(7.0)])
            assert source.passes == 0
            assert reservation.state == "committed"
            assert [event.sigma for event in reservation.entry.events] == [9.0, 7.0]


def test_dying_before_the_charge_is_in_the_ledger_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with opened(tmp_path) as (curator, _, reservation):
        with monkeypatch.context() as patch:
            patch.setattr(type(reservation), "advance", killed_after(lambda *marks: None))
            with pytest.raises(Killed):
                curator.ask([Total(9.0)])
        curator_lines = (tmp_path / "journal" / NAME).read_text().count('"asked"')
    assert curator_lines == 1
    with opened(tmp_path) as (curator, meter, _):
        said = curator.ask([Total(9.0)])
        assert len(meter.events) == 1
    with opened(tmp_path) as (curator, _, _):
        assert same(curator.ask([Total(9.0)]), said)


def test_a_last_line_that_is_half_written_is_dropped(tmp_path: Path) -> None:
    with opened(tmp_path) as (curator, _, _):
        said = all_asked(curator)
    path = tmp_path / "journal" / NAME
    with path.open("ab") as file:
        file.write(b'{"digest":"12')
    with opened(tmp_path) as (curator, _, _):
        assert same(all_asked(curator), said)
        curator.ask([Total(9.0)])
    with opened(tmp_path) as (curator, _, _):
        assert same(all_asked(curator), said)


def lines(tmp_path: Path) -> list[bytes]:
    return (tmp_path / "journal" / NAME).read_bytes().splitlines(keepends=True)


DAMAGE: dict[str, Callable[[list[bytes]], list[bytes]]] = {
    "another digit": lambda found: [
        *found[:-1],
        found[-1].replace(b'"shape":[2]', b'"shape":[1,2]'),
    ],
    "a line taken out": lambda found: [*found[:2], *found[3:]],
    "lines exchanged": lambda found: [found[0], found[3], found[4], found[1], found[2], *found[5:]],
    "zeros": lambda found: [*found[:-1], bytes(len(found[-1]) - 1) + b"\n"],
    "no first line": lambda found: found[1:],
    "nothing": lambda found: [],
    "JSON of another kind": lambda found: [*found, b"[1]\n"],
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
def test_damage_is_refused(damage: Callable[[list[bytes]], list[bytes]], tmp_path: Path) -> None:
    with opened(tmp_path) as (curator, _, _):
        all_asked(curator)
    found = lines(tmp_path)
    changed = damage(found)
    assert changed != found
    (tmp_path / "journal" / NAME).write_bytes(b"".join(changed))
    with pytest.raises(BundleError, match="damaged"), opened(tmp_path):
        pass


@pytest.mark.parametrize("kept", [1, 2, 3, 4, 5])
def test_a_journal_whose_end_is_missing_is_refused(kept: int, tmp_path: Path) -> None:
    """Whole lines are gone, such as in an old copy: what was charged since would be asked again."""
    with opened(tmp_path) as (curator, _, _):
        all_asked(curator)
    (tmp_path / "journal" / NAME).write_bytes(b"".join(lines(tmp_path)[:kept]))
    with pytest.raises(BundleError, match="not as far as its release"), opened(tmp_path):
        pass


def test_of_two_copies_one_goes_on(tmp_path: Path) -> None:
    with opened(tmp_path) as (curator, _, _):
        curator.ask([Total(9.0)])
    shutil.copytree(tmp_path / "journal", tmp_path / "copy")
    with opened(tmp_path) as (one, _, _), opened(tmp_path, folder="copy") as (two, _, reservation):
        for curator in (one, two):
            curator.ask([Total(9.0)])
        one.ask([Total(8.0)])
        with pytest.raises(BudgetError, match="another copy of its journal"):
            two.ask([Total(8.0)])
        assert reservation.mark.length == 2
    with pytest.raises(BundleError), opened(tmp_path, folder="copy"):
        pass


def test_a_forged_line_that_makes_no_sense_is_refused(tmp_path: Path) -> None:
    with open_journal(tmp_path / "journal", {"data set": "t"}) as file:
        file.append({"kind": "answered", "answer": []})
    with pytest.raises(BundleError, match="makes no sense"), opened(tmp_path):
        pass


def test_a_journal_is_held_by_one(tmp_path: Path) -> None:
    with opened(tmp_path), pytest.raises(InputError, match="in use"), opened(tmp_path):
        pass
    with opened(tmp_path):
        pass


def test_it_is_its_owners_alone(tmp_path: Path) -> None:
    with opened(tmp_path) as (curator, _, _):
        all_asked(curator)
    folder = tmp_path / "journal"
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()} == {0o600}
    assert all(json.loads(line) for line in lines(tmp_path))


def test_another_purpose_is_refused_by_name(tmp_path: Path) -> None:
    with opened(tmp_path, made_for={"data set": "t", "plan": "1"}):
        pass
    with (
        pytest.raises(InputError, match="not the same are plan, noise"),
        opened(tmp_path, made_for={"data set": "t", "plan": "2", "noise": "x"}),
    ):
        pass


def test_another_format_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tronie.measure.journal_file.FORMAT", 2)
    with opened(tmp_path):
        pass
    monkeypatch.undo()
    with pytest.raises(BundleError, match="format 2"), opened(tmp_path):
        pass


def test_other_folders_are_left_alone(tmp_path: Path) -> None:
    (tmp_path / "journal").mkdir()
    (tmp_path / "journal" / "mine.txt").write_text("mine")
    with pytest.raises(InputError, match="is not a journal"), opened(tmp_path):
        pass
    (tmp_path / "file").write_text("mine")
    with (
        pytest.raises(OutputError, match="cannot be read or written"),
        opened(tmp_path, folder="file"),
    ):
        pass
    assert [path.name for path in (tmp_path / "journal").iterdir()] == ["mine.txt"]


def test_places_that_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*arguments: Any, **options: Any) -> None:
        raise OSError(28, "No space left on device")

    with opened(tmp_path) as (curator, _, reservation):
        curator.ask([Total(9.0)])
        for target in ("tronie.measure.journal_file.os.fsync",):
            with monkeypatch.context() as patch:
                patch.setattr(target, full)
                with pytest.raises(OutputError, match="No space left"):
                    curator.ask([Total(8.0)])
        assert reservation.mark.length == 1
    for name in ("touch", "read_bytes"):
        with monkeypatch.context() as patch:
            patch.setattr(Path, name, full)
            with pytest.raises(OutputError, match="No space left"), opened(tmp_path):
                pass
    with opened(tmp_path) as (curator, meter, _):
        curator.ask([Total(9.0)])
        curator.ask([Total(8.0)])
        assert len(meter.events) == 2


def test_a_way_to_ask_that_the_journal_does_not_know_is_refused(tmp_path: Path) -> None:
    source, rows = watched()
    with opened(tmp_path, rows) as (curator, _, reservation):
        with pytest.raises(BudgetExceeded, match="the journal does not know"):
            Curator.ask(curator, [Total(9.0)])
        assert reservation.state == "reserved"
    assert source.passes == 1


def test_every_way_to_ask_is_in_the_journal() -> None:
    answering = {"ask", "select", "explore", "overlap", "keys", "train"}
    assert answering <= vars(JournaledCurator).keys()
    assert {"recode", "adopt"} <= vars(JournaledCurator).keys()


def test_a_release_that_ended_answers_nothing_new(tmp_path: Path) -> None:
    with opened(tmp_path) as (curator, meter, reservation):
        curator.ask([Total(9.0)])
        reservation.commit(meter.events)
    source, rows = watched()
    with opened(tmp_path, rows) as (curator, meter, _):
        curator.ask([Total(9.0)])
        meter.journal.require_ended_as(meter.events)
        with pytest.raises(BundleError, match="asked something else"):
            meter.journal.require_ended_as([])
        with pytest.raises(BudgetError, match="has ended, and now there is more"):
            curator.ask([Total(9.0)])
    assert source.passes == 0


def test_rows_that_do_not_fit_leave_nothing_in_it(tmp_path: Path) -> None:
    bad = records([{"a": "unlisted", "b": 1, "c": True}])
    with opened(tmp_path, bad) as (curator, _, reservation):
        with pytest.raises(SchemaMismatch):
            curator.ask([Marginal(("a",), 3.0)])
        assert reservation.state == "reserved"
    assert len(lines(tmp_path)) == 1


def test_steps_are_claimed_for_about_a_second(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr("tronie.measure.journal.time.monotonic", lambda: now[0])
    pace, step, blocks = Pace(), 0, []
    while step < 60:
        upto = pace.claim(step, 60)
        blocks.append(upto - step)
        now[0] += 0.125 * (upto - step)
        step = upto
    assert blocks == [1, 2, 4, 8, 8, 8, 8, 8, 8, 5]


def test_states_are_saved_when_claims_are_used_up_and_time_allows(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = [0.0]
    monkeypatch.setattr("tronie.measure.journal.time.monotonic", lambda: now[0])
    pace = Pace()
    assert pace.claim(0, 9) == 1
    assert pace.is_due(1)
    pace.saved(0.5)
    assert not pace.is_due(1)
    now[0] = 10.0
    assert pace.is_due(1)
    assert not pace.is_due(0)
    assert pace.claim(1, 9) == 2


def test_a_file_that_is_no_journal_of_this_run_has_no_lines(tmp_path: Path) -> None:
    (tmp_path / "j").mkdir()
    file = JournalFile(tmp_path / "j", {})
    token = file.token
    file.restart()
    assert (file.lines, file.start.length) == ([], 0)
    assert file.token != token
