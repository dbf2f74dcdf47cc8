"""A release folder appears whole or not at all."""

from __future__ import annotations

import errno
import json
import os
import stat
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv
import pyarrow.feather
import pyarrow.parquet as pq
import pytest

import tronie
from tronie.errors import InputError, OutputError
from tronie.measure.noise import InsecureNoise
from tronie.privacy.ledger import Ledger
from tronie.release import synthesize as module
from tronie.schema.schema import Schema


@pytest.fixture
def book(tmp_path: Path) -> Ledger:
    (tmp_path / "books").mkdir()
    return Ledger(tmp_path / "books" / "ledger.sqlite")


@pytest.fixture
def release(table: pa.Table, schema: Schema, book: Ledger) -> Any:
    """Make a release of the small table."""

    def make(output: Path, **options: Any) -> tronie.Release:
        options = {"epsilon": 3.0, "noise": InsecureNoise(0), "ledger": book, **options}
        options = {"method": "independent", "seed": 0, **options}
        return tronie.synthesize(table, schema, output=output, **options)

    return make


@pytest.fixture
def place(tmp_path: Path) -> Path:
    (tmp_path / "releases").mkdir()
    return tmp_path / "releases"


FILES = ["certificate.json", "model.tronie", "plan.json", "report.txt", "synthetic.parquet"]


def test_the_folder_holds_all_of_a_release(release: Any, place: Path) -> None:
    made = release(place / "out")
    assert sorted(path.name for path in made.folder.iterdir()) == FILES
    assert [path.name for path in place.iterdir()] == ["out"]
    assert pq.read_table(made.folder / "synthetic.parquet").equals(made.rows.table)
    assert len(made.rows) == made.model.rows
    assert (made.folder / "report.txt").read_text() == made.report.text()
    assert json.loads((made.folder / "plan.json").read_text())["method"] == "independent"
    certificate = tronie.Certificate.read(made.folder / "certificate.json")
    assert certificate == made.model.certificate
    again = tronie.Model.load(made.folder / "model.tronie")
    assert again.sample(seed=0).table.equals(made.rows.table)


def test_the_folder_is_as_open_as_others(release: Any, place: Path) -> None:
    made = release(place / "out")
    (place / "plain").mkdir()
    modes = [stat.S_IMODE(p.stat().st_mode) for p in (made.folder, place / "plain")]
    assert modes[0] == modes[1]


@pytest.mark.parametrize("kind", ["parquet", "csv", "arrow"])
def test_formats(kind: str, release: Any, place: Path) -> None:
    made = release(place / "out", format=kind, rows=50)
    path = made.folder / f"synthetic.{kind}"
    read = {
        "parquet": pq.read_table,
        "csv": pyarrow.csv.read_csv,
        "arrow": pyarrow.feather.read_table,
    }[kind](path)
    assert read.column_names == made.rows.table.column_names
    assert read.num_rows == 50
    if kind != "csv":
        assert read.schema.equals(made.rows.table.schema)


def test_seeds_and_rows(release: Any, place: Path) -> None:
    one, two, other = (
        release(place / f"{number}", seed=seed, rows=120).rows.table
        for number, seed in enumerate((4, 4, 5))
    )
    assert one.num_rows == 120
    assert one.equals(two)
    assert not one.equals(other)
    assert len(release(place / "none", rows=0).rows) == 0


@pytest.mark.parametrize(
    ("options", "match"),
    [({"format": "xlsx"}, "xlsx"), ({"rows": -1}, "-1"), ({"seed": -5}, "-5")],
)
def test_options_that_make_no_sense_cost_nothing(
    options: dict[str, Any], match: str, release: Any, place: Path, book: Ledger
) -> None:
    with pytest.raises(InputError, match=match):
        release(place / "out", **options)
    assert book.entries() == ()
    assert list(place.iterdir()) == []


def test_what_is_there_already_is_left_alone(release: Any, place: Path, book: Ledger) -> None:
    full = place / "full"
    full.mkdir()
    (full / "mine.txt").write_text("mine")
    (place / "file").write_text("mine too")
    for taken in (full, place / "file"):
        with pytest.raises(OutputError, match="exists already"):
            release(taken)
    assert (full / "mine.txt").read_text() == "mine"
    assert (place / "file").read_text() == "mine too"
    assert book.entries() == ()
    assert len(list(place.iterdir())) == 2


def test_empty_missing_and_linked_folders_are_filled(
    release: Any, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (place / "empty").mkdir()
    release(place / "empty")
    release(place / "a" / "b" / "c")
    (place / "real").mkdir()
    (place / "link").symlink_to(place / "real")
    release(place / "link")
    (place / "here").mkdir()
    monkeypatch.chdir(place / "here")
    release(Path())
    for name in ("empty", "a/b/c", "real", "here"):
        assert sorted(p.name for p in (place / name).iterdir()) == FILES
    assert (place / "link").is_symlink()


def test_a_place_that_cannot_be_written_costs_nothing(
    release: Any, place: Path, book: Ledger
) -> None:
    (place / "file").write_text("")
    with pytest.raises(OutputError, match="cannot write beside"):
        release(place / "file" / "out")
    assert book.entries() == ()


def full_disk(*args: Any, **options: Any) -> Any:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.mark.parametrize("step", ["rows", "model", "text"])
def test_a_full_disk_leaves_nothing_but_the_ledgers_entry(
    step: str, release: Any, place: Path, book: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    if step == "rows":
        monkeypatch.setattr(pq, "write_table", full_disk)
    elif step == "model":
        monkeypatch.setattr("zipfile.ZipFile.writestr", full_disk)
    else:
        monkeypatch.setattr(Path, "write_text", full_disk)
    with pytest.raises(OutputError, match="No space left") as caught:
        release(place / "out")
    assert caught.value.remedy
    assert list(place.iterdir()) == []
    assert [entry.state for entry in book.entries()] == ["committed"]


def test_a_disk_that_is_full_already_costs_nothing(
    release: Any, place: Path, book: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Path, "write_bytes", full_disk)
    with pytest.raises(OutputError, match="No space left"):
        release(place / "a" / "out")
    assert list(place.iterdir()) == []
    assert book.entries() == ()


def test_folders_that_were_made_for_it_go_again(release: Any, place: Path) -> None:
    def stop(stage: str) -> None:
        raise KeyboardInterrupt

    (place / "old").mkdir()
    with pytest.raises(KeyboardInterrupt):
        release(place / "old" / "new" / "newer" / "out", watch=stop)
    assert [path.name for path in place.rglob("*")] == ["old"]


@pytest.mark.parametrize("error", [KeyboardInterrupt(), RuntimeError("oops"), MemoryError()])
@pytest.mark.parametrize("step", ["fit", "sample", "describe", "save"])
def test_an_error_in_the_middle_leaves_nothing(
    step: str,
    error: BaseException,
    release: Any,
    place: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(*args: Any, **options: Any) -> None:
        raise error

    owner = module if step in {"fit", "describe"} else tronie.Model
    monkeypatch.setattr(owner, step, fail)
    (place / "out").mkdir()
    with pytest.raises(type(error)):
        release(place / "out")
    assert [path.name for path in place.iterdir()] == ["out"]
    assert list((place / "out").iterdir()) == []


def test_a_folder_that_fills_up_meanwhile_is_left_alone(release: Any, place: Path) -> None:
    out = place / "out"

    def watch(stage: str) -> None:
        out.mkdir(exist_ok=True)
        (out / "mine.txt").write_text("mine")

    with pytest.raises(OutputError, match="could not be made"):
        release(out, watch=watch)
    assert [p.name for p in place.iterdir()] == ["out"]
    assert [p.name for p in out.iterdir()] == ["mine.txt"]


def test_watch_is_told_of_sampling(release: Any, place: Path) -> None:
    stages: list[str] = []
    release(place / "out", watch=stages.append)
    assert stages[-1] == "sampling"
    assert stages[0].startswith("counting")


def test_the_folder_is_not_there_while_the_run_goes_on(release: Any, place: Path) -> None:
    seen: list[bool] = []
    release(place / "out", watch=lambda stage: seen.append((place / "out").exists()))
    assert seen
    assert not any(seen)
