"""The one score from 0 to 100, and how it is made.

`headline_of` is a function of a few means of total variations and of public numbers only, so that the
internal report and a private release compute the same score. Each of the means moves by at most
``1 / rows`` when one real row changes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from tronie.evaluate.distances import Distributions
from tronie.evaluate.score import Score

LEAST_SPAN = 0.02
"""Floor and ceiling are taken to be at least so far apart: smaller differences are not stretched."""

ALLOWANCE = 0.05
"""Samples stray from their mean distance; so much more of it is taken for chance as well."""

METHOD = (
    "The score is the mean of three parts: columns, pairs and triples of columns. Each part is an overlap: "
    "count how often each value, or combination of values, occurs in the real and in the synthetic table, "
    "and add up the shares of rows that both have in common (1 minus the total variation, also called "
    "histogram intersection), averaged over all columns, pairs or triples. Numbers and dates are first cut "
    "into about 16 bins. The overlap is then read between a floor and a ceiling. The floor of columns is "
    "what values drawn at random from the columns' domains get; that of pairs and triples is what the "
    "synthetic rows themselves get after each column was shuffled on its own, so that good columns "
    "without their relations earn nothing there. The ceiling is what other rows of the same population "
    "can be expected to get, for these numbers of rows: chance alone keeps two samples from being equal "
    "(a twentieth more than the mean distance of two samples is taken for chance). "
    "A part is 0 at its floor and 100 at its ceiling. Where the two are less than 0.02 apart, the floor is "
    "put 0.02 below the ceiling. A table of one or two columns has only the parts that exist."
)
"""How the score is made, for readers of a report."""


@dataclass(frozen=True, slots=True)
class Order:
    """Means over all columns, all pairs or all triples.

    Attributes:
        distance: Mean total variation between the synthetic and the real rows.
        baseline: Mean total variation between a baseline table and the real rows: for columns that of
            `tronie.evaluate.distances.uniform_codes`, for pairs and triples that of `shuffled_codes`
            of the synthetic rows.
        expected: Mean of `tronie.evaluate.expected.TwoSamples.expected` of the synthetic counts; public.
    """

    distance: float
    baseline: float
    expected: float

    @property
    def ceiling(self) -> float:
        """Overlap that other rows of the same population can be expected to get."""
        return 1.0 - (1.0 + ALLOWANCE) * self.expected

    @property
    def floor(self) -> float:
        """Overlap that earns nothing."""
        return min(1.0 - self.baseline, self.ceiling - LEAST_SPAN)

    @property
    def points(self) -> float:
        """Where the overlap lies between floor (0) and ceiling (100), cut off at both."""
        part = (1.0 - self.distance - self.floor) / (self.ceiling - self.floor)
        return 100.0 * min(max(part, 0.0), 1.0)

    def slopes(self) -> tuple[float, float]:
        """How many points one unit of `distance` and of `baseline` are worth, as absolute numbers.

        Neither is above ``100 / LEAST_SPAN``. That of `baseline` holds where the floor is the
        baseline's; elsewhere it is an upper bound. Where the part is cut off, the slopes are those just
        inside the cut, because noise may carry the means there.
        """
        span = self.ceiling - self.floor
        return 100.0 / span, (100.0 - self.points) / span


Means = Mapping[str, Order]
"""`columns`, and `pairs` and `triples` where there are such -> their means."""


@dataclass(frozen=True, slots=True)
class Headline:
    """The one score.

    Attributes:
        score: From 0 to 100.
        parts: Overlap of columns, pairs and triples, those that exist, with floor and ceiling.
        method: How the score is made, in one paragraph.
    """

    score: Score
    parts: tuple[Score, ...]
    method: str = METHOD


def headline(found: Distributions) -> Headline:
    """The score of a synthetic table, from exact distances. INTERNAL.

    Args:
        found: All its distances.
    """
    return headline_of(means_of(found))


def means_of(found: Distributions) -> dict[str, Order]:
    """What the score is made from."""
    means = {
        "columns": Order(
            _mean(c.distance for c in found.columns),
            _mean(c.uniform for c in found.columns),
            _mean(c.expected for c in found.columns),
        )
    }
    for name, joint in (("pairs", found.pairs), ("triples", found.triples)):
        if joint:
            means[name] = Order(
                _mean(m.distance for m in joint),
                _mean(m.independent for m in joint),
                _mean(m.expected for m in joint),
            )
    return means


def headline_of(means: Means, errors: Mapping[str, float] | None = None) -> Headline:
    """The score, from means that may be noisy.

    A private release needs, for each entry of `means`, two noisy numbers: the mean distance of the
    synthetic rows, and that of the baseline table, which is public like the synthetic rows. `expected` is
    public but for the number of real rows, which enters as one over its root: a noisy one is fine. The
    score is 1 / 3 of each part (1 / 2, 1 of tables with two columns, one column), so its error follows from
    those of the means by `slopes`.

    Args:
        means: As `means_of` makes them; noise may carry distances below 0 or above 1.
        errors: Name of a part -> standard deviation of the noise of its overlap; `total` -> that of the
            score, in points. Left out where there is no noise.

    >>> means = {"columns": Order(0.01, 0.6, 0.01), "pairs": Order(0.05, 0.08, 0.02)}
    >>> round(headline_of(means).score.value, 1)
    75.4
    """
    noise = errors or {}
    parts = tuple(
        Score(
            name,
            1.0 - order.distance,
            order.floor,
            order.ceiling,
            _MEANINGS[name].format(overlap=100 * (1.0 - order.distance)),
            noise.get(name, 0.0),
        )
        for name, order in means.items()
    )
    total = _mean(order.points for order in means.values())
    score = Score("score", total, 0.0, 100.0, _meaning(total, len(means)), noise.get("total", 0.0))
    return Headline(score, parts)


def slopes(means: Means) -> dict[str, tuple[float, float]]:
    """How many points of the score one unit of each mean is worth, as absolute numbers.

    Args:
        means: As for `headline_of`; public guesses will do to plan a budget.

    Returns:
        Name of a part -> slope of its distance, slope of its baseline.
    """
    found = {name: order.slopes() for name, order in means.items()}
    return {name: (a / len(means), b / len(means)) for name, (a, b) in found.items()}


_MEANINGS = {
    "columns": "A column has on average {overlap:.1f} % of its rows in common with the real one.",
    "pairs": "Of combinations of two columns' values, {overlap:.1f} % of the rows are in common.",
    "triples": "Of combinations of three columns' values, {overlap:.1f} % of the rows are in common.",
}


def _meaning(total: float, parts: int) -> str:
    alone = {1: "", 2: ", about half what", 3: ", about a third what"}[parts]
    relations = f"{alone} good columns without any relation between them get" if alone else ""
    ends = f"0 is what random values get{relations}, and 100 what other real rows would get"
    return f"{total:.0f} of 100: {ends}."


def _mean(values: Iterable[float]) -> float:
    return float(np.mean(list(values)))
