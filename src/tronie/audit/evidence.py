"""How much answers speak for one of two neighbouring tables: exact log likelihood ratios.

Whoever knows both tables knows what would be exact under either, and the noise is public. Positive numbers
speak for the table with the unit. Evidence adds up over accesses, as each has noise of its own.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from tronie.measure.noise import MARGIN
from tronie.measure.queries import Ints
from tronie.measure.tables import ExponentialTable, gaussian_table
from tronie.schema.columns import Value

Floats: TypeAlias = NDArray[np.float64]

DOUBT = 3.0
"""Standard errors by which noise must fall short of what was declared, to be believed."""

LEAST_RATIO = 1e-9
"""Smallest part of the declared variance that is told from none."""


def gaussian_evidence(answer: Ints, without: Ints, included: Ints, sigma: float) -> float:
    """Log likelihood ratio of an answer with discrete Gaussian noise: positive speaks for the unit.

    Args:
        answer: What was answered, whole numbers of any shape.
        without: What is exact without the unit, same shape.
        included: What is exact with it, same shape.
        sigma: Scale of the noise.

    Source: the probability of x is in proportion to exp(-x^2 / (2 sigma^2)) at every whole number, so the
    normalisers cancel (Canonne, Kamath, Steinke 2020, arXiv 2004.00010).

    >>> gaussian_evidence(np.array([3]), np.array([0]), np.array([2]), 2.0)
    1.0
    """
    moved = included - without
    return float((moved * (2 * answer - without - included)).sum()) / (2.0 * sigma**2)


def gaussian_information(without: Ints, included: Ints, sigma: float) -> float:
    """How far the means of `gaussian_evidence` on the two tables are apart; also its variance.

    >>> gaussian_information(np.array([0]), np.array([2]), 2.0)
    1.0
    """
    return float(((included - without) ** 2).sum()) / sigma**2


def choice_evidence(
    chosen: int, without: Ints, included: Ints, epsilon: float, sensitivity: int
) -> float:
    """Log likelihood ratio of a choice by the exponential mechanism.

    Args:
        chosen: Place of the chosen candidate.
        without: Scores without the unit, shape (candidates,).
        included: Scores with it, same shape.
        epsilon: The mechanism's bounded-range parameter.
        sensitivity: Most that one unit moves a score.

    Source: the weights of `tronie.measure.noise.exponential_weights`, as logarithms.

    >>> round(choice_evidence(0, np.array([0, 0]), np.array([1, 0]), 2.0, 1), 6)
    0.379885
    """
    rate, reach = _decay(epsilon, sensitivity)

    def log_share(scores: Ints) -> float:
        decay = rate * np.minimum(scores.max() - scores, reach)
        return float(-decay[chosen] - np.log(np.exp(-decay).sum()))

    return log_share(included) - log_share(without)


@lru_cache(maxsize=256)
def _decay(epsilon: float, sensitivity: int) -> tuple[float, int]:
    """By how much a logarithm of a weight falls with each point of a score, and down to which gap."""
    rate = min(Fraction(epsilon) / (2 * sensitivity) * MARGIN, Fraction(ExponentialTable.DECAY))
    return float(rate), math.ceil(ExponentialTable.DECAY / rate)


def keys_evidence(
    named: Mapping[Value, int],
    without: Mapping[Value, int],
    included: Mapping[Value, int],
    sigma: float,
    threshold: float,
) -> float:
    """Log likelihood ratio of the values that were named, of their counts, and of those that were not.

    Args:
        named: Value -> noisy count, of the values that reached the threshold.
        without: Value -> exact count without the unit; values without rows are left out.
        included: Value -> exact count with it.
        sigma: Scale of the noise.
        threshold: Noisy count from which a value is named.

    Edge cases:
        A value that only one of the tables holds proves that table if it is named: the evidence is
        infinite.
    """
    evidence = 0.0
    for value in {**without, **included}:
        out, there = without.get(value, 0), included.get(value, 0)
        if out == there:
            continue
        if value not in named:
            evidence += _log_hidden(there, sigma, threshold) - _log_hidden(out, sigma, threshold)
        elif out and there:
            count = np.array(named[value])
            evidence += gaussian_evidence(count, np.array(out), np.array(there), sigma)
        else:
            evidence += math.inf if there else -math.inf
    return evidence


@lru_cache(maxsize=4096)
def _log_hidden(count: int, sigma: float, threshold: float) -> float:
    """Log probability that a value of some count stays below a threshold."""
    if count == 0:
        return 0.0
    table, most = gaussian_table(sigma), math.ceil(threshold) - 1 - count
    below = 1 - table.survival(most + 1) if most >= 0 else table.survival(-most)
    return math.log(below) if below else -math.inf


@dataclass(frozen=True, slots=True)
class Part:
    """What one kind of question contributed in several runs.

    Attributes:
        evidence: Log likelihood ratio of the answers, shape (runs,); 0 where it was not asked.
        information: By the declared noise, the variance of that, and by how much its means on the two
            tables are apart, shape (runs,); 0 where the noise is not Gaussian.
    """

    evidence: Floats
    information: Floats


@dataclass(frozen=True, slots=True)
class Evidence:
    """Evidence of several runs, by what was asked.

    Attributes:
        runs: Number of runs.
        parts: Query and columns -> what it contributed.
    """

    runs: int
    parts: Mapping[str, Part]

    @classmethod
    def of(cls, runs: Sequence[Mapping[str, tuple[float, float]]]) -> Evidence:
        """The evidence of runs: for each, query and columns -> evidence and information."""
        keys = dict.fromkeys(key for run in runs for key in run)
        tables = {key: np.array([run.get(key, (0.0, 0.0)) for run in runs]).T for key in keys}
        return cls(len(runs), {key: Part(table[0], table[1]) for key, table in tables.items()})

    def total(self, weights: Mapping[str, float] | None = None) -> Floats:
        """The sum of all parts' evidence in each run, each times its weight, 1 where none is given.

        >>> runs = [{"total": (1.0, 0.5)}, {"total": (-1.0, 0.5), "marginal a": (0.5, 1.0)}]
        >>> Evidence.of(runs).total().tolist()
        [1.0, -0.5]
        """
        known = weights or {}
        scaled = (known.get(key, 1.0) * part.evidence for key, part in self.parts.items())
        return sum(scaled, np.zeros(self.runs))

    def take(self, which: NDArray[np.integer] | slice) -> Evidence:
        """Some of the runs."""
        parts = {k: Part(p.evidence[which], p.information[which]) for k, p in self.parts.items()}
        return Evidence(len(np.arange(self.runs)[which]), parts)


def weights_of(without: Evidence, included: Evidence) -> dict[str, float]:
    """How much each part should count, in view of the noise that it really has.

    By the declared noise, a part's evidence lies about minus or plus half of its information, with a
    variance of as much, and all parts count alike. If it varies less, there is less noise than was
    declared, and the part deserves more weight: an attacker who reads the code would know.

    Args:
        without: Evidence of some runs without the unit.
        included: Evidence of some runs with it.

    Returns:
        Part -> weight, for those that deserve another weight than 1.
    """
    weights: dict[str, float] = {}
    for key in without.parts.keys() & included.parts.keys():
        out, there = without.parts[key], included.parts[key]
        information = np.concatenate([out.information, there.information])
        asked = np.count_nonzero(information)
        if asked:
            noise = np.concatenate(
                [out.evidence + out.information / 2, there.evidence - there.information / 2]
            )
            ratio = float((noise**2).sum() / information.sum())
            if ratio < 1.0 - DOUBT * math.sqrt(2.0 / asked):
                weights[key] = 1.0 / max(ratio, LEAST_RATIO)
    return weights
