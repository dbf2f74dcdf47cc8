"""Histograms for drawing: the same even bins for the real and all synthetic tables."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from tronie.schema.columns import Modelled, Ordered
from tronie.schema.grid import Ints
from tronie.schema.points import value_of

if TYPE_CHECKING:
    from tronie.evaluate.tables import Tables

BINS = 40
"""Bins of a drawn histogram, at most."""

INSIDE = (0.005, 0.995)
"""Quantiles of the synthetic rows between which it is drawn."""


@dataclass(frozen=True, slots=True)
class Profile:
    """One ordered column's histograms.

    Attributes:
        ticks: Values at the lower edge, the middle and the upper edge.
        real: Share of the real rows in each bin.
        synthetic: Likewise of each synthetic table, in the order of the report.
        outside: Share of the real rows, then of each synthetic table's, outside the bins.
        missing: Likewise, without a value.
    """

    ticks: tuple[str, str, str]
    real: tuple[float, ...]
    synthetic: tuple[tuple[float, ...], ...]
    outside: tuple[float, ...]
    missing: tuple[float, ...]


def profiles(tables: Tables) -> Mapping[str, Profile]:
    """Histograms of all ordered columns; where the bins lie depends on synthetic rows only."""
    found: dict[str, Profile] = {}
    for name, column in tables.columns.items():
        if isinstance(column, Ordered):
            drawn = [coded.points[name] for coded in tables.synthetic.values()]
            profile = _profile(column, tables.real.points[name], drawn)
            if profile is not None:
                found[name] = profile
    return found


def _profile(column: Modelled, real: Ints, synthetic: list[Ints]) -> Profile | None:
    pooled = np.concatenate(synthetic)
    present = pooled[pooled < column.points]
    if not len(present):
        return None
    low, high = (int(v) for v in np.quantile(present, INSIDE, method="nearest"))
    width = -(-(high - low + 1) // BINS)
    bins = -(-(high - low + 1) // width)
    top = min(low + bins * width, column.points) - 1
    everyone = [real, *synthetic]
    shares = [_shares(points, low, width, bins, top) for points in everyone]
    missing = [
        float(np.mean(points > column.points)) if len(points) else 0.0 for points in everyone
    ]
    outside = [
        max(1.0 - sum(inside) - gone, 0.0) if len(points) else 0.0
        for points, inside, gone in zip(everyone, shares, missing, strict=True)
    ]
    return Profile(
        (_tick(column, low), _tick(column, (low + top) // 2), _tick(column, top)),
        shares[0],
        tuple(shares[1:]),
        tuple(outside),
        tuple(missing),
    )


def _shares(points: Ints, low: int, width: int, bins: int, top: int) -> tuple[float, ...]:
    inside = points[(points >= low) & (points <= top)]
    counts = np.bincount((inside - low) // width, minlength=bins)
    return tuple((counts / max(len(points), 1)).tolist())


def _tick(column: Modelled, point: int) -> str:
    value = value_of(column, point)
    return f"{value:,.10g}" if isinstance(value, float) else str(value)
