"""An audit in one run: many canaries, each put into the table or left out by a fair coin of its own.

One run then holds as many games as there are canaries, which matters where a run is dear. The attacker
guesses which canaries are in; under differential privacy few such guesses can be right beyond chance. The
bounds are weaker than those of the two-sided game with as many runs, since canaries disturb one another and
since the analysis allows for the worst dependence among the guesses.

Source: Steinke, Nasr, Jagielski 2023, arXiv 2305.08846; with a claim of Gaussian DP: Mahloujifar, Melis,
Chaudhuri 2024, arXiv 2410.22235.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tronie.audit.bounds import (
    CONFIDENCE,
    Claim,
    one_run_epsilon,
    one_run_gaussian_epsilon,
)
from tronie.audit.power import best_guesses, guess, one_run_power, verdict
from tronie.audit.result import Audit
from tronie.audit.trained import WEIGHED, Trained
from tronie.errors import InputError
from tronie.measure.curator import Curator, Meter
from tronie.measure.noise import Noise
from tronie.measure.queries import CountQuery, Ints, Marginal
from tronie.measure.records import Records
from tronie.measure.training_state import Receipt, TrainingState
from tronie.privacy.accounting import samples
from tronie.privacy.budget import Budget
from tronie.release.fit import appoint
from tronie.schema.domain import Clique
from tronie.schema.grid import Coding
from tronie.schema.schema import Schema
from tronie.synth.method import Synthesizer
from tronie.synth.methods import method_named
from tronie.synth.settings import DEFAULTS, Settings
from tronie.tables.codec import encode
from tronie.tables.sources import open_source

if TYPE_CHECKING:
    import pyarrow as pa

    from tronie.measure.descent import Descent

Floats: TypeAlias = NDArray[np.float64]
Flags: TypeAlias = NDArray[np.bool_]

RELATION = "add/remove one canary"

NOT_CHARGED = Receipt("", (), 0, 0)
"""Of a network before its training."""

THREAT_MODEL = (
    "The attacker knows all canaries and all other rows, sees what the run gave away, and guesses which "
    "canaries took part."
)


def coins(canaries: int, seed: int | None = None) -> Flags:
    """Which canaries are put in: independent fair coins.

    Args:
        canaries: Their number.
        seed: For a repeatable audit; without one the operating system's entropy decides.

    Returns:
        True for those that are in, shape (canaries,).
    """
    return np.random.default_rng(seed).random(canaries) < 0.5


def one_run(
    scores: ArrayLike,
    included: ArrayLike,
    epsilon: float,
    delta: float,
    guesses: int | None = None,
    *,
    claim: Claim = "any",
    confidence: float = CONFIDENCE,
    name: str = "one run",
    threat_model: str = THREAT_MODEL,
) -> Audit:
    """Judge one run by the scores of its canaries.

    Args:
        scores: One for each canary, shape (canaries,); larger where it seems to have taken part.
        included: Whether it did, shape (canaries,); by the coins of `coins`, thrown beforehand.
        epsilon: The claim, for adding or removing one canary.
        delta: The claim's delta.
        guesses: About how many canaries to guess; must not depend on the scores. By default as many
            as would show most if canaries did not disturb one another.
        claim: `gaussian` if the mechanism claims Gaussian DP: then `lower` is that bound, else the one
            for any mechanism. Both are among the details.
        confidence: Probability with which a correct claim is not called a violation.
        name: Which attack.
        threat_model: What the attacker sees and knows.

    Raises:
        InputError: If shapes differ, a score is not a number, or there are more guesses than canaries.

    >>> rng = np.random.default_rng(1)
    >>> included = coins(500, seed=2)
    >>> one_run(rng.normal(size=500) + 9 * included, included, 1.0, 1e-5).verdict
    'violation'
    """
    canaries = len(np.asarray(scores))
    if guesses is None:
        guesses = best_guesses(epsilon, delta, canaries, confidence, claim)
    found = guess(scores, included, guesses)
    by_any = one_run_epsilon(found, delta, confidence)
    by_gaussian = one_run_gaussian_epsilon(found, delta, confidence)
    lower = by_gaussian if claim == "gaussian" else by_any
    power = one_run_power(epsilon, delta, canaries, guesses, confidence, claim)
    said = verdict(lower, power, epsilon)
    return Audit(
        name=name,
        epsilon=epsilon,
        delta=delta,
        relation=RELATION,
        threat_model=threat_model,
        runs=canaries,
        confidence=confidence,
        lower=lower,
        power=power,
        verdict=said,
        finding=(
            f"{found.correct:,} of {found.guessed:,} guesses about {canaries:,} canaries were right, which "
            f"shows an epsilon of at least {lower:.2f} (claimed {epsilon:g}; had that been used up by "
            f"canaries that do not disturb one another, about {power:.2f})."
        ),
        details={
            "guessed": found.guessed,
            "correct": found.correct,
            "lower_any_mechanism": by_any,
            "lower_gaussian_dp": by_gaussian,
        },
    )


@dataclass(frozen=True, slots=True)
class Heard:
    """A marginal that the curator released.

    Attributes:
        clique: Its columns.
        codings: How they were coded then.
        schema: The schema by which rows were read then.
        counts: Noisy counts.
        sigma: Scale of their noise.
    """

    clique: Clique
    codings: Mapping[str, Coding]
    schema: Schema
    counts: Ints
    sigma: float

    def score(self, known: Records, canaries: pa.Table) -> Floats:
        """By how much the cell of each canary exceeds the count of known rows, in noise variances."""
        rest = (
            self.counts - known.under(self.schema).count([self.clique], self.codings)[self.clique]
        )
        columns = self.schema.modelled
        cells = tuple(
            self.codings[c].code_of(encode(c, columns[c], canaries[c].combine_chunks()))
            for c in self.clique
        )
        return rest[cells] / self.sigma**2


class Listener(Curator):
    """A curator that keeps the marginals that it released, and the states of trainings.

    Attributes:
        heard: Released marginals, in the order in which they were asked for.
        trained: Trainings on rows.
    """

    def __init__(self, *args: Any, schema: Schema, **options: Any) -> None:
        super().__init__(*args, **options)
        self.heard: list[Heard] = []
        self.trained: list[Trained] = []
        self._schema = schema

    def adopt(self, schema: Schema) -> None:
        """Read rows by this schema from now on."""
        super().adopt(schema)
        self._schema = schema

    def ask(self, queries: Sequence[CountQuery]) -> list[Ints]:
        """Answer several queries with discrete Gaussian noise."""
        answers = super().ask(queries)
        self.heard += [
            Heard(query.clique, self._codings, self._schema, answer, query.sigma)
            for query, answer in zip(queries, answers, strict=True)
            if isinstance(query, Marginal)
        ]
        return answers

    def train(
        self, network: Any, columns: Sequence[str], descent: Descent, **options: Any
    ) -> TrainingState:
        """Fit a network to the rows, and keep all its states."""
        before = copy.deepcopy(network)
        weights = np.concatenate(
            [p.detach().cpu().numpy().reshape(-1) for p in network.parameters() if p.requires_grad]
        )
        nothing = np.zeros_like(weights)
        states = [TrainingState(0, 0, weights, nothing, nothing, NOT_CHARGED)]
        if options.get("state"):
            states = [options["state"]]
        options |= {"keep": states.append, "keep_every": 1}
        ended = super().train(network, columns, descent, **options)
        self.trained.append(
            Trained(
                before,
                tuple(columns),
                self._codings,
                self._schema,
                descent,
                tuple(states),
                options.get("texts"),
            )
        )
        return ended


def one_run_of(
    method: str | Synthesizer,
    rows: pa.Table,
    canaries: pa.Table,
    schema: Schema,
    epsilon: float,
    delta: float,
    *,
    included: Flags | None = None,
    settings: Settings = DEFAULTS,
    guesses: int | None = None,
    steps: int = WEIGHED,
    confidence: float = CONFIDENCE,
    noise: Noise | None = None,
) -> Audit:
    """Audit one of tronie's methods in one run, by the marginals that it measures and by its trainings.

    The score of a canary is the sum, over all released marginals, of its cell's noisy count less what
    known rows account for, in units of the noise's variance: the log likelihood ratio, had no other
    canary the same cell. Noisy sums of gradients add theirs (`tronie.audit.trained.Trained.score`). A
    method that trains on sampled rows does not claim Gaussian DP, so the bound is then the one for any
    mechanism.

    Args:
        method: The method or its name.
        rows: Rows that always take part.
        canaries: Rows that take part by coins, of the same columns.
        schema: Public facts; its unit is one row.
        epsilon: The claim.
        delta: The claim's delta.
        included: Which canaries take part; by default fresh coins decide.
        settings: Wishes for the method.
        guesses: About how many canaries to guess.
        steps: Steps of a training that are weighed, at most.
        confidence: Probability with which a correct claim is not called a violation.
        noise: Source of randomness; the operating system's unless a test injects another.

    Raises:
        InputError: If the unit is not one row.
    """
    import pyarrow as pa

    if schema.unit.max_rows != 1:
        raise InputError("canaries are single rows, but the unit is not.", "Let it be one row.")
    chosen = method_named(method) if isinstance(method, str) else method
    included = coins(canaries.num_rows) if included is None else included
    budget = Budget(epsilon, delta)
    plan = chosen.plan(schema, budget, settings)
    private = pa.concat_tables([rows, canaries.filter(pa.array(included))])

    def listener(*args: Any, **options: Any) -> Listener:
        return Listener(*args, schema=schema, **options)

    known = Records(open_source(rows), schema)
    meter = Meter(budget)
    curator = appoint(listener, Records(open_source(private), schema), meter, schema, noise=noise)
    chosen.fit(curator, schema, plan)
    scores = sum(
        (heard.score(known, canaries) for heard in curator.heard), np.zeros(canaries.num_rows)
    )
    marked = Records(open_source(canaries), schema)
    for training in curator.trained:
        scores += training.score(known, marked, steps)
    return one_run(
        scores,
        included,
        epsilon,
        delta,
        guesses,
        claim="any" if samples(meter.events) else "gaussian",
        confidence=confidence,
        name=f"one run: {chosen.name}",
    )
