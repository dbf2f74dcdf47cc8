"""Synthetic tables as they are given, and what is claimed about them."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import tronie
from tronie.errors import BundleError, InputError
from tronie.release.synthesize import Release
from tronie.reports.claims import (
    NOTHING,
    TOGETHER,
    budget_of,
    budget_of_report,
    claim_of,
    claims_of_report,
    unit_in_words,
)
from tronie.reports.given import MOST_TABLES, Given, read_given
from tronie.schema.schema import PrivacyUnit


def test_a_release_folder_brings_its_certificate_and_model(folder: Path) -> None:
    (given,) = read_given(folder)
    assert given.name == "release"
    assert given.rows == folder / "synthetic.parquet"
    assert given.certificate == tronie.Certificate.read(folder / "certificate.json")
    assert given.model is not None


def test_a_folder_without_rows_has_them_drawn(folder: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(folder, copy)
    (copy / "synthetic.parquet").unlink()
    (given,) = read_given(str(copy))
    assert len(given.rows) == given.model.rows  # type: ignore[union-attr]
    (copy / "model.tronie").unlink()
    with pytest.raises(InputError, match="neither synthetic rows nor a model"):
        read_given(copy)


def test_a_folder_without_a_model_still_claims_something(folder: Path, tmp_path: Path) -> None:
    for name in ("synthetic.parquet", "certificate.json"):
        shutil.copy(folder / name, tmp_path / name)
    (given,) = read_given(tmp_path)
    assert given.model is None
    assert claim_of(given).verified
    assert budget_of("x", given.model) == ()


def test_a_model_has_rows_drawn_always_the_same(release: Release) -> None:
    for model in (release.model, release.folder / "model.tronie"):
        (given,) = read_given(model)
        assert given.name == "model"
        assert given.rows.table.equals(release.model.sample(seed=0).table)
        assert given.certificate == release.model.certificate


def test_a_release_in_memory(release: Release) -> None:
    (given,) = read_given(release)
    assert (given.name, given.rows) == ("release", release.rows)


def test_other_tables_are_passed_on(real: pa.Table, tmp_path: Path) -> None:
    path = tmp_path / "other.synthetic.parquet"
    pq.write_table(real, path)
    names = [given.name for given in read_given([real, path, str(path), real])]
    assert names == ["synthetic", "other", "other 2", "synthetic 2"]
    assert all(given.certificate is None for given in read_given([real, path]))


def test_names(real: pa.Table) -> None:
    assert [g.name for g in read_given({"a": real, "b": real})] == ["a", "b"]
    assert [g.name for g in read_given((real, real), ["x", "y"])] == ["x", "y"]
    assert [g.name for g in read_given({"a": real}, ["x"])] == ["x"]


@pytest.mark.parametrize(
    ("synthetic", "names", "words"),
    [
        ([], None, "1 to 6 synthetic tables, not 0"),
        ([1] * (MOST_TABLES + 1), None, "not 7"),
        ([1, 2], ["a"], "1 names were given for 2"),
        ([1, 2], ["a", "a"], "one name"),
        ([1], [""], "one name"),
    ],
)
def test_what_cannot_be_reported_on(synthetic: Any, names: Any, words: str) -> None:
    with pytest.raises(InputError, match=words):
        read_given(synthetic, names)


def test_a_damaged_certificate_is_not_passed_over(folder: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(folder, copy)
    (copy / "certificate.json").write_text("{}")
    with pytest.raises(BundleError):
        read_given(copy)


def test_without_a_certificate_nothing_is_claimed(real: pa.Table) -> None:
    claim = claim_of(Given("t", real))
    assert (claim.guarantee, claim.epsilon, claim.verified) == (NOTHING, None, None)


def test_a_claim_is_the_certificate_s(folder: Path) -> None:
    (given,) = read_given(folder)
    claim = claim_of(given)
    assert claim.guarantee == "epsilon 10 at delta 1e-09"
    assert (claim.unit, claim.dataset, claim.verified) == ("one row", "visits", True)
    assert "at most a factor of 2.2e+04" in claim.meanings[0]
    assert "1% false alarms" in claim.meanings[1]


def test_a_certificate_that_does_not_hold_is_said_so(folder: Path) -> None:
    (given,) = read_given(folder)
    assert given.certificate is not None
    smaller = given.certificate.claim.model_copy(update={"epsilon": 1.0, "mu": None})
    forged = given.certificate.model_copy(update={"claim": smaller})
    claim = claim_of(replace(given, certificate=forged))
    assert claim.verified is False
    assert "more than the claimed 1" in claim.problems[0]
    assert claim.problems[-1] == "The model beside it holds another certificate."
    assert len(claim.meanings) == 1


def test_a_huge_epsilon_has_no_factor(folder: Path) -> None:
    (given,) = read_given(folder)
    assert given.certificate is not None
    huge = given.certificate.claim.model_copy(update={"epsilon": 1e4})
    claim = claim_of(
        replace(given, certificate=given.certificate.model_copy(update={"claim": huge}))
    )
    assert "more than 10^300" in claim.meanings[0]


@pytest.mark.parametrize(
    ("unit", "words"),
    [
        (PrivacyUnit(), "one row"),
        (PrivacyUnit(max_rows=1000), "up to 1,000 rows of one person"),
        (
            PrivacyUnit(kind="id", id_column="who", max_rows=3),
            "all rows, at most 3, that share a value of 'who'",
        ),
    ],
)
def test_units_in_words(unit: PrivacyUnit, words: str) -> None:
    assert unit_in_words(unit) == words


def test_where_the_budget_went_is_the_plan(folder: Path) -> None:
    (given,) = read_given(folder)
    steps = budget_of("t", given.model)
    assert sum(step.part for step in steps) == pytest.approx(1)
    assert all(step.table == "t" and step.why for step in steps)


def test_a_report_s_own_budget_adds_up(folder: Path) -> None:
    (given,) = read_given(folder)
    assert given.certificate is not None
    steps = budget_of_report(given.certificate)
    assert sum(step.part for step in steps) == pytest.approx(1)
    assert len({step.step for step in steps}) == len(steps)


def test_table_and_report_together_cost_more_than_each(folder: Path) -> None:
    (given,) = read_given(folder)
    assert given.certificate is not None
    alone, both = claims_of_report(given, given.certificate)
    assert both.table == TOGETHER
    assert both.mu == pytest.approx(2**0.5 * given.certificate.claim.mu, rel=1e-4)  # type: ignore[operator]
    assert 10 < both.epsilon < 20  # type: ignore[operator]
    assert alone.epsilon == 10
    elsewhere = given.certificate.model_copy(update={"dataset": "other"})
    assert len(claims_of_report(given, elsewhere)) == 1
    assert len(claims_of_report(replace(given, certificate=None), elsewhere)) == 1
