"""Events that sample units: composition, and everything that adds costs up."""

from __future__ import annotations

import json
import math
import time
from pathlib import Path
from typing import Any

import dp_accounting
import numpy as np
import pytest
from dp_accounting.pld.pld_privacy_accountant import PLDAccountant
from dp_accounting.rdp import RdpAccountant
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from tronie.errors import BudgetError, BudgetExceeded
from tronie.privacy import calibration
from tronie.privacy.accounting import (
    delta_of,
    deltas_of,
    epsilon_of,
    fits,
    samples,
    spent,
    split,
    total_delta,
    total_mu,
)
from tronie.privacy.attack import best_attack
from tronie.privacy.budget import SAMPLER_DELTA, Budget
from tronie.privacy.calibration import noise_multiplier
from tronie.privacy.certificate import Certificate
from tronie.privacy.events import (
    Event,
    Exponential,
    Gaussian,
    SampledGaussian,
    Threshold,
    sigma_for,
)
from tronie.privacy.gdp import advantage, gdp_delta, gdp_epsilon, tpr_at_fpr
from tronie.privacy.ledger import Ledger
from tronie.privacy.pld import _sampled, pld_delta, pld_epsilon, rounding_delta
from tronie.privacy.rdp import ORDERS, _sampled_divergences, rdp_delta, rdp_epsilon
from tronie.schema.schema import PrivacyUnit

few = settings(deadline=None, max_examples=8)
EVENTS: TypeAdapter[list[Event]] = TypeAdapter(list[Event])


def sampled(rate: float = 0.04, noise: float = 2.0, steps: int = 100) -> SampledGaussian:
    return SampledGaussian(query="train", rate=rate, noise_multiplier=noise, steps=steps)


def gaussian(mu: float) -> Gaussian:
    return Gaussian(query="q", sigma=sigma_for(mu), sensitivity=1.0)


def exponential(epsilon: float) -> Exponential:
    return Exponential(query="q", epsilon=epsilon, candidates=9)


# --- the event ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "change",
    [{"rate": 0.0}, {"rate": 1.0001}, {"rate": math.nan}, {"rate": -0.1}]
    + [{"noise_multiplier": x} for x in (0.0, -1.0, math.inf, math.nan)],
)
def test_parameters_out_of_range_are_refused(change: dict[str, float]) -> None:
    with pytest.raises(BudgetError):
        SampledGaussian(
            **{"query": "q", "rate": 0.1, "noise_multiplier": 1.0, "steps": 3, **change}
        )


@pytest.mark.parametrize("steps", [0, -1, 2.5, 10**8])
def test_steps_are_a_whole_number_in_range(steps: float) -> None:
    with pytest.raises(ValidationError):
        SampledGaussian(query="q", rate=0.1, noise_multiplier=1.0, steps=steps)  # type: ignore[arg-type]


@given(st.floats(1e-9, 1.0), st.floats(1e-3, 1e6), st.integers(1, 10**7))
def test_json_round_trip_is_exact(rate: float, noise: float, steps: int) -> None:
    events = [sampled(rate, noise, steps), gaussian(0.1)]
    assert EVENTS.validate_json(EVENTS.dump_json(events), strict=True) == events


def test_mu_is_that_of_full_batches() -> None:
    assert sampled(0.01, 2.0, 100).mu == 5.0
    assert sampled().delta == 0.0
    assert total_mu([sampled(1.0, 2.0, 100), gaussian(0.5)]) == pytest.approx(math.hypot(5, 0.5))


def test_events_are_split_by_whether_a_mu_says_all() -> None:
    events = [sampled(), gaussian(1.0), sampled(1.0), exponential(0.1)]
    plain, found = split(events)
    assert plain == events[1:]
    assert found == [(0.04, 2.0, 100)]
    assert samples(events)
    assert not samples(plain)


# --- Renyi --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rate", "noise", "steps"),
    [(0.01, 1.0, 1000), (0.04, 0.7, 358), (0.3, 20.0, 1000), (1e-4, 0.5, 10**5), (1.0, 3.0, 10)],
)
def test_renyi_agrees_with_dp_accounting(rate: float, noise: float, steps: int) -> None:
    theirs = RdpAccountant([float(order) for order in ORDERS])
    event = dp_accounting.PoissonSampledDpEvent(rate, dp_accounting.GaussianDpEvent(noise))
    theirs.compose(event, steps)
    ours = steps * _sampled_divergences(rate, noise)
    assert ours == pytest.approx(np.array(theirs._rdp), rel=1e-9)
    assert rdp_epsilon(0.0, [(rate, noise, steps)], 1e-9) == pytest.approx(
        theirs.get_epsilon(1e-9), rel=1e-6
    )


def test_renyi_adds_a_gaussian() -> None:
    theirs = RdpAccountant([float(order) for order in ORDERS])
    theirs.compose(dp_accounting.GaussianDpEvent(2.0))
    theirs.compose(dp_accounting.PoissonSampledDpEvent(0.1, dp_accounting.GaussianDpEvent(3.0)), 50)
    assert rdp_epsilon(0.5, [(0.1, 3.0, 50)], 1e-6) == pytest.approx(
        theirs.get_epsilon(1e-6), rel=1e-6
    )


@given(st.floats(0.01, 3.0), st.floats(1e-3, 0.5), st.floats(0.5, 30.0), st.integers(1, 1000))
def test_renyi_epsilon_and_delta_are_inverses(
    mu: float, rate: float, noise: float, steps: int
) -> None:
    event = [(rate, noise, steps)]
    epsilon = rdp_epsilon(mu, event, 1e-7)
    assert rdp_delta(mu, event, epsilon) <= 1e-7 * (1 + 1e-6)
    if epsilon > 0:
        assert rdp_delta(mu, event, epsilon * (1 - 1e-6)) > 1e-7 * (1 - 1e-3)


# --- privacy loss distributions -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("rate", "noise", "steps"), [(0.01, 1.0, 1000), (0.042, 2.4, 120), (0.3, 20.0, 1000)]
)
def test_epsilon_agrees_with_dp_accounting_on_a_fine_grid(
    rate: float, noise: float, steps: int
) -> None:
    theirs = PLDAccountant(value_discretization_interval=5e-5)
    theirs.compose(
        dp_accounting.PoissonSampledDpEvent(rate, dp_accounting.GaussianDpEvent(noise)), steps
    )
    found = spent([sampled(rate, noise, steps)], 1e-7)
    assert found.accountant == "PLD"
    assert found.epsilon == pytest.approx(theirs.get_epsilon(1e-7), rel=2e-3)
    assert found.epsilon >= theirs.get_epsilon(1e-7) * (1 - 1e-5)
    assert found.epsilon < rdp_epsilon(0.0, [(rate, noise, steps)], 1e-7)


def one_step(rate: float, noise: float, epsilon: float) -> float:
    """Hockey-stick divergence of one sampled Gaussian, the larger direction, by integration."""
    x = np.linspace(-12 * noise, 1 + 12 * noise, 2_000_001)
    out = np.exp(-(x**2) / (2 * noise**2)) / (noise * math.sqrt(2 * math.pi))
    there = out * np.exp((2 * x - 1) / (2 * noise**2))
    mixed = (1 - rate) * out + rate * there
    gaps = (mixed - math.exp(epsilon) * out, out - math.exp(epsilon) * mixed)
    return max(float(np.trapezoid(np.maximum(gap, 0), x)) for gap in gaps)


@pytest.mark.parametrize(("rate", "noise"), [(0.05, 1.0), (0.5, 2.0), (0.9, 0.7)])
def test_one_step_is_the_divergence_of_its_pair(rate: float, noise: float) -> None:
    for epsilon in (0.0, 0.1, 0.5, 1.0):
        exact = one_step(rate, noise, epsilon)
        found = delta_of([sampled(rate, noise, 1)], epsilon)
        assert exact * (1 - 1e-6) <= found <= exact * 1.005 + 2e-11


@pytest.mark.parametrize("steps", [1, 100, 5000])
def test_a_rate_of_one_is_a_gaussian(steps: int) -> None:
    noise = 3.0 * math.sqrt(steps)
    found = spent([sampled(1.0, noise, steps)], 1e-9)
    assert found.accountant == "GDP"
    assert found.epsilon == gdp_epsilon(found.mu, 1e-9 - SAMPLER_DELTA)
    assert found.mu == pytest.approx(1 / 3)


@pytest.mark.parametrize("steps", [20, 5000])
@pytest.mark.parametrize("delta", [1e-4, 1e-9, 1.1e-11])
def test_long_compositions_keep_their_digits(steps: int, delta: float) -> None:
    """By Fourier transforms, where the answer is known: a rate of one."""
    total = _sampled(1.0, 3.0 * math.sqrt(steps), steps, 1e-4)
    found = total.get_epsilon_for_delta(delta - rounding_delta([], [(1.0, 1.0, steps)]))
    assert gdp_epsilon(1 / 3, delta) <= found <= gdp_epsilon(1 / 3, delta) * 1.02


def test_a_rate_just_below_one_costs_as_much() -> None:
    near = spent([sampled(1 - 1e-9, 3.0, 4)], 1e-9)
    assert near.epsilon == pytest.approx(epsilon_of([sampled(1.0, 3.0, 4)], 1e-9), rel=1e-3)


def test_equal_events_add_up_their_steps() -> None:
    assert pld_epsilon(0.0, [], 1e-9, [(0.04, 2.0, 60), (0.04, 2.0, 40)]) == pld_epsilon(
        0.0, [], 1e-9, [(0.04, 2.0, 100)]
    )


def test_mixtures_compose_with_gaussians_and_choices() -> None:
    parts: list[Event] = [gaussian(0.1), exponential(0.2), sampled()]
    whole = epsilon_of(parts, 1e-7)
    assert max(epsilon_of([part], 1e-7) for part in parts) < whole
    assert whole < sum(epsilon_of([part], 1e-7 / 3) for part in parts)
    assert whole <= rdp_epsilon(total_mu(parts[:2]), [(0.04, 2.0, 100)], 1e-7)


def test_a_gaussian_of_no_weight_changes_little() -> None:
    alone = epsilon_of([sampled()], 1e-7)
    assert epsilon_of([sampled(), gaussian(1e-4)], 1e-7) == pytest.approx(alone, rel=1e-3)


def test_deltas_of_thresholds_and_samplers_are_set_aside() -> None:
    key = Threshold(query="q", sigma=90.0, sensitivity=1.0, threshold=900.0, delta=1e-8)
    events: list[Event] = [sampled(), key]
    assert total_delta(events) == pytest.approx(1e-8)
    assert epsilon_of(events, 5e-9) == math.inf
    assert epsilon_of(events, 1e-7) > epsilon_of([sampled()], 1e-7)
    assert delta_of(events, 1.0) == pytest.approx(
        min(delta_of([sampled(), gaussian(key.mu)], 1.0), 1.0) + 1e-8, rel=1e-3
    )


def test_tiny_deltas_and_tiny_noise_fall_back_on_renyi_and_gauss() -> None:
    assert spent([sampled()], 1e-13).accountant == "RDP"
    assert math.isfinite(epsilon_of([sampled(0.04, 0.05, 100)], 1e-9))
    assert pld_epsilon(0.0, [], 1e-9, [(0.04, 0.05, 100)]) == math.inf
    assert pld_delta(0.0, [], 1.0, [(0.04, 0.05, 100)]) == 1.0
    shown = epsilon_of([sampled(4 / 27385, 0.001, 300_000)], 1 / 27385)
    assert 1e10 < shown < 1e13, "the canary experiment of the Gretel notebook"


def test_deltas_at_many_epsilons_are_those_at_each() -> None:
    events: list[Event] = [sampled(), gaussian(0.1)]
    assert deltas_of(events, [0.0, 0.5, 1.0]) == [delta_of(events, e) for e in (0.0, 0.5, 1.0)]
    assert delta_of(events, epsilon_of(events, 1e-6)) == pytest.approx(1e-6, rel=1e-2)


# --- monotone in everything ---------------------------------------------------------------------

rates, noises = st.floats(1e-3, 0.5), st.floats(0.6, 20.0)
steps_ = st.integers(1, 500)
factors = st.floats(1.02, 3.0)


@few
@given(rates, noises, steps_, factors, st.floats(-9.0, -3.0))
def test_epsilon_is_monotone_in_every_parameter(
    rate: float, noise: float, steps: int, factor: float, power: float
) -> None:
    delta = 10.0**power
    base = epsilon_of([sampled(rate, noise, steps)], delta) * (1 - 2e-3)
    assert epsilon_of([sampled(min(1.0, rate * factor), noise, steps)], delta) >= base
    assert epsilon_of([sampled(rate, noise / factor, steps)], delta) >= base
    assert epsilon_of([sampled(rate, noise, math.ceil(steps * factor))], delta) >= base
    assert epsilon_of([sampled(rate, noise, steps)], delta / factor) >= base
    assert epsilon_of([sampled(rate, noise, steps), gaussian(0.05)], delta) >= base
    assert epsilon_of([sampled(rate, noise, steps)], delta) <= epsilon_of(
        [sampled(1.0, noise, steps)], delta
    ) * (1 + 1e-9)


@few
@given(rates, noises, steps_)
def test_what_fits_costs_at_most_the_budget(rate: float, noise: float, steps: int) -> None:
    event = sampled(rate, noise, steps)
    cost = epsilon_of([event], 1e-6)
    if cost > 0:
        assert fits([event], Budget(cost, 1e-6))
        assert fits([event], Budget(cost * 2.0, 1e-6)), "by Renyi divergences alone"
        assert not fits([event], Budget(cost * (1 - 1e-6), 1e-6))


@few
@given(st.permutations([sampled(), sampled(0.1, 8.0, 30), gaussian(0.1), exponential(0.1)]))
def test_order_does_not_matter(events: list[Event]) -> None:
    in_order = [sampled(), sampled(0.1, 8.0, 30), gaussian(0.1), exponential(0.1)]
    assert spent(events, 1e-9) == spent(in_order, 1e-9)


# --- calibration --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("epsilon", "delta", "rate", "steps", "mu"),
    [
        (1.0, 1e-5, 0.042, 120, 0.1),
        (8.0, 1e-9, 0.042, 400, 0.3),
        (0.1, 1e-9, 0.02, 100, 0.0),
        (100.0, 1e-5, 0.1, 100, 0.0),
        (1000.0, 1e-5, 0.1, 20, 0.0),
        (1.0, 1e-9, 1.0, 30, 0.05),
        (1e9, 1e-5, 0.5, 5, 0.0),
        (1.0, 1e-5, 1e-4, 100_000, 0.1),
    ],
)
def test_calibration_uses_the_budget_and_no_more_in_little_time(
    epsilon: float, delta: float, rate: float, steps: int, mu: float
) -> None:
    begun = time.process_time()
    budget = Budget(epsilon, delta)
    noise = noise_multiplier(budget, rate, steps, mu=mu)
    # 0.2 to 4 seconds, and 1.5 to load the accountant once, on a machine that does nothing else.
    assert time.process_time() - begun < 15.0
    others = [gaussian(mu)] if mu else []
    events = [*others, sampled(rate, noise, steps)]
    assert fits(events, budget)
    if noise > calibration.LEAST_NOISE:
        assert epsilon_of(events, delta) > 0.998 * epsilon


def test_calibration_leaves_room_for_other_events() -> None:
    budget = Budget(1.0, 1e-7)
    key = Threshold(query="q", sigma=900.0, sensitivity=1.0, threshold=9000.0, delta=1e-8)
    noise = noise_multiplier(budget, 0.04, 50, mu=0.1, others=[key])
    several = [gaussian(0.1 / 2)] * 4
    assert fits([*several, key, sampled(0.04, noise, 50)], budget)
    assert noise > noise_multiplier(budget, 0.04, 50)


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: noise_multiplier(Budget(1.0, 1e-9), 0.04, 50, mu=1.0),
        lambda: noise_multiplier(
            Budget(1.0, 1e-9),
            0.04,
            50,
            others=[Threshold(query="q", sigma=9.0, sensitivity=1, threshold=99, delta=1e-6)],
        ),
        lambda: noise_multiplier(Budget(1.0, 1e-9), 1.5, 50),
        lambda: noise_multiplier(Budget(1.0, 1e-9), 0.5, 0),
    ],
)
def test_what_cannot_be_calibrated_is_refused(wrong: Any) -> None:
    with pytest.raises((BudgetError, ValidationError)):
        wrong()


def test_a_cost_that_noise_does_not_lower_is_refused() -> None:
    with pytest.raises(BudgetError, match="no noise is large enough"):
        calibration._refine(lambda noise: 9.0, lambda noise: 1 / noise, 1.0, 1.0)


def test_calibration_recovers_from_a_cost_with_a_step() -> None:
    """A cost that falls only far beyond the guess: a little noise at a time is added."""

    def step(noise: float) -> float:
        return 2.0 if noise < 1e4 else 0.5

    found = calibration._refine(step, lambda noise: 1 / noise, 1.0, 1.0)
    assert step(found) <= 1.0


# --- attacks ------------------------------------------------------------------------------------


def test_without_sampling_attacks_are_those_of_mu() -> None:
    found = best_attack([gaussian(0.3)], 0.05)
    mu = gaussian(0.3).mu
    assert found.tpr == pytest.approx(tpr_at_fpr(mu, 0.05))
    assert found.advantage == pytest.approx(advantage(mu))


@pytest.mark.parametrize("mu", [0.1, 0.5, 2.0])
def test_bounds_from_deltas_are_near_those_of_mu(mu: float) -> None:
    """A sampled event of no weight switches to the general bound."""
    events: list[Event] = [gaussian(mu), sampled(1e-4, 50.0, 1)]
    found = best_attack(events, 0.01)
    assert tpr_at_fpr(mu, 0.01) * (1 - 1e-6) <= found.tpr <= tpr_at_fpr(mu, 0.01) * 1.05 + 1e-4
    assert advantage(mu) <= found.advantage <= advantage(mu) + 1e-3


def test_bounds_of_one_sampled_step_are_above_its_best_test() -> None:
    rate, noise = 0.3, 0.8
    for fpr in (0.001, 0.01, 0.1, 0.5):
        tpr = (1 - rate) * fpr + rate * tpr_at_fpr(1 / noise, fpr)
        found = best_attack([sampled(rate, noise, 1)], fpr)
        assert tpr <= found.tpr <= tpr * 1.1 + 1e-3
        assert found.advantage == pytest.approx(rate * advantage(1 / noise), rel=0.01)


def test_attacks_need_a_rate() -> None:
    with pytest.raises(BudgetError):
        best_attack([sampled()], 1.5)
    assert best_attack([sampled(0.5, 0.1, 999)], 1.0).tpr == 1.0


# --- certificate --------------------------------------------------------------------------------


def certified(events: list[Event], budget: Budget) -> Certificate:
    return Certificate.issue(
        dataset="adult",
        method="transformer",
        budget=budget,
        unit=PrivacyUnit(),
        events=events,
        public=[("age", "17..90")],
        noise="operating system entropy, discrete",
    )


def trained(budget: Budget) -> list[Event]:
    noise = noise_multiplier(budget, 0.04, 60, mu=0.1)
    return [gaussian(0.1), sampled(0.04, noise, 60)]


def test_a_certificate_of_training_verifies_and_claims_no_mu() -> None:
    budget = Budget(1.0, 1e-7)
    certificate = certified(trained(budget), budget)
    assert certificate.claim.mu is None
    assert certificate.claim.accountant == "PLD"
    found = Certificate.from_json(certificate.to_json()).verify()
    assert found.ok, found.problems
    assert 0.99 < found.epsilon_recomputed <= 1.0
    assert math.isfinite(json.loads(json.dumps(found.to_dict()))["mu_recomputed"])


def test_a_certificate_of_training_states_the_best_attack() -> None:
    budget = Budget(1.0, 1e-7)
    events = trained(budget)
    attack = best_attack(events)
    text = certified(events, budget).to_text()
    assert f"more than {attack.tpr:.1%} of the units" in text
    assert attack.tpr < math.e * 0.01, "better than what epsilon and delta alone would say"
    assert f"at most {attack.advantage:.1%}" in text


def test_training_beyond_the_budget_is_not_certified() -> None:
    with pytest.raises(BudgetExceeded):
        certified([sampled(0.04, 0.5, 100)], Budget(1.0, 1e-7))


@pytest.mark.parametrize("change", [{"steps": 90}, {"rate": 0.08}, {"noise_multiplier": 0.9}])
def test_a_changed_event_is_found(change: dict[str, float]) -> None:
    budget = Budget(1.0, 1e-7)
    *first, event = trained(budget)
    forged = certified([*first, event], budget).model_copy(
        update={"events": (*first, event.model_copy(update=change))}
    )
    assert any("more than the claimed" in problem for problem in forged.verify().problems)


# --- ledger -------------------------------------------------------------------------------------


def commit(ledger: Ledger, events: list[Event], budget: Budget, **options: Any) -> None:
    reservation = ledger.reserve("d", budget, **options)
    reservation.mark_touched()
    reservation.commit(events)


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    return Ledger(tmp_path / "ledger.sqlite")


def test_one_training_costs_what_it_claims(ledger: Ledger) -> None:
    budget = Budget(1.0, 1e-7)
    commit(ledger, trained(budget), budget, sampled=True)
    total = ledger.spent("d")
    assert total.epsilon == pytest.approx(1.0, rel=5e-3)
    assert total.delta == 1e-7
    assert total.composition == "basic", "a claim by PLD is smaller than one by Renyi divergences"
    assert math.isfinite(total.mu)


def test_several_trainings_add_up_by_renyi_divergences(ledger: Ledger) -> None:
    budget = Budget(1.0, 1e-7)
    events = trained(budget)
    for _ in range(2):
        commit(ledger, events, budget, sampled=True)
    commit(ledger, [gaussian(0.1)], Budget(1.0, 1e-7))
    total = ledger.spent("d")
    assert total.composition == "RDP"
    all_events = [*events, *events, gaussian(0.1)]
    plain, found = split(all_events)
    fixed = 3 * SAMPLER_DELTA
    assert total.epsilon == pytest.approx(rdp_epsilon(total_mu(plain), found, 1e-7 - fixed))
    assert epsilon_of(all_events, 1e-7) < total.epsilon < 2.5


def test_a_training_that_has_not_ended_counts_by_its_claim(ledger: Ledger) -> None:
    commit(ledger, [gaussian(0.1)], Budget(0.5, 1e-7))
    ledger.reserve("d", Budget(1.0, 1e-9), sampled=True).mark_touched()
    total = ledger.spent("d")
    assert total.delta == pytest.approx(1e-7 + 1e-9)
    assert total.epsilon == pytest.approx(gdp_epsilon(gaussian(0.1).mu, 1e-7) + 1.0, rel=1e-6)
    assert total.mu == math.inf
    assert total.to_dict()["mu"] is None
    assert [entry.to_dict()["mu"] is None for entry in ledger.entries("d")] == [False, True]
    assert ledger.spent("d", 1e-9).epsilon == math.inf


def test_only_a_training_that_has_not_ended(ledger: Ledger) -> None:
    ledger.reserve("d", Budget(1.0, 1e-9), events=[sampled(0.01, 9.0, 9)])
    total = ledger.spent("d")
    assert (total.epsilon, total.delta) == (1.0, 1e-9)


def test_a_reservation_can_learn_that_units_are_sampled(ledger: Ledger) -> None:
    reservation = ledger.reserve("d", Budget(1.0, 1e-9))
    assert math.isfinite(ledger.spent("d").mu)
    reservation.mark_touched()
    reservation.mark_sampled()
    assert ledger.spent("d").mu == math.inf
    reservation.commit([sampled(0.01, 9.0, 9)])
    assert math.isfinite(ledger.spent("d").mu)
    with pytest.raises(BudgetError):
        reservation.mark_sampled()


def test_caps_hold_for_trainings(ledger: Ledger) -> None:
    ledger.set_cap("d", 1.5, 1e-6)
    commit(ledger, [gaussian(0.1)], Budget(0.5, 1e-7))
    ledger.reserve("d", Budget(0.9, 1e-7), sampled=True)
    with pytest.raises(BudgetExceeded):
        ledger.reserve("d", Budget(0.9, 1e-7), sampled=True)


def test_totals_over_many_trainings_are_fast(ledger: Ledger) -> None:
    with ledger._file.write() as rows:
        for number in range(150):
            events = [sampled(0.01 + 1e-5 * number, 5.0 + 0.01 * number, 100), gaussian(0.01)]
            values = {
                "dataset": "d",
                "created": "2026-01-01T00:00:00+00:00",
                "state": "committed",
                "epsilon": 0.5,
                "delta": 1e-7,
                "mu": total_mu(events),
                "fixed_delta": SAMPLER_DELTA,
                "events": EVENTS.dump_json(events).decode(),
                "note": "",
            }
            rows.insert(values)
    begun = time.process_time()
    total = ledger.spent("d")
    assert time.process_time() - begun < 5.0
    assert total.composition == "RDP"
    assert total.epsilon < 75


def test_gdp_curve_is_above_the_sampled_one() -> None:
    event = sampled(0.3, 2.0, 9)
    for epsilon in (0.0, 0.3, 1.0, 3.0):
        assert delta_of([event], epsilon) <= gdp_delta(event.mu, epsilon) + 1e-11
