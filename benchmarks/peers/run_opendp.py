"""AIM and MST of OpenDP's extras.mbi.

Usage:
    python run_opendp.py aim|mst TABLE FACTS EPSILON DELTA OUTPUT

All columns as public codes, declared as keys, so that delta serves only the conversion to zCDP. It adds a
key of its own for unknown values to every column; where no value may be missing, synthetic cells with that
key are drawn anew from the rest of their column.
"""

from __future__ import annotations

import sys
from fractions import Fraction

import facts
import numpy as np
import opendp.prelude as dp
import polars as pl
import pyarrow.parquet
from zcdp import rho_of

ROUNDS_PER_COLUMN = 2
MODEL_MB = 80.0


def known_codes(values: pl.Series, missing: int, rng: np.random.Generator) -> np.ndarray:
    """Codes of a synthetic column: unknown ones are missing, or drawn from the others."""
    codes = values.cast(pl.Int64).fill_null(-1).to_numpy().copy()
    absent = codes < 0
    if missing >= 0:
        codes[absent] = missing
    elif absent.any():
        codes[absent] = rng.choice(codes[~absent], int(absent.sum()))
    return codes


def below(x: float) -> float:
    """The next smaller float."""
    return float(np.nextafter(x, -np.inf))


def sum_upwards(part: float, times: int) -> float:
    """A sum of equal parts, each addition rounded upwards."""
    total = 0.0
    for _ in range(times):
        exact = Fraction(total) + Fraction(part)
        total += part
        if Fraction(total) < exact:
            total = float(np.nextafter(total, np.inf))
    return total


def workable(rho: float, selections: int) -> float:
    """The largest parameter just below ``rho`` that its MST accepts.

    It splits the budget of the selections evenly, adds the parts up again rounding upwards, and refuses
    itself when the sum exceeds the whole by units in the last place. Only public numbers decide.
    """
    for step in range(10_000):
        tried = rho * (1 - step * 1e-9)
        pairs = below(below(tried - tried * 0.5))
        selecting = below(below(pairs - pairs * 0.9))
        if sum_upwards(below(selecting / selections), selections) <= selecting:
            return tried
    raise ValueError(f"no workable budget near {rho}")


def main() -> None:
    """Read, fit, write."""
    method, table, known, epsilon, delta, output = sys.argv[1:]
    columns = facts.read(known)
    rows = pyarrow.parquet.read_table(table)
    dp.enable_features("contrib")
    missing = {n: facts.size(c) - 1 if c["nullable"] else -1 for n, c in columns.items()}
    frame = pl.LazyFrame(
        {
            n: pl.Series(codes, dtype=pl.Int64).replace(missing[n], None)
            for n, codes in facts.encode_table(rows, columns).items()
        }
    )
    rho = rho_of(float(epsilon), float(delta))
    if method == "mst":
        rho = workable(rho, len(columns) - 1)
    context = dp.Context.compositor(
        data=frame,
        privacy_unit=dp.unit_of(contributions=1),
        privacy_loss=dp.loss_of(rho=rho),
        split_evenly_over=1,
    )
    algorithm = (
        dp.mbi.AIM(queries=2, max_size=MODEL_MB, rounds=ROUNDS_PER_COLUMN * len(columns))
        if method == "aim"
        else dp.mbi.MST()
    )
    release = (
        context.query()
        .select(*columns)
        .contingency_table(
            keys={n: list(range(facts.size(c) - c["nullable"])) for n, c in columns.items()},
            algorithm=algorithm,
        )
        .release()
    )
    synthetic = release.synthesize()
    rng = np.random.default_rng()
    codes = {n: known_codes(synthetic[n], missing[n], rng) for n in columns}
    pyarrow.parquet.write_table(facts.decode_table(codes, columns, rows.schema), output)


if __name__ == "__main__":
    main()
