"""The white-box game goes the public road, and its evidence is the best there is."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from tronie.audit.evidence import Evidence
from tronie.audit.games import NEIGHBOURS, Neighbours, neighbours
from tronie.audit.power import game_power
from tronie.audit.whitebox import Game, method_game, play, query_game
from tronie.errors import InputError
from tronie.measure.curator import Curator
from tronie.measure.noise import InsecureNoise
from tronie.measure.queries import Selection, Total
from tronie.privacy.budget import Budget
from tronie.privacy.events import sigma_for
from tronie.privacy.gdp import gdp_epsilon
from tronie.schema.grid import Coding, Grid
from tronie.synth import gibbs
from tronie.synth.aim import Aim
from tronie.synth.layers import Level
from tronie.synth.learning import TRAIN
from tronie.synth.methods import METHODS
from tronie.synth.mst import Mst

DELTA = 1e-5


def trains(method: str) -> bool:
    pair = neighbours("ones")
    plan = METHODS[method].plan(pair.schema, Budget(8.0, DELTA), pair.settings(method))
    return any(step.name == TRAIN for step in plan.steps)


def test_a_method_that_trains_is_audited_elsewhere() -> None:
    with pytest.raises(InputError, match="trains a network"):
        method_game("transformer", 8.0, DELTA)


@pytest.mark.parametrize("method", [name for name in METHODS if not trains(name)])
def test_every_method_keeps_its_claim(method: str) -> None:
    audit = play(method, 8.0, DELTA, 40, noise=InsecureNoise(2))
    assert audit.verdict != "violation"
    assert audit.name == f"white-box game: {method}"
    assert audit.runs == 80
    assert audit.lower <= audit.epsilon == 8.0
    assert audit.power == game_power(8.0, DELTA, 40)


@pytest.mark.parametrize("chosen", [Mst("exponential"), Aim("exponential")], ids=["mst", "aim"])
def test_methods_with_exponential_mechanisms(chosen: Mst | Aim) -> None:
    game = method_game(chosen, 8.0, DELTA, noise=InsecureNoise(2))
    without, included = game.observe(15)
    assert any(key.startswith("selection") for key in without.parts)
    assert game.judge(without, included).verdict != "violation"


def test_gibbs_beside_its_tree(monkeypatch: pytest.MonkeyPatch) -> None:
    """A tree of one batch leaves a pair, whose distance is asked again."""
    once = {e: replace(d, tree=Level(1, 100)) for e, d in gibbs.DEPTHS.items()}
    monkeypatch.setattr(gibbs, "DEPTHS", once)
    game = method_game("gibbs", 30.0, DELTA, noise=InsecureNoise(2))
    without, included = game.observe(15)
    assert sum(key.startswith("misfits") for key in without.parts) > 1
    assert game.judge(without, included).verdict != "violation"


@pytest.mark.parametrize("pair", NEIGHBOURS)
@pytest.mark.parametrize("method", ["independent", "privbayes", "mwem"])
def test_every_pair(pair: str, method: str) -> None:
    game = method_game(method, 8.0, DELTA, pair=pair, noise=InsecureNoise(2))
    without, included = game.observe(8)
    assert game.judge(without, included).verdict != "violation"
    if pair != "unseen":
        assert included.total().mean() > without.total().mean()


@pytest.mark.parametrize("method", ["independent", "direct", "mst", "privbayes", "aim"])
def test_a_whole_unit_is_seen(method: str) -> None:
    """All accesses together tell the tables apart as well as the plan's mu allows."""
    game = method_game(method, 0.2, DELTA, noise=InsecureNoise(4))
    for side in game.observe(3):
        information = sum(part.information for part in side.parts.values())
        assert np.sqrt(information) == pytest.approx(game.mu, rel=1e-3)


def test_evidence_lies_where_the_information_says() -> None:
    """Its means are mu squared apart, and its standard deviation is mu (4 standard errors)."""
    runs = 150
    game = method_game("mst", 2.0, DELTA, noise=InsecureNoise(4))
    without, included = (side.total() for side in game.observe(runs))
    error = game.mu * math.sqrt(2 / runs)
    assert included.mean() - without.mean() == pytest.approx(game.mu**2, abs=4 * error)
    assert without.std() == pytest.approx(game.mu, rel=4 / math.sqrt(2 * runs))


def test_what_is_found_privately_is_played() -> None:
    def asked(pair: str) -> set[str]:
        game = method_game("independent", 8.0, DELTA, pair=pair, noise=InsecureNoise(2))
        return {key.split()[0] for key in game.observe(2)[0].parts}

    assert {"magnitudes", "decimals"} <= asked("bounds")
    assert "keys" in asked("category")
    assert asked("ones") == {"total", "marginal"}


def test_auto_is_a_method() -> None:
    assert method_game("auto", 1.0, DELTA).name == "glaze"
    with pytest.raises(InputError, match="no method"):
        method_game("nothing", 1.0, DELTA)


def test_a_unit_of_several_rows_gets_more_noise() -> None:
    game = method_game("independent", 8.0, DELTA, pair="unit", noise=InsecureNoise(2))
    included = game.observe(10)[1]
    information = sum(part.information for part in included.parts.values())
    assert np.sqrt(information) == pytest.approx(game.mu, rel=0.05)


def count_game(noise: InsecureNoise | None = None) -> Game:
    return query_game("count", lambda curator: curator.ask([Total(6.0)]), 1.0, DELTA, noise=noise)


def test_real_audits_take_fresh_noise() -> None:
    assert not np.array_equal(*(count_game().observe(20)[0].total() for _ in range(2)))
    same = (count_game(InsecureNoise(1)).observe(20)[0].total() for _ in range(2))
    assert np.array_equal(*same)


def scores(values: np.ndarray) -> Evidence:
    return Evidence.of([{"all": (float(value), 0.0)} for value in values])


@pytest.mark.parametrize(
    ("mu", "runs", "said"),
    [(0.0, 50, "inconclusive"), (0.0, 20_000, "consistent"), (3.0, 500, "violation")],
)
def test_what_scores_say(mu: float, runs: int, said: str) -> None:
    rng = np.random.default_rng(1)
    without, included = rng.normal(size=runs), rng.normal(mu, size=runs)
    audit = count_game().judge(scores(without), scores(included))
    assert audit.verdict == said
    assert (audit.epsilon, audit.delta, audit.confidence) == (1.0, DELTA, 0.95)
    assert f"{audit.lower:.2f}" in audit.finding
    words = {
        "violation": "gives away more than epsilon 1 allows",
        "consistent": "would have shown",
        "inconclusive": "says little",
    }
    assert words[said] in audit.finding
    if mu:
        assert audit.lower < gdp_epsilon(mu, DELTA)
    assert audit.details["lower_any_mechanism"] <= audit.lower


def test_claims_beyond_gaussian_dp_are_judged_without_it() -> None:
    """One choice with a pure epsilon of 3 costs 3, though the Gaussian that dominates it costs 9."""

    def ask(curator: Curator) -> object:
        columns = neighbours("ones").schema.modelled
        curator.recode({n: Coding.identity(Grid.of(c, c.points)) for n, c in columns.items()})
        references = {("a",): np.array([10, 5]), ("b",): np.array([6, 0])}
        return curator.select(Selection(references, 2.99))

    game = query_game("choice", ask, 3.0, DELTA, noise=InsecureNoise(1))
    audit = game.play(50)
    assert 0.0 < audit.lower == audit.details["lower_any_mechanism"] < 3.0
    assert audit.details["claim"] == "any"
    assert audit.power == game_power(3.0, DELTA, 50, claim="any")


def test_a_pair_of_ones_own() -> None:
    columns = {"x": {"kind": "integer", "min": 0, "max": 9}}
    pair = Neighbours.of("mine", {"columns": columns}, [], [{"x": 3}])
    audit = play("independent", 8.0, DELTA, 20, pair=pair, noise=InsecureNoise(0))
    assert audit.details["neighbours"] == "mine"
    assert audit.verdict != "violation"


class Moody:
    """Asks one question of two, by the rows themselves: what no method may do."""

    def __init__(self, result: bool) -> None:
        self.result = result

    def __call__(self, curator: Curator) -> object:
        rows = int(curator._records.count([()], {})[()])
        sigma = sigma_for(curator.budget.mu)
        curator.ask([Total(sigma if self.result or rows == 10 else 7.0)])
        return rows if self.result else None


@pytest.mark.parametrize(("result", "kind"), [(True, "result"), (False, "question")])
def test_what_leaks_past_the_curator(result: bool, kind: str) -> None:
    game = query_game("moody", Moody(result), 1.0, DELTA, noise=InsecureNoise(1))
    assert game.leak() == kind
    without, included = game.observe(30)
    assert set(without.total()) == {-math.inf}
    assert set(included.total()) == {math.inf}
    assert game.judge(without, included).verdict == "violation"


def test_a_mechanism_that_repeats_nothing_is_judged_by_its_answers() -> None:
    """If neither table leads to the same questions again, replays say nothing."""
    rng = np.random.default_rng(0)

    def ask(curator: Curator) -> object:
        return curator.ask([Total(6.0 + rng.random())])

    game = query_game("random", ask, 1.0, DELTA, noise=InsecureNoise(1))
    assert game.leak() == "question"
    assert np.isfinite(game.observe(10)[0].total()).all()
