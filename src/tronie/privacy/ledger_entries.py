"""What one release cost, and what several cost together: the ledger's lines and its sum."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, Literal, TypeAlias

from pydantic import TypeAdapter, ValidationError

from tronie.errors import BudgetError, BundleError
from tronie.privacy.accounting import samples, split, total_mu
from tronie.privacy.budget import DEFAULT_DELTA
from tronie.privacy.events import Event
from tronie.privacy.gdp import gdp_epsilon
from tronie.privacy.rdp import Sampled, rdp_epsilon

State: TypeAlias = Literal["reserved", "touched", "committed", "cancelled"]

_EVENTS: TypeAdapter[tuple[Event, ...]] = TypeAdapter(tuple[Event, ...])


@dataclass(frozen=True, slots=True)
class Entry:
    """One release in the ledger.

    Attributes:
        id: Number of the entry; 0 before it is stored.
        dataset: Declared name of the data set.
        created: When it was reserved, in UTC, ISO 8601.
        state: `reserved` (no row was read), `touched` (answers may have been given), `committed`
            (ended well) or `cancelled` (gave up before any answer; costs nothing).
        epsilon: What the release claims, at its own `delta`.
        delta: The delta of that claim.
        mu: GDP parameter that dominates the release, up to `fixed_delta`; infinite as long as a
            release that may sample units has not ended.
        fixed_delta: Delta that is spent whatever epsilon is: thresholds' and samplers'.
        events: What was asked; before the commit, what was announced.
        note: Free text.
    """

    id: int
    dataset: str
    created: str
    state: State
    epsilon: float
    delta: float
    mu: float
    fixed_delta: float
    events: tuple[Event, ...]
    note: str

    def to_dict(self) -> dict[str, Any]:
        """Plain data, ready for JSON; an infinite epsilon or mu becomes None."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        events = _EVENTS.dump_python(self.events, mode="json")
        bounds = {"epsilon": _finite(self.epsilon), "mu": _finite(self.mu)}
        return {**values, **bounds, "events": events}


@dataclass(frozen=True, slots=True)
class Mark:
    """How far the journal of a release has got: what was charged in it, and nothing after.

    Attributes:
        length: Number of charges.
        digest: Digest of the last of them and of all that was written before.
    """

    length: int
    digest: str


@dataclass(frozen=True, slots=True)
class Total:
    """What a data set has spent over all releases.

    Attributes:
        dataset: Declared name of the data set.
        epsilon: At `delta`, rounded up; infinite where no total is valid at that delta.
        delta: The delta at which epsilon is stated.
        mu: GDP parameter of all releases together, up to thresholds' and samplers' delta; without
            what sampling units saves, and infinite while a release that may do so has not ended.
        releases: Number of releases that count; cancelled ones do not.
        unfinished: How many of them were never committed, and count in full.
        composition: `GDP` (squares of mu add up), `RDP` (Renyi divergences add up, where releases
            sample units) or `basic` (epsilons and deltas add up).
        max_epsilon: The data set's stored cap; None when it has none.
    """

    dataset: str
    epsilon: float
    delta: float
    mu: float
    releases: int
    unfinished: int
    composition: Literal["GDP", "RDP", "basic"]
    max_epsilon: float | None

    def to_dict(self) -> dict[str, Any]:
        """Plain data, ready for JSON; an infinite epsilon or mu becomes None."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return {**values, "epsilon": _finite(self.epsilon), "mu": _finite(self.mu)}


def add_up(
    dataset: str, entries: Sequence[Entry], delta: float | None, cap: float | None = None
) -> Total:
    """What several releases of one data set cost together.

    Args:
        dataset: Declared name of the data set.
        entries: Its releases; cancelled ones are skipped.
        delta: Where to state epsilon; by default the largest delta that a release claims.
        cap: The data set's cap, for the record.

    Raises:
        BudgetError: If delta is not between 0 and 1.

    Guarantee, edge cases and source: as for `tronie.privacy.ledger.Ledger.spent`.
    """
    counted = [entry for entry in entries if entry.state != "cancelled"]
    points = [entry for entry in counted if entry.mu == math.inf]
    known = [entry for entry in counted if entry.mu < math.inf]
    apart = math.fsum(entry.delta for entry in points)
    if delta is None:
        delta = max((entry.delta for entry in known), default=0.0) + apart or DEFAULT_DELTA
    composed, composition = _composed(known, delta, apart)
    composed += math.fsum(entry.epsilon for entry in points)
    deltas = math.fsum(entry.delta for entry in counted)
    sums = math.fsum(entry.epsilon for entry in counted) if deltas <= delta else math.inf
    return Total(
        dataset=dataset,
        epsilon=min(composed, sums),
        delta=delta,
        mu=math.sqrt(math.fsum(entry.mu**2 for entry in counted)),
        releases=len(counted),
        unfinished=sum(entry.state != "committed" for entry in counted),
        composition=composition if composed <= sums else "basic",
        max_epsilon=cap,
    )


def _composed(
    entries: Sequence[Entry], delta: float, apart: float
) -> tuple[float, Literal["GDP", "RDP"]]:
    """Epsilon of releases whose divergences are known, at what others leave of delta."""
    if not 0.0 < delta < 1.0:
        raise BudgetError(f"delta is {delta}.", "Give a number between 0 and 1.")
    if not any(entry.mu for entry in entries):
        return 0.0, "GDP"
    left = delta - apart - math.fsum(entry.fixed_delta for entry in entries)
    if left <= 0.0:
        return math.inf, "GDP"
    squares = gdp_epsilon(math.sqrt(math.fsum(entry.mu**2 for entry in entries)), left)
    sampled: list[Sampled] = []
    plain: list[float] = []
    for entry in entries:
        if samples(entry.events):
            rest, found = split(entry.events)
            plain.append(total_mu(rest))
            sampled += found
        else:
            plain.append(entry.mu)
    if not sampled:
        return squares, "GDP"
    renyi = rdp_epsilon(math.sqrt(math.fsum(mu**2 for mu in plain)), sampled, left)
    return (squares, "GDP") if squares <= renyi else (renyi, "RDP")


def read_entry(row: Mapping[str, Any]) -> Entry:
    """The release that a row of the ledger's file holds.

    Raises:
        BundleError: If the row is damaged.
    """
    try:
        values: dict[str, Any] = {**row, "events": _EVENTS.validate_json(row["events"])}
        return Entry(**values)
    except (ValidationError, BudgetError, TypeError) as error:
        raise BundleError(
            f"entry {row.get('id')} of the ledger is damaged.", "Restore it from a backup."
        ) from error


def write_events(events: Sequence[Event]) -> str:
    """Events as the ledger's file holds them."""
    return _EVENTS.dump_json(tuple(events)).decode()


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
