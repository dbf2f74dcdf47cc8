"""The memorisation ladder: secrets inserted 1, 2, 4, ... times, beside secrets that never were.

A demonstration that plants a value in some rows and counts it in the output leaves open what chance would
have made, and how much a claim allows for so many rows. Here every secret has a coin of its own: it is
inserted as often as its rung says, or not at all and serves as a control. A claim for one row allows less
and less for many: each rung is held against what follows from it.

Secrets beside others that are never inserted: Carlini et al. 2019, arXiv 1802.08232. Bounds: Steinke,
Nasr, Jagielski 2023, arXiv 2305.08846, with the k rows of a secret as one unit.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from types import MappingProxyType
from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa

from tronie.audit.bounds import LARGEST_EPSILON, Claim, Guesses, rate_at_least, rate_at_most
from tronie.audit.group import allowed, group_delta
from tronie.audit.guessing import guess_epsilon, guess_p_value, verdict_of
from tronie.audit.result import Audit
from tronie.audit.secrets import Secrets, draw_secrets
from tronie.errors import InputError
from tronie.privacy.budget import DEFAULT_DELTA
from tronie.privacy.gdp import gdp_epsilon, gdp_mu
from tronie.privacy.normal import smallest
from tronie.schema.schema import Schema
from tronie.tables.arrays import Bools
from tronie.tables.matching import comparable, row_keys
from tronie.tables.sources import open_source

Synthesize: TypeAlias = Callable[[pa.Table], Any]
"""A private table in, a synthetic table out, as tables are given to `tronie.fit`."""

RUNGS: Mapping[int, int] = MappingProxyType(
    {1: 256, 2: 128, 4: 64, 8: 32, 16: 16, 32: 16, 64: 16, 128: 16}
)
"""Copies of a secret -> number of such secrets; half of them, on average, are inserted."""

ODD = 1e-6
"""The delta at which a Gaussian claim for many rows is turned into an epsilon."""


@dataclass(frozen=True, slots=True)
class Rung:
    """Secrets that were inserted equally often.

    Attributes:
        copies: How often.
        inserted: Number of secrets that were.
        replayed: Those of them that are in the output.
        rate: Their share.
        low: Lower limit of the rate, at the audit's confidence for the two limits together.
        high: Upper limit.
        controls: Number of secrets of this rung that the coin left out.
        chance: Those of them that are in the output all the same.
        allowed: Largest rate that the claim allows, given that of the controls; None without a claim.
        lower: The epsilon for one row that this rung shows, all rungs holding together.
    """

    copies: int
    inserted: int
    replayed: int
    rate: float
    low: float
    high: float
    controls: int
    chance: int
    allowed: float | None
    lower: float


def ladder(
    synthesize: Synthesize,
    table: Any,
    *,
    schema: Schema | None = None,
    columns: Sequence[str] | None = None,
    rungs: Mapping[int, int] = RUNGS,
    secrets: Secrets | None = None,
    epsilon: float | None = None,
    delta: float = DEFAULT_DELTA,
    claim: Claim = "any",
    confidence: float = 0.95,
    seed: int | None = None,
) -> Audit:
    """Insert secrets, synthesize once, and count which of them come out.

    A secret is a combination of values of some columns that no row has; it has come out if a synthetic
    row has exactly these values. Inserted rows take all other values from real rows drawn at random.
    This runs on a contaminated copy of the table: never release its output.

    Args:
        synthesize: The generator. It is called once.
        table: The private table.
        schema: What the columns are: secrets are drawn evenly from its lattices, and compared on them.
            Without one they are drawn from each column's range or values.
        columns: Columns of a secret; all, when not given.
        rungs: Copies -> number of secrets.
        secrets: Draws secrets in another way: (how many, generator) -> a table of `columns`.
        epsilon: What the generator claims for one row; None where it claims nothing.
        delta: Likewise.
        claim: Whether the generator claims Gaussian DP; then more copies are allowed less.
        confidence: With which a correct claim is not called a violation, for all rungs together.
        seed: Makes secrets and coins repeatable.

    Returns:
        The audit; `details["rungs"]` holds a `Rung` for each rung, as plain data.

    Raises:
        InputError: If the columns hold too few combinations for so many secrets.
    """
    if not rungs or min(rungs) < 1:
        raise InputError("there is no rung.", "Give numbers of copies, each at least 1.")
    rng = np.random.default_rng(seed)
    source = open_source(table)
    rows = pa.Table.from_batches(list(source.batches(source.schema.names)), schema=source.schema)
    drawn = draw_secrets(rows, sum(rungs.values()), rng, schema, columns, secrets)
    coins = rng.random(drawn.num_rows) < 0.5
    copies = np.repeat(list(rungs), list(rungs.values()))
    output = synthesize(_contaminated(rows, drawn, np.where(coins, copies, 0), rng))
    found = comparable([drawn, output], schema, drawn.column_names)
    secret, written = row_keys(found.tables)
    replayed = np.isin(secret, written)
    each = 1.0 - (1.0 - confidence) / len(rungs)
    climbed = [
        _rung(k, replayed[copies == k], coins[copies == k], confidence, each, delta, claim)
        for k in rungs
    ]
    base = _chance(replayed[~coins], confidence)
    if epsilon is not None:
        climbed = [_with_allowed(r, base["high"], epsilon, delta, claim) for r in climbed]
    lower = max(rung.lower for rung in climbed)
    power = max(_ideal(k, n, epsilon, each, delta, claim) for k, n in rungs.items())
    first = _guesses(replayed[copies == copies[0]], coins[copies == copies[0]])
    details = {
        "columns": drawn.column_names,
        "rungs": [asdict(rung) for rung in climbed],
        "control": base,
        "first_rung_epsilon": guess_epsilon(first, delta, confidence) / min(rungs),
        "inserted_rows": int(copies[coins].sum()),
        "rows": rows.num_rows,
    }
    return Audit(
        name="memorisation ladder",
        epsilon=epsilon,
        delta=delta,
        relation="add/remove one unit",
        threat_model="The attacker sees the output, and knows the secrets but not which were inserted.",
        runs=len(coins),
        confidence=confidence,
        lower=lower,
        power=power,
        verdict=verdict_of(lower, epsilon, power),
        finding=_finding(climbed, base, lower),
        details=details,
    )


def _contaminated(
    rows: pa.Table, secrets: pa.Table, copies: np.ndarray[Any, Any], rng: np.random.Generator
) -> pa.Table:
    """The table with each secret inserted that often, in random order."""
    which = np.repeat(np.arange(secrets.num_rows), copies)
    added = rows.take(pa.array(rng.integers(0, rows.num_rows, len(which))))
    planted = secrets.take(pa.array(which))
    for name in secrets.column_names:
        added = added.set_column(
            added.column_names.index(name), added.schema.field(name), planted[name]
        )
    both = pa.concat_tables([rows, added])
    return both.take(pa.array(rng.permutation(both.num_rows)))


def _guesses(replayed: Bools, coins: Bools) -> Guesses:
    return Guesses(len(coins), int(replayed.sum()), int((replayed & coins).sum()))


def _rung(
    copies: int,
    replayed: Bools,
    coins: Bools,
    confidence: float,
    each: float,
    delta: float,
    claim: Claim,
) -> Rung:
    guesses = _guesses(replayed, coins)
    inserted, both = int(coins.sum()), 0.5 + 0.5 * confidence
    return Rung(
        copies=copies,
        inserted=inserted,
        replayed=guesses.correct,
        rate=guesses.correct / inserted if inserted else 0.0,
        low=float(rate_at_least(guesses.correct, inserted, both)) if inserted else 0.0,
        high=float(rate_at_most(guesses.correct, inserted, both)),
        controls=len(coins) - inserted,
        chance=guesses.guessed - guesses.correct,
        allowed=None,
        lower=_one_row(copies, guesses, each, delta, claim),
    )


def _with_allowed(rung: Rung, base: float, epsilon: float, delta: float, claim: Claim) -> Rung:
    mu = gdp_mu(epsilon, delta) if claim == "gaussian" else None
    most = allowed(rung.copies, base, epsilon=epsilon, delta=delta, mu=mu)
    return replace(rung, allowed=most)


def _chance(replayed: Bools, confidence: float) -> dict[str, float]:
    """How often secrets come out that were never inserted."""
    hits, trials = int(replayed.sum()), len(replayed)
    return {
        "secrets": trials,
        "replayed": hits,
        "rate": hits / trials if trials else 0.0,
        "high": float(rate_at_most(hits, trials, confidence)),
    }


def _one_row(copies: int, guesses: Guesses, confidence: float, delta: float, claim: Claim) -> float:
    """Lower bound of the epsilon of one row, from guesses about groups of them."""

    def possible(epsilon: float) -> bool:
        many, odd = _implied(copies, epsilon, delta, claim)
        return guess_p_value(guesses, many, odd) > 1.0 - confidence

    if possible(0.0) or not guesses.guessed:
        return 0.0
    return smallest(possible, 0.0, LARGEST_EPSILON)


def _implied(copies: int, epsilon: float, delta: float, claim: Claim) -> tuple[float, float]:
    """Epsilon and delta of a group, as far as they follow from those of one row."""
    if epsilon == 0.0:
        return 0.0, min(copies * delta, 1.0)
    if claim == "gaussian":
        return gdp_epsilon(copies * gdp_mu(epsilon, delta), ODD), ODD
    return copies * epsilon, group_delta(copies, epsilon, delta)


def _ideal(
    copies: int, secrets: int, epsilon: float | None, confidence: float, delta: float, claim: Claim
) -> float:
    """The bound if all inserted secrets came out, and as few others as the claim allows."""
    inside = (secrets + 1) // 2
    others = 0
    if epsilon is not None:
        many = _implied(copies, epsilon, delta, claim)[0]
        others = min(math.ceil(inside * math.exp(-many)), secrets - inside)
    return _one_row(copies, Guesses(secrets, inside + others, inside), confidence, delta, claim)


def _finding(rungs: Sequence[Rung], base: Mapping[str, float], lower: float) -> str:
    first, last = rungs[0], rungs[-1]
    shares = ", ".join(
        f"{rung.replayed} of {rung.inserted} that were inserted {_times(rung.copies)}"
        for rung in (first, last)
    )
    said = f"{shares}, and {base['replayed']:g} of {base['secrets']:g} that never were"
    if lower:
        return f"Secrets that came out: {said}. One row's epsilon is at least {lower:.2f}."
    return f"Secrets that came out: {said}. No rung shows that rows are remembered."


def _times(copies: int) -> str:
    return "once" if copies == 1 else f"{copies} times"
