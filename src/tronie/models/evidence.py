"""What is known of rows before they are drawn: regions of lattice points, as evidence over codes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tronie.models.rules import within
from tronie.schema.grid import Coding, Floats
from tronie.schema.points import Region


@dataclass(frozen=True, slots=True, eq=False)
class Evidence:
    """A column restricted to some of its points.

    Attributes:
        coding: The column's codes with no weight outside the region.
        likelihood: Probability of the region given each code, shape (coding.size,).
    """

    coding: Coding
    likelihood: Floats

    @classmethod
    def of(cls, coding: Coding, region: Region) -> Evidence:
        """Restrict a column to a region; cells that it cuts are split in proportion."""
        cuts = [point for first, last in region for point in (first, last + 1)]
        grid = coding.grid.split_at(cuts)
        origin = np.searchsorted(coding.grid.starts, grid.starts, side="right") - 1
        share = grid.widths / coding.grid.widths[origin]
        groups = coding.groups[origin]
        inside = within(grid.starts, region)
        weights = coding.weights[origin] * share
        before = np.bincount(groups, weights)
        after = np.bincount(groups, weights * inside)
        if not after.any():
            weights = grid.widths.astype(np.float64)
            before, after = np.bincount(groups, weights), np.bincount(groups, weights * inside)
        likelihood = np.divide(after, before, out=np.zeros(coding.size), where=before > 0)
        return cls(Coding(grid, groups, weights * inside), likelihood)
