"""A run without privacy claims nothing, and no text makes it look otherwise."""

from __future__ import annotations

import json
import math
from dataclasses import FrozenInstanceError
from pathlib import Path
from typing import Any

import pytest

from tronie.errors import BudgetError, BundleError
from tronie.privacy.budget import Budget, NoPrivacy
from tronie.privacy.certificate import Certificate
from tronie.privacy.disclaimer import (
    NOT_PRIVATE,
    Disclaimer,
    read_statement,
    statement_from_json,
)
from tronie.privacy.events import Gaussian
from tronie.privacy.ledger import Ledger
from tronie.schema.schema import PrivacyUnit


def certificate() -> Certificate:
    event = Gaussian(query="total", sigma=100.0, sensitivity=1.0)
    return Certificate.issue(
        dataset="visits",
        method="glaze",
        budget=Budget(1.0),
        unit=PrivacyUnit(),
        events=[event],
        public=[],
        noise="operating system entropy, discrete",
    )


DISCLAIMER = Disclaimer.issue(dataset="visits", method="glaze")


def test_no_privacy_is_no_budget() -> None:
    nothing = NoPrivacy()
    assert (nothing.dp, nothing.epsilon, nothing.delta) == (False, math.inf, 1.0)
    assert nothing.with_delta(1e-9) is nothing
    assert 1.0 < nothing.mu < math.inf
    assert Budget(1.0).dp
    assert Budget(1.0).with_delta(1e-5) == Budget(1.0, 1e-5)
    with pytest.raises(TypeError):
        NoPrivacy(1.0, 1e-9)  # type: ignore[call-arg]
    with pytest.raises(FrozenInstanceError):
        nothing.epsilon = 1.0  # type: ignore[misc]


def test_a_certificate_refuses_it() -> None:
    with pytest.raises(BudgetError, match="no certificate"):
        Certificate.issue(
            dataset="visits",
            method="glaze",
            budget=NoPrivacy(),
            unit=PrivacyUnit(),
            events=[],
            public=[],
            noise="operating system entropy, discrete",
        )


def test_the_ledger_refuses_it(tmp_path: Path) -> None:
    book = Ledger(tmp_path / "ledger.sqlite")
    with pytest.raises(BudgetError, match="epsilon is inf"):
        book.reserve("visits", NoPrivacy())
    assert book.entries() == ()


def test_it_never_verifies() -> None:
    found = DISCLAIMER.verify()
    assert not found.ok
    assert "Nothing is claimed" in found.problems[0]
    data = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    assert (data["ok"], data["epsilon_claimed"], data["mu_recomputed"]) == (False, None, None)


def test_it_comes_back_from_its_text(tmp_path: Path) -> None:
    text = DISCLAIMER.to_json()
    assert json.loads(text)["dp"] is False
    assert Disclaimer.from_json(text) == statement_from_json(text) == DISCLAIMER
    DISCLAIMER.write(tmp_path / "x.json")
    assert read_statement(tmp_path / "x.json") == DISCLAIMER
    assert NOT_PRIVATE in DISCLAIMER.to_text()
    assert "epsilon" not in DISCLAIMER.to_text()


def test_a_certificate_is_read_as_one() -> None:
    assert statement_from_json(certificate().to_json()) == certificate()
    with pytest.raises(BundleError, match="no statement in it"):
        Disclaimer.from_json(certificate().to_json())


def test_a_certificate_is_not_read_from_it() -> None:
    with pytest.raises(BundleError, match="nothing is claimed in it"):
        Certificate.from_json(DISCLAIMER.to_json())


CLAIM = {"epsilon": 1.0, "delta": 1e-9, "mu": 0.18, "accountant": "GDP"}


@pytest.mark.parametrize(
    "changes",
    [
        {"dp": True},
        {"dp": None},
        {"claim": CLAIM},
        {"dp": True, "claim": CLAIM},
        {"statement": "Differentially private."},
        {"format": 2},
        {"epsilon": 1.0},
        {"events": []},
    ],
)
def test_no_change_of_a_field_makes_it_a_claim(changes: dict[str, Any]) -> None:
    text = json.dumps({**json.loads(DISCLAIMER.to_json()), **changes})
    with pytest.raises(BundleError):
        statement_from_json(text)


@pytest.mark.parametrize("gone", ["dp", "statement", "dataset"])
def test_a_field_that_is_missing_makes_it_nothing(gone: str) -> None:
    data = json.loads(DISCLAIMER.to_json())
    del data[gone]
    if gone == "dp":
        with pytest.raises(BundleError, match="no claim in it"):
            statement_from_json(json.dumps(data))
    else:
        with pytest.raises(BundleError):
            statement_from_json(json.dumps(data))


@pytest.mark.parametrize("value", [True, False, None])
def test_a_certificate_that_says_anything_of_dp_is_refused(value: object) -> None:
    data = {**json.loads(certificate().to_json()), "dp": value}
    for read in (statement_from_json, Certificate.from_json):
        with pytest.raises(BundleError):
            read(json.dumps(data))


def test_a_certificate_with_its_fields_in_it_is_refused() -> None:
    both = {**json.loads(DISCLAIMER.to_json()), **json.loads(certificate().to_json())}
    with pytest.raises(BundleError):
        statement_from_json(json.dumps(both))


def test_a_field_twice_is_refused() -> None:
    text = DISCLAIMER.to_json().replace('"dp": false', '"dp": false, "dp": true')
    with pytest.raises(BundleError, match="occurs twice"):
        statement_from_json(text)


def test_an_edit_is_noticed() -> None:
    text = DISCLAIMER.to_json().replace("visits", "another")
    assert "digest does not match" in Disclaimer.from_json(text).verify().problems[1]


@pytest.mark.parametrize("text", ["", "[]", "{", "[" * 100_000, '{"dp": false}'])
def test_other_texts_are_refused(text: str, tmp_path: Path) -> None:
    (tmp_path / "x").write_text(text)
    with pytest.raises(BundleError):
        read_statement(tmp_path / "x")
    with pytest.raises(BundleError, match="cannot be read"):
        read_statement(tmp_path / "missing")
