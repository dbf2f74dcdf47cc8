"""budget, certificate and verify."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

import tronie
from tronie.cli.main import cli

Run = Callable[..., Any]


@pytest.fixture
def spent(table: Path, schema: Path, ledger: Path) -> Path:
    """A ledger with two releases."""
    for epsilon in (0.5, 1.0):
        tronie.fit(table, schema, epsilon=epsilon, method="independent", ledger=ledger)
    return ledger


def test_budget_of_a_new_ledger(run: Run, ledger: Path) -> None:
    shown = run("budget").stdout
    assert "Nothing was spent." in shown
    assert str(ledger) in shown
    assert not ledger.exists()


def test_budget_lists_data_sets(run: Run, spent: Path) -> None:
    shown = run("budget").stdout
    assert "visits" in shown
    assert f"{tronie.Ledger(spent).spent('visits').epsilon:.4g}" in shown
    assert "independent" not in shown


def test_budget_of_a_data_set_lists_releases(run: Run, spent: Path) -> None:
    shown = run("budget", "visits").stdout
    assert shown.count("committed") == 2
    assert shown.count("independent") == 2
    assert len(run("budget", "another").stdout.splitlines()) == 3


def test_budget_as_json(run_json: Run, spent: Path) -> None:
    data = run_json("budget", "--delta", 1e-6)
    (total,) = data["datasets"]
    assert (total["dataset"], total["delta"], total["releases"]) == ("visits", 1e-6, 2)
    assert [entry["state"] for entry in data["releases"]] == ["committed", "committed"]
    assert data["ledger"] == str(spent)


def test_a_fit_is_given_up(
    run: Run, table: Path, schema: Path, ledger: Path, tmp_path: Path
) -> None:
    def stop(stage: str) -> None:
        if asked:
            raise KeyboardInterrupt
        asked.append(stage)

    asked: list[str] = []
    with pytest.raises(KeyboardInterrupt):
        tronie.fit(
            table,
            schema,
            epsilon=1,
            method="mst",
            ledger=ledger,
            journal=tmp_path / "j",
            watch=stop,
        )
    (before,) = tronie.Ledger(ledger).entries()
    assert before.state == "touched"
    run("budget", "visits", "--give-up", tmp_path / "j", code=2)
    assert tronie.Ledger(ledger).entries() == (before,)
    shown = run("budget", "--give-up", tmp_path / "j").stdout
    (after,) = tronie.Ledger(ledger).entries()
    assert after.epsilon < before.epsilon
    assert f"{after.epsilon:.4g}" in shown


def test_a_cap_is_set_and_removed(run: Run, ledger: Path) -> None:
    run("budget", "visits", "--set-cap", 2)
    assert tronie.Ledger(ledger).spent("visits").max_epsilon == 2
    run("budget", "visits", "--remove-cap")
    assert tronie.Ledger(ledger).spent("visits").max_epsilon is None


@pytest.mark.parametrize(
    "arguments",
    [
        ["--set-cap", "1"],
        ["visits", "--set-cap", "0"],
        ["visits", "--set-cap", "nan"],
        ["visits", "--set-cap", "1", "--remove-cap"],
        ["visits", "--delta", "1"],
    ],
)
def test_caps_that_make_no_sense(run: Run, arguments: list[str]) -> None:
    assert run("budget", *arguments, code=2).stderr.startswith("Error: ")


def test_a_file_that_is_no_ledger(run: Run) -> None:
    Path("x.sqlite").write_text("not a ledger, but long enough to be looked at " * 9)
    assert "not a tronie ledger" in run("budget", "--ledger", "x.sqlite", code=2).stderr


@pytest.mark.parametrize("name", ["model.tronie", "certificate.json", ""])
def test_verify_takes_a_certificate_a_model_or_a_folder(run: Run, release: Path, name: str) -> None:
    shown = run("verify", release / name).stdout
    assert "the certificate holds" in shown
    assert "epsilon 10 at delta 1e-09" in shown


def test_verify_as_json(run_json: Run, release: Path) -> None:
    data = run_json("verify", release)
    assert data["ok"]
    assert data["epsilon_recomputed"] <= data["epsilon_claimed"] == 10
    assert data["problems"] == []


def changed(release: Path, **fields: object) -> Path:
    """A certificate's file with something else in it."""
    data = json.loads((release / "certificate.json").read_text()) | fields
    Path("changed.json").write_text(json.dumps(data))
    return Path("changed.json")


def test_a_lower_claim_does_not_hold(run: Run, run_json: Run, release: Path) -> None:
    claim = json.loads((release / "certificate.json").read_text())["claim"]
    place = changed(release, claim={**claim, "epsilon": 2.0})
    shown = run("verify", place, code=1).stdout
    assert "DOES NOT HOLD" in shown
    assert "more than the claimed 2" in shown
    assert not run_json("verify", place, code=1)["ok"]


def test_a_folder_with_another_model_does_not_hold(
    run: Run, release: Path, table: Path, schema: Path
) -> None:
    shutil.copytree(release, "mixed")
    Path("mixed/model.tronie").unlink()
    run("fit", table, schema, "--epsilon", 1, "-o", "mixed/model.tronie")
    assert "another certificate" in run("verify", "mixed", code=1).stdout


def test_insecure_noise_is_red_and_does_not_hold(run: Run, release: Path) -> None:
    """A model made with a test's noise guarantees nothing."""
    real = tronie.Certificate.read(release / "certificate.json")
    tronie.Certificate.issue(
        dataset=real.dataset,
        method=real.method,
        budget=tronie.Budget(real.claim.epsilon, real.claim.delta),
        unit=real.unit,
        events=real.events,
        public=[(fact.item, fact.how) for fact in real.public],
        noise="INSECURE",
    ).write("x.json")
    for command, code in (("verify", 1), ("certificate", 0)):
        shown = CliRunner().invoke(cli, [command, "x.json"], color=True)
        assert shown.exit_code == code
        (line,) = (line for line in shown.stdout.splitlines() if "INSECURE" in line)
        assert "\x1b[31m" in line
    assert "nothing is guaranteed" in run("verify", "x.json", code=1).stdout


@pytest.mark.parametrize("content", ["", "{}", "[1", '{"claim": 1, "format": 99}', "\x00\x01"])
def test_verify_of_something_else(run: Run, content: str) -> None:
    Path("x.json").write_text(content)
    shown = run("verify", "x.json", code=2)
    assert shown.stdout == ""
    assert shown.stderr.startswith("Error: ")


def test_verify_of_nothing(run: Run) -> None:
    assert "there is no file" in run("verify", "nowhere.json", code=2).stderr
    Path("empty").mkdir()
    assert "there is no file" in run("verify", "empty", code=2).stderr


def test_certificate_in_words(run: Run, release: Path) -> None:
    shown = run("certificate", release).stdout
    found = tronie.Certificate.read(release / "certificate.json")
    for line in found.to_text().splitlines():
        assert line in shown
    assert len(shown.splitlines()) > len(found.events)


def test_certificate_as_json_and_to_a_file(run: Run, run_json: Run, release: Path) -> None:
    expected = json.loads((release / "certificate.json").read_text())
    assert run_json("certificate", release / "model.tronie") == expected
    run("certificate", release / "model.tronie", "-o", "c.json")
    assert Path("c.json").read_bytes() == (release / "certificate.json").read_bytes()
