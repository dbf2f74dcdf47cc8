"""MST of SmartNoise Synth as its documentation shows it: the table alone, nothing declared.

Usage:
    python run_smartnoise.py mst TABLE EPSILON DELTA OUTPUT FOLDER

Of epsilon, 0.3 parts are its preprocessor's. Nothing is stored: it has no format of its own for a model.
"""

from __future__ import annotations

import sys
import warnings

import pandas as pd
from snsynth import Synthesizer

warnings.filterwarnings("ignore")
method, table, epsilon, delta, output, folder = sys.argv[1:]
frame = pd.read_parquet(table)
synthesizer = Synthesizer.create(method, epsilon=float(epsilon), delta=float(delta), verbose=False)
synthesizer.fit(frame, preprocessor_eps=0.3 * float(epsilon))
synthesizer.sample(len(frame)).to_parquet(output)
