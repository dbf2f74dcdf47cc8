"""Learners: seeded, one thread, checked against scikit-learn's own metrics."""

from __future__ import annotations

import sys
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import stats
from sklearn import metrics

from tronie.errors import InputError
from tronie.evaluate import learners
from tronie.evaluate.learners import (
    auc,
    boosted_classifier,
    boosted_regression,
    f1,
    importances,
    linear_regression,
    logistic_regression,
    r2,
    rank_correlation,
    ranks,
)
from tronie.schema.grid import Floats, Ints

NO_ORDER = np.array([False, False, True])

few = arrays(np.float64, 12, elements=st.sampled_from([0.0, 0.1, 0.25, 0.5, 2.0, 7.0]))
labels = arrays(np.bool_, 12)


def data(n: int = 400) -> tuple[Floats, Ints, Floats]:
    """Features, three classes that the first and the last decide, and a number."""
    rng = np.random.default_rng(0)
    features = np.column_stack([rng.normal(size=(n, 2)), rng.integers(0, 4, n)])
    classes = ((features[:, 0] > 0) + (features[:, 2] % 2 == 0)).astype(np.int64)
    values = 1e6 + 1e4 * (features[:, 0] + (features[:, 2] == 1)) + rng.normal(0, 100, n)
    return features, classes, values


@given(few, labels)
def test_auc_is_scikit_learns(scores: Floats, positive: np.ndarray) -> None:
    if 0 < positive.sum() < len(positive):
        assert auc(scores, positive) == pytest.approx(metrics.roc_auc_score(positive, scores))
    else:
        assert auc(scores, positive) == 0.5


@given(labels, labels)
def test_f1_is_scikit_learns(predicted: np.ndarray, positive: np.ndarray) -> None:
    wanted = metrics.f1_score(positive, predicted, zero_division=0.0)
    assert f1(predicted, positive) == pytest.approx(wanted)


@given(few, few)
def test_r2_is_scikit_learns(predicted: Floats, values: Floats) -> None:
    wanted = metrics.r2_score(values, predicted) if np.ptp(values) else 0.0
    assert r2(predicted, values) == pytest.approx(wanted)


@given(few, few)
def test_ranks_are_scipys(one: Floats, two: Floats) -> None:
    assert ranks(one).tolist() == stats.rankdata(one).tolist()
    if np.ptp(one) and np.ptp(two):
        assert rank_correlation(one, two) == pytest.approx(stats.spearmanr(one, two).statistic)
    else:
        assert rank_correlation(one, two) == 0.0


CLASSIFIERS: dict[str, Callable[[Floats, Ints, int], learners.Predictor]] = {
    "logistic": lambda x, y, k: logistic_regression(x, y, k, seed=0),
    "boosted": lambda x, y, k: boosted_classifier(x, y, k, nominal=NO_ORDER, seed=0),
}


@pytest.mark.parametrize("learn", CLASSIFIERS.values(), ids=CLASSIFIERS)
def test_classifiers_give_probabilities(learn: Callable[..., learners.Predictor]) -> None:
    features, classes, _ = data()
    predict = learn(features[:300], classes[:300], 5)
    found = predict(features[300:])
    assert found.shape == (100, 5)
    assert np.allclose(found.sum(axis=1), 1)
    assert (found[:, 3:] == 0).all()
    assert (found.argmax(axis=1) == classes[300:]).mean() > 0.6
    again = learn(features[:300], classes[:300], 5)(features[300:])
    assert np.array_equal(found, again)


@pytest.mark.parametrize("learn", CLASSIFIERS.values(), ids=CLASSIFIERS)
def test_one_class_is_a_constant_guess(learn: Callable[..., learners.Predictor]) -> None:
    features, _, _ = data(50)
    predict = learn(features, np.full(50, 2), 4)
    assert predict(features[:3]).tolist() == [[0, 0, 1, 0]] * 3


def test_trees_take_codes_and_missing_values() -> None:
    features, _, _ = data()
    # Only the code of the last column decides, and not by its order.
    classes = (features[:, 2] % 2).astype(np.int64)
    features[::7, 0] = np.nan
    predict = boosted_classifier(features[:300], classes[:300], 2, nominal=NO_ORDER, seed=0)
    assert (predict(features[300:]).argmax(axis=1) == classes[300:]).all()


def test_a_regression_that_could_take_more_steps_does_not_warn(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(learners, "STEPS", 1)
    features, classes, _ = data()
    assert logistic_regression(features, classes, 3, seed=0)(features).shape == (400, 3)


def test_regressions_predict_numbers_of_any_size() -> None:
    features, _, values = data()
    linear = linear_regression(features[:300], values[:300], seed=0)(features[300:])
    boosted = boosted_regression(features[:300], values[:300], nominal=NO_ORDER, seed=0)
    assert r2(linear, values[300:]) > 0.7
    assert r2(boosted(features[300:]), values[300:]) > 0.9
    constant = linear_regression(features, np.full(400, 3.0), seed=0)
    assert np.allclose(constant(features), 3.0)


def test_importance_is_what_a_feature_is_worth() -> None:
    features, _, _ = data()
    seen: list[int] = []

    def first(rows: Floats) -> Floats:
        seen.append(len(rows))
        return rows[:, 0]

    def metric(predicted: Floats) -> float:
        return auc(predicted, features[:, 0] > 0)

    before = features.copy()
    found = importances(first, features, metric, np.random.default_rng(0))
    assert found[0] == pytest.approx(0.5, abs=0.1)
    assert found[1:].tolist() == [0.0, 0.0]
    assert seen == [400] * 4
    assert np.array_equal(features, before)


@pytest.mark.parametrize(
    "learn",
    [
        lambda x, y, z: learners.require(),
        lambda x, y, z: logistic_regression(x, y, 3, seed=0),
        lambda x, y, z: boosted_classifier(x, y, 3, nominal=NO_ORDER, seed=0),
        lambda x, y, z: boosted_regression(x, z, nominal=NO_ORDER, seed=0),
        lambda x, y, z: linear_regression(x, z, seed=0),
    ],
)
def test_without_scikit_learn_the_extra_is_named(
    learn: Callable[..., object], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "sklearn", None)
    with pytest.raises(InputError, match=r"pip install 'tronie\[evaluate\]'"):
        learn(*data(50))


def test_with_scikit_learn_nothing_is_missing() -> None:
    learners.require()
