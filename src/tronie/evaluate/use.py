"""What a synthetic table is good for: models that are trained on it, tested on real rows.

INTERNAL: it reads real rows.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from tronie.errors import InputError
from tronie.evaluate import learners
from tronie.evaluate.features import (
    Encoder,
    coordinates,
    halves,
    nominal_mask,
    sampled,
    tree_features,
)
from tronie.evaluate.range_queries import RangeQueries, Workload, range_queries
from tronie.evaluate.score import Score
from tronie.evaluate.tables import Coded, Tables
from tronie.schema.columns import Category, Listed, is_nominal
from tronie.schema.grid import Floats, Ints

MOST_CLASSES = 20
"""A nominal column with more values is not predicted."""

MOST_TRAINED = 50_000
"""Rows that a model is trained on; of a larger table a sample is taken."""

MOST_SHUFFLED = 5_000
"""Test rows that importances are worked out from."""

TESTED = 0.3
"""Share of the real rows that models are tested on where there is no holdout."""

LEAST = 20
"""With fewer rows to train on or to test on, nothing is trained."""

AUC, F1, R2 = "AUC", "F1", "R2"

LINEAR: Mapping[str, str] = {
    "classification": "logistic regression",
    "regression": "linear regression",
}
TREES = "boosted trees"

Kind = Literal["classification", "regression"]


@dataclass(frozen=True, slots=True)
class Task:
    """Train on synthetic, test on real.

    Attributes:
        target: The column that was predicted from all others.
        kind: "classification" or "regression".
        learner: "logistic regression", "linear regression" or "boosted trees".
        metric: "AUC" (of more than two classes the mean over them, each against all others), "F1" (of the
            rarer of two classes, or the mean over more) or "R2".
        synthetic: Of the model that was trained on synthetic rows.
        real: Of the model that was trained on real rows.
        floor: Of the best constant guess.
    """

    target: str
    kind: Kind
    learner: str
    metric: str
    synthetic: float
    real: float
    floor: float


@dataclass(frozen=True, slots=True)
class Use:
    """What a synthetic table is good for.

    Attributes:
        tasks: Models trained on it; empty if there was nothing to predict.
        importance_agreement: Spearman's correlation between what each column is worth to boosted trees
            trained on synthetic rows, and to those trained on real ones; None if not worked out.
        range_queries: Random counts.
        scores: Their scores.
        target: The column that was predicted; None if there was nothing to predict.
        tested_on: Which rows the models were tested on, in a few words.
        skipped: Why there are no tasks; None if there are.
    """

    tasks: tuple[Task, ...]
    importance_agreement: float | None
    range_queries: RangeQueries
    scores: tuple[Score, ...]
    target: str | None = None
    tested_on: str = ""
    skipped: str | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Trial:
    """What is predicted, and the real rows that it is tested on.

    Attributes:
        target: The predicted column.
        kind: "classification" or "regression".
        columns: Those that it is predicted from.
        classes: Number of classes that the schema knows; 0 for a regression.
        test: The test rows; in each of them the target is present.
        truth: Class of each of them, or value.
    """

    target: str
    kind: Kind
    columns: tuple[str, ...]
    classes: int
    test: Coded
    truth: Floats

    @property
    def occurring(self) -> Ints:
        """Classes of the test rows."""
        return np.unique(self.truth).astype(np.int64)

    @property
    def metrics(self) -> Mapping[str, Callable[[Floats], float]]:
        """Name -> what predictions of the test rows are worth."""
        if self.kind == "regression":
            return {R2: lambda predicted: learners.r2(predicted, self.truth)}
        return {AUC: self._auc, F1: self._f1}

    @property
    def floors(self) -> Mapping[str, float]:
        """Name of each metric -> what the best constant guess gets."""
        if self.kind == "regression":
            return {R2: 0.0}
        guesses = np.eye(self.classes)[self.occurring]
        size = len(self.truth)
        return {AUC: 0.5, F1: max(self._f1(np.tile(guess, (size, 1))) for guess in guesses)}

    def _auc(self, probabilities: Floats) -> float:
        return float(np.mean([learners.auc(probabilities[:, c], self._is(c)) for c in self._of()]))

    def _f1(self, probabilities: Floats) -> float:
        guessed = probabilities.argmax(axis=1)
        return float(np.mean([learners.f1(guessed == c, self._is(c)) for c in self._of()]))

    def _is(self, wanted: int) -> NDArray[np.bool_]:
        return self.truth == wanted

    def _of(self) -> list[int]:
        """Classes that count: all that occur, or the rarer one of two."""
        classes: list[int] = self.occurring.tolist()
        return (
            [min(classes, key=lambda c: int(self._is(c).sum()))] if len(classes) == 2 else classes
        )


@dataclass(frozen=True, slots=True, eq=False)
class UseReference:
    """What rests on the real rows only, for several synthetic tables.

    Attributes:
        trial: What is predicted; None if nothing is.
        real: (learner, metric) -> of the model that was trained on real rows.
        importances: What each column is worth to its boosted trees, shape (columns,).
        workload: Queries and their real answers.
        tested_on: Which rows the models are tested on.
        skipped: Why nothing is predicted.
    """

    trial: Trial | None
    real: Mapping[tuple[str, str], float]
    importances: Floats
    workload: Workload
    tested_on: str
    skipped: str | None

    @classmethod
    def of(cls, tables: Tables, *, target: str | None = None, seed: int = 0) -> UseReference:
        """Choose the target, set test rows aside and train on the other real rows.

        Raises:
            InputError: If the target is not a column that can be predicted, or scikit-learn is not
                installed.
        """
        workload = Workload.of(tables, seed=seed)
        chosen = _target(tables, target)
        if isinstance(chosen, NothingToPredict):
            return cls(None, {}, np.zeros(0), workload, "", chosen.why)
        rng = np.random.default_rng(seed)
        rest, test = tables.real, tables.holdout
        if test is None:
            test, rest = halves(tables.real, rng, TESTED)
        trial = _trial(tables, chosen, test)
        told = "holdout rows" if tables.holdout is not None else _NOT_HELD_OUT
        tested_on = f"{len(trial.truth):,} {told}"
        why = _untestable(trial, _labelled(tables, trial, rest).rows)
        if why is not None:
            return cls(None, {}, np.zeros(0), workload, "", why)
        real, worth = _trained(tables, trial, rest, seed)
        return cls(trial, real, worth, workload, tested_on, None)


_NOT_HELD_OUT = "random real rows, which the synthetic table may have been made from"


@dataclass(frozen=True, slots=True)
class NothingToPredict:
    """There is no target."""

    why: str


def use(
    tables: Tables,
    name: str,
    reference: UseReference | None = None,
    *,
    target: str | None = None,
    seed: int = 0,
) -> Use:
    """Train on a synthetic table, test on real rows; and answer random counts from it.

    Classifiers are judged by AUC and F1, regressions by R2. Models are tested on the holdout; without
    one on a random part of the real rows, and `Use.tested_on` says so.

    Args:
        tables: The tables.
        name: Which synthetic table.
        reference: What rests on the real rows only, to work it out once for several tables.
        target: The column to predict from all others, any kind; by default the last one, if it is
            nominal and has 2 to `MOST_CLASSES` values.
        seed: Of samples, queries and learners.

    Raises:
        InputError: If the target is not a column that can be predicted, or scikit-learn is not
            installed.

    Source: Esteban, Hyland, Rätsch 2017, arXiv 1706.02633 (train on synthetic, test on real).
    """
    reference = reference or UseReference.of(tables, target=target, seed=seed)
    counts = range_queries(tables, name, reference.workload, seed=seed)
    trial = reference.trial
    if trial is None:
        return Use((), None, counts, (counts.score,), skipped=reference.skipped)
    rows = tables.synthetic[name]
    labelled = _labelled(tables, trial, rows).rows
    if labelled < LEAST:
        why = f"only {labelled} synthetic rows have a value of {trial.target}."
        return Use((), None, counts, (counts.score,), skipped=why)
    found, worth = _trained(tables, trial, rows, seed)
    tasks = tuple(
        Task(
            trial.target,
            trial.kind,
            learner,
            metric,
            value,
            reference.real[learner, metric],
            trial.floors[metric],
        )
        for (learner, metric), value in found.items()
    )
    agreement = None
    if len(trial.columns) > 2:
        agreement = learners.rank_correlation(reference.importances, worth)
    scores = (*map(_score, tasks), counts.score)
    return Use(tasks, agreement, counts, scores, trial.target, reference.tested_on)


def _score(task: Task) -> Score:
    return Score(
        f"{task.learner}: {task.metric}",
        task.synthetic,
        task.floor,
        task.real,
        f"Predicting {task.target} of real rows by {task.learner}: {task.metric} {task.synthetic:.3f} "
        f"when trained on synthetic rows, {task.real:.3f} when trained on real ones.",
    )


def _target(tables: Tables, wanted: str | None) -> str | NothingToPredict:
    """The column to predict."""
    columns = tables.columns
    if wanted is not None:
        if wanted not in columns:
            raise InputError(
                f"the column {wanted!r} cannot be predicted: it is not compared.",
                f"Choose among {', '.join(columns)}.",
            )
        column = columns[wanted]
        if is_nominal(column) and not 2 <= column.points <= MOST_CLASSES:
            raise InputError(
                f"the column {wanted!r} cannot be predicted: it has {column.points} values.",
                f"Choose one with 2 to {MOST_CLASSES} values, or an ordered one.",
            )
        return wanted
    if len(columns) < 2:
        return NothingToPredict("there is only one column.")
    last = next(reversed(columns))
    column = columns[last]
    if not is_nominal(column):
        return NothingToPredict(
            f"no target was given, and the last column, {last}, is not nominal."
        )
    if not 2 <= column.points <= MOST_CLASSES:
        return NothingToPredict(
            f"no target was given, and the last column, {last}, has {column.points} values."
        )
    return last


def _trial(tables: Tables, target: str, test: Coded) -> Trial:
    column = tables.schema.lattices[target]
    listed = isinstance(column, Listed) and column.points <= MOST_CLASSES
    kind: Kind = "classification" if listed else "regression"
    other = isinstance(column, Category) and column.other
    columns = tuple(name for name in tables.codings if name != target)
    classes = column.points + other if listed else 0
    empty = Trial(target, kind, columns, classes, test, np.zeros(0))
    kept = _labelled(tables, empty, test)
    return Trial(target, kind, columns, classes, kept, _truth(tables, empty, kept))


def _labelled(tables: Tables, trial: Trial, rows: Coded) -> Coded:
    """The rows in which the target is present."""
    column = tables.schema.lattices[trial.target]
    points = rows.points[trial.target]
    present = points < (trial.classes or column.points)
    return rows if present.all() else rows.take(np.flatnonzero(present))


def _truth(tables: Tables, trial: Trial, rows: Coded) -> Floats:
    """Class of each row, or value."""
    points = rows.points[trial.target]
    if trial.kind == "classification":
        return points.astype(np.float64)
    return coordinates(tables.schema.lattices[trial.target], points)


def _untestable(trial: Trial, rows: int) -> str | None:
    """Why nothing can be learned or tested, if so."""
    if not trial.columns:
        return "there is only one column."
    if min(len(trial.truth), rows) < LEAST:
        return f"too few real rows have a value of {trial.target}."
    if len(np.unique(trial.truth)) < 2:
        return f"the column {trial.target} is constant in the test rows."
    return None


def _trained(
    tables: Tables, trial: Trial, rows: Coded, seed: int
) -> tuple[dict[tuple[str, str], float], Floats]:
    """Train on some rows; (learner, metric) -> worth on the test rows, and importances of columns."""
    rng = np.random.default_rng(seed)
    rows = sampled(_labelled(tables, trial, rows), MOST_TRAINED, rng)
    truth = _truth(tables, trial, rows)
    encoder = Encoder.fit(tables, rows, trial.columns)
    linear = _linear(trial, encoder.transform(rows), truth, seed)
    found = _worth(trial, LINEAR[trial.kind], linear(encoder.transform(trial.test)))
    nominal = nominal_mask(tables, trial.columns)
    boosted = _boosted(trial, tree_features(tables, rows, trial.columns), truth, nominal, seed)
    test = tree_features(tables, trial.test, trial.columns)
    found |= _worth(trial, TREES, boosted(test))
    return found, _importances(trial, boosted, test, rng)


def _linear(trial: Trial, features: Floats, truth: Floats, seed: int) -> learners.Predictor:
    if trial.kind == "regression":
        return learners.linear_regression(features, truth, seed=seed)
    return learners.logistic_regression(features, truth.astype(np.int64), trial.classes, seed=seed)


def _boosted(
    trial: Trial, features: Floats, truth: Floats, nominal: NDArray[np.bool_], seed: int
) -> learners.Predictor:
    if trial.kind == "regression":
        return learners.boosted_regression(features, truth, nominal=nominal, seed=seed)
    return learners.boosted_classifier(
        features, truth.astype(np.int64), trial.classes, nominal=nominal, seed=seed
    )


def _worth(trial: Trial, learner: str, predicted: Floats) -> dict[tuple[str, str], float]:
    return {(learner, name): metric(predicted) for name, metric in trial.metrics.items()}


def _importances(
    trial: Trial, predict: learners.Predictor, features: Floats, rng: np.random.Generator
) -> Floats:
    """What each column is worth, on a part of the test rows."""
    chosen = rng.permutation(len(features))[:MOST_SHUFFLED]
    part = Trial(
        trial.target,
        trial.kind,
        trial.columns,
        trial.classes,
        trial.test,
        trial.truth[chosen],
    )
    metric = next(iter(part.metrics.values()))
    return learners.importances(predict, features[chosen], metric, rng)
