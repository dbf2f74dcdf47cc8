from __future__ import annotations

import json
import math
import os
import signal
import sqlite3
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tronie.errors import BudgetError, BudgetExceeded, BundleError, OutputError
from tronie.privacy import ledger_file
from tronie.privacy.accounting import gdp_epsilon, total_mu
from tronie.privacy.budget import SAMPLER_DELTA, Budget
from tronie.privacy.events import Event, Exponential, Gaussian, Threshold, sigma_for
from tronie.privacy.ledger import Ledger, Reservation, default_path
from tronie.privacy.ledger_entries import Entry, Mark, add_up
from tronie.privacy.ledger_file import LedgerFile

BUDGET = Budget(1.0, 1e-9)


def release(budget: Budget = BUDGET, share: float = 1.0) -> list[Event]:
    """Two Gaussian events that cost a share of a budget's mu."""
    sigma = sigma_for(budget.mu * share / math.sqrt(2))
    return [Gaussian(query="q", columns=("a",), sigma=sigma, sensitivity=1.0)] * 2


def keys(delta: float) -> Threshold:
    return Threshold(query="keys", sigma=60.0, sensitivity=1.0, threshold=600.0, delta=delta)


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    return Ledger(tmp_path / "sub" / "ledger.sqlite")


def spend(ledger: Ledger, budget: Budget = BUDGET, share: float = 1.0) -> Reservation:
    reservation = ledger.reserve("adult", budget)
    reservation.mark_touched()
    reservation.commit(release(budget, share))
    return reservation


# --- one release --------------------------------------------------------------------------------


def test_one_release_shows_at_most_its_epsilon(ledger: Ledger) -> None:
    reservation = ledger.reserve("adult", BUDGET)
    assert 0.999999 < ledger.spent("adult").epsilon <= 1.0
    reservation.mark_touched()
    reservation.commit(release())
    total = ledger.spent("adult")
    assert 0.999999 < total.epsilon <= 1.0
    assert (total.delta, total.releases, total.unfinished) == (1e-9, 1, 0)


@settings(deadline=None, max_examples=15)
@given(st.floats(0.01, 30.0), st.floats(-20.0, -3.0).map(lambda power: 10.0**power))
def test_a_committed_release_never_shows_more_than_its_budget(epsilon: float, delta: float) -> None:
    budget = Budget(epsilon, delta)
    entry_cost = gdp_epsilon(total_mu(release(budget)), delta - SAMPLER_DELTA)
    assert entry_cost <= epsilon


def test_a_commit_lowers_what_was_not_spent(ledger: Ledger) -> None:
    spend(ledger, share=0.5)
    total = ledger.spent("adult")
    assert 0.3 < total.epsilon < 0.6
    assert total.mu == pytest.approx(BUDGET.mu / 2)


def test_a_commit_tells_what_it_cost(ledger: Ledger) -> None:
    cost = ledger.reserve("adult", BUDGET).commit(release())
    assert cost.epsilon <= 1.0
    assert ledger.entries()[0].epsilon == cost.epsilon


def test_a_mixed_release_shows_its_own_claim(ledger: Ledger) -> None:
    """PLD allows more than GDP; alone, the release still shows what it claims."""
    events: list[Event] = [
        *release(share=0.95),
        *[Exponential(query="q", epsilon=0.02, candidates=4)] * 12,
    ]
    ledger.reserve("adult", BUDGET, events=events).commit(events)
    total = ledger.spent("adult")
    assert total.epsilon < gdp_epsilon(total.mu, total.delta - SAMPLER_DELTA)
    assert total.epsilon <= 1.0
    assert total.composition == "basic"


def test_states_of_a_release(ledger: Ledger) -> None:
    reservation = ledger.reserve("adult", BUDGET, note="mst")
    assert (reservation.state, reservation.touched) == ("reserved", False)
    reservation.mark_touched()
    reservation.mark_touched()
    assert (reservation.state, reservation.touched) == ("touched", True)
    reservation.commit(release())
    assert (reservation.state, reservation.touched) == ("committed", True)
    (entry,) = ledger.entries("adult")
    assert (entry.id, entry.dataset, entry.note) == (reservation.id, "adult", "mst")
    assert entry.events == tuple(release())
    assert entry.created.endswith("+00:00")


def test_cancelled_releases_cost_nothing(ledger: Ledger) -> None:
    ledger.reserve("adult", BUDGET).cancel()
    total = ledger.spent("adult")
    assert (total.epsilon, total.releases) == (0.0, 0)
    assert ledger.entries("adult")[0].state == "cancelled"


def test_a_touched_release_cannot_be_cancelled(ledger: Ledger) -> None:
    reservation = ledger.reserve("adult", BUDGET)
    reservation.mark_touched()
    with pytest.raises(BudgetError, match="touched already"):
        reservation.cancel()
    assert ledger.spent("adult").epsilon > 0.99


@pytest.mark.parametrize("end", ["commit", "cancel"])
def test_a_release_ends_once(ledger: Ledger, end: str) -> None:
    reservation = ledger.reserve("adult", BUDGET)
    reservation.commit(release()) if end == "commit" else reservation.cancel()
    for again in (
        reservation.cancel,
        reservation.mark_touched,
        lambda: reservation.commit(release()),
    ):
        with pytest.raises(BudgetError, match="already"):
            again()


def test_more_than_was_reserved_is_stored_and_reported(ledger: Ledger) -> None:
    reservation = ledger.reserve("adult", BUDGET)
    with pytest.raises(BudgetExceeded, match="more than was reserved"):
        reservation.commit(release(share=2.0))
    total = ledger.spent("adult")
    assert total.epsilon > 2.0
    assert total.unfinished == 0


def test_a_failing_block_cancels_only_what_was_not_touched(ledger: Ledger) -> None:
    def fail(touch: bool) -> None:
        with ledger.reserve("adult", BUDGET) as reservation:
            if touch:
                reservation.mark_touched()
            raise RuntimeError

    for touch in (False, True):
        with pytest.raises(RuntimeError):
            fail(touch)
    with ledger.reserve("adult", BUDGET):
        pass
    assert [entry.state for entry in ledger.entries()] == ["cancelled", "touched", "reserved"]


def test_a_ledger_that_vanishes_during_a_release_is_reported(ledger: Ledger) -> None:
    reservation = ledger.reserve("adult", BUDGET)
    ledger.path.unlink()
    with pytest.raises(BudgetError, match="knows no release"):
        reservation.mark_touched()


# --- totals -------------------------------------------------------------------------------------


def test_gaussian_releases_compose_in_squares(ledger: Ledger) -> None:
    for _ in range(3):
        spend(ledger)
    total = ledger.spent("adult")
    assert total.mu == pytest.approx(math.sqrt(3) * BUDGET.mu)
    assert total.epsilon == pytest.approx(gdp_epsilon(total.mu, 1e-9), rel=1e-9)
    assert total.epsilon < 1.9
    assert total.composition == "GDP"


def test_deltas_may_differ(ledger: Ledger) -> None:
    spend(ledger, Budget(1.0, 1e-9))
    spend(ledger, Budget(1.0, 1e-6))
    assert ledger.spent("adult").delta == 1e-6
    strict, loose = ledger.spent("adult", 1e-12), ledger.spent("adult", 1e-5)
    assert strict.epsilon > ledger.spent("adult").epsilon > loose.epsilon


def test_basic_composition_needs_the_sum_of_deltas(ledger: Ledger) -> None:
    """Thresholds eat the delta of squares; claims may still be added."""
    events: list[Event] = [keys(0.8e-9)]
    for _ in range(2):
        ledger.reserve("adult", BUDGET, events=events).commit(events)
    assert ledger.spent("adult", 1e-9).epsilon == math.inf
    squares, sums = ledger.spent("adult", 1.7e-9), ledger.spent("adult", 2e-9)
    assert squares.composition == "GDP"
    left = 1.7e-9 - 2 * (0.8e-9 + SAMPLER_DELTA)
    assert squares.epsilon == pytest.approx(gdp_epsilon(squares.mu, left), rel=1e-9)
    assert sums.epsilon <= sum(entry.epsilon for entry in ledger.entries("adult"))


def test_data_sets_are_apart(ledger: Ledger) -> None:
    spend(ledger)
    assert ledger.spent("bank").epsilon == 0.0
    ledger.reserve("bank", Budget(2.0))
    assert ledger.spent("adult").epsilon <= 1.0
    assert [entry.dataset for entry in ledger.entries()] == ["adult", "bank"]
    assert [entry.dataset for entry in ledger.entries("bank")] == ["bank"]


@settings(deadline=None, max_examples=20)
@given(st.data())
def test_totals_grow_and_do_not_depend_on_order(data: st.DataObject) -> None:
    epsilons = data.draw(st.lists(st.floats(0.01, 3.0), min_size=1, max_size=5))
    entries = [touched(number, epsilon) for number, epsilon in enumerate(epsilons)]
    mixed = data.draw(st.permutations(entries))
    assert add_up("adult", mixed, None).epsilon == add_up("adult", entries, None).epsilon
    assert add_up("adult", entries[:-1], 1e-9).epsilon <= add_up("adult", entries, 1e-9).epsilon


def touched(number: int, epsilon: float) -> Entry:
    budget = Budget(epsilon)
    return Entry(number, "adult", "", "touched", epsilon, 1e-9, budget.mu, SAMPLER_DELTA, (), "")


@pytest.mark.parametrize("delta", [0.0, 1.0, -1.0, math.nan])
def test_totals_need_a_delta_between_0_and_1(ledger: Ledger, delta: float) -> None:
    with pytest.raises(BudgetError, match="delta"):
        ledger.spent("adult", delta)


def test_thresholds_are_reserved(ledger: Ledger) -> None:
    ledger.reserve("adult", BUDGET, events=[keys(1e-10)])
    (entry,) = ledger.entries()
    assert entry.events == (keys(1e-10),)
    assert entry.fixed_delta == pytest.approx(1e-10)
    assert entry.mu == pytest.approx(Budget(1.0, 0.9e-9).mu)
    assert ledger.spent("adult").epsilon <= 1.0


def test_events_planned_beyond_gaussian_privacy_are_reserved(ledger: Ledger) -> None:
    planned: list[Event] = [
        *release(share=0.975),
        *[Exponential(query="q", epsilon=0.02, candidates=4)] * 12,
    ]
    ledger.reserve("adult", BUDGET, events=planned)
    assert ledger.entries()[0].mu == total_mu(planned) > BUDGET.mu


@pytest.mark.parametrize("planned", [release(share=1.1), [keys(0.6e-9)] * 2])
def test_plans_over_budget_are_refused(ledger: Ledger, planned: list[Event]) -> None:
    with pytest.raises(BudgetError, match="cost more"):
        ledger.reserve("adult", BUDGET, events=planned)
    assert ledger.entries() == ()


@pytest.mark.parametrize("name", ["", "  "])
def test_data_sets_have_names(ledger: Ledger, name: str) -> None:
    with pytest.raises(BudgetError, match="no name"):
        ledger.reserve(name, BUDGET)
    with pytest.raises(BudgetError, match="no name"):
        ledger.set_cap(name, 1.0)


# --- caps ---------------------------------------------------------------------------------------


def test_a_cap_refuses_and_reserves_nothing(ledger: Ledger) -> None:
    spend(ledger)
    with pytest.raises(BudgetExceeded, match=r"epsilon 1\.4 in all.*1\.439"):
        ledger.reserve("adult", BUDGET, max_epsilon=1.4)
    assert len(ledger.entries()) == 1
    ledger.reserve("adult", BUDGET, max_epsilon=1.45)


def test_a_cap_of_exactly_one_release_lets_it_through(ledger: Ledger) -> None:
    ledger.reserve("adult", BUDGET, max_epsilon=1.0)


def test_a_stored_cap_holds_for_all(ledger: Ledger) -> None:
    ledger.set_cap("adult", 1.2)
    spend(ledger)
    assert ledger.spent("adult").max_epsilon == 1.2
    for given_cap in (None, 5.0):
        with pytest.raises(BudgetExceeded):
            ledger.reserve("adult", BUDGET, max_epsilon=given_cap)
    ledger.reserve("bank", Budget(5.0))
    ledger.set_cap("adult", None)
    assert ledger.spent("adult").max_epsilon is None
    ledger.reserve("adult", BUDGET)


def test_a_cap_with_its_own_delta_is_not_loosened_by_a_release(ledger: Ledger) -> None:
    ledger.set_cap("adult", 1.0, delta=1e-9)
    with pytest.raises(BudgetExceeded):
        ledger.reserve("adult", Budget(1.0, 1e-4))
    ledger.reserve("adult", Budget(1.0, 1e-9))


def test_open_reservations_count_against_the_cap(ledger: Ledger) -> None:
    first = ledger.reserve("adult", BUDGET, max_epsilon=1.2)
    with pytest.raises(BudgetExceeded):
        ledger.reserve("adult", BUDGET, max_epsilon=1.2)
    first.cancel()
    ledger.reserve("adult", BUDGET, max_epsilon=1.2)


@pytest.mark.parametrize("cap", [0.0, -1.0, math.inf, math.nan])
def test_caps_are_positive_and_finite(ledger: Ledger, cap: float) -> None:
    with pytest.raises(BudgetError):
        ledger.set_cap("adult", cap)
    with pytest.raises(BudgetError):
        ledger.reserve("adult", BUDGET, max_epsilon=cap)
    with pytest.raises(BudgetError):
        ledger.set_cap("adult", 1.0, delta=0.0)


# --- crashes and races --------------------------------------------------------------------------


def run(program: str, path: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", program, str(path)], stdout=subprocess.PIPE, text=True
    )


KILLED = """
import os, signal, sys
from tronie.privacy.budget import Budget
from tronie.privacy.ledger import Ledger
from tronie.privacy.ledger_file import LedgerFile
ledger = Ledger(sys.argv[1])
first = ledger.reserve("adult", Budget(1.0, 1e-9))
second = ledger.reserve("bank", Budget(1.0, 1e-9))
second.mark_touched()
with LedgerFile(ledger.path).write() as rows:
    rows.set_state(second.id, "cancelled")
    rows.set_state(first.id, "cancelled")
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs kill -9")
def test_a_killed_process_has_spent_its_reservations(ledger: Ledger) -> None:
    """Killed in the middle of a transaction that would have given both back."""
    with run(KILLED, ledger.path) as process:
        assert process.wait(60) == -signal.SIGKILL
    assert [entry.state for entry in ledger.entries()] == ["reserved", "touched"]
    for dataset in ("adult", "bank"):
        total = ledger.spent(dataset)
        assert 0.999999 < total.epsilon <= 1.0
        assert total.unfinished == 1
    with pytest.raises(BudgetExceeded):
        ledger.reserve("adult", BUDGET, max_epsilon=1.2)


RACING = """
import sys
from tronie.errors import BudgetExceeded
from tronie.privacy.budget import Budget
from tronie.privacy.ledger import Ledger
ledger, won = Ledger(sys.argv[1]), 0
for _ in range(12):
    try:
        ledger.reserve("adult", Budget(0.3, 1e-9), max_epsilon=1.0)
        won += 1
    except BudgetExceeded:
        pass
print(won)
"""


def test_racing_processes_never_overspend(ledger: Ledger) -> None:
    racers = [run(RACING, ledger.path) for _ in range(2)]
    won = []
    for racer in racers:
        with racer:
            output, _ = racer.communicate(timeout=60)
            assert racer.returncode == 0
            won.append(int(output))
    total = ledger.spent("adult")
    assert total.releases == sum(won) == 10, (
        "ten releases at 0.3 cost 0.996, eleven would cost 1.047"
    )
    assert total.epsilon <= 1.0


def test_a_failed_write_changes_nothing(ledger: Ledger) -> None:
    reservation = ledger.reserve("adult", BUDGET)

    def fail() -> None:
        with LedgerFile(ledger.path).write() as rows:
            rows.set_state(reservation.id, "cancelled")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert reservation.state == "reserved"


def test_a_locked_ledger_is_reported(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    ledger.reserve("adult", BUDGET)
    monkeypatch.setattr(ledger_file, "_WAIT_SECONDS", 0.05)
    holder = sqlite3.connect(ledger.path, isolation_level=None)
    holder.execute("BEGIN EXCLUSIVE")
    try:
        with pytest.raises(OutputError, match="locked"):
            ledger.reserve("adult", BUDGET)
        with pytest.raises(OutputError, match="locked"):
            ledger.spent("adult")
    finally:
        holder.close()


# --- the file -----------------------------------------------------------------------------------


@pytest.mark.skipif(os.name != "posix", reason="POSIX permissions")
def test_only_the_owner_can_read_the_file(ledger: Ledger) -> None:
    before = os.umask(0)
    try:
        ledger.reserve("adult", BUDGET)
    finally:
        os.umask(before)
    assert stat.S_IMODE(ledger.path.stat().st_mode) == 0o600
    assert stat.S_IMODE(ledger.path.parent.stat().st_mode) == 0o700


def test_reading_makes_no_file(ledger: Ledger) -> None:
    assert ledger.spent("adult").epsilon == 0.0
    assert ledger.entries() == ()
    assert not ledger.path.parent.exists()


def test_an_empty_file_is_a_new_ledger(tmp_path: Path) -> None:
    """A process may die between making the file and filling it."""
    path = tmp_path / "ledger.sqlite"
    path.touch()
    assert Ledger(path).spent("adult").epsilon == 0.0
    Ledger(path).reserve("adult", BUDGET)
    assert len(Ledger(path).entries()) == 1


def test_other_files_are_refused(tmp_path: Path) -> None:
    content = b"not a ledger at all, but long enough to be the header of one" * 40
    path = tmp_path / "ledger.sqlite"
    path.write_bytes(content)
    for use in (lambda: Ledger(path).spent("adult"), lambda: Ledger(path).reserve("a", BUDGET)):
        with pytest.raises(BundleError, match="not a tronie ledger"):
            use()
    assert path.read_bytes() == content


def test_other_programs_databases_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "other.sqlite"
    other = sqlite3.connect(path)
    other.execute("CREATE TABLE release (id INTEGER)")
    other.commit()
    other.close()
    with pytest.raises(BundleError, match="not a tronie ledger"):
        Ledger(path).reserve("adult", BUDGET)


def alter(ledger: Ledger, statement: str) -> None:
    connection = sqlite3.connect(ledger.path)
    connection.execute(statement)
    connection.commit()
    connection.close()


def test_a_newer_ledger_is_refused(ledger: Ledger) -> None:
    ledger.reserve("adult", BUDGET)
    alter(ledger, "PRAGMA user_version = 2")
    with pytest.raises(BundleError, match="format 2"):
        ledger.spent("adult")


def test_a_truncated_ledger_is_refused(ledger: Ledger) -> None:
    for _ in range(4):
        spend(ledger)
    data = ledger.path.read_bytes()
    ledger.path.write_bytes(data[: len(data) // 2])
    with pytest.raises(BundleError, match="damaged"):
        ledger.entries()


def test_a_damaged_entry_is_named(ledger: Ledger) -> None:
    spend(ledger)
    alter(ledger, 'UPDATE release SET events = \'[{"kind": "gaussian", "sigma": 0}]\'')
    with pytest.raises(BundleError, match="entry 1"):
        ledger.entries()


def test_releases_are_never_deleted(ledger: Ledger) -> None:
    spend(ledger)
    with pytest.raises(sqlite3.IntegrityError, match="never deleted"):
        alter(ledger, "DELETE FROM release")


def test_a_place_that_cannot_be_written_is_reported(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="cannot be used"):
        Ledger(tmp_path / "file" / "ledger.sqlite").reserve("adult", BUDGET)


def test_default_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRONIE_LEDGER", str(tmp_path / "mine.sqlite"))
    assert default_path() == Ledger().path == tmp_path / "mine.sqlite"
    monkeypatch.delenv("TRONIE_LEDGER")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    assert default_path() == tmp_path / "tronie" / "ledger.sqlite"
    monkeypatch.delenv("XDG_DATA_HOME")
    monkeypatch.setattr(Path, "home", lambda: tmp_path)
    assert default_path() == tmp_path / ".local" / "share" / "tronie" / "ledger.sqlite"


def test_lines_and_totals_are_ready_for_json(ledger: Ledger) -> None:
    spend(ledger)
    (entry,) = ledger.entries()
    line = json.loads(json.dumps(entry.to_dict(), allow_nan=False))
    assert line["events"][0]["kind"] == "gaussian"
    assert (line["dataset"], line["state"], line["delta"]) == ("adult", "committed", 1e-9)
    total = json.loads(json.dumps(ledger.spent("adult", 1e-30).to_dict(), allow_nan=False))
    assert total["epsilon"] is None
    assert total["releases"] == 1


def test_a_reservation_is_found_again_by_its_journal(ledger: Ledger) -> None:
    start, next_one = Mark(0, "a"), Mark(1, "b")
    assert ledger.find("token", "people", Budget(1.0)) is None
    made = ledger.reserve("people", Budget(1.0), journal=("token", start))
    ledger.reserve("people", Budget(1.0))
    found = ledger.find("token", "people", Budget(1.0))
    assert found is not None
    assert (found.id, found.mark, found.state) == (made.id, start, "reserved")
    found.advance(start, next_one)
    assert made.mark == next_one
    with pytest.raises(BudgetError, match="another copy of its journal"):
        made.advance(start, Mark(1, "c"))
    assert made.mark == next_one
    for dataset, budget in (("others", Budget(1.0)), ("people", Budget(2.0))):
        with pytest.raises(BudgetError, match="another data set, or with another budget"):
            ledger.find("token", dataset, budget)
    made.commit([])
    ended = ledger.find("token", "people", Budget(1.0))
    assert ended is not None
    assert ended.entry.state == "committed"
    with pytest.raises(BudgetError, match="committed already"):
        ended.advance(next_one, Mark(2, "d"))
    assert len(ledger.entries()) == 2


def test_a_reservation_without_a_journal_has_no_mark(ledger: Ledger) -> None:
    with pytest.raises(BudgetError, match="no journal"):
        _ = ledger.reserve("people", Budget(1.0)).mark
