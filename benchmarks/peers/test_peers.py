"""Tests of the measure, the codes and the verdicts: pytest benchmarks/peers/test_peers.py."""

# ruff: noqa: D103

from __future__ import annotations

import itertools
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import yaml

sys.path.insert(0, str(Path(__file__).parent.parent))

import tronie
from peers import errors, facts, report, tables
from peers.zcdp import rho_of

WIDE: facts.Column = {"kind": "number", "min": -10, "max": 989, "resolution": 1, "nullable": True}
NARROW: facts.Column = {"kind": "number", "min": 1, "max": 4, "resolution": 0.5, "nullable": False}
LETTERS: facts.Column = {
    "kind": "category",
    "values": ["b", "a", "c"],
    "ordered": False,
    "nullable": True,
}


def rows(*, seed: int = 0, size: int = 2000) -> pa.Table:
    rng = np.random.default_rng(seed)
    wide = rng.integers(-10, 990, size)
    letters = np.array(["a", "b", "c"])[np.clip(wide // 333, 0, 2)]
    absent = rng.random(size) < 0.1
    return pa.table(
        {
            "wide": pa.array(wide, mask=absent),
            "narrow": pa.array(rng.integers(2, 9, size) / 2),
            "letters": pa.array(letters, mask=absent),
        }
    )


FACTS: facts.Facts = {"wide": WIDE, "narrow": NARROW, "letters": LETTERS}


def test_codes_stay_within_their_sizes_and_decode_to_the_same_codes() -> None:
    table = rows()
    codes = facts.encode_table(table, FACTS)
    assert facts.sizes(FACTS) == {"wide": 33, "narrow": 7, "letters": 4}
    for name, size in facts.sizes(FACTS).items():
        assert codes[name].min() >= 0
        assert codes[name].max() < size
    decoded = facts.decode_table(codes, FACTS, table.schema)
    assert decoded.schema.types == table.schema.types
    again = facts.encode_table(decoded, FACTS)
    assert all((codes[name] == again[name]).all() for name in FACTS)
    assert decoded["narrow"].equals(table["narrow"])
    assert decoded["letters"].equals(table["letters"])


def test_bins_share_the_lattice_evenly_and_decode_to_all_of_it() -> None:
    codes = facts.encode(pa.array(np.arange(-10, 990)), WIDE)
    assert set(np.bincount(codes)) <= {31, 32}
    drawn = facts.decode(
        np.repeat(codes, 200), WIDE, pa.int64(), np.random.default_rng(1)
    ).to_numpy()
    assert set(drawn) == set(range(-10, 990))


def test_numbers_beyond_the_range_go_to_its_ends() -> None:
    assert facts.encode(pa.array([-50, 5000]), WIDE).tolist() == [0, 31]


def test_values_that_the_facts_do_not_allow_are_refused() -> None:
    with pytest.raises(ValueError, match="allows none"):
        facts.encode(pa.array([1.0, None]), NARROW)


def test_dictionaries_and_coded_numbers_are_categories_like_others() -> None:
    text = pa.array(["c", "a", None]).dictionary_encode()
    assert facts.encode(text, LETTERS).tolist() == [2, 1, 3]
    numbered = LETTERS | {"values": [10, 20]}
    assert facts.encode(pa.array([20.0, 10.0, None]), numbered).tolist() == [1, 0, 2]


def test_a_table_has_no_distance_from_itself_in_any_order() -> None:
    table = rows()
    order = np.random.default_rng(2).permutation(table.num_rows)
    found = errors.Measure(table, FACTS)(table.take(pa.array(order)))
    assert found == {
        cut: {"tv1": 0.0, "tv2": 0.0, "tv3": 0.0} for cut in ("equal_mass", "equal_width")
    }


def test_variations_are_those_of_a_slow_count_of_cells() -> None:
    rng = np.random.default_rng(3)
    real = {name: rng.integers(0, 4, 300) for name in "abcd"}
    other = {name: rng.integers(0, 5, 200) for name in "abcd"}
    found = errors.mean_variations(real, other)
    for degree in (1, 2, 3):
        slow = []
        for clique in itertools.combinations("abcd", degree):
            one = list(zip(*(real[n].tolist() for n in clique), strict=True))
            two = list(zip(*(other[n].tolist() for n in clique), strict=True))
            cells = {*one, *two}
            slow.append(
                sum(abs(one.count(c) / len(one) - two.count(c) / len(two)) for c in cells) / 2
            )
        assert found[f"tv{degree}"] == pytest.approx(np.mean(slow), abs=1e-5)


def test_equal_mass_bins_hold_equal_mass() -> None:
    values = np.random.default_rng(4).lognormal(size=32_000)
    cut = errors.cut_numbers(errors.mass_edges(values))
    assert np.bincount(cut(pa.array(values))).tolist() == [1000] * 32


def test_a_heavy_value_takes_fewer_bins() -> None:
    values = np.concatenate([np.zeros(900), np.arange(1, 101)])
    edges = errors.mass_edges(values)
    assert edges.tolist() == [0.0, 7.0, 38.0, 69.0]


def test_missing_is_a_cell_of_its_own_and_so_is_the_unknown() -> None:
    number = errors.cut_numbers(errors.width_edges(WIDE))(pa.array([None, -10, 989]))
    assert number.tolist() == [50, 0, 49]
    letter = errors.cut_values(LETTERS)(pa.array([None, "b", "z"]))
    assert letter.tolist() == [3, 0, 4]
    whole = errors.cut_values(LETTERS)(pa.array(["a"] * 10))
    part = errors.cut_values(LETTERS)(pa.array(["a"] * 5 + [None] * 3 + ["z"] * 2))
    assert errors.total_variation(whole, part, 5) == 0.5


def test_triples_are_fixed_and_no_more_than_two_hundred() -> None:
    names = [f"c{i}" for i in range(14)]
    drawn = errors.cliques(names, 3)
    assert drawn == errors.cliques(names, 3)
    assert len(set(drawn)) == 200
    assert len(errors.cliques(names, 2)) == 91
    assert len(errors.cliques(names[:5], 3)) == 10


def test_schemas_are_ours_and_peers_are_told_the_same() -> None:
    for table in tables.TABLES.values():
        if table.schema is not None:
            schema = yaml.safe_load(table.schema.read_text())
            ours = tronie.Schema.read(table.schema)
            told = tables.facts_of({"columns": schema["columns"]})
            assert list(told) == [n for n, c in ours.columns.items() if c.kind != "identifier"]
            for name, column in told.items():
                assert column["nullable"] == ours.columns[name].nullable
                assert column["kind"] == "category" or column["min"] < column["max"]


@pytest.mark.parametrize(("epsilon", "known"), [(0.1, 0.000177), (1.0, 0.014973), (10.0, 1.090766)])
def test_zcdp_conversion(epsilon: float, known: float) -> None:
    assert rho_of(epsilon, 1e-9) == pytest.approx(known, rel=2e-3)


def cell(peer: str, tv: float, cpu: float, status: str = "ok") -> dict[str, Any]:
    common = {"peer": peer, "epsilon": 1.0, "run": 0, "status": status, "cpu_s": cpu}
    common |= {"peak_mib": 100}
    if status == "ok":
        common["errors"] = {"codes": {"tv1": tv, "tv2": tv, "tv3": 2 * tv}}
    return common


def test_the_report_says_where_we_lose() -> None:
    cells = [
        cell("tronie-glaze", 0.03, 2),
        cell("mbi-aim", 0.04, 300),
        cell("mbi-mst", 0.02, 50),
        cell("opendp-aim", 0, 900, "timeout"),
    ]
    file = {
        "table": "t",
        "rows": 10,
        "columns": 3,
        "delta": 1e-9,
        "bootstrap": {"codes": {"tv1": 0.0, "tv2": 0.0, "tv3": 0.0}},
        "cells": cells,
    }
    shown = report.markdown([file])
    assert "| t | 1 | mbi-mst | 50 | 2.0 | 25 | **lost** 2 of 2 | **lost** |" in shown
    assert "Lost: TV2 in codes: 0.0300 against 0.0200 of mbi-mst" in shown
    assert "| opendp-aim | timeout |" in shown
    cells[2] = cell("mbi-mst", 0.05, 50)
    assert "| mbi-aim | 300 | 2.0 | 150 | no worse | met |" in report.markdown([file])


def test_limits_report_cpu_memory_and_what_was_broken(tmp_path: Path) -> None:
    def watched(seconds: int, code: str) -> dict[str, Any]:
        limits = Path(__file__).with_name("limits.py")
        command = [sys.executable, str(limits), str(seconds), "60", "2000"]
        command += [str(tmp_path / "log"), sys.executable, "-c", code]
        return json.loads(subprocess.run(command, check=True, capture_output=True).stdout)

    fine = watched(20, "import time; b = bytearray(100 << 20); time.sleep(0.1)")
    assert (fine["code"], fine["limit"]) == (0, "")
    assert 100 <= fine["peak_mib"] < 150
    over = watched(1, "while True: pass")
    assert over["limit"] == "cpu"
    assert 0.9 <= over["cpu_s"] < 4
    failed = watched(20, "raise SystemExit(3)")
    assert (failed["code"], failed["limit"]) == (3, "")
