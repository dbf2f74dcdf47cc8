"""The split of a report's budget, and what is known of the answers' errors."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scored_tables import SCHEMA, table
from synth_tables import curator_of

from tronie.errors import InputError, TronieError
from tronie.evaluate.asking import (
    LEAST_WEIGHT,
    LOOK_SHARE,
    MOST_ERROR,
    ROWS_SHARE,
    Asker,
    Noise,
    Size,
    split,
)
from tronie.evaluate.distances import MarginalDistance, distributions
from tronie.evaluate.headline import Order, headline, headline_of
from tronie.evaluate.references import BASELINE, OWN, Subject
from tronie.evaluate.tables import read_tables
from tronie.privacy.budget import Budget

ONE, TWO = ("one", OWN), ("two", OWN)
weights = st.dictionaries(st.sampled_from("abcd"), st.floats(0.1, 3.0), min_size=2, max_size=4)


@given(weights, st.floats(0.001, 3.0), st.lists(st.floats(0.2, 5), min_size=4, max_size=4))
def test_no_other_split_has_less_noise(
    given_weights: dict[str, float], mu: float, factors: list[float]
) -> None:
    best = split(mu, given_weights)
    assert math.hypot(*best.values()) == pytest.approx(mu)

    def variance(parts: dict[str, float]) -> float:
        return sum((weight / parts[name]) ** 2 for name, weight in given_weights.items())

    assert variance(best) == pytest.approx((sum(given_weights.values()) / mu) ** 2)
    raw = {name: part * factors[i] for i, (name, part) in enumerate(best.items())}
    scale = mu / math.hypot(*raw.values())
    assert variance(best) <= variance({n: scale * part for n, part in raw.items()}) * (1 + 1e-9)


def test_a_question_that_does_not_matter_is_answered_all_the_same() -> None:
    parts = split(1.0, {"main": 1.0, "other": 0.0})
    assert parts["other"] ** 2 == pytest.approx(LEAST_WEIGHT / (1 + LEAST_WEIGHT))


def test_errors_are_those_of_simulated_noise() -> None:
    """Distances of 4 and 9 tables; the number of rows moves all in one direction, its worst case."""
    size, draws = Size(1000, 12.0, ""), 40_000
    noise = Noise({ONE: 30.0, TWO: 50.0}, {ONE: 4, TWO: 9}, size)
    slopes = {ONE: 2.0, TWO: 0.5}
    rng = np.random.default_rng(0)
    rows = rng.normal(0, size.sd, (draws, 1))
    found = {
        name: (rng.normal(0, noise.sigmas[name], (draws, members)) + rows) / (2 * size.rows)
        for name, members in noise.members.items()
    }
    tolerance = 5 / math.sqrt(2 * draws)
    for name, values in found.items():
        assert values[:, 0].std() == pytest.approx(noise.single(name), rel=tolerance)
        assert values.mean(axis=1).std() == pytest.approx(noise.mean(name), rel=tolerance)
    total = sum(slope * found[name].mean(axis=1) for name, slope in slopes.items())
    assert np.std(total) == pytest.approx(noise.combined(slopes), rel=tolerance)
    moved = total + 0.7 * rows[:, 0] / (2 * size.rows)
    assert np.std(moved) == pytest.approx(noise.combined(slopes, 0.7), rel=tolerance)


def test_the_error_of_a_score_is_that_of_simulated_means() -> None:
    """Where floors and ceilings are far apart, the score is nearly linear in the means."""
    means = {"columns": Order(0.06, 0.5, 0.01), "pairs": Order(0.1, 0.3, 0.03)}
    keys = [(part, which) for part in means for which in (OWN, BASELINE)]
    noise = Noise(dict.fromkeys(keys, 8.0), dict.fromkeys(keys, 4), Size(1000, 0.0, ""))
    rng = np.random.default_rng(1)
    sd = noise.mean(("pairs", OWN))
    assert sd == 8.0 / 2 / 2000
    scores = []
    for own, baseline in rng.normal(0, sd, (4000, 2, 2)):
        moved = {
            part: Order(order.distance + own[i], order.baseline + baseline[i], order.expected)
            for i, (part, order) in enumerate(means.items())
        }
        scores.append(headline_of(moved).score.value)
    assert np.std(scores) == pytest.approx(noise.score(means), rel=5 / math.sqrt(8000))


def test_a_ceiling_drifts_with_the_number_of_rows() -> None:
    """The bound on its effect holds, and is not idle: more than a third of it."""
    subject = Subject.read(table(3000, 0), SCHEMA)
    noise = Noise({}, {}, Size(3000, 30.0, ""))
    for part in subject.parts:
        change = abs(subject.expected(part, 3030) - subject.expected(part, 2970)) / 2
        bound = noise.combined({}, drift=subject.expected(part, 3000))
        assert bound / 3 < change <= bound


def asker(rows: int, epsilon: float, k: int = 1) -> Asker:
    """For a synthetic table of some rows."""
    return Asker(Subject.read(table(rows, 1), SCHEMA), Budget(epsilon, 1e-9), k)


@pytest.mark.parametrize("k", [1, 3])
@pytest.mark.parametrize("known", [Size(4000, 0.0, ""), Size(4000, 0.5, ""), None])
def test_the_whole_budget_is_spent_as_planned(known: Size | None, k: int) -> None:
    asks = asker(4000, 4.0, k)
    schema = SCHEMA.model_copy(update={"unit": SCHEMA.unit.model_copy(update={"max_rows": k})})
    curator, meter = curator_of(table(4000, 2), schema, asks.budget)
    answers = asks.ask(curator, known)
    shares = [(event.mu / asks.budget.mu) ** 2 for event in meter.events]
    assert math.fsum(shares) == pytest.approx(1, rel=1e-6)
    kinds = [event.query for event in meter.events]
    counted = [] if known else ["total", "total"]
    assert kinds == [*counted, *["misfits"] * 6, "overlaps"]
    assert shares[-1] == pytest.approx(ROWS_SHARE)
    if not known:
        assert shares[0] == pytest.approx(LOOK_SHARE * (1 - ROWS_SHARE))
        sigmas = [event.sigma for event in meter.events[:2]]
        assert answers.noise.size.sd == pytest.approx(1 / math.hypot(*(1 / s for s in sigmas)))


def test_a_number_of_rows_that_is_known_badly_is_counted_again() -> None:
    asks = asker(4000, 4.0)
    curator, meter = curator_of(table(4000, 2), SCHEMA, asks.budget)
    size = asks.ask(curator, Size(3950, 40.0, "before")).noise.size
    assert [event.query for event in meter.events][:2] == ["total", "misfits"]
    assert size.sd < meter.events[0].sigma < 40
    assert abs(size.rows - 4000) < 5 * size.sd
    assert size.origin == "before"


def test_no_other_part_for_the_number_of_rows_is_better() -> None:
    """The share that the formula gives has the least forecast error among many."""
    asks = asker(4000, 2.0)
    size, mu = Size(4000, 12.0, ""), asks._mu
    best = asks._forecast(size, mu)
    share = asks._share_of_size(size, mu)
    assert 0 < share < 1
    means = asks.subject.guess(4000)
    for other in np.linspace(0.02, 0.95, 40):
        again = asks._sigma(mu * math.sqrt(other))
        better = Size(4000, 1 / math.hypot(1 / size.sd, 1 / again), "")
        noise = asks._noise(better, mu * math.sqrt(1 - other))
        assert best <= noise.score(means) * (1 + 1e-6)


def test_answers_without_noise_give_the_internal_score() -> None:
    asks = asker(500, 50.0)
    real = table(800, 2)
    curator, _ = curator_of(real, SCHEMA, asks.budget, quiet=True)
    answers = asks.ask(curator, Size(800, 0.0, ""))
    tables = read_tables(real, {"s": table(500, 1)}, SCHEMA)
    found = distributions(tables, "s")
    for one in (*found.columns, *found.pairs):
        pair = isinstance(one, MarginalDistance)
        part, clique = ("pairs", one.columns) if pair else ("columns", (one.name,))
        assert answers.variations[part, OWN][clique] == pytest.approx(one.distance, abs=1 / 1600)
    score = headline_of(answers.means(asks.subject)).score.value
    assert score == pytest.approx(headline(found).score.value, abs=1)


def test_too_few_rows_are_refused_before_anything_is_asked() -> None:
    asks = asker(1000, 0.1)
    with pytest.raises(InputError, match=r"epsilon 0\.1 and about 1,000 rows .* points") as caught:
        asks.require_exact(Size(1000, 0.0, ""))
    enough = float(caught.value.remedy.split("about ")[1].split(",")[0])
    assert "declare" not in caught.value.remedy
    asker(1000, enough).require_exact(Size(1000, 0.0, ""))
    with pytest.raises(InputError):
        asker(1000, 0.8 * enough).require_exact(Size(1000, 0.0, ""))


def test_what_a_look_refuses_has_cost_only_that_look() -> None:
    asks = asker(1000, 0.1)
    curator, meter = curator_of(table(1000, 2), SCHEMA, asks.budget)
    with pytest.raises(TronieError, match="Only a look") as caught:
        asks.ask(curator, None)
    assert not isinstance(caught.value, InputError)
    assert "declare the number of rows" in caught.value.remedy
    (event,) = meter.events
    assert event.query == "total"
    assert 0.1 < event.mu / asks.budget.mu < 0.14


def test_a_forecast_is_the_error_of_the_answers() -> None:
    asks = asker(4000, 3.0)
    curator, _ = curator_of(table(4000, 2), SCHEMA, asks.budget)
    size = Size(4000, 0.0, "")
    answers = asks.ask(curator, size)
    assert answers.noise.score(asks.subject.guess(4000)) == pytest.approx(
        asks._forecast(size, asks._mu)
    )
    assert asks._forecast(size, asks._mu) < MOST_ERROR
