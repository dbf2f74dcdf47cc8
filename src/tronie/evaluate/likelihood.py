"""How well a fitted model predicts real rows. INTERNAL: it reads real rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from tronie.errors import InputError
from tronie.evaluate.tables import Coded, Tables
from tronie.models.field import log_likelihoods as code_log_likelihoods
from tronie.models.likelihood import log_or_minus_infinity
from tronie.models.lm.lm_field import LanguageField
from tronie.models.markov import MarkovRandomField
from tronie.release.model import Model
from tronie.schema.grid import Coding, Floats, Ints

MOST_ROWS, FEW_ROWS = 100_000, 64
"""Rows that a network reads, and a large language model."""


@dataclass(frozen=True, slots=True)
class Likelihood:
    """Mean negative log-likelihood of real rows, in nats; less is better.

    Attributes:
        row: Of a whole row, its values being points of the schema's lattices.
        holdout_row: Of a holdout row; None without a holdout.
        columns: Column -> its share of `row`: that of its value given those of the columns that the model
            draws before it. The shares add up to `row`.
        perplexity: Class of token -> perplexity, for language models: the network's own, see
            `tronie.models.lm.lm_field.LanguageField.perplexities`.
        impossible: Share of the real rows that the model gives probability 0; they are left out of the
            means.
        rows: Number of real rows that it rests on, and at most that many of the holdout; None for all.
    """

    row: float
    holdout_row: float | None
    columns: Mapping[str, float]
    perplexity: Mapping[str, float] = field(default_factory=dict[str, float])
    impossible: float = 0.0
    rows: int | None = None


def likelihood(tables: Tables, model: Model) -> Likelihood:
    """Negative log-likelihood of the real rows under a model.

    It is exact: a row's probability is the product of each code's probability given the codes of the
    columns that the model draws before it, times that of the lattice point within each code. Networks
    count with all that shapes their rows: biases, ties, temperature, rules; mixtures with all their
    components. Only comparisons between columns that hold within codes are not accounted for. Models with
    different codes can be compared, as the points are the schema's.

    Networks read at most `MOST_ROWS` rows, taken evenly from the table, and large language models
    `FEW_ROWS`: each takes them about a second.

    Args:
        tables: The tables; the synthetic ones are not looked at.
        model: A fitted model of the same columns.

    Raises:
        InputError: If the model has other columns, its distribution is known by samples only, or it is a
            language model that cannot be read here.
    """
    real, holdout = (_some(rows, _most(model)) for rows in (tables.real, tables.holdout))
    assert real is not None
    found = log_likelihoods(tables, model, real)
    held = None if holdout is None else log_likelihoods(tables, model, holdout)
    total = _total(found)
    possible = np.isfinite(total)
    columns = {name: -_mean(values[possible]) for name, values in found.items()}
    row = sum(columns.values()) if possible.any() else float("inf")
    expected = None
    if held is not None:
        sums = _total(held)
        expected = -_mean(sums[np.isfinite(sums)]) if np.isfinite(sums).any() else float("inf")
    impossible = 1.0 - float(possible.mean()) if len(possible) else 0.0
    kinds: dict[str, float] = {}
    if isinstance(model.field, LanguageField):
        kinds = model.field.perplexities(_codes(model, real))
    rows = None if real is tables.real else real.rows
    return Likelihood(row, expected, columns, kinds, impossible, rows)


def log_likelihoods(tables: Tables, model: Model, rows: Coded) -> dict[str, Floats]:
    """Log probability of each value of some rows, given the columns that the model draws before it.

    Args:
        tables: What the columns are.
        model: As for `likelihood`.
        rows: Rows of one of the tables.

    Returns:
        Column -> shape (rows,), in the order in which the model draws them; minus infinity where the
        model rules the value out. Their sum is the log probability of the row.

    Raises:
        InputError: As for `likelihood`.
    """
    differ = [n for n in model.codings if tables.columns.get(n) != model.schema.lattices[n]]
    if differ:
        raise InputError(
            f"the model's column {differ[0]!r} is not that of the compared tables.",
            "Compare tables by the model's own schema.",
        )
    codes = _codes(model, rows)
    found = code_log_likelihoods(model.field, codes)
    return {
        name: values + within_code(model.codings[name], rows.points[name], codes[name])
        for name, values in found.items()
    }


def within_code(coding: Coding, points: Ints, codes: Ints) -> Floats:
    """Log probability of each lattice point given its code, shape (rows,).

    Cells of a code are drawn in proportion to their released weights, or evenly by their points where all
    weights are 0; points of a cell are equally likely.

    Args:
        coding: The column's codes.
        points: Lattice indices, shape (rows,).
        codes: Their codes, shape (rows,).
    """
    grid = coding.grid
    mass = np.bincount(coding.groups, coding.weights)
    weights = np.where(mass[coding.groups] > 0, coding.weights, grid.widths)
    shares = weights / np.bincount(coding.groups, weights)[coding.groups]
    inside = log_or_minus_infinity(shares / grid.widths)
    cells = grid.cell_of(points)
    return np.where(coding.groups[cells] == codes, inside[cells], -np.inf)


def perplexity(log_probabilities: Floats, classes: Sequence[str]) -> dict[str, float]:
    """Perplexity of a language model's tokens by their class: the exponential of their mean loss.

    Args:
        log_probabilities: Natural log of the probability of each token given those before it, shape
            (tokens,).
        classes: Class of each token, such as "value", "key" or "other".

    Raises:
        InputError: If there are not as many classes as tokens.

    >>> perplexity(np.log([0.5, 0.125, 1.0]), ["value", "value", "key"])
    {'key': 1.0, 'value': 4.0}
    """
    if len(log_probabilities) != len(classes):
        raise InputError(
            f"{len(log_probabilities)} tokens have {len(classes)} classes.",
            "Give one class per token.",
        )
    names, places = np.unique(np.array(classes, str), return_inverse=True)
    losses = np.bincount(places, -log_probabilities) / np.bincount(places)
    return {str(name): float(np.exp(loss)) for name, loss in zip(names, losses, strict=True)}


def _most(model: Model) -> int | None:
    """Rows that a model reads in a reasonable time; None for all."""
    if isinstance(model.field, MarkovRandomField):
        return None
    slow = isinstance(model.field, LanguageField) and model.field.slow
    return FEW_ROWS if slow else MOST_ROWS


def _some(rows: Coded | None, most: int | None) -> Coded | None:
    """Some rows of a table, evenly from all of it; the table itself if it has no more."""
    if rows is None or most is None or rows.rows <= most:
        return rows
    return rows.take(np.arange(most) * rows.rows // most)


def _codes(model: Model, rows: Coded) -> dict[str, Ints]:
    return {name: coding.code_of(rows.points[name]) for name, coding in model.codings.items()}


def _total(found: Mapping[str, Floats]) -> Floats:
    return np.sum(list(found.values()), axis=0)


def _mean(values: Floats) -> float:
    return float(values.mean()) if len(values) else 0.0
