"""Membership inference: who was in the table, from the synthetic rows alone?

Two attacks, each a score for every unit that is larger where it seems to have been in the table. `density`
asks where synthetic rows are denser than the population; it needs no knowledge of the method, and finds
generators that copy or overfit. `focal_points` looks at the tables that a marginal method measures, where
its output follows the data most closely.

The attacker has the rows of all units, members and others together, and does not know which are which. That
union stands for the population in both scores, so that they treat members and others alike.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from tronie.audit.bounds import Claim, Guesses, rate_at_least, rate_at_most
from tronie.audit.guessing import guess_epsilon, verdict_of
from tronie.audit.result import Audit
from tronie.errors import InputError
from tronie.privacy.budget import DEFAULT_DELTA
from tronie.privacy.gdp import gdp_mu, tpr_at_fpr
from tronie.release.model import Model
from tronie.schema.domain import Clique
from tronie.schema.grid import Coding, Floats, Ints
from tronie.schema.schema import Schema
from tronie.tables.arrays import Bools
from tronie.tables.matching import Comparable, comparable, read_points, row_keys
from tronie.tables.vectors import vectors

DIMENSIONS = 8
"""Principal components in which densities are compared."""

TARGETS = 10_000
"""Units that are attacked, at most, half of them members where the groups are alike."""

BINS = 20
"""Codes of about equal mass that an ordered column with more values is cut into."""

RATES = (0.001, 0.01)
"""False positive rates at which true ones are shown."""

GUESSED = (0.01, 0.1)
"""Parts of the units, those with the largest scores, that the bound rests on."""

_SOFT = 1e-3
"""Distance that counts as none, relative to the median one."""


def density(
    synthetic: Any,
    members: Any,
    control: Any,
    *,
    schema: Schema | None = None,
    columns: Sequence[str] | None = None,
    epsilon: float | None = None,
    delta: float = DEFAULT_DELTA,
    claim: Claim = "any",
    confidence: float = 0.95,
    targets: int = TARGETS,
    seed: int = 0,
) -> Audit:
    """Attack by the ratio of two densities, of synthetic rows and of the population.

    Rows become vectors of ranks and indicators, and these their first principal components
    (`tronie.tables.vectors`). A density is that of the nearest neighbour: the score is the logarithm
    of the distance to the nearest other row of the union over that to the nearest synthetic row.

    Args:
        synthetic: The output, as tables are given to `tronie.fit`.
        members: The rows that the generator saw.
        control: Rows of the same population that it did not see; who is where was decided by coin.
        schema: What the columns are.
        columns: Compare these only.
        epsilon: What the generator claims for one row; None where nothing is claimed.
        delta: Likewise.
        claim: Whether it claims Gaussian DP: then true positive rates are held against that bound.
        confidence: With which a correct claim is not called a violation.
        targets: Units that are attacked, at most.
        seed: Chooses them.

    Raises:
        InputError: If a table has no rows, or there is no column to compare.
        SchemaMismatch: If the tables do not fit together, or to the schema.

    Source: van Breugel et al. 2023, arXiv 2302.12580 (DOMIAS), with another estimate of densities.
    """
    found = comparable([members, control, synthetic], schema, columns)
    inside, outside, output = vectors(found, dimensions=DIMENSIONS)
    _require_rows(inside, outside, output)
    union = np.concatenate([inside, outside])
    attacked = _chosen(len(union), targets, seed)
    to_output = _distances(output, union[attacked], 1)
    others = _distances(union, union[attacked], 2)  # the nearest one is the unit itself
    soft = _SOFT * (float(np.median(others)) or 1.0)
    scores = np.log(others + soft) - np.log(to_output + soft)
    return _audit(
        "membership by density",
        "The attacker sees the output, and knows the rows of all units but not which were in.",
        scores,
        attacked < len(inside),
        len(inside) / len(union),
        (epsilon, delta, claim, confidence),
        {"columns": list(found.columns), "dimensions": DIMENSIONS},
    )


def focal_points(
    synthetic: Any,
    members: Any,
    control: Any,
    *,
    schema: Schema | None = None,
    weights: Mapping[Clique, float] | None = None,
    model: Model | None = None,
    columns: Sequence[str] | None = None,
    epsilon: float | None = None,
    delta: float = DEFAULT_DELTA,
    claim: Claim = "any",
    confidence: float = 0.95,
    targets: int = TARGETS,
    seed: int = 0,
) -> Audit:
    """Attack a marginal method where its output follows the data: at the cells that it measures.

    The score is the weighted sum, over sets of columns, of the logarithm of the share of synthetic rows in
    the unit's cell over the share of all other units in it.

    Args:
        synthetic: The output, as tables are given to `tronie.fit`.
        members: The rows that the generator saw.
        control: Rows of the same population that it did not see; who is where was decided by coin.
        schema: What the columns are; that of the model when not given.
        weights: Sets of columns that the method tends to measure -> how often (`selection_weights`).
            When not given, those that the model measured, or else all pairs alike.
        model: The released model: its codes are the cells.
        columns: Use these only.
        epsilon: What the generator claims for one row; None where nothing is claimed.
        delta: Likewise.
        claim: Whether it claims Gaussian DP.
        confidence: With which a correct claim is not called a violation.
        targets: Units that are attacked, at most.
        seed: Chooses them.

    Raises:
        InputError: If a table has no rows, or there is no set of columns.
        SchemaMismatch: If the tables do not fit together, or to the schema.

    Source: Golob, Pentyala, Maratkhan, De Cock 2024, arXiv 2410.05506 (MAMA-MIA).
    """
    tables = [members, control, synthetic]
    coded = _cells(comparable(tables, schema, columns)) if model is None else _coded(tables, model)
    weights = _weights(weights, model, list(coded[0]))
    inside = len(next(iter(coded[0].values())))
    _require_rows(*(next(iter(table.values())) for table in coded))
    union = {name: np.concatenate([coded[0][name], coded[1][name]]) for name in coded[0]}
    size = len(next(iter(union.values())))
    attacked = _chosen(size, targets, seed)
    scores = np.zeros(len(attacked))
    for clique, weight in weights.items():
        scores += weight * _log_ratio(coded[2], union, clique)[attacked]
    return _audit(
        "membership by focal points",
        "The attacker sees the output, knows the method, and knows the rows of all units but not "
        "which were in.",
        scores,
        attacked < inside,
        inside / size,
        (epsilon, delta, claim, confidence),
        {"marginals": len(weights)},
    )


def selection_weights(models: Iterable[Model]) -> dict[Clique, float]:
    """How often each set of columns was measured.

    Args:
        models: Fits of the same method to tables like the private one, such as parts of the rows that
            the attacker has.

    Returns:
        Sets of two or more columns, in sorted order -> share of the models that measured it.
    """
    counts: dict[Clique, int] = {}
    total = 0
    for model in models:
        total += 1
        measured = {tuple(sorted(m.clique)) for m in model.measurements.marginals}
        for clique in sorted(measured):
            if len(clique) > 1:
                counts[clique] = counts.get(clique, 0) + 1
    return {clique: count / total for clique, count in counts.items()}


def _coded(tables: Sequence[Any], model: Model) -> list[dict[str, Ints]]:
    """The model's own codes."""
    columns = {name: model.schema.modelled[name] for name in model.codings}
    return [_in_codes(read_points(table, columns), model.codings) for table in tables]


def _in_codes(points: Mapping[str, Ints], codings: Mapping[str, Coding]) -> dict[str, Ints]:
    return {name: codings[name].code_of(values) for name, values in points.items()}


def _cells(found: Comparable) -> list[dict[str, Ints]]:
    """Values as they are, but for ordered columns with many: these are cut by the synthetic rows."""
    coded: list[dict[str, Ints]] = [{} for _ in found.tables]
    for name in found.columns:
        output = found.tables[2][name]
        cuts = np.unique(np.concatenate([table[name] for table in found.tables]))
        if name in found.ordered and len(cuts) > BINS and len(output):
            cuts = np.unique(np.quantile(output, np.linspace(0, 1, BINS + 1)[1:-1]))
        for place, table in enumerate(found.tables):
            coded[place][name] = np.searchsorted(cuts, table[name], side="right").astype(np.int64)
    return coded


def _weights(
    given: Mapping[Clique, float] | None, model: Model | None, columns: Sequence[str]
) -> dict[Clique, float]:
    if given is not None:
        weights = dict(given)
    elif model is not None and (measured := selection_weights([model])):
        weights = measured
    else:
        weights = {(a, b): 1.0 for i, a in enumerate(columns) for b in columns[:i]}
    unknown = {column for clique in weights for column in clique} - set(columns)
    if unknown or not weights:
        raise InputError(
            f"there is no marginal over {', '.join(sorted(unknown)) or 'two columns'}.",
            f"Name sets of {', '.join(columns)}.",
        )
    return weights


def _log_ratio(output: Mapping[str, Ints], union: Mapping[str, Ints], clique: Clique) -> Floats:
    """Logarithm of a cell's share of the output over its share of the other units, for each unit."""
    tables = [{name: table[name] for name in clique} for table in (output, union)]
    written, units = row_keys(tables)
    cells = 1 + max(int(written.max()), int(units.max()))
    synthetic = np.bincount(written, minlength=cells)
    population = np.bincount(units, minlength=cells)
    shares = (synthetic + 0.5) / len(written)
    others = (population - 0.5) / len(units)  # one less for the unit itself, and the same half more
    return np.log(shares[units]) - np.log(others[units])


def _distances(rows: Floats, targets: Floats, k: int) -> Floats:
    """Distance of each target to its k-th nearest row."""
    from scipy.spatial import KDTree  # pyright: ignore[reportMissingTypeStubs]

    tree: Any = KDTree(rows)
    return np.asarray(tree.query(targets, k=[min(k, len(rows))])[0], np.float64)[:, 0]


def _chosen(size: int, targets: int, seed: int) -> Ints:
    return np.sort(np.random.default_rng(seed).permutation(size)[:targets])


def _require_rows(*tables: np.ndarray[Any, Any]) -> None:
    if not all(len(table) for table in tables):
        raise InputError("a table has no rows.", "Give members, a control group and an output.")


def _audit(
    name: str,
    threat_model: str,
    scores: Floats,
    coins: Bools,
    share: float,
    claimed: tuple[float | None, float, Claim, float],
    details: Mapping[str, Any],
) -> Audit:
    epsilon, delta, _, confidence = claimed
    each = 1.0 - (1.0 - confidence) / len(GUESSED)
    order = _largest_first(scores)
    lower = power = 0.0
    for part in GUESSED:
        count = max(round(part * len(scores)), 1)
        guesses = Guesses(len(scores), count, int(coins[order[:count]].sum()))
        lower = max(lower, guess_epsilon(guesses, delta, each, share))
        odds = 1.0 if epsilon is None else _right(epsilon, share)
        ideal = Guesses(len(scores), count, math.floor(count * odds))
        power = max(power, guess_epsilon(ideal, delta, each, share))
    inside, outside = scores[coins], scores[~coins]
    auc = _auc(inside, outside)
    rates = [_rate(inside, outside, rate, claimed) for rate in RATES]
    return Audit(
        name=name,
        epsilon=epsilon,
        delta=delta,
        relation="add/remove one unit",
        threat_model=threat_model,
        runs=len(scores),
        confidence=confidence,
        lower=lower,
        power=power,
        verdict=verdict_of(lower, epsilon, power),
        finding=_finding(auc, rates[-1]),
        details={"auc": auc, "rates": rates, "attacked": len(scores), **details},
    )


def _right(epsilon: float, share: float) -> float:
    """Probability that the best guess is right, under a tight claim."""
    return share / (share + (1.0 - share) * math.exp(-epsilon))


def _largest_first(scores: Floats) -> Ints:
    """Order of the scores; equal ones in an order that has nothing to do with who is who."""
    shuffled = np.random.default_rng(0).permutation(len(scores))
    return shuffled[np.argsort(-scores[shuffled], kind="stable")]


def _auc(inside: Floats, outside: Floats) -> float:
    """Probability that a member's score is above another's; ties count half."""
    if not (len(inside) and len(outside)):
        return 0.5
    ordered = np.sort(outside)
    below = np.searchsorted(ordered, inside, side="left")
    not_above = np.searchsorted(ordered, inside, side="right")
    return float((below + not_above).mean() / 2 / len(outside))


def _rate(
    inside: Floats,
    outside: Floats,
    rate: float,
    claimed: tuple[float | None, float, Claim, float],
) -> dict[str, float | None]:
    """The true positive rate at a false one, its interval, and what the claim allows."""
    epsilon, delta, claim, confidence = claimed
    most = math.floor(rate * len(outside))
    threshold = np.sort(outside)[::-1][most] if most < len(outside) else -math.inf
    hits, each = int((inside > threshold).sum()), 0.5 + 0.5 * confidence
    allowed = None
    if epsilon is not None:
        allowed = min(math.exp(min(epsilon, 500.0)) * rate + delta, 1.0)
        allowed = min(allowed, 1.0 - (1.0 - delta - rate) * math.exp(-epsilon))
        if claim == "gaussian":
            allowed = min(allowed, tpr_at_fpr(gdp_mu(epsilon, delta), rate))
    return {
        "fpr": rate,
        "tpr": hits / len(inside) if len(inside) else 0.0,
        "low": float(rate_at_least(hits, len(inside), each)) if len(inside) else 0.0,
        "high": float(rate_at_most(hits, len(inside), each)),
        "allowed": allowed,
    }


def _finding(auc: float, rate: Mapping[str, float | None]) -> str:
    bound = rate["allowed"]
    claimed = "" if bound is None else f" (the claim allows {bound:.1%})"
    return (
        f"At {rate['fpr']:.0%} false alarms the attack finds {rate['tpr']:.1%} of those who were in"
        f"{claimed}; it orders a member above another {auc:.1%} of the time, where chance gives 50 %."
    )
