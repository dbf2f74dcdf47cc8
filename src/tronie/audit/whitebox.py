"""The white-box game: which of two neighbouring tables was used? The best possible guess, many times over.

An attacker knows the method, both tables and everything that the curator answered, and has to say which of
the tables was behind it. The best guess rests on the likelihood ratio of the answers, and that is known
exactly (`tronie.audit.evidence`). No attack on the answers, or on anything made from them, does better.

What a method asks may depend on earlier answers, never on the rows. A few runs are replayed on the other
table with the same answers: if something else is asked, or another model comes out, the rows leak past the
curator, and what is asked becomes part of the attack.

A run goes the way of `tronie.fit`: the method's own plan, the curator that `tronie.release.fit` appoints,
the method's own fit. It ends with the last access, as what follows touches released numbers only.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from tronie.audit.bounds import CONFIDENCE, chosen, split_bound
from tronie.audit.evidence import Evidence, weights_of
from tronie.audit.games import Neighbours, neighbours
from tronie.audit.power import game_power, verdict
from tronie.audit.result import Audit, Verdict
from tronie.audit.witness import Diverged, Enough, Remembered, Tape, Witness
from tronie.errors import InputError, TronieError
from tronie.measure.curator import Curator, Meter
from tronie.measure.noise import Noise
from tronie.privacy.accounting import total_delta, total_mu
from tronie.privacy.budget import Budget
from tronie.privacy.events import Event
from tronie.release.fit import appoint
from tronie.synth.learning import TRAIN
from tronie.synth.method import Synthesizer
from tronie.synth.methods import AUTO, best_for, method_named
from tronie.tables.sources import open_source

RELATION = "add/remove one unit"
"""The neighbours of all claims that tronie makes."""

THREAT_MODEL = (
    "The attacker knows the method and all rows but those of one unit, knows that unit, and sees every "
    "answer that the curator gave."
)

USED_UP = 1 - 1e-4
"""Part of the budget (of mu squared) after which no access is awaited."""

REPLAYS = 2
"""Runs of each table that are replayed on the other."""


@dataclass(frozen=True, slots=True)
class Game:
    """A mechanism, a claim, and two neighbouring tables.

    Attributes:
        name: What is played.
        pair: The tables.
        budget: The claim.
        mu: Gaussian parameter that the mechanism uses up.
        run: The mechanism: it asks the curator, and what it returns is public.
        noise: Source of randomness; the operating system's unless a test injects another.
    """

    name: str
    pair: Neighbours
    budget: Budget
    mu: float
    run: Callable[[Curator], object]
    noise: Noise | None = None

    def observe(self, runs: int) -> tuple[Evidence, Evidence]:
        """Evidence of so many runs without the unit, and with it.

        If rows leak past the curator, a run is replayed on both tables, and its evidence is infinite
        where only one of them leads to what was asked.
        """
        table = _Table(self)
        leak = table.leak()
        without, included = (
            Evidence.of([table.evidence(used, leak) for _ in range(runs)]) for used in (0, 1)
        )
        return without, included

    def leak(self) -> str:
        """What depends on the rows but by an answer: `question`, `result` or nothing."""
        return _Table(self).leak()

    def play(self, runs: int, confidence: float = CONFIDENCE) -> Audit:
        """Play it and judge.

        Args:
            runs: Runs with the unit, and as many without it.
            confidence: Probability with which a correct claim is not called a violation.
        """
        return self.judge(*self.observe(runs), confidence=confidence)

    def judge(
        self, without: Evidence, included: Evidence, *, confidence: float = CONFIDENCE
    ) -> Audit:
        """What the evidence of some runs says about the claim.

        The runs that choose the threshold also choose the weights of the evidence's parts. The bound is
        the one for claims of Gaussian DP, if what a run is charged for claims that.

        Args:
            without: Evidence of runs without the unit.
            included: Evidence of runs with it.
            confidence: Probability with which a correct claim is not called a violation.
        """
        epsilon, delta = self.budget.epsilon, self.budget.delta
        weights = weights_of(
            *(
                found.take(chosen(found.runs, side)[0])
                for side, found in enumerate((without, included))
            )
        )
        scores = without.total(weights), included.total(weights)
        events = _Table(self).charged()
        claim = "gaussian" if total_mu(events) <= self.budget.mu else "any"
        slack = min(total_delta(events), delta)
        bound = split_bound(*scores, delta, claim=claim, confidence=confidence, slack=slack)
        power = game_power(epsilon, delta, min(without.runs, included.runs), confidence, claim)
        found = verdict(bound.epsilon, power, epsilon)
        errors = bound.errors
        return Audit(
            name=f"white-box game: {self.name}",
            epsilon=epsilon,
            delta=delta,
            relation=RELATION,
            threat_model=THREAT_MODEL,
            runs=without.runs + included.runs,
            confidence=confidence,
            lower=bound.epsilon,
            power=power,
            verdict=found,
            finding=_finding(found, bound.epsilon, power, epsilon),
            details={
                "neighbours": self.pair.name,
                "claim": claim,
                "false_alarms": errors.false_alarms,
                "without": errors.without,
                "misses": errors.misses,
                "included": errors.included,
                "less_noise_than_declared": sorted(weights),
                "lower_any_mechanism": split_bound(*scores, delta, confidence=confidence).epsilon,
            },
        )


class _Table:
    """Where a game is played: the two tables, read once."""

    def __init__(self, game: Game) -> None:
        self._game = game
        schema, pair = game.pair.schema, game.pair
        self._pair = (
            Remembered(open_source(pair.without), schema),
            Remembered(open_source(pair.included), schema),
        )

    def evidence(self, used: int, leak: str) -> dict[str, tuple[float, float]]:
        """How much the answers of one run speak for the unit.

        Args:
            used: 1 if the unit is in the table, else 0.
            leak: What else depends on the rows.
        """
        if not leak:
            return self._run(used).evidence
        tape = Tape()
        found = self._run(used, tape, whole=leak == "result").evidence
        out, there = (self._repeats(other, tape, leak) for other in (0, 1))
        return found if out == there else {**found, "leak": (math.inf if there else -math.inf, 0.0)}

    def leak(self) -> str:
        """What depends on the rows but by an answer."""
        for kind, count in (("question", REPLAYS), ("result", 1)):
            for used in (0, 1):
                for _ in range(count):
                    tape = Tape()
                    self._run(used, tape, whole=kind == "result")
                    if not self._repeats(1 - used, tape, kind):
                        return kind
        return ""

    def charged(self) -> tuple[Event, ...]:
        """What a run is charged for."""
        meter = Meter(self._game.budget)
        self._run(0, meter=meter)
        return meter.events

    def _run(
        self,
        used: int,
        tape: Tape | None = None,
        *,
        whole: bool = False,
        meter: Meter | None = None,
    ) -> Witness:
        """One run on one of the tables."""
        game = self._game
        enough = math.inf if whole else game.mu * USED_UP**0.5
        witness = appoint(
            partial(Witness, pair=self._pair, tape=tape, enough=enough),
            self._pair[used],
            meter or Meter(game.budget),
            game.pair.schema,
            noise=game.noise,
        )
        try:
            result = game.run(witness)
        except Enough:
            return witness
        if tape is not None:
            tape.take(None, "result", result)
        return witness

    def _repeats(self, used: int, tape: Tape, leak: str) -> bool:
        """Whether a table leads to all that is on a tape."""
        tape.rewind()
        try:
            self._run(used, tape, whole=leak == "result")
        except (Diverged, TronieError):
            return False
        return True


def method_game(
    method: str | Synthesizer,
    epsilon: float,
    delta: float,
    *,
    pair: str | Neighbours = "ones",
    noise: Noise | None = None,
) -> Game:
    """The game of a whole method.

    Args:
        method: Its name, or itself.
        epsilon: The claim.
        delta: The claim's delta.
        pair: Two neighbouring tables, or the name of such a pair.
        noise: Source of randomness; the operating system's unless a test injects another.

    Raises:
        InputError: If the method trains a network on rows: its answers are not weighed here, and its runs
            take seconds. See `tronie.audit.onerun.one_run_of`.
    """
    tables = neighbours(pair) if isinstance(pair, str) else pair
    schema, budget = tables.schema, Budget(epsilon, delta)
    if isinstance(method, str):
        method = best_for(schema)[0] if method == AUTO else method_named(method)
    plan = method.plan(schema, budget, tables.settings(method.name))
    if any(step.name == TRAIN for step in plan.steps):
        raise InputError(
            f"the method {method.name} trains a network, too slowly for a game of many runs.",
            "Audit it in one run with many canaries: tronie.audit.onerun.one_run_of.",
        )
    played = method
    return Game(
        method.name,
        tables,
        budget,
        plan.mu,
        lambda curator: played.fit(curator, schema, plan),
        noise,
    )


def query_game(
    name: str,
    ask: Callable[[Curator], object],
    epsilon: float,
    delta: float,
    *,
    pair: str | Neighbours = "ones",
    noise: Noise | None = None,
) -> Game:
    """The game of some queries, such as a single mechanism.

    Args:
        name: What is asked.
        ask: Asks the curator, within the budget.
        epsilon: The claim.
        delta: The claim's delta.
        pair: Two neighbouring tables, or the name of such a pair.
        noise: Source of randomness; the operating system's unless a test injects another.
    """
    tables = neighbours(pair) if isinstance(pair, str) else pair
    budget = Budget(epsilon, delta)
    return Game(name, tables, budget, budget.mu, ask, noise)


def play(
    method: str | Synthesizer,
    epsilon: float,
    delta: float,
    runs: int,
    *,
    pair: str | Neighbours = "ones",
    confidence: float = CONFIDENCE,
    noise: Noise | None = None,
) -> Audit:
    """Play the white-box game of a method.

    Args:
        method: Its name, or itself.
        epsilon: The claim.
        delta: The claim's delta.
        runs: Runs with the unit, and as many without it.
        pair: Two neighbouring tables, or the name of such a pair.
        confidence: Probability with which a correct claim is not called a violation.
        noise: Source of randomness; the operating system's unless a test injects another.

    Returns:
        The audit. Its `lower` is the bound for mechanisms that claim Gaussian DP, as all marginal methods;
        the one that holds for any mechanism is among the details.
    """
    return method_game(method, epsilon, delta, pair=pair, noise=noise).play(runs, confidence)


def _finding(found: Verdict, lower: float, power: float, epsilon: float) -> str:
    """One sentence for people who are no statisticians."""
    if found == "violation":
        return (
            f"The release gives away more than epsilon {epsilon:g} allows: so many guesses were right "
            f"that epsilon is at least {lower:.2f}."
        )
    shown = f"The best possible guess showed an epsilon of at least {lower:.2f}"
    could = f"a release that uses up all of the claimed {epsilon:g} would have shown {power:.2f}"
    if found == "consistent":
        return f"{shown}; {could}."
    return f"{shown}, but that says little: even {could} in so few runs."
