"""Runs that promise nothing: what they may be given, and what must not be made from them."""

from __future__ import annotations

from typing import Any

from tronie.errors import BudgetError, InputError
from tronie.privacy.budget import DEFAULT_DELTA, Budget, NoPrivacy
from tronie.synth.settings import Training
from tronie.tables.stamp import says_not_private

NO_NOISE = ("noise_multiplier", "max_grad_norm")
"""Levers of a training that mean nothing without noise."""


def budget_of(
    *, dp: bool, epsilon: float | None, delta: float, training: Training, **limits: object
) -> Budget:
    """What a run may spend: a budget, or nothing and no promise.

    Args:
        dp: Whether the run is to be differentially private.
        epsilon: Privacy budget; needed if it is, and refused if not.
        delta: Probability of a worse loss than epsilon.
        training: How a network is trained.
        limits: Other things that mean something with a budget only, by name; None where not given.

    Raises:
        BudgetError: If epsilon is missing, or makes no sense.
        InputError: If something was given that would mean nothing.
    """
    if dp:
        if epsilon is None:
            raise BudgetError(
                "no epsilon was given.",
                "Give one, such as 1. To compare with a run without privacy, dp=False (--no-privacy).",
            )
        return Budget(epsilon, delta)
    changed = None if delta == DEFAULT_DELTA else delta
    levers = {name: getattr(training, name) for name in NO_NOISE}
    for name, value in {"epsilon": epsilon, "delta": changed, **limits, **levers}.items():
        if value is not None:
            raise InputError(
                f"{name} means nothing in a run without privacy.",
                "Leave it out, or leave dp=False (--no-privacy) out.",
            )
    return NoPrivacy()


def require_private(thing: Any, what: str) -> None:
    """Refuse a model, rows or a file that says that it was made without privacy.

    Args:
        thing: What was given.
        what: What it was given as, such as `a prior`.

    Raises:
        InputError: If it says so.
    """
    if says_not_private(thing):
        raise InputError(
            f"{what} was made without differential privacy, from private rows.",
            "Such rows and models may be compared with others in an internal report, and no more.",
        )
