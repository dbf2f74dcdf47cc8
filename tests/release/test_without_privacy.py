"""A run without privacy: exact, stamped, outside the ledger, and good for comparison only."""

from __future__ import annotations

import json
import stat
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import tronie
from tronie.errors import BudgetError, BundleError, InputError
from tronie.files import NOT_PRIVATE as MARK
from tronie.measure.noise import InsecureNoise
from tronie.privacy.disclaimer import NOT_PRIVATE, Disclaimer, read_statement
from tronie.privacy.ledger import default_path
from tronie.release.report import describe
from tronie.release.without_privacy import require_private
from tronie.schema.schema import Schema
from tronie.tables.stamp import beside, is_stamped, says_not_private


@pytest.fixture(scope="session")
def exact(table: pa.Table, schema: Schema) -> tronie.Model:
    """A model without privacy."""
    return tronie.fit(table, schema, dp=False, method="mst")


@pytest.fixture
def exact_file(exact: tronie.Model, tmp_path: Path) -> Path:
    return exact.save(tmp_path / "exact.tronie")


@pytest.fixture
def folder(table: pa.Table, schema: Schema, tmp_path: Path) -> Path:
    """A folder that a run without privacy wrote."""
    made = tronie.synthesize(
        table, schema, output=tmp_path / "out", dp=False, method="independent", seed=1
    )
    return made.folder


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_it_says_that_nothing_is_claimed(exact: tronie.Model) -> None:
    assert not exact.dp
    assert isinstance(exact.certificate, Disclaimer)
    assert (exact.certificate.dataset, exact.certificate.method) == ("visits", "mst")
    assert not exact.certificate.verify().ok


def test_single_columns_are_exact(exact: tronie.Model, table: pa.Table) -> None:
    assert exact.rows == table.num_rows
    found = exact.marginal(["paid"]).table.to_pydict()
    counts = dict(zip(found["paid"], found["rows"], strict=True))
    true = int(np.sum(table["paid"].to_pylist()))
    assert counts["True"] == pytest.approx(true, abs=0.5)
    assert counts["False"] == pytest.approx(table.num_rows - true, abs=0.5)


def test_there_is_no_noise_to_state(exact: tronie.Model) -> None:
    assert exact.column_errors == {}
    assert exact.marginal(["town"]).table["standard_error"].null_count == 4
    assert exact.measurements.supports(("town",))


def test_the_plan_has_no_budget(exact: tronie.Model) -> None:
    plan = json.loads(json.dumps(exact.plan, allow_nan=False))
    assert (plan["dp"], plan["budget"], plan["mu"]) == (False, None, None)
    assert {step["share"] for step in plan["steps"]} == {0.0}


def test_the_ledger_stays_as_it_was(
    table: pa.Table, schema: Schema, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRONIE_LEDGER", str(tmp_path / "ledger.sqlite"))
    tronie.fit(table, schema, dp=False, method="independent")
    assert not default_path().exists()


@pytest.mark.parametrize(
    ("options", "name"),
    [
        ({"epsilon": 1.0}, "epsilon"),
        ({"delta": 1e-5}, "delta"),
        ({"max_epsilon": 2.0}, "max_epsilon"),
        ({"ledger": "ledger.sqlite"}, "ledger"),
        ({"training": tronie.Training(noise_multiplier=1.0)}, "noise_multiplier"),
        ({"training": tronie.Training(max_grad_norm=1.0)}, "max_grad_norm"),
    ],
)
def test_what_would_mean_nothing_is_refused(
    table: pa.Table, schema: Schema, options: dict[str, Any], name: str
) -> None:
    with pytest.raises(InputError, match=f"{name} means nothing"):
        tronie.fit(table, schema, dp=False, **options)


def test_a_private_run_needs_epsilon(table: pa.Table, schema: Schema, tmp_path: Path) -> None:
    with pytest.raises(BudgetError, match="no epsilon was given"):
        tronie.fit(table, schema, ledger=tmp_path / "l")
    with pytest.raises(BudgetError, match="no epsilon was given"):
        tronie.synthesize(table, schema, output=tmp_path / "out", ledger=tmp_path / "l")
    with pytest.raises(BudgetError, match="epsilon is inf"):
        tronie.fit(table, schema, epsilon=float("inf"), ledger=tmp_path / "l")
    assert not (tmp_path / "l").exists()
    assert not (tmp_path / "out").exists()


def test_a_fault_leaves_nothing_behind(table: pa.Table, schema: Schema, tmp_path: Path) -> None:
    with pytest.raises(InputError):
        tronie.synthesize(table, schema, output=tmp_path / "out", dp=False, method="nothing")
    assert list(tmp_path.iterdir()) == []


def test_the_same_batches_give_the_same_model(table: pa.Table, schema: Schema) -> None:
    one, two = (
        tronie.fit(table, schema, dp=False, method="mst", noise=InsecureNoise(seed))
        for seed in (1, 2)
    )
    assert one.sample(50, seed=1).table.equals(two.sample(50, seed=1).table)


def test_its_file_says_so_thrice_and_is_for_its_owner(
    exact: tronie.Model, exact_file: Path
) -> None:
    assert mode(exact_file) == 0o600
    with zipfile.ZipFile(exact_file) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    for name in ("manifest.json", "plan.json", "certificate.json"):
        assert json.loads(members[name])["dp"] is False
    again = tronie.Model.load(exact_file)
    assert not again.dp
    assert again.certificate == exact.certificate
    assert not again.sample(5, seed=1).dp


def rewritten(path: Path, change: Callable[[str, Any], Any]) -> Path:
    """The same file with other JSON in its members."""
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in members.items():
            if name.endswith(".json"):
                data = json.dumps(change(name, json.loads(data))).encode()
            archive.writestr(name, data)
    return path


@pytest.mark.parametrize("name", ["manifest.json", "plan.json", "certificate.json"])
@pytest.mark.parametrize("how", ["true", "gone"])
def test_a_file_whose_parts_disagree_is_refused(exact_file: Path, name: str, how: str) -> None:
    def change(member: str, data: dict[str, Any]) -> dict[str, Any]:
        if member == name:
            data = {k: v for k, v in data.items() if k != "dp"}
            if how == "true":
                data["dp"] = True
        return data

    with pytest.raises(BundleError):
        tronie.Model.load(rewritten(exact_file, change))


def test_a_foreign_certificate_does_not_fit_in(exact_file: Path, model: tronie.Model) -> None:
    certificate = json.loads(model.certificate.to_json())
    swapped = rewritten(
        exact_file, lambda name, data: certificate if name == "certificate.json" else data
    )
    with pytest.raises(BundleError, match="corrupt"):
        tronie.Model.load(swapped)


def test_a_private_model_is_not_made_into_one_either(model: tronie.Model, tmp_path: Path) -> None:
    path = model.save(tmp_path / "private.tronie")
    with pytest.raises(BundleError):
        tronie.Model.load(
            rewritten(path, lambda name, data: {**data, "dp": False} if "plan" in name else data)
        )


@pytest.mark.parametrize("name", ["x.parquet", "x.arrow", "x.feather", "x.csv"])
def test_its_rows_are_stamped_in_every_file(exact: tronie.Model, name: str, tmp_path: Path) -> None:
    for rows in (exact.sample(5, seed=1), exact.marginal(["town"])):
        assert not rows.dp
        assert is_stamped(pa.table(rows).schema)
        place = rows.write(tmp_path / name)
        assert says_not_private(place)
        assert mode(place) == 0o600
        assert beside(place).exists() == name.endswith(".csv")


def test_rows_of_a_private_model_are_not(model: tronie.Model, tmp_path: Path) -> None:
    rows = model.sample(5, seed=1)
    assert rows.dp
    assert rows.table.schema.metadata is None
    for name in ("x.parquet", "x.csv"):
        place = rows.write(tmp_path / name)
        assert not says_not_private(place)
        assert not beside(place).exists()


@pytest.mark.parametrize("name", ["x.parquet", "x.csv"])
def test_private_rows_written_over_others_are_private(
    exact: tronie.Model, model: tronie.Model, name: str, tmp_path: Path
) -> None:
    place = exact.sample(5, seed=1).write(tmp_path / name)
    assert says_not_private(place)
    model.sample(5, seed=1).write(place)
    assert not says_not_private(place)
    assert [file.name for file in tmp_path.iterdir()] == [name]


def test_conditions_and_no_rows_are_stamped_too(exact: tronie.Model) -> None:
    assert not exact.sample(5, given={"town": "Delft"}, seed=1).dp
    assert not exact.sample(0).dp


FILES = [MARK, "model.tronie", "plan.json", "report.txt", "synthetic.parquet"]


def test_the_folder_has_no_certificate(folder: Path) -> None:
    assert sorted(path.name for path in folder.iterdir()) == FILES
    assert json.loads((folder / MARK).read_text())["dp"] is False
    assert isinstance(read_statement(folder / MARK), Disclaimer)
    assert json.loads((folder / "plan.json").read_text())["dp"] is False
    assert pq.read_schema(folder / "synthetic.parquet").metadata[b"tronie.dp"] == b"false"


def test_nobody_else_may_read_it(folder: Path) -> None:
    assert mode(folder) == 0o700
    assert {mode(path) for path in folder.iterdir()} == {0o600}


def test_its_report_begins_with_a_banner(folder: Path, exact: tronie.Model) -> None:
    text = (folder / "report.txt").read_text()
    assert text.startswith(f"NOT PRIVATE: {NOT_PRIVATE}")
    assert "guarantee: none" in text
    for word in ("epsilon", "budget", "noise", "released estimate"):
        assert word not in text
    assert describe(exact).budget == {}
    assert "half rows" in describe(exact).text()


def test_a_csv_folder_has_a_stamp(table: pa.Table, schema: Schema, tmp_path: Path) -> None:
    made = tronie.synthesize(
        table, schema, output=tmp_path / "out", dp=False, method="independent", format="csv"
    )
    assert json.loads(beside(made.folder / "synthetic.csv").read_text())["dp"] is False
    assert {mode(path) for path in made.folder.iterdir()} == {0o600}


def sources(exact: tronie.Model, folder: Path) -> dict[str, Any]:
    """Everything that a run without privacy leaves behind."""
    rows = exact.sample(50, seed=1)
    csv = rows.write(folder.parent / "copy.csv")
    return {
        "model": exact,
        "rows": rows,
        "table": rows.table,
        "model file": folder / "model.tronie",
        "rows file": folder / "synthetic.parquet",
        "folder": folder,
        "csv": str(csv),
    }


def test_none_of_it_is_a_prior(
    exact: tronie.Model, table: pa.Table, schema: Schema, folder: Path, tmp_path: Path
) -> None:
    for name, prior in sources(exact, folder).items():
        if name != "folder":
            with pytest.raises(InputError, match="the prior was made without differential privacy"):
                tronie.fit(table, schema, epsilon=1.0, prior=prior, ledger=tmp_path / "l")
    copy = exact.save(tmp_path / "copy.tronie")
    with pytest.raises(InputError, match="the prior was made without"):
        tronie.fit(table, schema, epsilon=1.0, prior=copy, ledger=tmp_path / "l")
    assert not (tmp_path / "l").exists()


def test_no_certificate_is_made_from_its_rows(
    exact: tronie.Model, schema: Schema, folder: Path, tmp_path: Path
) -> None:
    given = sources(exact, folder)
    for name in ("rows", "table", "rows file", "folder", "csv"):
        with pytest.raises(InputError, match="the table was made without differential privacy"):
            tronie.fit(given[name], schema, epsilon=1.0, ledger=tmp_path / "l")
    assert not (tmp_path / "l").exists()


def test_it_is_no_public_table(exact: tronie.Model, table: pa.Table) -> None:
    with pytest.raises(InputError, match="the public table was made without"):
        tronie.draft(table, name="x", public=exact.sample(20, seed=1))


def test_a_run_without_privacy_may_start_from_its_rows(exact: tronie.Model) -> None:
    rows = exact.sample(50, seed=1)
    again = tronie.fit(rows, dp=False, discover=True, name="again", method="independent")
    assert again.rows == 50
    assert not again.dp


def test_what_says_nothing_passes(table: pa.Table, model: tronie.Model) -> None:
    for thing in (table, model, None, "missing.parquet"):
        require_private(thing, "it")


def test_it_finds_what_is_not_declared_exactly(tmp_path: Path) -> None:
    table = pa.table({"word": ["often"] * 50 + ["once"], "n": list(range(51))})
    model = tronie.fit(table, dp=False, discover=True, name="x", method="independent")
    assert model.schema.columns["word"].values == ("often", "once")  # type: ignore[union-attr]
    assert model.rows == 51


def test_several_rows_of_a_unit_make_no_difference(table: pa.Table, schema: Schema) -> None:
    unit = schema.unit.model_copy(update={"max_rows": 5})
    several = schema.model_copy(update={"unit": unit})
    model = tronie.fit(table, several, dp=False, method="independent")
    assert model.rows == table.num_rows
