"""Curators for tests of methods."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from tronie.measure.curator import Curator, Meter
from tronie.measure.noise import InsecureNoise
from tronie.measure.records import Records
from tronie.privacy.budget import Budget
from tronie.schema.domain import Clique
from tronie.schema.schema import Schema
from tronie.synth.settings import DEFAULTS, Settings, workload_columns
from tronie.synth.workload import Workload
from tronie.tables.sources import open_source


def schema_of(columns: dict[str, Any], **more: Any) -> Schema:
    """A schema of some columns."""
    return Schema.model_validate({"name": "test", "columns": columns, **more})


class Quiet(Curator):
    """A curator that adds no noise but charges for it."""

    def _blur(self, exact: np.ndarray, sigma: float) -> np.ndarray:
        return exact


def curator_of(
    table: pa.Table,
    schema: Schema,
    budget: Budget,
    *,
    quiet: bool = False,
    seed: int = 0,
) -> tuple[Curator, Meter]:
    """A curator of a table with test noise, or with none."""
    meter = Meter(budget)
    kind = Quiet if quiet else Curator
    rows = Records(open_source(table), schema)
    unit = schema.unit.max_rows
    return kind(rows, meter, rows_per_unit=unit, noise=InsecureNoise(seed)), meter


def chain(columns: Sequence[str]) -> dict[Clique, float]:
    """A workload of neighbouring columns."""
    pairs = itertools.pairwise(columns)
    return dict.fromkeys(pairs, 1.0) or {(columns[0],): 1.0}


def settings_for(method: str, schema: Schema) -> Settings:
    """A workload for the method that cannot do without one, and nothing for others."""
    if method != "direct":
        return DEFAULTS
    return Settings(workload=Workload(chain(workload_columns(schema))))
