"""The shape of the cloud of rows: its main directions, and whether a classifier can tell two apart.

INTERNAL: it reads real rows.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from tronie.evaluate import learners
from tronie.evaluate.expected import TwoSamples
from tronie.evaluate.features import Encoder, nominal_mask, sampled, shuffled, tree_features
from tronie.evaluate.score import Score
from tronie.evaluate.tables import Coded, Tables
from tronie.schema.grid import Floats, Ints

BINS = 32
"""Cells of the projection along each axis."""

MOST_PROJECTED = 50_000
"""Rows of a table that are projected; a larger one is sampled."""

MOST_TESTED = 10_000
"""Rows of each table that the classifier sees."""

LEAST_TESTED = 30
"""With fewer rows a side there is no test."""

FOLDS = 3
"""Parts of the cross-validation."""

CLIPPED = 0.005
"""Share of the rows on each side that lies beyond the projection's edges and is put in its last cells."""

GIVEAWAY = 0.01
"""AUC that a column must be worth to count as one that gives rows away."""

Cells = tuple[tuple[float, ...], ...]


@dataclass(frozen=True, slots=True)
class Projection:
    """Both tables along the two directions in which the real rows vary most.

    Attributes:
        x_edges: Edges of the cells along the first direction, in increasing order.
        y_edges: Likewise along the second.
        real: Share of the real rows in each cell, ``real[x][y]``.
        synthetic: Likewise, of the synthetic rows.
        explained: Share of the real rows' variance along each direction.
        overlap: 1 less the total variation between the two, from 0 to 1.
    """

    x_edges: tuple[float, ...]
    y_edges: tuple[float, ...]
    real: Cells
    synthetic: Cells
    explained: tuple[float, float]
    overlap: float


@dataclass(frozen=True, slots=True)
class TwoSample:
    """Can a classifier tell synthetic rows from real ones?

    Attributes:
        auc: Area under its ROC curve on rows that it was not trained on, cross-validated: 0.5 for
            guessing, 1 if it is always right. It is below 0.5 where real rows were copied.
        holdout_auc: The same between real and holdout rows; None without a holdout.
        rows: Rows of each table that it saw.
        giveaways: Column -> by how much the AUC falls when that column is shuffled, largest first; those
            worth less than `GIVEAWAY` are left out.
        score: 1 if the tables cannot be told apart, 0 if they always can.
    """

    auc: float
    holdout_auc: float | None
    rows: int
    giveaways: tuple[tuple[str, float], ...]
    score: Score


@dataclass(frozen=True, slots=True)
class Structure:
    """The shape of the cloud of rows.

    Attributes:
        projection: Both tables along two directions.
        test: The classifier's test; None if nothing was to be learned, or there are too few rows.
        scores: Their scores.
    """

    projection: Projection
    test: TwoSample | None
    scores: tuple[Score, ...]


@dataclass(frozen=True, slots=True, eq=False)
class StructureReference:
    """What rests on the real rows only, for several synthetic tables.

    Attributes:
        encoder: Features of the real rows.
        directions: The first two principal components, shape (features, 2).
        explained: Share of the variance along each.
        real: Real rows along them, shape (rows, 2).
        independent: The same rows with each column shuffled on its own, likewise.
        holdout_auc: AUC of the classifier between real and holdout rows, if there are any.
        independent_auc: AUC between real rows and shuffled ones; None if nothing was to be learned.
    """

    encoder: Encoder
    directions: Floats
    explained: tuple[float, float]
    real: Floats
    independent: Floats
    holdout_auc: float | None
    independent_auc: float | None

    @classmethod
    def of(cls, tables: Tables, *, learn: bool = True, seed: int = 0) -> StructureReference:
        """Work it out.

        Raises:
            InputError: If something is to be learned and scikit-learn is not installed.
        """
        rng = np.random.default_rng(seed)
        rows = sampled(tables.real, MOST_PROJECTED, rng)
        columns = list(tables.codings)
        encoder = Encoder.fit(tables, rows, columns)
        values = encoder.transform(rows)
        directions, explained = principal_components(values)
        alone = shuffled(rows, rng)
        holdout_auc, independent_auc = None, None
        if learn and _testable(tables.real, tables.real):
            independent_auc = _auc_between(tables, tables.real, alone, seed)
            if tables.holdout is not None and _testable(tables.real, tables.holdout):
                holdout_auc = _auc_between(tables, tables.real, tables.holdout, seed)
        return cls(
            encoder,
            directions,
            explained,
            values @ directions,
            encoder.transform(alone) @ directions,
            holdout_auc,
            independent_auc,
        )


def structure(
    tables: Tables,
    name: str,
    reference: StructureReference | None = None,
    *,
    learn: bool = True,
    seed: int = 0,
) -> Structure:
    """Compare the shape of a synthetic table with the real one's.

    Args:
        tables: The tables.
        name: Which synthetic table.
        reference: What rests on the real rows only, to work it out once for several tables.
        learn: Whether to train classifiers; it takes seconds.
        seed: Of samples, folds and learners.

    Raises:
        InputError: If something is to be learned and scikit-learn is not installed.
    """
    reference = reference or StructureReference.of(tables, learn=learn, seed=seed)
    rows = sampled(tables.synthetic[name], MOST_PROJECTED, np.random.default_rng(seed))
    projected = reference.encoder.transform(rows) @ reference.directions
    projection, score = _projection(reference, projected)
    test = _two_sample(tables, tables.synthetic[name], reference, seed) if learn else None
    return Structure(projection, test, (score, *([test.score] if test else [])))


def principal_components(values: Floats) -> tuple[Floats, tuple[float, float]]:
    """The two directions along which rows vary most, and their shares of the variance.

    Args:
        values: Centred features, shape (rows, features).

    Returns:
        Unit vectors, shape (features, 2), each with its largest entry positive; with fewer than two
        features the rest is 0. Shares sum to at most 1.
    """
    features = values.shape[1]
    variances, vectors = np.linalg.eigh(values.T @ values / len(values))
    total = float(variances.sum())
    directions = np.zeros((features, 2))
    shares = [0.0, 0.0]
    for i in range(min(features, 2)):
        vector = vectors[:, -1 - i]
        directions[:, i] = vector * np.sign(vector[np.abs(vector).argmax()])
        shares[i] = max(float(variances[-1 - i]), 0.0) / total if total > 0 else 0.0
    return directions, (shares[0], shares[1])


@dataclass(frozen=True, slots=True, eq=False)
class _Pooled:
    """Rows of two tables, as many of each, and which of them are tested together.

    Attributes:
        columns: The columns.
        features: One per column, shape (2 * rows, columns).
        labels: 0 for rows of the first table, 1 for those of the second.
        folds: Fold of each row.
    """

    columns: tuple[str, ...]
    features: Floats
    labels: Ints
    folds: Ints

    @classmethod
    def of(cls, tables: Tables, one: Coded, two: Coded, rng: np.random.Generator) -> _Pooled:
        columns = tuple(tables.codings)
        rows = min(one.rows, two.rows, MOST_TESTED)
        parts = [tree_features(tables, sampled(table, rows, rng), columns) for table in (one, two)]
        folds = np.concatenate([rng.permutation(rows) % FOLDS for _ in parts])
        return cls(columns, np.concatenate(parts), np.repeat(np.arange(2), rows), folds)

    def models(
        self, tables: Tables, seed: int
    ) -> Iterator[tuple[learners.Predictor, Floats, learners.Metric]]:
        """For each fold, a model trained on the others, the fold's features, and AUC on its rows.

        Source: Lopez-Paz, Oquab 2017, arXiv 1610.06545.
        """
        nominal = nominal_mask(tables, self.columns)
        for fold in range(FOLDS):
            tested = self.folds == fold
            predict = learners.boosted_classifier(
                self.features[~tested], self.labels[~tested], 2, nominal=nominal, seed=seed
            )
            yield predict, self.features[tested], _auc_of(self.labels[tested])


def _auc_between(tables: Tables, one: Coded, two: Coded, seed: int) -> float:
    """How well a classifier tells the rows of two tables apart."""
    pooled = _Pooled.of(tables, one, two, np.random.default_rng(seed))
    found = [metric(predict(rows)) for predict, rows, metric in pooled.models(tables, seed)]
    return sum(found) / FOLDS


def _told_apart(
    tables: Tables, one: Coded, two: Coded, seed: int
) -> tuple[float, tuple[tuple[str, float], ...]]:
    """The same, and the columns that give rows away."""
    rng = np.random.default_rng(seed)
    pooled = _Pooled.of(tables, one, two, rng)
    found, worth = 0.0, np.zeros(len(pooled.columns))
    for predict, rows, metric in pooled.models(tables, seed):
        found += metric(predict(rows)) / FOLDS
        worth += learners.importances(predict, rows, metric, rng) / FOLDS
    named = zip(pooled.columns, worth.tolist(), strict=True)
    giveaways = [(name, value) for name, value in named if value >= GIVEAWAY]
    return found, tuple(sorted(giveaways, key=lambda item: -item[1]))


def _auc_of(labels: Ints) -> learners.Metric:
    return lambda probabilities: learners.auc(probabilities[:, 1], labels == 1)


def _testable(one: Coded, two: Coded) -> bool:
    return min(one.rows, two.rows) >= LEAST_TESTED


def _two_sample(
    tables: Tables, rows: Coded, reference: StructureReference, seed: int
) -> TwoSample | None:
    if not _testable(tables.real, rows):
        return None
    found, giveaways = _told_apart(tables, tables.real, rows, seed)
    tested = min(tables.real.rows, rows.rows, MOST_TESTED)
    # Of guesses, the part above a half is half a normal distribution's mean on average.
    noise = math.sqrt((2 * tested + 1) / (12 * tested**2)) * math.sqrt(2 / math.pi)
    ceiling = 1.0 - noise if reference.holdout_auc is None else _apart(reference.holdout_auc)
    floor = _apart(1.0 if reference.independent_auc is None else reference.independent_auc)
    most = f" Most of it rests on {giveaways[0][0]}." if giveaways else ""
    score = Score(
        "cannot be told apart",
        _apart(found),
        floor,
        ceiling,
        f"Shown a real and a synthetic row, a classifier picks the synthetic one in {100 * found:.0f} % "
        f"of the cases; 50 % is guessing.{most}",
    )
    return TwoSample(found, reference.holdout_auc, tested, giveaways, score)


def _apart(found: float) -> float:
    """1 for an AUC of a half or less, 0 for one of 1."""
    return 1.0 - max(0.0, 2.0 * found - 1.0)


def _projection(reference: StructureReference, synthetic: Floats) -> tuple[Projection, Score]:
    edges = [_edges(reference.real[:, i], synthetic[:, i]) for i in range(2)]
    clouds = (reference.real, synthetic, reference.independent)
    counts = [_histogram(points, edges) for points in clouds]
    real, found, alone = (cells / int(cells.sum()) for cells in counts)
    overlap = float(np.minimum(real, found).sum())
    expected = TwoSamples(len(reference.real), len(synthetic)).expected(counts[0])
    projection = Projection(
        tuple(edges[0].tolist()),
        tuple(edges[1].tolist()),
        tuple(map(tuple, real.tolist())),
        tuple(map(tuple, found.tolist())),
        reference.explained,
        overlap,
    )
    score = Score(
        "projection",
        overlap,
        float(np.minimum(real, alone).sum()),
        1.0 - expected,
        f"Seen along their two main directions, {100 * overlap:.0f} % of the two clouds of rows overlap.",
    )
    return projection, score


def _edges(real: Floats, synthetic: Floats) -> Floats:
    """Cells of equal width over all but the outermost rows of either table."""
    ends = [np.quantile(values, [CLIPPED, 1 - CLIPPED]) for values in (real, synthetic)]
    low, high = min(float(e[0]) for e in ends), max(float(e[1]) for e in ends)
    if high - low <= 1e-9 * max(abs(low), abs(high), 1.0):
        low, high = low - 0.5, high + 0.5
    return np.linspace(low, high, BINS + 1)


def _histogram(points: Floats, edges: list[Floats]) -> Ints:
    """Rows in each cell; those beyond the edges are in the outermost cells."""
    cells = [
        np.clip(np.searchsorted(e, points[:, i], side="right") - 1, 0, BINS - 1)
        for i, e in enumerate(edges)
    ]
    counts = np.bincount(cells[0] * BINS + cells[1], minlength=BINS * BINS)
    return counts.reshape(BINS, BINS)
