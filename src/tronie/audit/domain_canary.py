"""One row with values that nobody has seen: nothing of it may be in anything that a run leaves behind.

Most leaks of synthesizers that call themselves private were not in the noise but beside it: a list of
categories read off the rows, a bin edge at the largest value, a saved preprocessor that holds the column.
Such a leak is deterministic, so one run finds it. Seen in the wild: Stadler, Oprisanu, Troncoso 2022, arXiv
2011.07018; Annamalai, Ganev, De Cristofaro 2024, arXiv 2405.10994.
"""

from __future__ import annotations

import datetime as dt
import math
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeAlias, cast

import numpy as np
import pyarrow as pa

from tronie.audit.artefacts import RANGE, Hit, Planted, Token, files_of, search
from tronie.audit.group import group_delta
from tronie.audit.result import Audit, Verdict
from tronie.errors import InputError, TronieError
from tronie.privacy.budget import DEFAULT_DELTA
from tronie.tables import reading
from tronie.tables.arrays import chunks_of, is_text
from tronie.tables.sources import open_source

Run: TypeAlias = Callable[[pa.Table, Path], object]
"""A whole pipeline: a private table, and an empty folder for whatever it writes. What it returns (text,
bytes, a table, or several of them) is searched too."""

CHANCE = 2.0**-20
"""Bound on the chance that something like a planted value is met by accident."""

CHANCE_OF_RANGE = 2.0**-8
"""Bound on the chance that noisy bounds end near a planted extreme in all of `CONFIRMED` runs."""

CONFIRMED = 3
"""Runs, each with an extreme a thousand times larger, in which a range must follow it to count."""

_LETTERS = "bcdfghjklmnpqrstvwxz"


def domain_canary(
    run: Run,
    table: Any,
    *,
    epsilon: float | None = None,
    delta: float = DEFAULT_DELTA,
    copies: int = 1,
    columns: Sequence[str] | None = None,
    confidence: float = 0.95,
    seed: int | None = None,
) -> Audit:
    """Plant one odd row, run everything, and search all that is left behind.

    Text columns get a word that does not exist, numbers an extreme one, dates one of the 18th century;
    other columns repeat a real row. Integers and floats of fewer than 64 bits are widened for it.
    Everything that the run wrote or returned is searched, containers are opened, tables are read; values
    are looked for as text, as the bytes of arrays, hashed without a salt and in base 64, and the range
    of synthetic numbers is compared with that of the other rows.

    Args:
        run: The pipeline. It must not leave a copy of its input in the folder. If it raises, its error
            message is searched as well.
        table: The private table, as for `tronie.fit`.
        epsilon: What the pipeline claims; None where it claims nothing.
        delta: Likewise.
        copies: How often the row is planted. With more than one a mechanism may find its values and
            release them: a hit is a violation only where the claim makes it unlikely.
        columns: Plant in these only.
        confidence: With which a correct claim is not called a violation.
        seed: Makes the planted values repeatable.

    Raises:
        InputError: If no column can hold a planted value, or the table has no rows.
    """
    rng = np.random.default_rng(seed)
    first = _searched(run, *plant(table, rng, copies=copies, columns=columns))
    hits, runs = first.hits, 1
    while hits and runs < CONFIRMED and all(hit.form == RANGE for hit in hits):
        again = _searched(run, *plant(table, rng, copies=copies, columns=columns, scale=3 * runs))
        runs += 1
        followed = {hit.column for hit in again.hits}
        hits = tuple(hit for hit in hits if hit.column in followed)
    likely = 1.0 if epsilon is None else group_delta(copies, epsilon, delta)
    excused = bool(hits) and copies > 1 and likely > 1.0 - confidence
    power = _strength(delta, confidence, CHANCE) if copies == 1 else 0.0
    shown = CHANCE_OF_RANGE if runs > 1 else CHANCE
    details = {
        "copies": copies,
        "tokens": [{"column": t.column, "value": str(t.value)} for t in first.tokens],
        "hits": [asdict(hit) for hit in hits],
        "artefacts": list(first.artefacts),
        "error": first.error,
    }
    return Audit(
        name="domain canary",
        epsilon=epsilon,
        delta=delta,
        relation="add/remove one unit",
        threat_model="The attacker reads every file, message and value that the run leaves behind.",
        runs=runs,
        confidence=confidence,
        lower=_strength(delta, confidence, shown) if hits and copies == 1 else 0.0,
        power=power,
        verdict=_verdict(hits, excused=excused, released=not first.error),
        finding=_finding(hits, copies, excused=excused, failed=first.error),
        details=details,
    )


def plant(
    table: Any,
    rng: np.random.Generator,
    *,
    copies: int = 1,
    columns: Sequence[str] | None = None,
    scale: int = 0,
) -> tuple[pa.Table, tuple[Token, ...]]:
    """A table with an odd row in it, and what is odd about it.

    Args:
        table: The rows, as for `tronie.fit`.
        rng: Draws the values and the row's place.
        copies: How often the row is planted.
        columns: Plant in these only.
        scale: Digits that extremes have beyond what is needed.

    Raises:
        InputError: If no column can hold a planted value, or the table has no rows.
    """
    source = open_source(table)
    rows = pa.Table.from_batches(list(source.batches(source.schema.names)), schema=source.schema)
    if not rows.num_rows or copies < 1:
        raise InputError("there is no row to plant beside.", "Give a table with rows.")
    rows = _widened(rows)
    base = rows.slice(0, 1)
    cells: dict[str, pa.Array] = {}
    tokens: list[Token] = []
    for name in rows.column_names:
        kind = rows.schema.field(name).type
        left_out = columns is not None and name not in columns
        token = None if left_out else _token(name, rows[name], rng, scale)
        cells[name] = base[name].combine_chunks()
        if token is not None:
            cells[name] = pa.array([token.value], kind)
            tokens.append(token)
    if not tokens:
        raise InputError("no column can hold a planted value.", "Name columns of text or numbers.")
    odd = pa.concat_tables([pa.table(cells, schema=rows.schema)] * copies)
    at = int(rng.integers(0, rows.num_rows + 1))
    return pa.concat_tables([rows.slice(0, at), odd, rows.slice(at)]), tuple(tokens)


def _widened(rows: pa.Table) -> pa.Table:
    """Columns wide enough for a planted value."""
    fields = [field.with_type(_wide(field.type)).with_nullable(True) for field in rows.schema]
    return rows.cast(pa.schema(fields))


def _wide(kind: pa.DataType) -> pa.DataType:
    is_ = pa.types
    if is_.is_dictionary(kind):
        return _wide(kind.value_type)
    if is_.is_integer(kind):
        return pa.int64()
    return pa.float64() if is_.is_floating(kind) else kind


def _token(
    name: str, column: pa.ChunkedArray, rng: np.random.Generator, scale: int
) -> Token | None:
    kind = column.type
    is_ = pa.types
    if is_text(kind):
        return Token(name, "".join(rng.choice(list(_LETTERS), 16).tolist()))
    if is_.is_date(kind) or is_.is_timestamp(kind):
        return Token(name, _odd_moment(rng, day=is_.is_date(kind)))
    if not (is_.is_integer(kind) or is_.is_floating(kind)):
        return None
    values = [reading.numbers(chunk) for chunk in chunks_of(column)]
    present = np.concatenate([read.values[~read.missing] for read in values])
    low, high = (float(present.min()), float(present.max())) if len(present) else (0.0, 0.0)
    whole = _extreme(max(-low, high), rng, scale)
    value = whole + float(rng.integers(1, 8)) / 8 if is_.is_floating(kind) else whole
    return Token(name, value, low, high)


def _extreme(largest: float, rng: np.random.Generator, scale: int) -> int:
    """A whole number of nine digits or more, a hundred times larger than all others.

    Its eighth digit is below five, so that its first seven are the same when it is rounded.
    """
    most = 2**62
    digits = max(9, len(str(int(largest))) + 2) + scale if largest < most else 19
    if digits > len(str(most)) - 1:
        return most - int(rng.integers(1, 2**40))
    head = int(rng.integers(2_000_000, 9_000_000)) * 10 + int(rng.integers(1, 5))
    unit: int = 10 ** (digits - 9)
    return head * unit * 10 + int(rng.integers(unit, unit * 10))


def _odd_moment(rng: np.random.Generator, *, day: bool) -> Planted:
    date = dt.date(1701, 1, 1) + dt.timedelta(days=int(rng.integers(0, 36_000)))
    if day:
        return date
    second = dt.timedelta(seconds=int(rng.integers(1, 86_400)))
    return dt.datetime(date.year, date.month, date.day) + second


@dataclass(frozen=True, slots=True)
class _Searched:
    """What one run left behind.

    Attributes:
        tokens: What was planted.
        hits: What of it was found.
        artefacts: Names of all that was searched.
        error: How the run failed; empty if it did not.
    """

    tokens: tuple[Token, ...]
    hits: tuple[Hit, ...]
    artefacts: tuple[str, ...]
    error: str


def _searched(run: Run, planted: pa.Table, tokens: tuple[Token, ...]) -> _Searched:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        returned, failed = _returned(run, planted, folder)
        texts, tables = _sorted_out("what was returned", returned)
        artefacts = [*files_of(folder), *texts]
        hits = search(artefacts, tables, tokens)
    return _Searched(tokens, hits, tuple(n for n, _ in [*artefacts, *tables]), failed)


def _returned(run: Run, planted: pa.Table, folder: Path) -> tuple[object, str]:
    """What a run returned, or how it failed."""
    try:
        return run(planted, folder), ""
    except Exception as error:  # noqa: BLE001, whatever a foreign pipeline raises is an artefact
        kind = "refusal" if isinstance(error, TronieError) else type(error).__name__
        return f"{error!r}\n{error}", kind


def _sorted_out(
    name: str, returned: object
) -> tuple[list[tuple[str, bytes]], list[tuple[str, pa.Table]]]:
    """What was returned, as bytes and as tables."""
    match returned:
        case None:
            return [], []
        case bytes():
            return [(name, returned)], []
        case list() | tuple() | dict():
            whole = cast("Mapping[str, object] | Sequence[object]", returned)
            pieces = list(whole.items() if isinstance(whole, Mapping) else whole)
            parts = [_sorted_out(f"{name}, part {i}", piece) for i, piece in enumerate(pieces)]
            texts = [text for some, _ in parts for text in some]
            return texts, [table for _, some in parts for table in some]
        case _ if hasattr(returned, "__arrow_c_stream__"):
            source = open_source(returned)
            batches = list(source.batches(source.schema.names))
            return [], [(name, pa.Table.from_batches(batches, schema=source.schema))]
        case _:
            return [(name, str(returned).encode())], []


def _strength(delta: float, confidence: float, chance: float) -> float:
    """The bound that one hit shows.

    A run with the row shows a value of it with probability 1 - confidence at least, or else one run would
    not have; without the row none does, but by accident.
    """
    seen = 1.0 - confidence - delta
    return max(math.log(seen / chance), 0.0) if seen > 0 else 0.0


def _verdict(hits: Sequence[Hit], *, excused: bool, released: bool) -> Verdict:
    if hits and not excused:
        return "violation"
    return "consistent" if released else "inconclusive"


def _finding(hits: Sequence[Hit], copies: int, *, excused: bool, failed: str) -> str:
    row = "one odd row" if copies == 1 else f"an odd row, planted {copies} times,"
    if not hits and failed:
        return f"The run ended with {row} in a {failed}, and its message shows nothing of it."
    if not hits:
        return f"Nothing of {row} was found in anything that the run left behind."
    where = ", ".join(
        sorted({f"{hit.column!r} in {hit.artefact} ({hit.form})" for hit in hits})[:4]
    )
    if excused:
        return f"Of {row} this was found: {where}. So many rows may be found without breaking the claim."
    return f"Of {row} this was found in what the run left behind: {where}."
