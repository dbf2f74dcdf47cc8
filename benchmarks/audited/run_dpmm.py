"""MST of dpmm: with nothing declared, or with the public domain; the fitted pipeline is stored.

Usage:
    python run_dpmm.py mst|mst-declared TABLE EPSILON DELTA OUTPUT FOLDER

A tenth of epsilon is its binning's. The domain is that of Adult's documentation. Unknown categories are set
to the last one beforehand, as its users have to do; numbers beyond the bounds are left to it.
"""

from __future__ import annotations

import sys
import warnings

import pandas as pd
from dpmm.pipelines import MSTPipeline

warnings.filterwarnings("ignore")

BOUNDS = {"age": (17, 90), "hours-per-week": (1, 99), "capital-gain": (0, 99_999)}
VALUES = {
    "workclass": [
        "Private",
        "Self-emp-not-inc",
        "Self-emp-inc",
        "Federal-gov",
        "Local-gov",
        "State-gov",
        "Without-pay",
        "Never-worked",
        "?",
    ],
    "education": [
        "Preschool",
        "1st-4th",
        "5th-6th",
        "7th-8th",
        "9th",
        "10th",
        "11th",
        "12th",
        "HS-grad",
        "Some-college",
        "Assoc-voc",
        "Assoc-acdm",
        "Bachelors",
        "Masters",
        "Prof-school",
        "Doctorate",
    ],
}

method, table, epsilon, delta, output, folder = sys.argv[1:]
frame = pd.read_parquet(table)
domain = None
if method == "mst-declared":
    domain = {}
    for name, (low, high) in BOUNDS.items():
        domain[name] = {"lower": low, "upper": high}
    for name, values in VALUES.items():
        known = frame[name].where(frame[name].isin(values), values[-1])
        frame[name] = pd.Categorical(known, categories=values)
        domain[name] = {"categories": values}
else:
    for name in VALUES:
        frame[name] = frame[name].astype("category")
pipeline = MSTPipeline(
    epsilon=0.9 * float(epsilon),
    delta=float(delta),
    proc_epsilon=0.1 * float(epsilon),
    n_jobs=1,
)
pipeline.fit(frame, domain)
synthetic = pipeline.generate(n_records=len(frame))
for name in VALUES:
    synthetic[name] = synthetic[name].astype(str)
synthetic.to_parquet(output)
pipeline.store(folder)
