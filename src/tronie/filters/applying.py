"""Filters on a synthetic table, one after the other."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from tronie.errors import InputError
from tronie.filters.result import CERTIFICATE, Filter, Filtered, read_stamp, steps_of
from tronie.privacy.certificate import Certificate
from tronie.privacy.disclaimer import NOT_PRIVATE
from tronie.release.rows import Rows
from tronie.tables.sources import open_source
from tronie.tables.stamp import says_not_private


def apply_filters(
    rows: Any,
    filters: Sequence[Filter],
    *,
    certificate: Certificate | None = None,
    voids_guarantee: bool = False,
) -> Filtered:
    """Drop the synthetic rows that some filters object to.

    A filter that looks at synthetic rows, the schema or a released model only cannot weaken a guarantee:
    what is done with a release afterwards is free. One that compares with real rows undoes it: under
    differential privacy every row may appear, and after such a filter the absence of a row tells that
    somebody is in the table.

    Args:
        rows: The synthetic table, as for `tronie.fit`; of a file in a release folder its certificate
            is read, and of a file that was filtered before its stamp.
        filters: At least one; each sees what the ones before it left.
        certificate: That of the release that the rows come from.
        voids_guarantee: Say that you know that comparing with real rows voids the guarantee.

    Guarantee:
        Rows that are stamped as differentially private have the certificate's guarantee.

    Raises:
        InputError: If a filter compares with real rows, and the rows belong to a release, or
            `voids_guarantee` is not set; nothing was filtered.
    """
    if not filters:
        raise InputError("there is no filter.", "Give at least one.")
    certificate = certificate or _certificate_beside(rows)
    against = [f.name for f in filters if f.reads == "real rows"]
    if against:
        _refuse(against[0], certificate, voids_guarantee=voids_guarantee)
    source = open_source(rows)
    table = pa.Table.from_batches(list(source.batches(source.schema.names)), schema=source.schema)
    given, dropped = table.num_rows, list[int]()
    for each in filters:
        kept = each.keep(table)
        dropped.append(int((~kept).sum()))
        table = table.take(pa.array(np.flatnonzero(kept)))
    dp, reason = _standing(rows, certificate, against)
    left = Rows(table).not_private() if says_not_private(rows) else Rows(table)
    return Filtered(left, steps_of(filters, dropped), given, dp, reason)


def _certificate_beside(rows: Any) -> Certificate | None:
    """The certificate of the release that a file belongs to."""
    if not isinstance(rows, str | Path):
        return None
    beside = Path(rows).parent / CERTIFICATE
    return Certificate.read(beside) if beside.exists() else None


def _refuse(name: str, certificate: Certificate | None, *, voids_guarantee: bool) -> None:
    if certificate is not None:
        raise InputError(
            f"{name} compares with real rows, and these synthetic rows belong to a release: what is "
            "left would not have the guarantee that its certificate states.",
            "Use filters that read synthetic rows, the schema or the model.",
        )
    if not voids_guarantee:
        raise InputError(
            f"{name} compares with real rows, which voids any guarantee of differential privacy.",
            "Say that you know it (voids_guarantee), or use filters that do not read real rows.",
        )


def _standing(
    rows: Any, certificate: Certificate | None, against: Sequence[str]
) -> tuple[bool | None, str]:
    """Whether the filtered rows are private, and why."""
    if against:
        return False, (
            f"{' and '.join(against)}: the filter compared with real rows, so that which rows are "
            "missing depends on them without noise."
        )
    if says_not_private(rows):
        return False, f"The rows were not private before. {NOT_PRIVATE}"
    before = read_stamp(Path(rows)) if isinstance(rows, str | Path) else None
    if before is not None and before["dp"] is False:
        return False, f"The rows were not private before: {before['reason']}"
    free = "the filters read synthetic rows, the schema or released numbers only"
    if certificate is not None:
        problems = certificate.verify().problems
        if problems:
            return None, f"The certificate does not hold ({problems[0]}), though {free}."
        claim = certificate.claim
        return True, (
            f"Epsilon {claim.epsilon:g} and delta {claim.delta:g} as before: {free}, and what is done "
            "with a release afterwards costs nothing."
        )
    return None, f"Whatever held for the rows before holds still: {free}."
