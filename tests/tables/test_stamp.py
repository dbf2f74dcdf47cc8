"""Rows that are not private say so, in their metadata or beside their file."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tronie.files import NOT_PRIVATE
from tronie.tables.sinks import holds_metadata, write_table
from tronie.tables.stamp import (
    KEY,
    NO,
    beside,
    is_stamped,
    says_not_private,
    stamped,
    write_stamp,
)

TABLE = pa.table({"a": [1, 2]})


def test_a_stamp_is_metadata() -> None:
    other = TABLE.replace_schema_metadata({"x": "y"})
    assert is_stamped(stamped(other).schema)
    assert stamped(other).schema.metadata[b"x"] == b"y"
    assert stamped(other).equals(TABLE)
    assert not is_stamped(other.schema)
    assert not is_stamped(TABLE.schema)


@pytest.mark.parametrize("name", ["x.parquet", "x.arrow", "x.feather"])
def test_files_that_hold_metadata_hold_it(name: str, tmp_path: Path) -> None:
    place = tmp_path / name
    write_table(TABLE, place)
    assert not says_not_private(place)
    write_table(stamped(TABLE), place, metadata={KEY: NO}, mode=0o600)
    assert says_not_private(place)
    assert says_not_private(str(place))
    assert stat.S_IMODE(place.stat().st_mode) == 0o600
    assert holds_metadata(place)


def test_a_stream_holds_it_too(tmp_path: Path) -> None:
    for table, expected in ((TABLE, False), (stamped(TABLE), True)):
        with pa.ipc.new_stream(tmp_path / "x.arrows", table.schema) as writer:
            writer.write_table(table)
        assert says_not_private(tmp_path / "x.arrows") is expected


def test_other_files_have_it_beside_them(tmp_path: Path) -> None:
    place = tmp_path / "x.csv"
    write_table(TABLE, place)
    assert not holds_metadata(place)
    assert not says_not_private(place)
    write_stamp(place, "because")
    assert says_not_private(place)
    data = json.loads(beside(place).read_text())
    assert data == {"tronie": 1, "dp": False, "reason": "because"}
    assert stat.S_IMODE(beside(place).stat().st_mode) == 0o600


def test_a_folder_says_it_of_all_in_it(tmp_path: Path) -> None:
    write_table(TABLE, tmp_path / "x.csv")
    (tmp_path / NOT_PRIVATE).write_text("{}")
    assert says_not_private(tmp_path)
    assert says_not_private(tmp_path / "x.csv")


def test_a_folder_of_files_says_what_one_of_them_says(tmp_path: Path) -> None:
    pq.write_table(TABLE, tmp_path / "a.parquet")
    assert not says_not_private(tmp_path)
    pq.write_table(stamped(TABLE), tmp_path / "b.parquet")
    assert says_not_private(tmp_path)


def test_metadata_of_a_table_are_not_written_by_themselves(tmp_path: Path) -> None:
    write_table(TABLE.replace_schema_metadata({"rows": "2"}), tmp_path / "x.parquet")
    assert b"rows" not in (pq.read_schema(tmp_path / "x.parquet").metadata or {})


@pytest.mark.parametrize(
    "content", [b"", b"PAR1 but no more", b"ARROW1", b"\xff\xff\xff\xff", b"a,b\n"]
)
def test_unreadable_files_say_nothing(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(content)
    assert not says_not_private(tmp_path / "x")
    assert not says_not_private(tmp_path / "missing")


class Says:
    def __init__(self, dp: object) -> None:
        self.dp = dp


def test_things_in_memory() -> None:
    class Rows:
        table = stamped(TABLE)

    assert says_not_private(stamped(TABLE))
    assert says_not_private(stamped(TABLE).to_reader())
    assert says_not_private(Rows())
    assert says_not_private(Says(False))
    for other in (TABLE, Says(True), Says(None), {"dp": False}, None, [1]):
        assert not says_not_private(other)
