"""What filters are, and what is left after them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol, TypeAlias

import pyarrow as pa

from tronie.errors import InputError
from tronie.files import atomic_write
from tronie.release.rows import Rows
from tronie.tables.arrays import Bools

Reads: TypeAlias = Literal["synthetic rows", "schema", "released model", "real rows"]
"""What a filter looks at beside the row in question."""

FORMAT = 1
"""Version of the stamp's layout."""

STAMP = ".filters.json"
"""What is added to a table's file name to make that of its stamp."""

CERTIFICATE = "certificate.json"
"""The file that makes a folder a release."""


class Filter(Protocol):
    """Decides which synthetic rows are kept."""

    @property
    def name(self) -> str:
        """What it drops, in a few words."""
        ...

    @property
    def reads(self) -> Reads:
        """What its decisions rest on."""
        ...

    def keep(self, rows: pa.Table) -> Bools:
        """Which rows are kept, shape (rows,)."""
        ...


@dataclass(frozen=True, slots=True)
class Step:
    """What one filter did.

    Attributes:
        name: The filter.
        reads: What its decisions rest on.
        dropped: Rows that it dropped, of those that the filters before it had left.
    """

    name: str
    reads: Reads
    dropped: int


@dataclass(frozen=True, slots=True, eq=False)
class Filtered:
    """Synthetic rows after some filters.

    Attributes:
        rows: Those that were kept, in their order.
        steps: What each filter did.
        given: Number of rows before.
        dp: Whether the rows are differentially private: True if a certificate says so of the rows before
            and no filter undid it; False if they were not, or a filter looked at real rows; None if
            nothing is known of the rows before.
        reason: Why, in one sentence.
    """

    rows: Rows
    steps: tuple[Step, ...]
    given: int
    dp: bool | None
    reason: str

    @property
    def dropped(self) -> dict[str, int]:
        """Filter -> rows that it dropped."""
        counts: dict[str, int] = {}
        for step in self.steps:
            counts[step.name] = counts.get(step.name, 0) + step.dropped
        return counts

    def stamp(self) -> dict[str, Any]:
        """What was done, as plain data; it is written beside the rows."""
        return {
            "tronie_filters": FORMAT,
            "dp": self.dp,
            "reason": self.reason,
            "rows_before": self.given,
            "rows_after": len(self.rows),
            "filters": [
                {"name": step.name, "reads": step.reads, "dropped": step.dropped}
                for step in self.steps
            ],
        }

    def write(self, path: str | Path) -> Path:
        """Write the rows, and their stamp beside them.

        The stamp is written first: there are never rows without it.

        Args:
            path: As for `Rows.write`; the stamp's name is the same with `STAMP` added.

        Raises:
            InputError: If rows that are not private would land in a release folder.
            OutputError: If a file cannot be written.
        """
        path = Path(path)
        if self.dp is False and (path.parent / CERTIFICATE).exists():
            raise InputError(
                f"{str(path.parent)!r} is a release, and these rows are not differentially private.",
                "Write them to another folder.",
            )
        atomic_write(stamp_path(path), (json.dumps(self.stamp(), indent=1) + "\n").encode())
        return self.rows.write(path)


def stamp_path(path: Path) -> Path:
    """Where a table's stamp is."""
    return path.with_name(path.name + STAMP)


def read_stamp(path: Path) -> dict[str, Any] | None:
    """The stamp of a table's file; None if it has none.

    Raises:
        InputError: If there is one that cannot be read.
    """
    place = stamp_path(path)
    if not place.exists():
        return None
    try:
        found = json.loads(place.read_text(encoding="utf-8"))
        if found["tronie_filters"] != FORMAT or found["dp"] not in {True, False, None}:
            raise ValueError
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise InputError(
            f"{str(place)!r} is not a stamp of filters.", "Restore it, or filter the rows again."
        ) from error
    return found


def steps_of(names: Sequence[Filter], dropped: Sequence[int]) -> tuple[Step, ...]:
    """What some filters did."""
    return tuple(Step(f.name, f.reads, n) for f, n in zip(names, dropped, strict=True))
