"""No value of a private row is in a message, in the ledger, or in a file beside the synthetic table."""

from __future__ import annotations

import datetime as dt
import struct
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest
from click.testing import Result

import tronie
from tronie.cli import ending

Run = Callable[..., Result]

WORDS = ("zqxvord", "jqvault", "wyqzmail")
NUMBERS = (918_273_645, 77_713.37, 61_616.125)
DAYS = (dt.date(1877, 3, 7), dt.datetime(1899, 8, 9, 7, 13, 57))
OTHERS = 300

SCHEMA = """\
name: planted
columns:
  ward: {kind: category, values: [a, b], outside: missing}
  group: {kind: open_category}
  count: {kind: integer, min: 0, max: 9}
  cost: {kind: decimal, min: 0, max: 100, resolution: 0.01}
  span: {kind: decimal}
  born: {kind: date, min: 1900-01-01, max: 2020-12-31}
  seen: {kind: datetime, min: 2000-01-01T00:00:00, max: 2020-12-31T00:00:00}
  person: {kind: identifier, pattern: "P-{n}"}
  note: {kind: text}
"""


def planted(path: str = "t.parquet") -> str:
    """A table whose one odd row holds a token in each column."""
    day, moment = dt.date(2000, 5, 5), dt.datetime(2005, 5, 5, 5, 5)
    columns = {
        "ward": [*["a", "b"] * (OTHERS // 2), WORDS[0]],
        "group": [*["x", "y"] * (OTHERS // 2), WORDS[1]],
        "count": [*[1, 2] * (OTHERS // 2), NUMBERS[0]],
        "cost": [*[1.5, 2.5] * (OTHERS // 2), NUMBERS[1]],
        "span": [*[1.5, 2.5] * (OTHERS // 2), NUMBERS[2]],
        "born": [*[day] * OTHERS, DAYS[0]],
        "seen": [*[moment] * OTHERS, DAYS[1]],
        "person": [*["p1", "p2"] * (OTHERS // 2), WORDS[2]],
        "note": [*["n1", "n2"] * (OTHERS // 2), WORDS[0]],
    }
    table = pa.table(columns)
    if path.endswith(".csv"):
        pyarrow.csv.write_csv(table, path)
    else:
        pq.write_table(table, path)
    return path


def traces() -> list[bytes]:
    """Every token as text, and every number as the bytes of an array."""
    texts = [*WORDS, *(f"{number}" for number in NUMBERS), "918,273,645", "77,713", "61,616"]
    texts += [day.isoformat()[:10] for day in DAYS]
    binary = [struct.pack("<d", number) for number in NUMBERS] + [struct.pack("<q", NUMBERS[0])]
    return [text.encode() for text in texts] + binary


def members(path: Path) -> Iterator[bytes]:
    """A file's bytes; of a model, those of each part."""
    if path.suffix == ".tronie":
        with zipfile.ZipFile(path) as archive:
            yield from (archive.read(name) for name in archive.namelist())
    else:
        yield path.read_bytes()


@pytest.fixture
def clean(run: Run, ledger: Path) -> Callable[..., Result]:
    """Run a command, and look for tokens in all that it left behind."""

    def invoke(*arguments: object, code: int = 0) -> Result:
        shown = run(*arguments, code=code)
        left = [shown.stdout.encode(), shown.stderr.encode()]
        tables = {"t.parquet", "t.csv"}
        for path in [ledger, *Path().rglob("*")]:
            if path.is_file() and path.name not in tables and not path.stem.startswith("synthetic"):
                left += members(path)
        for trace in traces():
            assert not [where for where in left if trace in where], trace
        return shown

    return invoke


def test_the_tokens_would_be_found(clean: Callable[..., Result]) -> None:
    Path("leak.txt").write_text(f"the largest is {NUMBERS[0]}")
    with pytest.raises(AssertionError, match="918273645"):
        clean("budget")


@pytest.mark.parametrize("suffix", ["parquet", "csv"])
def test_no_command_shows_a_token(clean: Callable[..., Result], suffix: str) -> None:
    table = planted(f"t.{suffix}")
    Path("x.yaml").write_text(SCHEMA)
    clean("schema", table, "-o", "draft.yaml")
    clean("schema", table, "--explain")
    clean("plan", "x.yaml", "--epsilon", 1)
    for method in ("independent", "mst", "glaze"):
        budget = ["--epsilon", 1, "--discover", "--method", method]
        clean("synthesize", table, "x.yaml", *budget, "-o", f"out-{method}")
        clean("fit", table, "x.yaml", *budget, "-o", f"{method}.tronie", "--json")
    clean("synthesize", table, "--discover", "--epsilon", 1, "-o", "bare", "--json")
    clean("certificate", "glaze.tronie")
    clean("certificate", "glaze.tronie", "--json")
    clean("verify", "out-glaze", "--json")
    clean("budget", "planted")
    clean("budget", "--json")
    clean("marginal", "glaze.tronie", "ward", "group")
    clean("marginal", "glaze.tronie", "count", "--json")
    clean("sample", "glaze.tronie", "-o", "synthetic.csv")


STRICT = [
    ("ward", "outside: missing", "outside: error"),
    ("count", "max: 9", "max: 9, outside: error"),
    ("cost", "resolution: 0.01", "resolution: 0.01, outside: error"),
    ("born", "max: 2020-12-31}", "max: 2020-12-31, outside: error}"),
    ("seen", "max: 2020-12-31T00:00:00", "max: 2020-12-31T00:00:00, outside: error"),
    ("group", "kind: open_category", "kind: integer, min: 0, max: 9, outside: error"),
    ("note", "kind: text", "kind: decimal, min: 0, max: 9, outside: error"),
    ("person", 'kind: identifier, pattern: "P-{n}"', "kind: boolean"),
    ("note", "kind: text", "kind: date, min: 2000-01-01, max: 2001-01-01, outside: error"),
]


@pytest.mark.parametrize("suffix", ["parquet", "csv"])
@pytest.mark.parametrize(("column", "old", "new"), STRICT)
def test_no_refusal_shows_a_token(
    clean: Callable[..., Result], suffix: str, column: str, old: str, new: str
) -> None:
    table = planted(f"t.{suffix}")
    lines = [
        line.replace(old, new) if line.strip().startswith(f"{column}:") else line
        for line in SCHEMA.splitlines()
    ]
    Path("x.yaml").write_text("\n".join(lines))
    for command in ("fit", "synthesize"):
        arguments = ["--epsilon", 1, "--discover", "-o", "out"]
        shown = clean(command, table, "x.yaml", *arguments, code=2).stderr
        assert f"{column!r}" in shown


@pytest.mark.parametrize(
    "row",
    [
        f"a,x,1,{WORDS[0]}",
        f'"{WORDS[0]},1',
        f"{WORDS[0]}\xff,{WORDS[1]},{NUMBERS[0]}",
        f"{WORDS[0]}\x00,{WORDS[1]},{NUMBERS[0]}",
    ],
    ids=["too many cells", "open quote", "not UTF-8", "zero byte"],
)
def test_no_broken_csv_shows_a_token(clean: Callable[..., Result], row: str) -> None:
    head = "ward,group,count\n" + "a,x,1\n" * 50
    Path("t.csv").write_bytes(head.encode() + row.encode("latin-1") + b"\n")
    columns = "ward: {kind: category, values: [a, b]}, group: {kind: category, values: [x]}"
    Path("x.yaml").write_text(
        f"name: x\ncolumns: {{{columns}, count: {{kind: integer, min: 0, max: 9}}}}\n"
    )
    clean("synthesize", "t.csv", "x.yaml", "--epsilon", 1, "-o", "out", code=2)
    clean("fit", "t.csv", "x.yaml", "--epsilon", 1, "-o", "x.tronie", "--json", code=2)


def test_no_broken_parquet_shows_a_token(clean: Callable[..., Result]) -> None:
    Path("x.yaml").write_text(SCHEMA)
    content = Path(planted()).read_bytes()
    for start, end in ((0, -100), (100, None), (0, len(content) // 2)):
        Path("t.parquet").write_bytes(content[start:end])
        clean("fit", "t.parquet", "x.yaml", "--discover", "--epsilon", 1, "-o", "x.tronie", code=2)
    middle = bytearray(content)
    middle[10:200] = bytes(190)
    Path("t.parquet").write_bytes(bytes(middle))
    clean("fit", "t.parquet", "x.yaml", "--discover", "--epsilon", 1, "-o", "x.tronie", code=2)


def test_no_fault_shows_a_token(
    clean: Callable[..., Result], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A traceback would: it is shown on request alone."""
    from tronie.measure.records import Records

    def fault(self: Records, *_: object) -> None:
        for _, row in self._read():
            raise ValueError(f"cannot count {WORDS[0]} and {NUMBERS[0]}", row)

    monkeypatch.delenv(ending.DEBUG, raising=False)
    monkeypatch.setattr(Records, "count", fault)
    table = planted()
    Path("x.yaml").write_text(SCHEMA.replace("kind: open_category", "kind: text"))
    arguments = ["--epsilon", 1, "--discover", "-o", "out"]
    shown = clean("synthesize", table, "x.yaml", *arguments, code=70)
    assert "ValueError at " in shown.stderr


def test_compare_shows_distances_and_no_token(clean: Callable[..., Result]) -> None:
    Path("x.yaml").write_text(SCHEMA)
    shown = clean(
        *("synthesize", planted(), "x.yaml", "--discover", "--epsilon", 1, "--compare"),
        *("-o", "out"),
    )
    assert "INTERNAL" in shown.stdout


def test_the_ledger_and_model_are_still_of_use(clean: Callable[..., Result], ledger: Path) -> None:
    Path("x.yaml").write_text(SCHEMA)
    clean("fit", planted(), "x.yaml", "--discover", "--epsilon", 1, "-o", "x.tronie")
    assert tronie.Ledger(ledger).spent("planted").releases == 1
    assert len(tronie.Model.load("x.tronie").sample(5)) == 5
