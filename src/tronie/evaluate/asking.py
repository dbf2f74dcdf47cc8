"""How the budget of a release report is split, and how exact its answers are.

Each question is a vector of L1 distances, one for each table of a group such as all pairs of columns. k
rows of one unit move each distance by at most k, so m of them cost ``k * sqrt(m) / sigma`` in Gaussian
DP, and their mean has noise of standard deviation ``sigma / sqrt(m)``: as little as if only the mean had
been asked. The single distances come with it for nothing.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias, TypeVar

import numpy as np

from tronie.errors import InputError, TooInexact
from tronie.evaluate.headline import Means, Order, slopes
from tronie.evaluate.references import BASELINE, OWN, Subject
from tronie.measure.curator import Curator
from tronie.measure.queries import Ints, Total
from tronie.privacy.budget import Budget
from tronie.privacy.events import sigma_for
from tronie.privacy.gdp import gdp_epsilon
from tronie.schema.domain import Clique

MOST_ERROR = 1.0
"""Largest standard deviation of the score, in points, that is worth its budget."""

ROWS_SHARE = 0.05
"""Part of the squared budget for what is said of whole rows; the rest is for the score."""

LOOK_SHARE = 0.02
"""Part of the score's squared budget for a first look at the number of rows, where it is not known."""

LEAST_WEIGHT = 0.02
"""Least part of the largest weight that any question gets, so that each is answered."""

Key: TypeAlias = tuple[str, int]
"""Part of the score, and `OWN` or `BASELINE`."""

Question = TypeVar("Question", bound=Hashable)


@dataclass(frozen=True, slots=True)
class Size:
    """What is known of the number of private rows.

    Attributes:
        rows: The number, or a released estimate; at least 1.
        sd: Standard deviation of the estimate's noise; 0 for a declared number.
        origin: Where it comes from, in a few words.
    """

    rows: float
    sd: float
    origin: str


@dataclass(frozen=True, slots=True)
class Noise:
    """Standard deviation of what noise does to the answers.

    Attributes:
        sigmas: Group -> noise of each of its distances, in rows.
        members: Group -> number of its distances.
        size: The number of private rows.
    """

    sigmas: Mapping[Key, float]
    members: Mapping[Key, int]
    size: Size

    def single(self, group: Key) -> float:
        """Of one total variation."""
        return math.hypot(self.sigmas[group], self.size.sd) / (2 * self.size.rows)

    def mean(self, group: Key) -> float:
        """Of a group's mean total variation."""
        return self.combined({group: 1.0})

    def combined(self, weights: Mapping[Key, float], drift: float = 0.0) -> float:
        """Of a smooth function of groups' means.

        A number of rows that is off by e moves each total variation by at most ``e / (2 * rows)``, all
        of them in the same direction at worst; the noise of the distances is independent.

        Args:
            weights: Absolute slopes of the function in the means.
            drift: How much further e moves it, as a multiple of ``e / (2 * rows)``.
        """
        squares = ((w * self.sigmas[g]) ** 2 / self.members[g] for g, w in weights.items())
        common = self.size.sd * (math.fsum(weights.values()) + drift)
        return math.hypot(math.sqrt(math.fsum(squares)), common) / (2 * self.size.rows)

    def score(self, means: Means) -> float:
        """Of the score, in points, near some means."""
        return self.combined(_weights(means), _drift(means))


@dataclass(frozen=True, slots=True, eq=False)
class Answers:
    """What the curator said.

    Attributes:
        variations: Group -> noisy total variation of each table.
        noise: Its size.
        whole: Noisy numbers of replayed rows, and of private rows with values that are left out.
        whole_sigma: Standard deviation of the noise of both, in rows.
    """

    variations: Mapping[Key, Mapping[Clique, float]]
    noise: Noise
    whole: Ints
    whole_sigma: float

    def means(self, subject: Subject) -> dict[str, Order]:
        """What the score is made from."""
        return {
            part: Order(
                self._mean((part, OWN)),
                self._mean((part, BASELINE)),
                subject.expected(part, self.noise.size.rows),
            )
            for part in subject.parts
        }

    def _mean(self, group: Key) -> float:
        return float(np.mean(list(self.variations[group].values())))


@dataclass(frozen=True, slots=True, eq=False)
class Asker:
    """Asks what a score is made from, within a budget.

    Attributes:
        subject: The synthetic table.
        budget: What all questions may cost.
        rows_per_unit: Most rows of one privacy unit.
    """

    subject: Subject
    budget: Budget
    rows_per_unit: int
    _guessed: dict[str, Order] = field(default_factory=dict[str, Order], repr=False)

    def require_exact(self, size: Size) -> None:
        """Refuse a score that would be too inexact.

        Raises:
            InputError: If its noise would have a standard deviation above `MOST_ERROR`.
        """
        error = self._forecast(size, self._mu)
        if error > MOST_ERROR:
            raise InputError(self._too_inexact(size, error), self._remedy(size, error))

    def ask(self, curator: Curator, known: Size | None) -> Answers:
        """Ask everything; the number of rows first, where it is not known well enough.

        Raises:
            TooInexact: If a first look at the number of rows shows that the score would be too
                inexact; nothing else was asked.
        """
        curator.recode(self.subject.codings)
        size, mu = known or self._looked(curator), self._mu
        if known is None:
            mu *= math.sqrt(1 - LOOK_SHARE)
            error = self._forecast(size, mu)
            if error > MOST_ERROR:
                raise TooInexact(
                    f"{self._too_inexact(size, error)} Only a look at the number of rows was spent.",
                    self._remedy(size, error),
                )
        share = self._share_of_size(size, mu)
        if share:
            size = _better(curator, size, self._sigma(mu * math.sqrt(share)))
        noise = self._noise(size, mu * math.sqrt(1 - share))
        groups = self.subject.groups
        found = curator.ask([groups[key].query(size.rows, s) for key, s in noise.sigmas.items()])
        overlaps = self.subject.overlaps(self._sigma(self.budget.mu * math.sqrt(ROWS_SHARE)))
        return Answers(
            {
                key: groups[key].variations(distances, size.rows)
                for key, distances in zip(noise.sigmas, found, strict=True)
            },
            noise,
            curator.overlap(overlaps),
            overlaps.sigma,
        )

    @property
    def _mu(self) -> float:
        """What the score may cost."""
        return self.budget.mu * math.sqrt(1 - ROWS_SHARE)

    def _sigma(self, mu: float, members: int = 1) -> float:
        return sigma_for(mu, self.rows_per_unit * math.sqrt(members))

    def _looked(self, curator: Curator) -> Size:
        """A cheap estimate of the number of rows."""
        sigma = self._sigma(self._mu * math.sqrt(LOOK_SHARE))
        return Size(_counted(curator, sigma), sigma, "released with this report")

    def _share_of_size(self, size: Size, mu: float) -> float:
        """Part of the squared budget that a better number of rows is worth; 0 where it is good enough.

        With a the weight of all distances, b that of the number of rows, both in ``1 / (2 rows mu)``, and
        p the squared ratio of the noise that all of mu would put on it to that which it has, the
        variance is in proportion to ``a^2 / (1 - x) + b^2 / (p + x)``. It is least at
        ``x = (b - p a) / (a + b)``.
        """
        if not size.sd:
            return 0.0
        means = self._guess(size)
        distances = math.fsum(_weights(means).values())
        number = distances + _drift(means)
        known = (self._sigma(mu) / size.sd) ** 2
        return max((number - known * distances) / (distances + number), 0.0)

    def _noise(self, size: Size, mu: float) -> Noise:
        """Noise of the distances, if they may cost mu together."""
        parts = split(mu, _weights(self._guess(size)))
        members = {key: len(group.tables) for key, group in self.subject.groups.items()}
        sigmas = {key: self._sigma(parts[key], members[key]) for key in members}
        return Noise(sigmas, members, size)

    def _forecast(self, size: Size, mu: float) -> float:
        """Standard deviation that the score is going to have, in points."""
        share = self._share_of_size(size, mu)
        if share:
            again = self._sigma(mu * math.sqrt(share))
            size = Size(size.rows, 1 / math.hypot(1 / size.sd, 1 / again), size.origin)
        return self._noise(size, mu * math.sqrt(1 - share)).score(self._guess(size))

    def _guess(self, size: Size) -> dict[str, Order]:
        """Means to plan with; the number of rows hardly matters, so the first one is kept."""
        if not self._guessed:
            self._guessed.update(self.subject.guess(size.rows))
        return self._guessed

    def _too_inexact(self, size: Size, error: float) -> str:
        return (
            f"with epsilon {self.budget.epsilon:g} and about {size.rows:,.0f} rows the score would have "
            f"a standard deviation of {error:.1f} points; at most {MOST_ERROR:g} is released."
        )

    def _remedy(self, size: Size, error: float) -> str:
        """How much epsilon would do: noise falls as mu grows."""
        enough = gdp_epsilon(self.budget.mu * error / MOST_ERROR, self.budget.delta)
        count = "declare the number of rows if it is public, " if size.sd else ""
        return f"Give an epsilon of about {1.05 * enough:.2g}, {count}or write an internal report."


def split(mu: float, weights: Mapping[Question, float]) -> dict[Question, float]:
    """The split of a budget with which a weighted sum of answers has the least noise.

    The variance ``sum(w^2 / mu_i^2)`` under ``sum(mu_i^2) = mu^2`` is least where each ``mu_i^2`` is in
    proportion to w; it is then ``(sum(w) / mu)^2``.

    Args:
        mu: Gaussian-DP parameter of all together.
        weights: Question -> absolute weight of its answer, not all 0.

    >>> parts = split(5.0, {"one": 9.0, "other": 16.0})
    >>> [round(part, 6) for part in parts.values()]
    [3.0, 4.0]
    """
    least = LEAST_WEIGHT * max(weights.values())
    raised = {name: max(weight, least) for name, weight in weights.items()}
    total = math.fsum(raised.values())
    return {name: mu * math.sqrt(weight / total) for name, weight in raised.items()}


def _better(curator: Curator, size: Size, sigma: float) -> Size:
    """The inverse-variance mean of an estimate and another count of the rows."""
    sd = 1 / math.hypot(1 / size.sd, 1 / sigma)
    rows = sd**2 * (size.rows / size.sd**2 + _counted(curator, sigma) / sigma**2)
    return Size(max(rows, 1.0), sd, size.origin)


def _counted(curator: Curator, sigma: float) -> float:
    (rows,) = curator.ask([Total(sigma)])
    return max(float(rows), 1.0)


def _weights(means: Means) -> dict[Key, float]:
    """How many points one unit of each mean is worth."""
    return {
        (part, which): s for part, both in slopes(means).items() for which, s in enumerate(both)
    }


def _drift(means: Means) -> float:
    """How far ceilings move the score if the number of rows is off by e, in ``e / (2 * rows)``.

    ``1 - ceiling`` falls with the root of the number of rows at most, so it is off by at most itself
    times ``e / (2 * rows)``; each unit of it is worth ``points / (ceiling - floor)``.
    """
    parts = ((1 - o.ceiling) * o.points / (o.ceiling - o.floor) for o in means.values())
    return math.fsum(parts) / len(means)
