from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tronie.errors import BudgetExceeded, BundleError, OutputError
from tronie.privacy.accounting import epsilon_of, total_mu
from tronie.privacy.budget import Budget
from tronie.privacy.certificate import NOT_COVERED, Certificate, NoiseLabel
from tronie.privacy.events import Event, Exponential, Gaussian, Threshold, sigma_for
from tronie.schema.schema import PrivacyUnit

BUDGET = Budget(1.0, 1e-9)
ENTROPY: NoiseLabel = "operating system entropy, discrete"


def gaussians(share: float = 1.0) -> list[Event]:
    sigma = sigma_for(BUDGET.mu * share / math.sqrt(2), 3.0)
    return [
        Gaussian(query="marginal", columns=("age", "sex"), sigma=sigma, sensitivity=3.0),
        Gaussian(query="marginal", columns=("race",), sigma=sigma, sensitivity=3.0),
    ]


def mixed() -> list[Event]:
    choice = Exponential(query="select", columns=("age",), epsilon=0.02, candidates=9)
    return [*gaussians(0.975), *[choice] * 12]


def with_keys() -> list[Event]:
    return [*gaussians(0.9), keys()]


def keys(threshold: float = 470.0, delta: float = 1e-10) -> Threshold:
    return Threshold(
        query="keys",
        columns=("city",),
        sigma=72.0,
        sensitivity=1.0,
        threshold=threshold,
        delta=delta,
    )


def issue(events: list[Event], budget: Budget = BUDGET, noise: NoiseLabel = ENTROPY) -> Certificate:
    return Certificate.issue(
        dataset="adult",
        method="mst",
        budget=budget,
        unit=PrivacyUnit(kind="id", id_column="person", max_rows=3),
        events=events,
        public=[("age", "17..90"), ("sex", "2 listed values")],
        noise=noise,
    )


def sealed(data: dict[str, Any]) -> str:
    """JSON with a digest that fits, as a forger would write it."""
    del data["digest"]
    canonical = json.dumps(data, sort_keys=True, separators=(",", ":"))
    return json.dumps({**data, "digest": hashlib.sha256(canonical.encode()).hexdigest()})


def numbers(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Paths of all numbers in plain data."""
    if isinstance(value, dict):
        return [p for key, item in value.items() for p in numbers(item, (*path, key))]
    if isinstance(value, list):
        return [p for key, item in enumerate(value) for p in numbers(item, (*path, key))]
    return [path] if isinstance(value, int | float) and not isinstance(value, bool) else []


def change(data: Any, path: tuple[Any, ...], new: Callable[[Any], Any]) -> None:
    *front, last = path
    for key in front:
        data = data[key]
    data[last] = new(data[last])


# --- issue and verify ---------------------------------------------------------------------------


@pytest.mark.parametrize("events", [gaussians(), mixed(), with_keys(), []])
def test_an_issued_certificate_verifies(events: list[Event]) -> None:
    certificate = issue(events)
    found = certificate.verify()
    assert found.ok
    assert found.problems == ()
    assert found.epsilon_claimed == 1.0
    assert found.epsilon_recomputed == epsilon_of(events, 1e-9) <= 1.0
    assert found.mu_recomputed == total_mu(events)
    assert json.loads(json.dumps(found.to_dict()))["ok"] is True


def test_the_claim_is_the_budget_even_if_less_was_spent() -> None:
    claim = issue(gaussians(0.5)).claim
    assert (claim.epsilon, claim.delta, claim.mu) == (1.0, 1e-9, BUDGET.mu)
    assert claim.accountant == "GDP"


def test_the_claim_names_the_accountant_and_a_mu_that_holds() -> None:
    claim = issue(mixed()).claim
    assert claim.accountant == "PLD"
    assert claim.mu == total_mu(mixed()) > BUDGET.mu


def test_thresholds_leave_no_claim_of_mu() -> None:
    assert issue(with_keys()).claim.mu is None


def test_a_release_over_budget_gets_no_certificate() -> None:
    with pytest.raises(BudgetExceeded, match="No certificate was issued"):
        issue(gaussians(1.001))


def test_test_noise_is_never_ok() -> None:
    found = issue(gaussians(), noise="INSECURE").verify()
    assert not found.ok
    assert any("nothing is guaranteed" in problem for problem in found.problems)


def test_versions_and_limits_are_stated() -> None:
    certificate = issue(gaussians())
    assert set(certificate.versions) == {"tronie", "python", "numpy"}
    assert certificate.not_covered == NOT_COVERED
    for topic in ("Side channels", "Other releases", "Groups", "population"):
        assert any(topic in sentence for sentence in NOT_COVERED)


# --- JSON ---------------------------------------------------------------------------------------

names = st.text(min_size=1, max_size=8)


@settings(deadline=None, max_examples=40)
@given(
    st.lists(
        st.builds(
            Gaussian,
            query=names,
            columns=st.lists(names, max_size=3).map(tuple),
            sigma=st.floats(100.0, 1e9),
            sensitivity=st.floats(1e-3, 1.0),
        ),
        max_size=5,
    ),
    st.lists(st.tuples(st.text(max_size=8), st.text(max_size=8)), max_size=3),
    names,
)
def test_json_round_trip_is_exact(
    events: list[Event], public: list[tuple[str, str]], name: str
) -> None:
    certificate = Certificate.issue(
        dataset=name,
        method="mst",
        budget=Budget(50.0, 1e-3),
        unit=PrivacyUnit(),
        events=events,
        public=public,
        noise=ENTROPY,
    )
    again = Certificate.from_json(certificate.to_json())
    assert again == certificate
    assert again.to_json() == certificate.to_json()
    assert again.verify().ok


def test_files(tmp_path: Path) -> None:
    path = tmp_path / "certificate.json"
    issue(mixed()).write(path)
    assert Certificate.read(path) == issue(mixed())
    with pytest.raises(OutputError):
        issue(mixed()).write(tmp_path / "missing" / "certificate.json")


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="cannot be read"):
        Certificate.read(tmp_path / "missing.json")
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(BundleError, match="cannot be read"):
        Certificate.read(tmp_path / "binary")


def test_reading_order_and_layout_do_not_matter() -> None:
    data = json.loads(issue(gaussians()).to_json())
    assert Certificate.from_json(json.dumps(data, sort_keys=True)).verify().ok


# --- tampering ----------------------------------------------------------------------------------


@pytest.mark.parametrize("events", [gaussians(), mixed(), with_keys()])
@pytest.mark.parametrize("factor", [0.5, 2.0])
def test_any_changed_number_is_found(events: list[Event], factor: float) -> None:
    original = issue(events).to_json()
    paths = numbers(json.loads(original))
    assert len(paths) > 7
    one_of_each = {(path[0], path[-1]): path for path in paths}
    for path in one_of_each.values():
        _assert_found(original, path, factor)


def _assert_found(original: str, path: tuple[Any, ...], factor: float) -> None:
    data = json.loads(original)
    change(data, path, lambda value: type(value)(value * factor) or 7)
    try:
        found = Certificate.from_json(json.dumps(data)).verify()
    except BundleError:
        return
    assert not found.ok, path


@pytest.mark.parametrize(
    ("events", "path", "factor"),
    [
        (gaussians(), ("claim", "epsilon"), 0.999),
        (gaussians(), ("claim", "delta"), 0.9),
        (gaussians(), ("claim", "mu"), 0.999),
        (gaussians(), ("events", 0, "sigma"), 0.99),
        (gaussians(), ("events", 0, "sensitivity"), 1.01),
        (mixed(), ("claim", "epsilon"), 0.99),
        (mixed(), ("claim", "mu"), 0.99),
        (mixed(), ("events", 5, "epsilon"), 20.0),
        (with_keys(), ("events", 2, "delta"), 20.0),
        (with_keys(), ("events", 2, "delta"), 0.1),
        (with_keys(), ("events", 2, "threshold"), 0.9),
    ],
)
def test_forged_claims_are_found_though_the_digest_fits(
    events: list[Event], path: tuple[Any, ...], factor: float
) -> None:
    data = json.loads(issue(events).to_json())
    if path == ("events", 2, "delta") and factor > 1:
        data["claim"]["epsilon"] = epsilon_of(events, 1e-9)
    change(data, path, lambda value: value * factor)
    found = Certificate.from_json(sealed(data)).verify()
    assert not found.ok
    assert not any("digest" in problem for problem in found.problems)


def test_a_mu_claimed_beside_thresholds_is_found() -> None:
    data = json.loads(issue(with_keys()).to_json())
    data["claim"]["mu"] = 5.0
    found = Certificate.from_json(sealed(data)).verify()
    assert any("thresholds" in problem for problem in found.problems)


def test_a_missing_digest_is_found() -> None:
    data = json.loads(issue(gaussians()).to_json())
    del data["digest"]
    assert not Certificate.from_json(json.dumps(data)).verify().ok


def test_an_infinite_cost_is_found_and_fits_into_json() -> None:
    data = json.loads(issue(with_keys()).to_json())
    data["claim"]["delta"] = 1e-11
    found = Certificate.from_json(sealed(data)).verify()
    assert found.epsilon_recomputed == math.inf
    assert json.loads(json.dumps(found.to_dict(), allow_nan=False))["epsilon_recomputed"] is None
    assert not found.ok


def test_removed_events_are_found_by_the_digest() -> None:
    data = json.loads(issue(gaussians()).to_json())
    data["events"].pop()
    found = Certificate.from_json(json.dumps(data)).verify()
    assert any("digest" in problem for problem in found.problems)


def _without(key: str) -> Callable[[dict[str, Any]], object]:
    return lambda data: data.pop(key)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda data: data.update(colour="red"),
        lambda data: data["claim"].update(colour="red"),
        lambda data: data["events"][0].update(colour="red"),
        lambda data: data["events"][0].update(kind="laplace"),
        lambda data: data["events"][0].update(sigma=0.01),
        lambda data: data["events"][0].update(sigma="30"),
        lambda data: data["events"][0].update(sensitivity=-1.0),
        lambda data: data["claim"].update(epsilon=0.0),
        lambda data: data["claim"].update(delta=1.0),
        lambda data: data.update(noise="dice"),
        lambda data: data.update(relation="replace"),
        _without("claim"),
        _without("events"),
    ],
)
def test_what_cannot_be_understood_is_refused(spoil: Callable[[dict[str, Any]], object]) -> None:
    data = json.loads(issue(gaussians()).to_json())
    spoil(data)
    with pytest.raises(BundleError):
        Certificate.from_json(json.dumps(data))


@pytest.mark.parametrize("version", [0, 2, "1", None])
def test_other_formats_are_refused(version: object) -> None:
    data = json.loads(issue(gaussians()).to_json())
    data["format"] = version
    with pytest.raises(BundleError, match="format"):
        Certificate.from_json(json.dumps(data))


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "3", "{}", '{"claim": NaN', '{"claim": 1, "claim": 2}', "[" * 100_000]
)
def test_other_texts_are_refused(text: str) -> None:
    with pytest.raises(BundleError, match="not a tronie certificate"):
        Certificate.from_json(text)


def test_a_repeated_field_is_refused() -> None:
    text = issue(gaussians()).to_json()
    doubled = text.replace('"sigma":', '"sigma": 1000000.0, "sigma":', 1)
    with pytest.raises(BundleError, match="twice"):
        Certificate.from_json(doubled)


# --- words --------------------------------------------------------------------------------------


def test_the_text_says_what_matters() -> None:
    text = issue(gaussians()).to_text()
    for part in (
        "'adult'",
        "epsilon 1, delta 1e-09 (GDP)",
        "at most 3, that share a value of 'person'",
        "1.6% of the units",
        "advantage at most 7.2%",
        "2 accesses",
        "age: 17..90",
        *NOT_COVERED,
    ):
        assert part in text


def test_the_text_of_other_units_and_without_mu() -> None:
    rows = issue(with_keys()).model_copy(update={"unit": PrivacyUnit()})
    assert "the presence of one row\n" in rows.to_text()
    assert "no test finds" not in rows.to_text()
    several = rows.model_copy(update={"unit": PrivacyUnit(max_rows=4)})
    assert "up to 4 rows of one person" in several.to_text()
