"""Everything that a run left behind, and whether planted values are in it."""

from __future__ import annotations

import base64
import bz2
import datetime as dt
import gzip
import hashlib
import io
import lzma
import re
import struct
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import numpy as np
import pyarrow as pa
from pyarrow import csv, parquet

from tronie.tables import reading
from tronie.tables.arrays import chunks_of

Planted: TypeAlias = str | int | float | dt.date
"""A planted value; a `datetime.datetime` is a `datetime.date` too."""

NESTED = 4
"""Containers within containers that are opened."""

STRETCH = (0.005, 1.05)
"""Parts of the way to a planted extreme between which bins end that follow it."""

RANGE = "range of the values"
"""The form of a hit that shows no value, but a range that follows one."""

_EPOCH = dt.datetime(1970, 1, 1)
_DIGITS = re.compile(rb"[0-9]")
_HEADER = 64


@dataclass(frozen=True, slots=True)
class Token:
    """One planted value.

    Attributes:
        column: Where it was planted.
        value: What was planted; it occurs nowhere else.
        low: Least value of the column's other rows, where it holds numbers.
        high: Greatest one.
    """

    column: str
    value: Planted
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, slots=True)
class Hit:
    """A planted value that was found.

    Attributes:
        column: Where it had been planted.
        artefact: Where it was found.
        form: In which form.
    """

    column: str
    artefact: str
    form: str


@dataclass(frozen=True, slots=True)
class Trace:
    """One form that a value may take among bytes.

    Attributes:
        form: Which form.
        content: The bytes.
        alone: Whether it is a number's text, and counts only if no digit stands before it.
    """

    form: str
    content: bytes
    alone: bool = False

    def is_in(self, data: bytes) -> bool:
        """Whether some bytes hold it."""
        at = data.find(self.content)
        while at >= 0:
            if not self.alone or not at or not _DIGITS.match(data, at - 1):
                return True
            at = data.find(self.content, at + 1)
        return False


def traces(value: Planted) -> tuple[Trace, ...]:
    """The forms that a value is looked for in: as text, as bytes of an array, hashed, in base 64."""
    match value:
        case str():
            return _text_traces(value)
        case dt.date():
            return _date_traces(value)
        case _:
            return _number_traces(value)


def search(
    artefacts: Sequence[tuple[str, bytes]],
    tables: Sequence[tuple[str, pa.Table]],
    tokens: Sequence[Token],
) -> tuple[Hit, ...]:
    """Planted values in some bytes and tables: the first form of each that an artefact holds.

    A table is also asked whether its numbers end between the other rows' and the planted extreme: bins that
    were made from the data give away a largest value without showing it. Bounds that are mostly noise may
    end there too, so that such a hit needs another run to confirm it.

    Args:
        artefacts: Name -> bytes; containers are opened, and tables in them are read.
        tables: Name -> table.
        tokens: What was planted.
    """
    found: dict[Hit, None] = {}
    forms = [(token, traces(token.value)) for token in tokens]
    decoded = list(tables)
    for name, data in artefacts:
        for inner, content in unpacked(name, data):
            decoded += _tables_in(inner, content)
            found |= dict.fromkeys(_hits(inner, content, forms))
    for name, table in decoded:
        found |= dict.fromkeys(_hits(name, _as_text(table), forms))
        found |= dict.fromkeys(_stretches(name, table, tokens))
    return tuple(found)


def files_of(folder: Path) -> list[tuple[str, bytes]]:
    """Every file below a folder, and its bytes."""
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    return [(str(path.relative_to(folder)), path.read_bytes()) for path in paths]


def unpacked(name: str, data: bytes, depth: int = 0) -> Iterator[tuple[str, bytes]]:
    """Some bytes, and those of every container within them."""
    yield name, data
    if depth < NESTED:
        for inner, content in _opened(name, data):
            yield from unpacked(inner, content, depth + 1)


def _opened(name: str, data: bytes) -> Iterator[tuple[str, bytes]]:
    if zipfile.is_zipfile(io.BytesIO(data)):
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            for member in archive.namelist():
                yield f"{name}/{member}", archive.read(member)
        return
    for magic, opener in _PACKERS.items():
        if data.startswith(magic):
            try:
                yield f"{name} (unpacked)", opener(data)
            except (OSError, EOFError, zlib.error, lzma.LZMAError):
                continue


_PACKERS = {
    b"\x1f\x8b": gzip.decompress,
    b"BZh": bz2.decompress,
    b"\xfd7zXZ": lzma.decompress,
    b"\x78\x01": zlib.decompress,
    b"\x78\x5e": zlib.decompress,
    b"\x78\x9c": zlib.decompress,
    b"\x78\xda": zlib.decompress,
}
"""First bytes of what is packed -> how it is unpacked."""


def _tables_in(name: str, data: bytes) -> Iterator[tuple[str, pa.Table]]:
    """The table that a file is, if it is one."""
    try:
        if data.startswith(b"PAR1"):
            yield f"{name} (read)", parquet.read_table(io.BytesIO(data))
        elif data.startswith(b"ARROW1"):
            yield f"{name} (read)", pa.ipc.open_file(io.BytesIO(data)).read_all()
        elif name.endswith(".csv") and data.decode():
            yield f"{name} (read)", csv.read_csv(io.BytesIO(data))
    except (pa.ArrowException, OSError, UnicodeDecodeError):
        return


def _hits(
    name: str, data: bytes, forms: Sequence[tuple[Token, tuple[Trace, ...]]]
) -> Iterator[Hit]:
    for token, wanted in forms:
        for trace in wanted:
            if trace.is_in(data):
                yield Hit(token.column, name, trace.form)
                break


def _as_text(table: pa.Table) -> bytes:
    """A table's values, written out."""
    parts: list[bytes] = []
    for name in table.column_names:
        sink = io.BytesIO()
        try:
            csv.write_csv(table.select([name]), sink)
        except pa.ArrowException:
            sink.write("\n".join(map(str, table[name].to_pylist())).encode())
        parts.append(sink.getvalue())
    return b"\n".join(parts)


def _stretches(name: str, table: pa.Table, tokens: Sequence[Token]) -> Iterator[Hit]:
    """Columns whose synthetic values reach beyond the other rows' towards the planted value."""
    for token in tokens:
        if token.low is None or token.high is None or token.column not in table.column_names:
            continue
        reach = _reach(table[token.column])
        if reach is None or isinstance(token.value, str | dt.date):
            continue
        low, high = reach
        above = token.value > token.high
        way = abs(token.value - (token.high if above else token.low))
        beyond = high - token.high if above else token.low - low
        if STRETCH[0] * way < beyond < STRETCH[1] * way:
            yield Hit(token.column, name, RANGE)


def _reach(column: pa.ChunkedArray) -> tuple[float, float] | None:
    """Least and greatest number of a column; None if it holds none."""
    is_ = pa.types
    if not (is_.is_integer(column.type) or is_.is_floating(column.type)):
        return None
    parts = [reading.numbers(chunk) for chunk in chunks_of(column)]
    present = [part.values[~part.missing].astype(np.float64) for part in parts]
    values = np.concatenate([np.empty(0), *present])
    return (float(values.min()), float(values.max())) if len(values) else None


def _text_traces(value: str) -> tuple[Trace, ...]:
    plain = value.encode()
    shaped = {value.lower().encode(), value.upper().encode(), plain}
    found = [Trace("text", form) for form in sorted(shaped)]
    found.append(Trace("text in UTF-16", value.encode("utf-16-le")))
    found += [Trace("text in base 64", form) for form in _in_base64(plain)]
    for algorithm in ("md5", "sha1", "sha256"):
        digest = hashlib.new(algorithm, plain, usedforsecurity=False)
        found.append(Trace(f"{algorithm} without a salt", digest.hexdigest().encode()))
        found.append(Trace(f"{algorithm} without a salt", digest.digest()))
    return tuple(found)


def _number_traces(value: float) -> tuple[Trace, ...]:
    whole = abs(int(value))
    digits = str(whole)
    texts = {digits, f"{whole:,}", f"{whole:_}", f"{digits[0]}.{digits[1:7]}"}
    found = [Trace("decimal text", text.encode(), alone=True) for text in sorted(texts)]
    return (*found, *_binary_traces([value]))


def _date_traces(value: dt.date) -> tuple[Trace, ...]:
    moment = (
        value if isinstance(value, dt.datetime) else dt.datetime(value.year, value.month, value.day)
    )
    seconds = round((moment - _EPOCH).total_seconds())
    counts = [seconds, seconds * 10**3, seconds * 10**6, seconds * 10**9]
    if not isinstance(value, dt.datetime):
        counts.append(seconds // 86_400)
    shapes = ("%Y-%m-%d", "%Y/%m/%d", "%d/%m/%Y", "%m/%d/%Y", "%d.%m.%Y", "%Y%m%d")
    texts = [Trace("date", moment.strftime(shape).encode(), alone=True) for shape in shapes]
    texts += [
        Trace("count since 1970", str(n).encode(), alone=True)
        for n in map(abs, counts)
        if n > 10**6
    ]
    if not isinstance(value, dt.datetime):
        texts.append(Trace("ordinal of the day", str(value.toordinal()).encode(), alone=True))
    return (*texts, *_binary_traces(counts))


def _binary_traces(values: Sequence[float]) -> tuple[Trace, ...]:
    """Numbers as eight bytes of an array; fewer bytes would be met with by chance."""
    found: list[Trace] = []
    for value in values:
        shapes = {
            "float64": struct.pack("<d", value),
            "float64, big-endian": struct.pack(">d", value),
        }
        if value == int(value) and abs(value) < 2**63:
            shapes["int64"] = struct.pack("<q", int(value))
            shapes["int64, big-endian"] = struct.pack(">q", int(value))
        for form, content in shapes.items():
            found.append(Trace(form, content))
            found += [Trace(f"{form} in base 64", text) for text in _in_base64(content)]
    return tuple(found)


def _in_base64(content: bytes) -> list[bytes]:
    """What some bytes look like in base 64, wherever among other bytes they stand."""
    found: list[bytes] = []
    for offset, first in ((0, 0), (1, 2), (2, 3)):
        encoded = base64.b64encode(bytes(offset) + content)
        last = (offset + len(content)) * 8 // 6
        found.append(encoded[first:last])
    return found
