"""AIM, MST and PrivBayes of dpmm.

Usage:
    python run_dpmm.py aim|mst|privbayes TABLE FACTS EPSILON DELTA OUTPUT

Numbers with at most 128 public values and all categories are given as categories, other numbers with the
public range, for its own PrivTree bins. Binning spends beside epsilon, so that a tenth of the nominal one
goes there if there is such a column, and the rest to the method. Missing values of wide numbers: its own
indicator columns; others have a category for it.
"""

from __future__ import annotations

import sys
import warnings

import facts
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet
from dpmm.pipelines import AIMPipeline, MSTPipeline, PrivBayesPipeline

PREPARATION = 0.1
ROUNDS_PER_COLUMN = 2
MODEL_MB = 80

PIPELINES = {"aim": AIMPipeline, "mst": MSTPipeline, "privbayes": PrivBayesPipeline}


def given(rows: pa.Table, columns: facts.Facts) -> tuple[pd.DataFrame, dict]:
    """The table as it wants it, and the public domain."""
    frame: dict[str, pd.Series] = {}
    domain: dict[str, dict] = {}
    for name, column in columns.items():
        if facts.is_binned(column):
            frame[name] = pd.Series(facts.numbers(rows[name]))
            domain[name] = {"lower": column["min"], "upper": column["max"]}
        else:
            codes = facts.encode(rows[name], column)
            categories = [str(i) for i in range(facts.size(column))]
            frame[name] = pd.Series(pd.Categorical.from_codes(codes, categories))
            domain[name] = {"categories": categories}
    return pd.DataFrame(frame), domain


def returned(frame: pd.DataFrame, columns: facts.Facts, schema: pa.Schema) -> pa.Table:
    """Its synthetic table with the types of the original; numbers to the nearest public point."""
    arrays = {}
    rng = np.random.default_rng()
    for name, column in columns.items():
        kind = schema.field(name).type
        if facts.is_binned(column):
            values = frame[name].to_numpy(dtype=np.float64)
            arrays[name] = facts.nearest(values, column, kind)
        else:
            arrays[name] = facts.decode(frame[name].astype(int).to_numpy(), column, kind, rng)
    return pa.table(arrays)


def main() -> None:
    """Read, fit, write."""
    warnings.filterwarnings("ignore")
    method, table, known, epsilon, delta, output = sys.argv[1:]
    columns = facts.read(known)
    rows = pyarrow.parquet.read_table(table)
    frame, domain = given(rows, columns)
    share = PREPARATION if any(map(facts.is_binned, columns.values())) else 0.0
    pipeline = PIPELINES[method](
        epsilon=float(epsilon) * (1 - share),
        delta=float(delta),
        proc_epsilon=float(epsilon) * share or None,
        compress=True,
        max_model_size=MODEL_MB,
        n_jobs=1,
        gen_kwargs={"rounds": ROUNDS_PER_COLUMN * len(columns)} if method == "aim" else None,
    )
    pipeline.fit(frame, domain)
    synthetic = pipeline.generate(n_records=len(frame))
    pyarrow.parquet.write_table(returned(synthetic, columns, rows.schema), output)


if __name__ == "__main__":
    main()
