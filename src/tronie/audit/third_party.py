"""Audits of any synthesizer that can be called: a table in, a table out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from tronie.audit.bounds import Claim
from tronie.audit.domain_canary import Run, domain_canary
from tronie.audit.ladder import RUNGS, Synthesize, ladder
from tronie.audit.replay import replay, split
from tronie.audit.result import Audit
from tronie.privacy.budget import DEFAULT_DELTA
from tronie.schema.schema import Schema


def audit_synthesizer(
    synthesize: Synthesize,
    table: Any,
    *,
    run: Run | None = None,
    schema: Schema | None = None,
    columns: Sequence[str] | None = None,
    rungs: Mapping[int, int] = RUNGS,
    epsilon: float | None = None,
    delta: float = DEFAULT_DELTA,
    claim: Claim = "any",
    confidence: float = 0.95,
    seed: int | None = None,
) -> tuple[Audit, Audit, Audit]:
    """Replay with a control group, domain canary and memorisation ladder, of any synthesizer.

    It is called three times: with a random half of the table, with the table and one odd row, and with
    the table and some secrets.

    Args:
        synthesize: A private table in (as an Arrow table), a synthetic table out (anything that speaks
            Arrow, or the path of a file).
        table: The private table, one row per unit.
        run: The same as a pipeline that writes files into a folder, for the domain canary to search
            (see `domain_canary`). Without one only the output is searched.
        schema: What the columns are; values are then compared on its lattices. The synthesizer must then
            take rows that the schema would clip.
        columns: Columns of the ladder's secrets; all when not given.
        rungs: Copies of a secret -> number of secrets.
        epsilon: What the synthesizer claims for one row; None where it claims nothing.
        delta: Likewise.
        claim: Whether it claims Gaussian DP.
        confidence: Of each of the three audits.
        seed: Makes coins, planted values and secrets repeatable.

    Returns:
        The three audits, in this order.

    Raises:
        InputError: If the table is too small, or holds too few combinations for the secrets.
    """
    members, control = split(table, seed=seed)
    common: dict[str, Any] = {"epsilon": epsilon, "delta": delta, "confidence": confidence}
    replayed = replay(synthesize(members), members, control, schema=schema, **common)

    odd = domain_canary(run or _output_of(synthesize), table, seed=seed, **common)
    climbed = ladder(
        synthesize,
        table,
        schema=schema,
        columns=columns,
        rungs=rungs,
        claim=claim,
        seed=seed,
        **common,
    )
    return replayed, odd, climbed


def _output_of(synthesize: Synthesize) -> Run:
    """A pipeline that leaves nothing behind but its output."""

    def run(planted: pa.Table, folder: Path) -> object:  # noqa: ARG001, nothing is written
        output = synthesize(planted)
        return Path(output).read_bytes() if isinstance(output, str | Path) else output

    return run
