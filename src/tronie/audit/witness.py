"""A curator that knows both of two neighbouring tables and keeps score.

It answers from one of them, exactly as any curator does, and adds up how much the answers speak for the
unit that the tables differ by.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from tronie.audit.evidence import (
    choice_evidence,
    gaussian_evidence,
    gaussian_information,
    keys_evidence,
)
from tronie.measure.comparisons import Overlaps
from tronie.measure.curator import Curator, Meter
from tronie.measure.discovery import Keys, RawQuery
from tronie.measure.fingerprint import fingerprint
from tronie.measure.noise import Noise
from tronie.measure.queries import CountQuery, Counts, Ints, Selection
from tronie.measure.records import Records
from tronie.privacy.accounting import total_mu
from tronie.schema.columns import Value
from tronie.schema.domain import Clique
from tronie.schema.grid import Coding
from tronie.schema.schema import Schema

MOST_TABLES = 4096
"""Tables that are remembered, at most."""


class Enough(Exception):
    """The budget is used up: all that would follow is arithmetic on released numbers."""


class Diverged(Exception):
    """With the same answers, another table led to another question or result."""


class Remembered(Records):
    """Records that remember what they counted: a game asks for the same few tables all the time."""

    def __init__(self, source: Any, schema: Schema) -> None:
        super().__init__(source, schema)
        self._tables: dict[tuple[Any, ...], Ints] = {}
        self._answers: dict[tuple[str, ...], Any] = {}

    def under(self, schema: Schema) -> Remembered:
        """The same rows, read through another schema."""
        return Remembered(self._source, schema)

    def count(self, cliques: Sequence[Clique], codings: Mapping[str, Coding]) -> Counts:
        """Exact contingency tables, as `Records.count`."""
        cells = {name: _cells(codings[name]) for clique in cliques for name in clique}
        keys = {clique: (clique, *map(cells.__getitem__, clique)) for clique in cliques}
        missing = [clique for clique, key in keys.items() if key not in self._tables]
        if missing:
            found = super().count(missing, codings)
            if len(self._tables) > MOST_TABLES:
                self._tables.clear()
                return super().count(cliques, codings)
            self._tables |= {keys[clique]: found[clique] for clique in missing}
        return {clique: self._tables[key] for clique, key in keys.items()}

    def key_counts(self, column: str) -> Mapping[Value, int]:
        """Exact count of each value of a column without a declared domain."""
        return self._once(("keys", column), lambda: Records.key_counts(self, column))

    def tally(self, queries: Sequence[RawQuery]) -> list[Ints]:
        """Exact answers of queries on raw values."""
        return [self._tally(query) for query in queries]

    def _tally(self, query: RawQuery) -> Ints:
        key = (type(query).__name__, query.column)
        return self._once(key, lambda: Records.tally(self, [query])[0])

    def _once(self, key: tuple[str, ...], find: Callable[[], Any]) -> Any:
        if key not in self._answers:
            self._answers[key] = find()
        return self._answers[key]


def _cells(coding: Coding) -> tuple[bytes, bool, bool, bytes]:
    """What tells a coding from others, weights aside: counts do not depend on them."""
    grid = coding.grid
    return grid.edges.tobytes(), grid.other, grid.null, coding.groups.tobytes()


class Tape:
    """What was asked in a run, and answered; or the same once more, to see whether it is asked again."""

    def __init__(self) -> None:
        self._asked: list[bytes] = []
        self._answers: list[Any] = []
        self._place: int | None = None

    def rewind(self) -> None:
        """Answer from now on as before, from the beginning."""
        self._place = 0

    def take(self, answer: Any, *question: Any) -> Any:
        """Remember a question and its answer; when replaying, give the answer of then.

        Raises:
            Diverged: If another question was asked then.
        """
        asked = fingerprint(question)
        if self._place is None:
            self._asked.append(asked)
            self._answers.append(answer)
            return answer
        place, self._place = self._place, self._place + 1
        if self._asked[place : place + 1] != [asked]:
            raise Diverged
        return self._answers[place]


class Witness(Curator):
    """Answers from one of two neighbouring tables, and knows how much the answers speak for the unit.

    Args:
        records: The private rows, one of the pair.
        meter: Where each access is charged.
        rows_per_unit: Most rows of one privacy unit.
        noise: Source of randomness.
        checkpoint: Told what is read next.
        pair: The table without the unit, and the one with it.
        tape: Where questions and answers go, or come from.
        enough: Gaussian parameter of all accesses together after which `Enough` is raised.

    Attributes:
        evidence: What was asked, by query and columns -> log likelihood ratio of the answers so far,
            and its information (see `tronie.audit.evidence`).
    """

    def __init__(
        self,
        records: Records,
        meter: Meter,
        *,
        rows_per_unit: int = 1,
        noise: Noise | None = None,
        checkpoint: Callable[[str], None] = lambda stage: None,
        pair: tuple[Records, Records],
        tape: Tape | None = None,
        enough: float = math.inf,
    ) -> None:
        super().__init__(
            records, meter, rows_per_unit=rows_per_unit, noise=noise, checkpoint=checkpoint
        )
        self.evidence: dict[str, tuple[float, float]] = {}
        self._pair = pair
        self._tape = tape
        self._enough = enough

    def recode(self, codings: Mapping[str, Coding]) -> None:
        """Count columns by these codes from now on."""
        super().recode(codings)
        self._take(None, "codes", codings)

    def adopt(self, schema: Schema) -> None:
        """Read rows by this schema from now on."""
        self._take(None, "schema", schema)
        used = self._pair.index(self._records) if self._records in self._pair else None
        super().adopt(schema)
        without, included = self._pair
        self._pair = (without.under(schema), included.under(schema))
        if used is not None:
            self._records = self._pair[used]

    def ask(self, queries: Sequence[CountQuery]) -> list[Ints]:
        """Answer several queries with discrete Gaussian noise."""
        answers: list[Ints] = self._take(super().ask(queries), "ask", queries)
        cliques = [clique for query in queries for clique in query.cliques]
        without, included = (rows.count(cliques, self._codings) for rows in self._pair)
        for query, answer in zip(queries, answers, strict=True):
            self._hear(query, answer, query.exact(without), query.exact(included))
        self._check()
        return answers

    def select(self, query: Selection) -> Clique:
        """Name a candidate that is far from its reference."""
        chosen: Clique = self._take(super().select(query), "select", query)
        without, included = (
            query.scores(rows.count(query.cliques, self._codings)) for rows in self._pair
        )
        sensitivity = query.sensitivity(self._rows_per_unit)
        place = query.cliques.index(chosen)
        found = choice_evidence(place, without, included, query.epsilon, sensitivity)
        self._add(query, found)
        self._check()
        return chosen

    def explore(self, queries: Sequence[RawQuery]) -> list[Ints]:
        """Answer questions about columns whose bounds or resolution are not known yet."""
        answers: list[Ints] = self._take(super().explore(queries), "explore", queries)
        exact = (rows.tally(queries) for rows in self._pair)
        for query, answer, out, there in zip(queries, answers, *exact, strict=True):
            self._hear(query, answer, out, there)
        self._check()
        return answers

    def overlap(self, query: Overlaps) -> Ints:
        """Answer how private rows and some public ones overlap, row by row."""
        answer: Ints = self._take(super().overlap(query), "overlap", query)
        without, included = (rows.overlap(query) for rows in self._pair)
        self._hear(query, answer, without, included)
        self._check()
        return answer

    def keys(self, query: Keys) -> tuple[tuple[Value, ...], Ints]:
        """Find the frequent values of an open category."""
        values, counts = self._take(super().keys(query), "keys", query)
        without, included = (rows.key_counts(query.column) for rows in self._pair)
        named = dict(zip(values, counts.tolist(), strict=True))
        threshold = query.event(self._rows_per_unit).threshold
        self._add(query, keys_evidence(named, without, included, query.sigma, threshold))
        self._check()
        return values, counts

    def _take(self, answer: Any, *question: Any) -> Any:
        return answer if self._tape is None else self._tape.take(answer, *question)

    def _hear(self, query: Any, answer: Ints, without: Ints, included: Ints) -> None:
        """Take in an answer with Gaussian noise."""
        evidence = gaussian_evidence(answer, without, included, query.sigma)
        self._add(query, evidence, gaussian_information(without, included, query.sigma))

    def _add(self, query: Any, evidence: float, information: float = 0.0) -> None:
        event = query.event(self._rows_per_unit)
        key = " ".join((event.query, *event.columns))
        before = self.evidence.get(key, (0.0, 0.0))
        self.evidence[key] = (before[0] + evidence, before[1] + information)

    def _check(self) -> None:
        if self._enough < math.inf and total_mu(self._meter.events) >= self._enough:
            raise Enough
