"""tronie, by the interpreter of the checkout.

Usage:
    python run_tronie.py METHOD TABLE FACTS EPSILON DELTA OUTPUT

Its schema is the file schema.json beside the facts, which says the same.
"""

from __future__ import annotations

import sys
from pathlib import Path

import tronie

method, table, facts, epsilon, delta, output = sys.argv[1:7]
ledger = Path(output).with_suffix(".ledger")
release = tronie.fit(
    table,
    Path(facts).with_name("schema.json"),
    epsilon=float(epsilon),
    delta=float(delta),
    method=method,
    ledger=ledger,
)
release.sample().write(output)
