"""Rows drawn from the components of a generator, and its single columns brought to given shares."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np

from tronie.models.nets.balance import Balance, choose
from tronie.models.nets.decoding import Parameters, Singles
from tronie.models.nets.drawing import BLOCK, CANDIDATES, Chooser, Step, blocks, resample
from tronie.models.nets.latent import LatentShape, Mixture
from tronie.models.nets.raking import shift_to
from tronie.models.propagation import IMPOSSIBLE
from tronie.schema.grid import Floats, Ints

PORTION = 1024
"""Rows whose probability is worked out at once."""


@dataclass(slots=True, eq=False)
class Mixed:
    """Rows on their way through the columns.

    Attributes:
        rows: Codes, shape (rows, columns), by the columns' numbers.
        logs: Log probability of each row's codes in its component, given what is given.
        likely: Log probability of what is given in each row.
    """

    rows: Ints
    logs: Floats
    likely: Floats


Shifts: TypeAlias = dict[int, Singles]
"""Column's number -> what is added to its log probabilities."""


@dataclass(slots=True, eq=False)
class Shifting:
    """Shifts of columns, each found the first time its column is drawn.

    Attributes:
        shares: Column's number -> wanted probability of each code.
        shifts: Those found so far.
    """

    shares: Mapping[int, Floats]
    shifts: Shifts = field(default_factory=Shifts)

    def __call__(self, column: int, logs: Singles, counts: Floats) -> Singles:
        """Log probabilities of a column, shifted."""
        if column not in self.shifts:
            self.shifts[column] = shift_to(logs, counts, self.shares[column])
        return logs + self.shifts[column]


def mix(
    mixture: Mixture,
    steps: Sequence[Step],
    components: Ints,
    chooser: Chooser,
    shifting: Shifting | None = None,
) -> Mixed:
    """Take rows through all columns.

    Args:
        mixture: The components.
        steps: Every column once.
        components: Component of each row.
        chooser: Chooses codes.
        shifting: Changes log probabilities before they are used.
    """
    count, sizes = len(components), mixture.shape.sizes
    found = Mixed(np.empty((count, len(sizes)), np.int64), np.zeros(count), np.zeros(count))
    for place, step in enumerate(steps):
        cells = np.zeros(count, np.int64)
        for parent in step.parents:
            cells = cells * sizes[parent] + found.rows[:, parent]
        # Rows of one component and one cell are predicted once.
        both, begun, counts = np.unique(
            components * len(step.possible) + cells, return_inverse=True, return_counts=True
        )
        which, cell = np.divmod(both, len(step.possible))
        logs = mixture.logs(step.column, which) + step.possible[cell]
        if shifting is not None:
            logs = shifting(step.column, logs, counts.astype(np.float64))
        if step.given is not None:
            logs += step.given[cell]
        logs = normalised(logs)
        codes = chooser(place, np.exp(logs)[begun])
        found.logs += logs[begun, codes]
        if step.given is not None:
            found.likely += step.given[cells, codes]
        found.rows[:, step.column] = codes
    return found


def normalised(logs: Singles) -> Singles:
    """Log probabilities that sum to 1 in each line."""
    peak = logs.max(axis=1, keepdims=True)
    return logs - peak - np.log(np.exp(logs - peak).sum(axis=1, keepdims=True))


def mix_rows(
    mixture: Mixture,
    steps: Sequence[Step],
    n: int,
    rng: np.random.Generator,
    shifting: Shifting | None = None,
) -> Ints:
    """Draw rows: components in even shares, codes with counts near their expectation (`Balance`).

    Args:
        mixture: The components.
        steps: Every column once, in an order; nothing is given.
        n: Number of rows, at least 0.
        rng: Source of randomness.
        shifting: Changes log probabilities before they are used; with it all rows are drawn at once.

    Returns:
        Codes, shape (n, columns), by the columns' numbers; in random order.
    """
    sizes = mixture.shape.sizes
    balance = Balance([sizes[step.column] for step in steps])
    rows = np.empty((n, len(sizes)), np.int64)
    components = rng.permutation(resample(np.log(mixture.weights), n, rng))
    for start, end in blocks(n, BLOCK if shifting is None else max(n, 1)):
        balance.begin(end - start)
        mixed = mix(
            mixture,
            steps,
            components[start:end],
            lambda place, shares: balance.draw(place, shares, rng),
            shifting,
        )
        rows[start:end] = mixed.rows
    return rng.permutation(rows)


def mix_given(
    mixture: Mixture,
    steps: Sequence[Step],
    guided: Sequence[Step],
    n: int,
    rng: np.random.Generator,
) -> Ints:
    """Draw rows given something.

    Components are drawn by how likely what is given is in them, and columns of which something is given
    first. Where no rule ties such a column to others, these are rows of the model already. Elsewhere more
    are drawn than are kept, and kept in proportion to how much likelier they are in the model.

    Args:
        mixture: The components.
        steps: Every column once, in the model's order.
        guided: Every column once, those of which something is given first.
        n: Number of rows, at least 0.
        rng: Source of randomness.

    Returns:
        Codes, shape (n, columns), by the columns' numbers; in random order.

    Source: importance resampling, Rubin 1988; systematic, Kitagawa 1996.
    """
    everything = np.arange(len(mixture.weights))
    evidence = np.zeros(len(everything))
    for step in guided:
        if step.given is not None and not step.parents:
            logs = normalised(mixture.logs(step.column, everything) + step.possible[0])
            evidence += _log_sum(logs + step.given[0])
    chances = np.log(mixture.weights) + evidence
    rows = np.empty((n, len(steps)), np.int64)
    for start, end in blocks(n, BLOCK // CANDIDATES):
        drawn = resample(chances, (end - start) * CANDIDATES, rng)
        proposed = mix(
            mixture,
            guided,
            drawn,
            lambda _, shares: choose(shares, rng.random(len(shares), np.float32)),
        )
        codes = proposed.rows
        # `codes` is bound now: the loop's variable would be another block's later.
        own = mix(
            mixture, steps, drawn, lambda place, _, codes=codes: codes[:, steps[place].column]
        )
        weights = own.logs + proposed.likely - proposed.logs - evidence[drawn]
        rows[start:end] = codes[resample(weights, end - start, rng)]
    return rng.permutation(rows)


def mixture_logs(mixture: Mixture, steps: Sequence[Step], rows: Ints) -> Floats:
    """Log probability of each code of some rows, given those that are drawn before it.

    It is exact: all components are added up.

    Args:
        mixture: The components.
        steps: Every column once, in the model's order; nothing is given.
        rows: Codes, shape (rows, columns), by the columns' numbers.

    Returns:
        Shape (rows, columns), by the columns' numbers; minus infinity for what is impossible.
    """
    components = np.arange(len(mixture.weights))
    known = {step.column: mixture.logs(step.column, components) for step in steps}
    alone = {
        step.column: np.ascontiguousarray(normalised(known[step.column] + step.possible[0]).T)
        for step in steps
        if not step.parents
    }
    found = np.empty(rows.shape)
    for start, end in blocks(len(rows), PORTION):
        part = rows[start:end]
        logs = np.tile(np.log(mixture.weights).astype(np.float32), (len(part), 1))
        before: Floats = np.zeros(len(part))
        for step in steps:
            codes = part[:, step.column]
            if step.parents:
                logs += _under_rules(known[step.column], step, part, mixture.shape.sizes)
            else:
                logs += alone[step.column][codes]
            sums = _log_sum(logs)
            found[start:end, step.column] = sums - before
            before = sums
    return np.where(found > IMPOSSIBLE / 2, found, -np.inf)


def _under_rules(logs: Singles, step: Step, rows: Ints, sizes: Sequence[int]) -> Singles:
    """Log probabilities of a column's codes in each component, shape (rows, components)."""
    cells = np.zeros(len(rows), np.int64)
    for parent in step.parents:
        cells = cells * sizes[parent] + rows[:, parent]
    found = np.empty((len(rows), len(logs)), np.float32)
    for cell in np.unique(cells):
        here = cells == cell
        found[here] = normalised(logs + step.possible[cell])[:, rows[here, step.column]].T
    return found


def _log_sum(logs: Singles) -> Floats:
    peak = logs.max(axis=1)
    sums: Floats = np.exp(logs - peak[:, None]).sum(axis=1, dtype=np.float64)
    return np.log(sums) + peak


@dataclass(frozen=True, slots=True, eq=False)
class RakedMixture:
    """A generator after raking.

    Attributes:
        parameters: Its parameters, the biases of its heads shifted.
        rows: Rows that were drawn on the way, shape (rows, columns); they have the wanted shares.
    """

    parameters: Parameters
    rows: Ints


def rake_mixture(
    shape: LatentShape,
    parameters: Parameters,
    points: Singles,
    steps: Sequence[Step],
    shares: Mapping[int, Floats],
    rows: int,
    rng: np.random.Generator,
) -> RakedMixture:
    """Shift the biases of a generator's heads so that columns have given shares.

    Args:
        shape: Sizes of the generator.
        parameters: Its parameters.
        points: Its points, shape (components, latent).
        steps: How its columns are drawn.
        shares: Column's number -> wanted probability of each code.
        rows: Number of rows that are drawn.
        rng: Source of randomness.

    Source: iterative proportional fitting, Deming and Stephan 1940, of conditional probabilities.
    """
    shifting = Shifting(shares)
    drawn = mix_rows(Mixture(shape, parameters, points), steps, rows, rng, shifting)
    biases = {f"heads.{column}.bias": shift for column, shift in shifting.shifts.items()}
    raked = {name: value + biases.get(name, 0) for name, value in parameters.items()}
    return RakedMixture(raked, drawn)
