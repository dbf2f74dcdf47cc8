"""Small tables whose columns depend on each other, to be scored."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from synth_tables import schema_of

SCHEMA = schema_of(
    {
        "town": {"kind": "category", "values": ["a", "b", "c"]},
        "age": {"kind": "integer", "min": 0, "max": 9},
        "paid": {"kind": "boolean", "nullable": False},
    }
)


def table(rows: int, seed: int, towns: str = "abc") -> pa.Table:
    """Rows whose columns depend on each other."""
    rng = np.random.default_rng(seed)
    age = rng.integers(0, 10, rows)
    town = (age // 4 + (rng.random(rows) < 0.2)) % len(towns)
    names = np.array(list(towns))[town]
    return pa.table({"town": names.tolist(), "age": age, "paid": age > rng.integers(0, 10, rows)})
