"""What reports and filters say of tables that were made without privacy."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

import tronie
from tronie.errors import InputError
from tronie.files import NOT_PRIVATE as MARK
from tronie.filters.applying import apply_filters
from tronie.filters.free import Repeated
from tronie.privacy.disclaimer import NOT_PRIVATE
from tronie.release.synthesize import Release
from tronie.reports.claims import budget_of, claim_of
from tronie.reports.given import Given, read_given


@pytest.fixture(scope="module")
def exact(
    real: pa.Table, schema: tronie.Schema, tmp_path_factory: pytest.TempPathFactory
) -> Release:
    folder = tmp_path_factory.mktemp("exact") / "exact"
    return tronie.synthesize(real, schema, output=folder, dp=False, method="independent", seed=1)


def test_every_form_of_it_is_known(exact: Release) -> None:
    forms: list[Any] = [
        exact,
        exact.folder,
        exact.model,
        exact.folder / "model.tronie",
        exact.rows,
        exact.rows.table,
        exact.folder / "synthetic.parquet",
    ]
    for form in forms:
        claim = claim_of(read_given(form)[0])
        assert claim.dp is False
        assert claim.guarantee == f"NOT PRIVATE. {NOT_PRIVATE}"
        assert (claim.epsilon, claim.verified) == (None, None)
    assert budget_of("x", exact.model) == ()


def test_a_genuine_certificate_beside_it_changes_nothing(exact: Release, release: Release) -> None:
    given = Given("x", exact.rows, release.model.certificate, release.model)
    assert claim_of(given).dp is False


def test_others_are_private_or_unknown(release: Release, real: pa.Table) -> None:
    (private, unknown) = read_given([release, real])
    assert claim_of(private).dp is True
    assert claim_of(unknown).dp is None


def test_it_stands_beside_a_private_one(
    exact: Release, release: Release, real: pa.Table, tmp_path: Path
) -> None:
    found = tronie.report([release, exact.folder], real=real, learn=False)
    assert [claim["dp"] for claim in found.to_dict()["claims"]] == [True, False]
    for text in (found.html(), found.markdown(), found.text()):
        assert "NOT PRIVATE" in text
    assert {step.table for step in found.budget} == {found.tables[0]}


def test_a_report_for_release_refuses_it(
    exact: Release, real: pa.Table, schema: tronie.Schema, tmp_path: Path
) -> None:
    for form in (exact, exact.folder, exact.model, exact.rows, exact.folder / "synthetic.parquet"):
        with pytest.raises(InputError, match="the synthetic table was made without"):
            tronie.release_report(
                form, real=real, schema=schema, epsilon=1.0, ledger=tmp_path / "l"
            )
    assert not (tmp_path / "l").exists()


def test_filters_leave_it_what_it_is(exact: Release, release: Release, tmp_path: Path) -> None:
    genuine = release.model.certificate
    assert isinstance(genuine, tronie.Certificate)
    for rows in (exact.rows, exact.folder / "synthetic.parquet"):
        found = apply_filters(rows, [Repeated(5)], certificate=genuine)
        assert found.dp is False
        assert NOT_PRIVATE in found.reason
        assert not found.rows.dp
    place = found.write(tmp_path / "left.csv")
    assert apply_filters(place, [Repeated(5)]).dp is False
    found.write(exact.folder / "left.parquet")
    assert (exact.folder / MARK).exists()
    with pytest.raises(InputError, match="is a release"):
        found.write(release.folder / "left.parquet")
