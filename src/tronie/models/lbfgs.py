"""Minimisation of a smooth convex function by L-BFGS."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

import numpy as np

from tronie.schema.grid import Floats

PAIRS = 12
"""Steps whose curvature is remembered."""

SUFFICIENT = 1e-4
"""Part of the decrease that the slope promises which a step must reach (Armijo)."""

ROUNDING = 1e-14
"""Relative error of a function value."""

SHORTEST = 1e-12
"""Part of the first step along a direction below which no other is tried."""


class Evaluation(NamedTuple):
    """A function at one point.

    Attributes:
        point: Where, shape (n,).
        value: The function's value.
        gradient: Its gradient, shape (n,).
        curvature: Guess of the diagonal of its Hessian, positive, shape (n,).
    """

    point: Floats
    value: float
    gradient: Floats
    curvature: Floats


Objective: TypeAlias = Callable[[Floats], Evaluation]


@dataclass(frozen=True, slots=True, eq=False)
class Minimum:
    """Where a minimisation ended.

    Attributes:
        point: The best point.
        rms: Root mean square of the gradient there, in its units.
        iterations: Steps taken.
        converged: Whether the rms is below the tolerance.
    """

    point: Floats
    rms: float
    iterations: int
    converged: bool


def minimise(
    objective: Objective, start: Floats, units: Floats, *, tolerance: float, max_iterations: int
) -> Minimum:
    """Minimise until the root mean square of the gradient is below a tolerance.

    Args:
        objective: The function.
        start: First point, shape (n,).
        units: What each entry of the gradient is measured in, shape (n,).
        tolerance: Bound on the root mean square of the gradient over its units.
        max_iterations: Most steps.

    Source: Nocedal, Wright 2006, algorithms 7.4 and 7.5, with a diagonal that follows the point,
    and backtracking. Near the minimum, where rounding hides the decrease, the slope decides (Hager,
    Zhang 2005, the approximate Wolfe test).
    """
    memory: list[_Pair] = []
    here = objective(start)
    iterations = 0
    while (rms := _rms(here.gradient / units)) >= tolerance and iterations < max_iterations:
        there = _search(objective, here, _direction(here, memory))
        if there is None:
            break
        step, change = there.point - here.point, there.gradient - here.gradient
        if (product := dot(step, change)) > 0:
            memory = [*memory[1 - PAIRS :], _Pair(step, change, product)]
        here, iterations = there, iterations + 1
    return Minimum(here.point, rms, iterations, rms < tolerance)


class _Pair(NamedTuple):
    """A step, how the gradient changed along it, and their inner product."""

    step: Floats
    change: Floats
    product: float


def _direction(here: Evaluation, memory: list[_Pair]) -> Floats:
    """Minus the approximate inverse Hessian times the gradient."""
    down = -here.gradient
    weights: list[float] = []
    for step, change, product in reversed(memory):
        weights.append(dot(step, down) / product)
        down -= weights[-1] * change
    down /= here.curvature
    if memory:
        _, change, product = memory[-1]
        down *= product / dot(change, change / here.curvature)
    for (step, change, product), weight in zip(memory, reversed(weights), strict=True):
        down += (weight - dot(change, down) / product) * step
    return down


def _search(objective: Objective, here: Evaluation, direction: Floats) -> Evaluation | None:
    """The first step along a direction, shortened each time, that decreases enough."""
    slope = dot(here.gradient, direction)
    if not slope < 0:
        return None
    length = 1.0
    while length > SHORTEST:
        there = objective(here.point + length * direction)
        rise = there.value - here.value
        if rise <= SUFFICIENT * length * slope:
            return there
        if rise <= ROUNDING * abs(here.value):
            steep = dot(there.gradient, direction)
            if (1 - 2 * SUFFICIENT) * slope <= -steep:
                return there
        bend = rise - length * slope
        vertex = -0.5 * length * slope / bend if np.isfinite(bend) and bend > 0 else 0.0
        length *= min(max(vertex, 0.1), 0.5)
    return None


def dot(one: Floats, two: Floats) -> float:
    """Inner product by one thread: BLAS would use several, for no gain at these sizes."""
    return float(np.einsum("i,i->", one, two))


def _rms(gradient: Floats) -> float:
    return float(np.sqrt(dot(gradient, gradient) / max(len(gradient), 1)))
