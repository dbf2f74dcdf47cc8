"""The tables of the benchmark: where each lies in the data folder, and what is publicly known of it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
import yaml

from peers.facts import Facts

SCHEMAS = Path(__file__).parent.parent / "schemas"
ADULT = Path(__file__).parent.parent.parent / "src" / "tronie" / "data" / "adult.yaml"
ORDERED = {"age", "fnlwgt", "education-num", "capital-gain", "capital-loss", "hours-per-week"}
"""Columns of coded Adult whose codes are cells of a number."""


@dataclass(frozen=True, slots=True)
class Table:
    """One table.

    Args:
        name: Its name here.
        file: Its place in the data folder.
        schema: The file of its public facts, where it is not coded.
        domain: Number of codes by column, where it is coded: a file in the data folder, or the numbers.
    """

    name: str
    file: str
    schema: Path | None = None
    domain: str | tuple[int, ...] = ()

    @property
    def coded(self) -> bool:
        """Whether all its columns are codes from zero."""
        return self.schema is None


TABLES = {
    table.name: table
    for table in (
        Table(
            "adult_discrete", "adult_discrete/adult.csv", domain="adult_discrete/adult-domain.json"
        ),
        Table("nltcs", "privmrf_bench/nltcs.parquet", domain=(2,) * 16),
        Table("acs", "privmrf_bench/acs.parquet", domain=(2,) * 23),
        Table(
            "br2000",
            "privmrf_bench/br2000.parquet",
            domain=(2, 7, 21, 10, 16, 2, 2, 2, 2, 4, 16, 2, 16, 2),
        ),
        Table("airline", "airline/airline_train.parquet", SCHEMAS / "airline.yaml"),
        Table(
            "bank_marketing",
            "bank_marketing/bank_marketing.parquet",
            SCHEMAS / "bank_marketing.yaml",
        ),
        Table(
            "california_housing",
            "california_housing/california_housing.parquet",
            SCHEMAS / "california_housing.yaml",
        ),
        Table("adult", "adult/adult.parquet", SCHEMAS / "adult.yaml"),
        Table("nist_acs_ma", "nist_acs_ma/ma2019.parquet", SCHEMAS / "nist_acs_ma.yaml"),
        Table(
            "acs_employment_ma",
            "acs_employment_ma/acs_employment_ma.parquet",
            SCHEMAS / "acs_employment_ma.yaml",
        ),
    )
}


@dataclass(frozen=True, slots=True)
class Prepared:
    """What a run needs of a table: its rows, the facts for peers, and the same facts as our schema."""

    rows: pa.Table
    facts: Facts
    schema: dict[str, Any]


def prepare(table: Table, data: Path) -> Prepared:
    """Read a table; identifiers are left out, because no peer has a notion of them."""
    path = data / table.file
    rows = pyarrow.csv.read_csv(path) if path.suffix == ".csv" else pyarrow.parquet.read_table(path)
    if table.schema is None:
        sizes = domain(table, data, rows)
        rows = rows.select(list(sizes))
        schema = coded_schema(table.name, sizes)
    else:
        schema = yaml.safe_load(table.schema.read_text())
        schema.pop("constraints", None)
        columns = {n: c for n, c in schema["columns"].items() if c["kind"] != "identifier"}
        schema["columns"] = columns
        rows = rows.select(list(columns))
    rows = rows.replace_schema_metadata(None)
    return Prepared(rows, facts_of(schema), schema)


def domain(table: Table, data: Path, rows: pa.Table) -> dict[str, int]:
    """Number of codes by column."""
    if isinstance(table.domain, str):
        return json.loads((data / table.domain).read_text())
    return dict(zip(rows.column_names, table.domain, strict=True))


def coded_schema(name: str, sizes: dict[str, int]) -> dict[str, Any]:
    """Our schema of a table of codes."""
    return {
        "tronie": 1,
        "name": name,
        "columns": {
            column: {"kind": "integer", "min": 0, "max": size - 1, "nullable": False}
            if name == "adult_discrete" and column in ORDERED
            else {"kind": "category", "values": list(range(size)), "nullable": False}
            for column, size in sizes.items()
        },
    }


def facts_of(schema: dict[str, Any]) -> Facts:
    """What peers are told: the same as our schema says; nothing of identifiers."""
    found: Facts = {}
    for name, column in schema["columns"].items():
        if column["kind"] == "identifier":
            continue
        nullable = column.get("nullable", True)
        if column["kind"] == "category":
            found[name] = {
                "kind": "category",
                "values": column["values"],
                "ordered": column.get("ordered", False),
                "nullable": nullable,
            }
        else:
            found[name] = {
                "kind": "number",
                "min": column["min"],
                "max": column["max"],
                "resolution": column.get("resolution", 1),
                "nullable": nullable,
            }
    return found


def bootstrap(rows: pa.Table, seed: int = 12345) -> pa.Table:
    """The table's rows drawn with replacement: what a perfect sampler without privacy would give."""
    drawn = np.random.default_rng(seed).integers(0, rows.num_rows, rows.num_rows)
    return rows.take(pa.array(drawn))
