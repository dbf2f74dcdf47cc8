"""What is said about a release."""

from __future__ import annotations

import dataclasses

import pytest

import tronie
from tronie.models.markov import Convergence
from tronie.privacy.gdp import advantage, tpr_at_fpr
from tronie.release.report import Line, describe


def by_name(lines: tuple[Line, ...]) -> dict[str, Line]:
    assert all(line.meaning.endswith(".") for line in lines)
    return {line.name: line for line in lines}


def test_the_claim_is_the_certificates(model: tronie.Model) -> None:
    report = describe(model)
    assert report.title == "visits: synthetic rows by glaze"
    claim = by_name(report.claim)
    assert claim["epsilon, delta"].value == "5, 1e-09"
    assert "one row" in claim["epsilon, delta"].meaning
    assert "148" in claim["epsilon, delta"].meaning
    assert claim["noise"].value == "INSECURE"


def test_the_best_attack_follows_from_mu(model: tronie.Model) -> None:
    attack = by_name(describe(model).claim)["best attack"].value
    mu = model.certificate.claim.mu
    assert attack.startswith(f"{tpr_at_fpr(mu, 0.01):.1%} at 1% false alarms")
    assert f"{advantage(mu):.1%}" in attack


def test_without_mu_there_is_no_line_about_attacks(model: tronie.Model) -> None:
    claim = model.certificate.claim.model_copy(update={"mu": None})
    certificate = model.certificate.model_copy(update={"claim": claim})
    report = describe(dataclasses.replace(model, certificate=certificate))
    assert "best attack" not in by_name(report.claim)


def test_several_rows_of_one_person_are_said(model: tronie.Model) -> None:
    unit = model.schema.unit.model_copy(update={"max_rows": 4})
    schema = model.schema.model_copy(update={"unit": unit})
    claim = by_name(describe(dataclasses.replace(model, schema=schema)).claim)
    assert "up to 4 rows of one person" in claim["epsilon, delta"].meaning


def test_the_worth_is_in_released_numbers(model: tronie.Model) -> None:
    worth = by_name(describe(model).worth)
    assert worth["rows"].value == f"about {model.rows:,}"
    assert worth["columns"].value == "7 written, 2 left out (secret, note)"
    errors = model.column_errors
    worst = max(errors, key=lambda name: errors[name])
    noise = worth["noise in single columns"].value
    assert f"{errors[worst]:.2%} in {worst}" in noise
    assert f"{sum(errors.values()) / len(errors):.2%} on average" in noise


@pytest.mark.parametrize(("converged", "word"), [(True, "converged"), (False, "NOT converged")])
def test_the_fit_says_whether_it_converged(converged: bool, word: str, model: tronie.Model) -> None:
    field = dataclasses.replace(model.field, convergence=Convergence(0.125, 9, converged))
    worth = by_name(describe(dataclasses.replace(model, field=field)).worth)
    assert worth["fit"].value == f"{word} (rms 0.125 noise sds)"


def test_what_is_not_known_is_not_said(model: tronie.Model) -> None:
    field = dataclasses.replace(model.field, convergence=None)
    bare = dataclasses.replace(model, field=field, column_errors={})
    assert set(by_name(describe(bare).worth)) == {"rows", "columns"}


def test_the_text_holds_every_line(model: tronie.Model) -> None:
    report = describe(model)
    text = report.text()
    lines = text.splitlines()
    assert lines[0] == report.title
    assert set(lines[1]) == {"="}
    for line in (*report.claim, *report.worth):
        assert f"{line.name}: {line.value}" in lines
        assert f"    {line.meaning}" in lines
    assert text.endswith("\n")
    assert sum(report.budget.values()) == pytest.approx(1)
    for step, share in report.budget.items():
        assert any(line.startswith(step) and f"{share:.1%}" in line for line in lines)


def test_a_stored_model_says_the_same(model: tronie.Model, bundle: object) -> None:
    assert describe(tronie.Model.load(str(bundle))).text() == describe(model).text()
