"""AIM and MST of SmartNoise Synth.

Usage:
    python run_smartnoise.py aim|mst TABLE FACTS EPSILON DELTA OUTPUT

Its transformers are fitted to public values beforehand, so that nothing is read from the rows and no budget
goes to preparation: categories, and numbers with at most 128 public values, as labels; other numbers in its
own bins of equal width over the public range. It returns the middle of a bin. We ask for 32 bins; its
default is 10.
"""

from __future__ import annotations

import sys

import facts
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet
from snsynth.aim import AIMSynthesizer
from snsynth.mst import MSTSynthesizer
from snsynth.transform import BinTransformer, LabelTransformer
from snsynth.transform.table import TableTransformer

ROUNDS_PER_COLUMN = 2
MODEL_MB = 80


def given(rows: pa.Table, columns: facts.Facts) -> pd.DataFrame:
    """Wide numbers as they are, codes of all else."""
    return pd.DataFrame(
        {
            name: facts.numbers(rows[name])
            if facts.is_binned(column)
            else facts.encode(rows[name], column)
            for name, column in columns.items()
        }
    )


def transformer_of(columns: facts.Facts) -> TableTransformer:
    """Fitted to a made-up table that holds every public code."""
    longest = max(map(facts.size, columns.values()))
    made: dict[str, np.ndarray] = {}
    parts = []
    for name, column in columns.items():
        if facts.is_binned(column):
            parts.append(
                BinTransformer(
                    bins=facts.BINS,
                    lower=column["min"],
                    upper=column["max"],
                    nullable=column["nullable"],
                )
            )
            made[name] = np.full(longest, float(column["min"]))
        else:
            parts.append(LabelTransformer(nullable=False))
            made[name] = np.arange(longest) % facts.size(column)
    table = TableTransformer(parts)
    table.fit(pd.DataFrame(made))
    return table


def returned(frame: pd.DataFrame, columns: facts.Facts, schema: pa.Schema) -> pa.Table:
    """Its synthetic table with the types of the original; numbers to the nearest public point."""
    rng = np.random.default_rng()
    arrays = {}
    for name, column in columns.items():
        kind = schema.field(name).type
        values = frame[name].to_numpy(dtype=np.float64)
        if facts.is_binned(column):
            arrays[name] = facts.nearest(values, column, kind)
        else:
            arrays[name] = facts.decode(values.astype(np.int64), column, kind, rng)
    return pa.table(arrays)


def main() -> None:
    """Read, fit, write."""
    method, table, known, epsilon, delta, output = sys.argv[1:]
    columns = facts.read(known)
    rows = pyarrow.parquet.read_table(table)
    transformer = transformer_of(columns)
    if method == "aim":
        synthesizer = AIMSynthesizer(
            epsilon=float(epsilon),
            delta=float(delta),
            degree=2,
            max_model_size=MODEL_MB,
            rounds=ROUNDS_PER_COLUMN * len(columns),
        )
    else:
        synthesizer = MSTSynthesizer(epsilon=float(epsilon), delta=float(delta))
    synthesizer.fit(given(rows, columns), transformer=transformer)
    pyarrow.parquet.write_table(returned(synthesizer.sample(), columns, rows.schema), output)


if __name__ == "__main__":
    main()
