"""Settings of private gradient descent, and what can be said about them without a row or a network."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

from tronie.errors import BudgetError, InputError
from tronie.privacy.budget import Budget
from tronie.privacy.calibration import LEAST_NOISE
from tronie.privacy.calibration import noise_multiplier as calibrated_noise
from tronie.privacy.events import Event, SampledGaussian

Optimiser: TypeAlias = Literal["adam", "adamw", "sgd"]

RATE = 1 / 24
"""Probability with which a unit is in a batch, where nothing else is asked for."""

STEPS = 120
"""Steps, where nothing else is asked for: five epochs at `RATE`."""

LEARNING_RATE = 1.2e-2
"""Largest learning rate, where none is asked for; chosen on coded Adult, see decision 0010."""

ORDINARY_BATCH, ORDINARY_EPOCHS, ORDINARY_STEPS = 512, 15.0, 200
"""Rows of a batch, epochs, and least steps of a training without privacy."""

ORDINARY_RATE = 3e-3
"""Its largest learning rate."""


@dataclass(frozen=True, slots=True)
class Descent:
    """How a network is fitted to private rows; public, and fixed before a row is read.

    Attributes:
        rate: Probability with which each privacy unit is in a batch, independently of all others.
        steps: Number of batches.
        noise_multiplier: Standard deviation of the noise on each parameter's sum of gradients, in
            units of `max_grad_norm`.
        max_grad_norm: L2 norm to which each unit's gradient is shortened if it is longer.
        learning_rate: Its largest value.
        warm_up: Steps over which the learning rate rises; then it falls as a cosine, to 0.
        optimiser: `adam`, `adamw` (with `weight_decay`) or `sgd` (with `momentum`).
        weight_decay: Part of a parameter that a step takes away, in units of the learning rate.
        momentum: Part of the last change that is kept.
        divisor: What noisy sums are divided by: a constant, such as the expected rows of a batch,
            never their number. It makes no difference to Adam.
        physical_batch: Rows that are in memory together, about; it changes nothing but that.

    Raises:
        InputError: If a setting makes no sense.
        BudgetError: If the rate or the noise is out of range.

    >>> descent = Descent(rate=0.1, steps=100, noise_multiplier=2.0, learning_rate=1.0, warm_up=10)
    >>> [round(descent.learning_rate_at(step), 2) for step in (0, 9, 54, 99)]
    [0.1, 1.0, 0.51, 0.0]
    """

    rate: float
    steps: int
    noise_multiplier: float
    max_grad_norm: float = 1.0
    learning_rate: float = LEARNING_RATE
    warm_up: int = 10
    optimiser: Optimiser = "adam"
    weight_decay: float = 0.0
    momentum: float = 0.0
    divisor: float = 1.0
    physical_batch: int = 512

    def __post_init__(self) -> None:
        for name in ("max_grad_norm", "learning_rate", "divisor"):
            if not 0.0 < getattr(self, name) < math.inf:
                raise InputError(f"{name} is {getattr(self, name)}.", "Give a positive number.")
        if self.steps < 1 or self.physical_batch < 1 or self.warm_up < 0:
            raise InputError("training has no steps, or no rows in a batch.", "Give at least one.")
        if not (0.0 <= self.weight_decay < math.inf and 0.0 <= self.momentum < 1.0):
            raise InputError(
                "the weight decay is negative, or the momentum not from 0 to below 1.",
                "Set both to 0.",
            )
        self.event(())

    def event(self, columns: Sequence[str]) -> SampledGaussian:
        """What all steps together cost."""
        return SampledGaussian(
            query="train",
            columns=tuple(columns),
            rate=self.rate,
            noise_multiplier=self.noise_multiplier,
            steps=self.steps,
        )

    def learning_rate_at(self, step: int) -> float:
        """The learning rate of a step, counted from 0: by batches as charged, empty ones too."""
        if step < self.warm_up:
            return self.learning_rate * (step + 1) / self.warm_up
        part = (step - self.warm_up + 1) / (self.steps - self.warm_up + 1)
        return self.learning_rate * 0.5 * (1.0 + math.cos(math.pi * part))

    def for_rows(self, rows_per_unit: int) -> Descent:
        """The same, for rows that are sampled and clipped one by one, not knowing whose they are.

        Args:
            rows_per_unit: Most rows of one unit.

        Guarantee:
            Each of k rows is in a batch with probability ``1 - (1 - rate)^(1/k)`` or a little less,
            so any of a unit's with at most `rate`; each is clipped to a k-th of the norm, so all
            together move a sum by at most `max_grad_norm`. By convexity of hockey-stick divergences
            this costs at most what `event` says. The noise is the same.
        """
        if rows_per_unit == 1:
            return self
        each = -math.expm1(math.log1p(-self.rate) / rows_per_unit) if self.rate < 1.0 else 1.0
        return replace(
            self,
            rate=each if each == 1.0 else each * (1.0 - 2.0**-40),
            max_grad_norm=self.max_grad_norm / rows_per_unit,
            noise_multiplier=self.noise_multiplier * rows_per_unit,
        )


def default_descent(
    budget: Budget,
    *,
    rows: float | None = None,
    mu: float = 0.0,
    others: Sequence[Event] = (),
    noise_multiplier: float | None = None,
    max_grad_norm: float = 1.0,
    epochs: float | None = None,
    batch_size: float | None = None,
    learning_rate: float | None = None,
) -> Descent:
    """Settings for a budget; whatever is not given follows from public numbers.

    Args:
        budget: What the release may cost in all.
        rows: Number of rows, if it is public; needed where a batch size is given.
        mu: GDP parameter that is set aside for all else that the release asks.
        others: Other events that are known beforehand.
        noise_multiplier: Noise; by default as little as the budget allows.
        max_grad_norm: Largest gradient of a unit.
        epochs: How often each unit is used, on average.
        batch_size: Rows of a batch, on average.
        learning_rate: Largest learning rate.

    Raises:
        InputError: If a batch size is given, but not the number of rows.
        BudgetError: If nothing of the budget is left, there is none, or a setting is out of range.

    Guarantee:
        With the default noise, other events of at most `mu` together, the others and training fit
        the budget. Nothing here may rest on answers of this release, the noisy number of rows
        included: see `tronie.privacy.calibration.noise_multiplier`. Answers may lower the rate of
        the result (`dataclasses.replace`), which never costs more.

    >>> descent = default_descent(Budget(1.0, 1e-5), rows=48_000, epochs=2.5)
    >>> round(1 / descent.rate), descent.steps, 1.2 < descent.noise_multiplier < 1.6
    (24, 60, True)
    """
    if not budget.dp:
        raise BudgetError(
            "without a budget there is no noise to work out.", "Use `ordinary_descent`."
        )
    if batch_size is None:
        rate = RATE
    elif rows is None:
        raise InputError(
            "a batch size is given, but not the number of rows.",
            "Declare the number of rows if it is public, or leave the batch size out.",
        )
    else:
        rate = min(1.0, batch_size / rows)
    steps = STEPS if epochs is None else max(1, round(epochs / rate))
    noise = noise_multiplier or calibrated_noise(budget, rate, steps, mu=mu, others=others)
    return Descent(
        rate=rate,
        steps=steps,
        noise_multiplier=noise,
        max_grad_norm=max_grad_norm,
        learning_rate=learning_rate or LEARNING_RATE,
        warm_up=min(10, steps // 4),
        divisor=1.0 if rows is None else max(rate * rows, 1.0),
    )


def ordinary_descent(
    rows: float,
    *,
    epochs: float | None = None,
    batch_size: float | None = None,
    learning_rate: float | None = None,
    effort: float = 1.0,
) -> Descent:
    """Settings of a training without privacy: smaller batches and many more steps than noise allows.

    Args:
        rows: Number of rows.
        epochs: How often each row is used, on average; by default `ORDINARY_EPOCHS`, or as many as make
            `ORDINARY_STEPS`.
        batch_size: Rows of a batch, on average.
        learning_rate: Largest learning rate.
        effort: What the default number of epochs, or of steps, is multiplied by.

    Guarantee:
        None. The noise multiplier is the least that there is, so that a private training with these
        settings by mistake would overdraw any budget.

    >>> descent = ordinary_descent(48_842)
    >>> descent.steps, round(1 / descent.rate)
    (1431, 95)
    """
    rate = min(1.0, (batch_size or ORDINARY_BATCH) / max(rows, 1.0))
    steps = max(effort * ORDINARY_EPOCHS / rate, effort * ORDINARY_STEPS)
    steps = max(round(steps if epochs is None else epochs / rate), 1)
    return Descent(
        rate=rate,
        steps=steps,
        noise_multiplier=LEAST_NOISE,
        learning_rate=learning_rate or ORDINARY_RATE,
        warm_up=min(10, steps // 4),
    )
