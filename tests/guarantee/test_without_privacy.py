"""Nothing that a run without privacy leaves behind can pass for private.

Whoever can write files can forge a certificate, with or without tronie. What is tested here is that no
road through tronie leads from exact answers to a claim: no object, no file with one part changed, no
second run on what came out; and that the private road never meets exact answers.
"""

from __future__ import annotations

import dataclasses
import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

import tronie
from tronie.errors import BudgetError, BundleError, InputError
from tronie.evaluate.released import released_scores
from tronie.measure.curator import Curator, Meter
from tronie.measure.exact import ExactCurator, Unmetered
from tronie.measure.noise import InsecureNoise
from tronie.privacy.budget import NoPrivacy
from tronie.privacy.certificate import Certificate
from tronie.privacy.disclaimer import statement_from_json
from tronie.release import fit as fit_module
from tronie.schema.schema import Schema

SCHEMA = Schema.model_validate(
    {
        "name": "visits",
        "columns": {
            "age": {"kind": "integer", "min": 0, "max": 99},
            "sex": {"kind": "category", "values": ["f", "m"]},
        },
    }
)


def table() -> pa.Table:
    rng = np.random.default_rng(0)
    return pa.table({"age": rng.integers(0, 100, 300), "sex": rng.choice(["f", "m"], 300)})


@pytest.fixture(scope="module")
def exact() -> tronie.Model:
    return tronie.fit(table(), SCHEMA, dp=False, method="independent")


@pytest.fixture(scope="module")
def private(tmp_path_factory: pytest.TempPathFactory) -> tronie.Model:
    book = tmp_path_factory.mktemp("l") / "ledger.sqlite"
    return tronie.fit(table(), SCHEMA, epsilon=1.0, method="independent", ledger=book)


def test_the_private_road_never_meets_exact_answers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(*_: object, **__: object) -> None:
        raise AssertionError("exact answers on the private road")

    for name in ("ask", "select", "keys", "explore", "overlap", "train", "__init__"):
        monkeypatch.setattr(ExactCurator, name, never)
    model = tronie.fit(table(), SCHEMA, epsilon=1.0, ledger=tmp_path / "l")
    assert model.certificate.verify().ok


def test_the_other_road_makes_no_certificate_and_no_entry(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(*_: object, **__: object) -> None:
        raise AssertionError("a claim on the road without privacy")

    monkeypatch.setattr(Certificate, "issue", never)
    monkeypatch.setattr(fit_module, "Ledger", never)
    monkeypatch.setattr(Meter, "charge", never)
    monkeypatch.setenv("TRONIE_LEDGER", str(tmp_path / "ledger.sqlite"))
    made = tronie.synthesize(table(), SCHEMA, output=tmp_path / "out", dp=False)
    assert not made.model.dp
    assert not (tmp_path / "ledger.sqlite").exists()
    assert not (made.folder / "certificate.json").exists()


def test_private_files_say_what_they_always_said(private: tronie.Model, tmp_path: Path) -> None:
    assert private.dp
    with zipfile.ZipFile(private.save(tmp_path / "x.tronie")) as archive:
        for name in ("manifest.json", "plan.json", "certificate.json"):
            assert "dp" not in json.loads(archive.read(name))


def test_answers_without_noise_get_no_certificate() -> None:
    meter = Unmetered()
    with pytest.raises(BudgetError, match="no certificate"):
        Certificate.issue(
            dataset="visits",
            method="glaze",
            budget=meter.budget,
            unit=SCHEMA.unit,
            events=meter.events,
            public=[],
            noise="operating system entropy, discrete",
        )


def test_exact_answers_cannot_be_given_under_a_budget() -> None:
    with pytest.raises(BudgetError, match="cannot be charged"):
        fit_module.appoint(ExactCurator, None, Meter(tronie.Budget(1.0)), SCHEMA)  # type: ignore[arg-type]


def test_no_budget_does_not_stop_the_noise() -> None:
    """The common curator adds noise whatever the budget, so that a mix-up errs to that side."""
    from tronie.measure.queries import Total
    from tronie.measure.records import Records
    from tronie.tables.sources import open_source

    records = Records(open_source(table()), SCHEMA)
    curator = Curator(records, Unmetered(), noise=InsecureNoise(1))
    answers = {int(curator.ask([Total(50.0)])[0]) for _ in range(5)}
    assert len(answers) > 1
    assert not NoPrivacy().dp


def parts(model: tronie.Model) -> dict[str, Any]:
    return {field.name: getattr(model, field.name) for field in dataclasses.fields(model)}


@pytest.mark.parametrize("swapped", ["certificate", "plan"])
def test_a_model_with_one_part_of_a_private_one_is_not_private(
    exact: tronie.Model, private: tronie.Model, swapped: str, tmp_path: Path
) -> None:
    mixed = dataclasses.replace(exact, **{swapped: parts(private)[swapped]})
    assert not mixed.dp
    assert not mixed.sample(5, seed=1).dp
    with pytest.raises(BundleError):
        tronie.Model.load(mixed.save(tmp_path / "x.tronie"))


@pytest.mark.parametrize("member", ["manifest.json", "plan.json", "certificate.json"])
def test_a_file_with_one_member_of_a_private_one_is_refused(
    exact: tronie.Model, private: tronie.Model, member: str, tmp_path: Path
) -> None:
    one, other = exact.save(tmp_path / "one.tronie"), private.save(tmp_path / "other.tronie")
    with zipfile.ZipFile(one) as first, zipfile.ZipFile(other) as second:
        members = {name: first.read(name) for name in first.namelist()}
        members[member] = second.read(member)
    with zipfile.ZipFile(tmp_path / "mixed.tronie", "w") as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    with pytest.raises(BundleError):
        tronie.Model.load(tmp_path / "mixed.tronie")


def test_no_union_of_both_statements_is_a_claim(exact: tronie.Model, private: tronie.Model) -> None:
    """Any field of a certificate put into the disclaimer, or the other way round."""
    nothing = json.loads(exact.certificate.to_json())
    claim = json.loads(private.certificate.to_json())
    for field in set(claim) - set(nothing):
        with pytest.raises(BundleError):
            statement_from_json(json.dumps({**nothing, field: claim[field]}))
    for field in set(nothing) - set(claim):
        with pytest.raises(BundleError):
            statement_from_json(json.dumps({**claim, field: nothing[field]}))
    shared = {field: claim[field] for field in set(claim) & set(nothing)}
    found = statement_from_json(json.dumps({**nothing, **shared}))
    assert not found.verify().ok


def test_no_second_run_makes_a_claim_of_it(
    exact: tronie.Model, private: tronie.Model, tmp_path: Path
) -> None:
    rows = exact.sample(100, seed=1)
    book = tmp_path / "ledger.sqlite"
    with pytest.raises(InputError, match="without differential privacy"):
        tronie.fit(rows, SCHEMA, epsilon=1.0, ledger=book)
    with pytest.raises(InputError, match="without differential privacy"):
        tronie.fit(table(), SCHEMA, epsilon=1.0, prior=exact, ledger=book)
    for synthetic, schema in ((rows, private), (table(), exact), (rows, SCHEMA)):
        with pytest.raises(InputError, match="without differential privacy"):
            released_scores(synthetic, table(), schema, epsilon=1.0, ledger=book)
    assert not book.exists()
