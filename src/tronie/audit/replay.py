"""Replay with a control group: does the output hold more rows of its input than of other people?

Rows of an output that are also in its input prove nothing: common rows recur by chance, and a good method
at epsilon 1 replays an eighth of the unique rows of a narrow table. So the units are divided by coin into
members, which the generator sees, and a control group, which it does not. The excess of members among the
rows that appear in the output is evidence, and the one-run bound turns it into an epsilon. It takes no
extra training and no model of the attacker.

Source of the bound: Steinke, Nasr, Jagielski 2023, arXiv 2305.08846.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from tronie.audit.bounds import Guesses, rate_at_least, rate_at_most
from tronie.audit.guessing import guess_epsilon, guess_power, verdict_of
from tronie.audit.result import Audit
from tronie.errors import InputError
from tronie.privacy.budget import DEFAULT_DELTA
from tronie.schema.grid import Floats, Ints
from tronie.schema.schema import Schema
from tronie.tables.arrays import Bools
from tronie.tables.matching import comparable, row_keys
from tronie.tables.sources import open_source

COMMON = 0.01
"""Rows that chance alone puts into the output this often, on average, are no evidence."""


def replay(
    synthetic: Any,
    members: Any,
    control: Any,
    *,
    schema: Schema | None = None,
    columns: Sequence[str] | None = None,
    epsilon: float | None = None,
    delta: float = DEFAULT_DELTA,
    confidence: float = 0.95,
) -> Audit:
    """Compare how often rows of members and of a control group appear in an output.

    All rows are compared, exactly and by type. A row counts if it is the only one of its kind in both
    groups together, and if columns drawn independently, each as in the output, would rarely make it
    (`COMMON`). Both can be told without knowing who is a member, so they bias nothing.

    Args:
        synthetic: The output, as tables are given to `tronie.fit`.
        members: The rows that the generator saw.
        control: Rows of the same population that it did not see. Which unit is in which group was
            decided at random, each by a coin of its own (`split` does that); the coin need not be fair.
        schema: What the columns are; values are then compared on its lattices.
        columns: Compare these only.
        epsilon: What the generator claims for one row. None where nothing is claimed: then any
            dependence on who was a member contradicts what is tested, that nothing was memorised.
        delta: Likewise.
        confidence: With which a correct claim is not called a violation.

    Raises:
        InputError: If a group or the output is empty, or there is no column to compare.
        SchemaMismatch: If the tables do not fit together, or to the schema.
    """
    found = comparable([members, control, synthetic], schema, columns)
    inside, outside, output = row_keys(found.tables)
    if not (len(inside) and len(outside) and len(output)):
        raise InputError("a table has no rows.", "Give members, a control group and an output.")
    share = len(inside) / (len(inside) + len(outside))
    size = 1 + max(int(keys.max()) for keys in (inside, outside, output))
    single = np.bincount(np.concatenate([inside, outside]), minlength=size) == 1
    seen = np.bincount(output, minlength=size) > 0
    rare = [_is_rare(table, found.tables[2]) for table in found.tables[:2]]
    telling = [single[keys] & kept for keys, kept in zip((inside, outside), rare, strict=True)]
    hits = [int((seen[k] & t).sum()) for k, t in zip((inside, outside), telling, strict=True)]
    sizes = [int(kept.sum()) for kept in telling]
    guesses = Guesses(len(inside) + len(outside), sum(hits), hits[0])
    lower = guess_epsilon(guesses, delta, confidence, share)
    power = guess_power(sum(sizes), epsilon, delta, confidence, share)
    details = {
        "columns": list(found.columns),
        "members": _group(len(inside), sizes[0], hits[0], confidence),
        "control": _group(len(outside), sizes[1], hits[1], confidence),
        "rows": len(output),
    }
    return Audit(
        name="replay with a control group",
        epsilon=epsilon,
        delta=delta,
        relation="add/remove one unit",
        threat_model="The attacker sees the output, and knows the rows of all units but not which were in.",
        runs=sum(sizes),
        confidence=confidence,
        lower=lower,
        power=power,
        verdict=verdict_of(lower, epsilon, power),
        finding=_finding(sizes, hits, lower, confidence),
        details=details,
    )


def split(table: Any, *, share: float = 0.5, seed: int | None = None) -> tuple[pa.Table, pa.Table]:
    """Divide a table into members and a control group: each row by a coin of its own.

    Args:
        table: As for `tronie.fit`; one row per unit.
        share: Probability with which a row becomes a member.
        seed: Makes the coins repeatable. Nobody who makes the output may know it.

    Raises:
        InputError: If the share is not between 0 and 1.
    """
    if not 0.0 < share < 1.0:
        raise InputError(f"the share is {share}.", "Give a number between 0 and 1.")
    source = open_source(table)
    rows = pa.Table.from_batches(list(source.batches(source.schema.names)), schema=source.schema)
    chosen = np.random.default_rng(seed).random(rows.num_rows) < share
    return tuple(rows.take(pa.array(np.flatnonzero(side))) for side in (chosen, ~chosen))  # type: ignore[return-value]


def _is_rare(rows: Mapping[str, Ints], output: Mapping[str, Ints]) -> Bools:
    """Whether independent columns, as in the output, would make fewer than `COMMON` of each row."""
    length = len(next(iter(output.values())))
    expected: Floats = np.full(len(next(iter(rows.values()))), np.log(length))
    for name, values in output.items():
        distinct, counts = np.unique(values, return_counts=True)
        at = np.minimum(np.searchsorted(distinct, rows[name]), len(distinct) - 1)
        logs = np.where(distinct[at] == rows[name], np.log(counts[at] / length), -np.inf)
        expected += logs
    return expected < np.log(COMMON)


def _group(rows: int, telling: int, hits: int, confidence: float) -> dict[str, float]:
    each = 0.5 + 0.5 * confidence
    return {
        "rows": rows,
        "telling": telling,
        "replayed": hits,
        "rate": hits / telling if telling else 0.0,
        "low": float(rate_at_least(hits, telling, each)) if telling else 0.0,
        "high": float(rate_at_most(hits, telling, each)),
    }


def _finding(sizes: Sequence[int], hits: Sequence[int], lower: float, confidence: float) -> str:
    counts = (
        f"Of {sizes[0]:,} distinct rows that the generator saw, {hits[0]:,} appear in its output; of "
        f"{sizes[1]:,} that it did not see, {hits[1]:,}"
    )
    if lower:
        return (
            f"{counts}: it repeats its input, with epsilon at least {lower:.2f} ({confidence:.0%})."
        )
    return f"{counts}: no sign that it repeats its input."
