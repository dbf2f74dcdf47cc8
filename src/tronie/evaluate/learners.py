"""Classifiers and regressions that learn from a table. The only module that knows scikit-learn.

All are seeded and use one thread, so that equal rows give equal numbers.
"""

from __future__ import annotations

import importlib
import warnings
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from tronie.errors import InputError
from tronie.schema.grid import Floats, Ints

Predictor: TypeAlias = Callable[[Floats], Floats]
"""From features, shape (rows, features), to predictions: of a classifier the probability of each class,
shape (rows, classes); of a regression the value, shape (rows,)."""

Metric: TypeAlias = Callable[[Floats], float]
"""How good predictions are; more is better."""

TREES = 100
"""Trees of boosted models."""

STEPS = 200
"""Most steps of a logistic regression; its features are scaled, so that few do."""


def require() -> None:
    """Check that there is anything to learn with.

    Raises:
        InputError: If scikit-learn is not installed.
    """
    _sklearn("base")


def boosted_classifier(
    features: Floats,
    labels: Ints,
    classes: int,
    *,
    nominal: NDArray[np.bool_],
    seed: int,
) -> Predictor:
    """Gradient-boosted trees that tell classes apart.

    Args:
        features: Shape (rows, features); nominal ones hold small codes, others may be NaN.
        labels: Class of each row, shape (rows,), from 0.
        classes: Number of classes; those without a row get probability 0.
        nominal: Which features have no order, shape (features,).
        seed: Of the learner.

    Raises:
        InputError: If scikit-learn is not installed.
    """
    learner = _sklearn("ensemble").HistGradientBoostingClassifier(
        max_iter=TREES, early_stopping=False, categorical_features=nominal, random_state=seed
    )
    return _classifier(learner, features, labels, classes)


def logistic_regression(features: Floats, labels: Ints, classes: int, *, seed: int) -> Predictor:
    """Logistic regression with a weak quadratic penalty.

    Args:
        features: Scaled, nothing missing, shape (rows, features).
        labels: Class of each row, shape (rows,), from 0.
        classes: Number of classes; those without a row get probability 0.
        seed: Of the learner.

    Raises:
        InputError: If scikit-learn is not installed.
    """
    learner = _sklearn("linear_model").LogisticRegression(max_iter=STEPS, random_state=seed)
    return _classifier(learner, features, labels, classes)


def boosted_regression(
    features: Floats, values: Floats, *, nominal: NDArray[np.bool_], seed: int
) -> Predictor:
    """Gradient-boosted trees that predict a number; arguments as for `boosted_classifier`."""
    learner = _sklearn("ensemble").HistGradientBoostingRegressor(
        max_iter=TREES, early_stopping=False, categorical_features=nominal, random_state=seed
    )
    return _regression(learner, features, values)


def linear_regression(features: Floats, values: Floats, *, seed: int) -> Predictor:
    """Linear regression with a weak quadratic penalty; arguments as for `logistic_regression`."""
    return _regression(_sklearn("linear_model").Ridge(random_state=seed), features, values)


def auc(scores: Floats, positive: NDArray[np.bool_]) -> float:
    """Area under the ROC curve: how often a positive row is scored above a negative one; ties count half.

    Args:
        scores: Shape (rows,).
        positive: Which rows are positive, shape (rows,).

    Returns:
        0 to 1; 0.5 if there are no positive or no negative rows.

    >>> auc(np.array([0.1, 0.4, 0.35, 0.8]), np.array([False, False, True, True]))
    0.75
    """
    n, m = int(positive.sum()), int((~positive).sum())
    if not n or not m:
        return 0.5
    return float((ranks(scores)[positive].sum() - n * (n + 1) / 2) / (n * m))


def f1(predicted: NDArray[np.bool_], positive: NDArray[np.bool_]) -> float:
    """Harmonic mean of precision and recall; 0 if no positive row was found.

    >>> round(f1(np.array([True, True, False]), np.array([True, False, False])), 3)
    0.667
    """
    both = int(predicted.sum()) + int(positive.sum())
    return 2.0 * int((predicted & positive).sum()) / both if both else 0.0


def r2(predicted: Floats, values: Floats) -> float:
    """Share of the variance that is explained; below 0 if a constant guess does better.

    >>> r2(np.array([1.0, 2.0, 4.0]), np.array([1.0, 2.0, 3.0]))
    0.5
    """
    total = float(((values - values.mean()) ** 2).sum())
    return 1.0 - float(((values - predicted) ** 2).sum()) / total if total else 0.0


def ranks(values: Floats) -> Floats:
    """Rank of each value from 1; equal ones share the mean of theirs.

    >>> ranks(np.array([3.0, 1.0, 3.0])).tolist()
    [2.5, 1.0, 2.5]
    """
    _, places, counts = np.unique(values, return_inverse=True, return_counts=True)
    return (np.cumsum(counts) - (counts - 1) / 2)[places]


def rank_correlation(one: Floats, two: Floats) -> float:
    """Spearman's rank correlation; 0 if one of the two is constant."""
    a, b = (r - r.mean() for r in (ranks(one), ranks(two)))
    scale = float(np.sqrt((a @ a) * (b @ b)))
    return float(a @ b) / scale if scale else 0.0


def importances(
    predict: Predictor, features: Floats, metric: Metric, rng: np.random.Generator
) -> Floats:
    """How much worse predictions get when one feature is shuffled, shape (features,).

    Args:
        predict: The model.
        features: Rows that it was not trained on, shape (rows, features).
        metric: What its predictions of those rows are worth.
        rng: Source of the order.

    Source: Breiman 2001, doi 10.1023/A:1010933404324; Fisher, Rudin, Dominici 2019, arXiv 1801.01489.
    """
    before = metric(predict(features))
    order = rng.permutation(len(features))
    found = np.zeros(features.shape[1])
    for i in range(features.shape[1]):
        changed = features.copy()
        changed[:, i] = features[order, i]
        found[i] = before - metric(predict(changed))
    return found


def _classifier(learner: Any, features: Floats, labels: Ints, classes: int) -> Predictor:
    present = np.unique(labels)
    if len(present) < 2:
        return lambda rows: np.tile(np.eye(classes)[present].sum(axis=0), (len(rows), 1))
    with _one_thread():
        learner.fit(features, labels)

    def predict(rows: Floats) -> Floats:
        found = np.zeros((len(rows), classes))
        with _one_thread():
            found[:, present] = learner.predict_proba(rows)
        return found

    return predict


def _regression(learner: Any, features: Floats, values: Floats) -> Predictor:
    mean, scale = float(values.mean()), float(values.std()) or 1.0
    with _one_thread():
        learner.fit(features, (values - mean) / scale)

    def predict(rows: Floats) -> Floats:
        with _one_thread():
            return np.asarray(learner.predict(rows), np.float64) * scale + mean

    return predict


@contextmanager
def _one_thread() -> Generator[None]:
    """One thread, and no warning that a regression could have taken more steps."""
    limits: Any = importlib.import_module("threadpoolctl")
    with limits.threadpool_limits(1), warnings.catch_warnings():
        warnings.simplefilter("ignore", _sklearn("exceptions").ConvergenceWarning)
        yield


def _sklearn(part: str) -> Any:
    """A module of scikit-learn."""
    try:
        import sklearn  # pyright: ignore[reportMissingTypeStubs]
    except ImportError as error:
        raise InputError(
            "scikit-learn is not installed, so nothing can be learned from the tables.",
            "Run `pip install 'tronie[evaluate]'`, or leave the learning part out.",
        ) from error
    return importlib.import_module(f"{sklearn.__name__}.{part}")
