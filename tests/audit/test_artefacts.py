"""Planted values are found in every form that they may take."""

from __future__ import annotations

import base64
import bz2
import datetime as dt
import gzip
import hashlib
import io
import json
import lzma
import struct
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest

from tronie.audit.artefacts import Hit, Planted, Token, files_of, search, unpacked

WORD, WHOLE, REAL = "qzvkbwtnrxcfhmdp", 731_846_112_331, 918_273_641_25.125
DAY, MOMENT = dt.date(1777, 3, 7), dt.datetime(1783, 8, 9, 7, 13, 57)
EPOCH = dt.datetime(1970, 1, 1)
MICROSECONDS = (MOMENT - EPOCH) // dt.timedelta(microseconds=1)


def found(value: Planted, data: bytes, name: str = "file") -> list[str]:
    """In which form a value is found."""
    return [hit.form for hit in search([(name, data)], [], [Token("x", value)])]


FORMS: list[tuple[Planted, bytes, str]] = [
    (WORD, f"no such value: {WORD.upper()}!".encode(), "text"),
    (WORD, f"<b>{WORD}</b>".encode("utf-16-le"), "text in UTF-16"),
    (WORD, b"rare_" + hashlib.md5(WORD.encode()).hexdigest().encode(), "md5 without a salt"),
    (WORD, hashlib.sha256(WORD.encode()).digest(), "sha256 without a salt"),
    *((WORD, base64.b64encode(b"x" * i + WORD.encode()), "text in base 64") for i in range(3)),
    (WHOLE, b'{"max": 731846112331}', "decimal text"),
    (WHOLE, b"up to 731,846,112,331 people", "decimal text"),
    (WHOLE, f"{WHOLE:e}".encode(), "decimal text"),
    (WHOLE, struct.pack("<q", WHOLE), "int64"),
    (WHOLE, struct.pack(">q", WHOLE), "int64, big-endian"),
    (WHOLE, np.array([1.0, WHOLE]).tobytes(), "float64"),
    (REAL, repr(REAL).encode(), "decimal text"),
    (REAL, struct.pack(">d", REAL), "float64, big-endian"),
    (REAL, base64.b64encode(np.array([0.5, REAL, 1.0]).tobytes()), "float64 in base 64"),
    (DAY, b"born 1777-03-07.", "date"),
    (DAY, b"03/07/1777", "date"),
    (DAY, np.array([(DAY - EPOCH.date()).days]).tobytes(), "int64"),
    (DAY, str(DAY.toordinal()).encode(), "ordinal of the day"),
    (MOMENT, b"1783-08-09T07:13:57", "date"),
    (MOMENT, str(MICROSECONDS).encode(), "count since 1970"),
    (MOMENT, np.array([MICROSECONDS * 1000]).tobytes(), "int64"),
]


@pytest.mark.parametrize(("value", "data", "form"), FORMS)
def test_forms(value: Planted, data: bytes, form: str) -> None:
    assert found(value, data) == [form]


def test_other_values_are_not_found() -> None:
    noise = np.random.default_rng(0).bytes(200_000)
    for value in (WORD, WHOLE, REAL, DAY, MOMENT):
        assert found(value, noise) == []
    assert found(WHOLE, b"1731846112331") == []
    assert found(WHOLE, b"1731846112331 and 731846112331") == ["decimal text"]


PACKERS: list[Callable[[bytes], bytes]] = [
    gzip.compress,
    bz2.compress,
    lzma.compress,
    zlib.compress,
    lambda data: zlib.compress(data, 1),
    lambda data: zlib.compress(data, 9),
]


@pytest.mark.parametrize("pack", PACKERS)
def test_what_is_packed_is_opened(pack: Callable[[bytes], bytes]) -> None:
    data = b"padding " * 50 + WORD.encode()
    inner = io.BytesIO()
    with zipfile.ZipFile(inner, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("state.bin", pack(data))
    (hit,) = search([("model.zip", inner.getvalue())], [], [Token("x", WORD)])
    assert hit == Hit("x", "model.zip/state.bin (unpacked)", "text")


def test_what_only_looks_packed_is_searched_as_it_is() -> None:
    assert found(WORD, b"\x1f\x8b" + WORD.encode()) == ["text"]
    deep = WORD.encode()
    for _ in range(6):
        deep = gzip.compress(deep)
    assert found(WORD, deep) == []
    assert len(list(unpacked("deep", deep))) == 5


def test_tables_are_read() -> None:
    table = pa.table({"x": pa.array([WHOLE]), "day": pa.array([DAY]), "list": [["a"]]})
    parquet, arrow = io.BytesIO(), io.BytesIO()
    pa.parquet.write_table(table, parquet, compression="zstd")
    with pa.ipc.new_file(arrow, table.schema) as writer:
        writer.write_table(table)
    tokens = [Token("x", WHOLE), Token("day", DAY)]
    for name, file in (("t.parquet", parquet), ("t.arrow", arrow)):
        hits = search([(name, file.getvalue())], [], tokens)
        assert {hit.column for hit in hits if "(read)" in hit.artefact} == {"x", "day"}
    (hit,) = search([("t.csv", b"a,b\n1,731846112331\n")], [], tokens)[1:]
    assert hit.artefact == "t.csv (read)"
    assert search([("t.csv", b"\xff\xfe,\n")], [], tokens) == ()


def test_a_range_that_follows_the_extreme_gives_it_away() -> None:
    token = Token("x", 10**12 + 1, low=0.0, high=100.0)
    reach = pa.table({"x": pa.array([1.0, 5e11, None])})
    assert [hit.form for hit in search([], [("output", reach)], [token])] == ["range of the values"]
    below = Token("x", -(10**12), low=0.0, high=100.0)
    assert len(search([], [("output", pa.table({"x": [-(10**11)]}))], [below])) == 1
    for harmless in ([0, 150], [1e15], ["5"], pa.array([None], pa.float64())):
        assert search([], [("output", pa.table({"x": harmless}))], [token]) == ()
    assert search([], [("output", pa.table({"y": [10**11]}))], [token]) == ()


def test_files_of_a_folder(tmp_path: Path) -> None:
    (tmp_path / "inner").mkdir()
    (tmp_path / "inner" / "a.json").write_text(json.dumps({"v": WORD}))
    (tmp_path / "b.txt").write_text("b")
    assert [name for name, _ in files_of(tmp_path)] == ["b.txt", "inner/a.json"]
