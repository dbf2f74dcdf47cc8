"""Private gradient descent: random batches, clipped sums, noise, and an optimiser.

Sources: Abadi et al. 2016, arXiv 1607.00133 (DP-SGD); Kingma and Ba 2015, arXiv 1412.6980 (Adam);
Loshchilov and Hutter 2019, arXiv 1711.05101 (AdamW).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, TypeAlias, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from tronie.errors import InputError
from tronie.measure.clipping import ClippedGradients
from tronie.measure.descent import Descent, default_descent
from tronie.measure.lattice import Floats, Lattice, coins
from tronie.measure.noise import Noise
from tronie.measure.training_state import Changing, Receipt, TrainingState

__all__ = [
    "Descent",
    "default_descent",
    "descend",
    "descend_exactly",
    "first_state",
    "outline",
    "put_state",
    "require_row_losses",
]

Codes: TypeAlias = NDArray[np.integer[Any]]
Ints: TypeAlias = NDArray[np.int64]

BETAS = (0.9, 0.999)
"""Decay of Adam's two moving means."""

EPSILON = 1e-8
"""What Adam adds to its denominator."""

SMALL = 2_000_000
"""Networks of fewer parameters are faster with one thread."""

GOLDEN = 0.6180339887498949
"""Fractional parts of its multiples spread evenly: the made-up rows that a network is checked with."""

_TOLERANCE = 1e-3

_NOTHING = Receipt("", (), 0, 0)


def descend(
    network: nn.Module,
    codes: Codes,
    units: Codes | None,
    descent: Descent,
    noise: Noise,
    watch: Callable[[int], None],
    *,
    state: TrainingState | None = None,
    keep: Callable[[TrainingState], None] | None = None,
    keep_every: int = 0,
    after_step: Callable[[int], None] | None = None,
) -> TrainingState:
    """Fit a network to private rows; the caller has charged for it.

    Args:
        network: Gives each row a loss of its own; its parameters are changed.
        codes: The private rows, shape (rows, columns).
        units: Whose each row is, as any whole numbers, shape (rows,); each row its own if None.
        descent: Settings.
        noise: Source of the coins that sample units and of the noise.
        watch: Told the number of each step before it begins; may raise to stop the run.
        state: Where to go on; the weights of the network are overwritten with it.
        keep: Given the state at the end, when the run is stopped, and every `keep_every` steps.
        keep_every: Number of steps; 0 for never.
        after_step: Told the number of each step when its noisy sum has changed the weights. It may
            change what of the network is not trained, such as buffers and frozen parameters.

    Returns:
        The state after the last step; its receipt is empty.

    Guarantee:
        Every step tosses a coin for each unit, adds up the sampled units' clipped gradients in
        double precision, physical batch by physical batch, rounds the sum to a lattice, and adds
        discrete Gaussian noise to every parameter; then the optimiser uses nothing else. An empty
        sample is a sum of zeros, with noise. So the run costs `descent.event`; see
        `tronie.measure.lattice.Lattice.of` and `tronie.measure.clipping.ClippedGradients.sum`.
        `after_step` is given nothing but a number, and between steps the network holds noisy answers
        only. So what it does is post-processing, and the losses of later steps are chosen by earlier
        answers, which composition allows.

    Edge cases:
        What `after_step` does to trained parameters is overwritten; a state keeps what it changed if
        the network says what that is (`tronie.measure.training_state.Changing`). A table without rows
        gives noise alone. A state that is kept between stops claims the steps up to the next one: if
        the run dies, they are given up rather than done twice. A unit of more rows than a physical
        batch makes a larger one.

    Raises:
        InputError: If a layer cannot be clipped, or the state does not fit the network.
    """
    core = ClippedGradients(network)
    lattice = Lattice.of(core.size, descent.max_grad_norm, descent.noise_multiplier)
    rows = _Units.of(codes, units)
    optimiser = _Optimiser(core, descent, state)
    begun = 0 if state is None else state.next
    with _threads(core.network):
        try:
            for step in range(begun, descent.steps):
                watch(step)
                begun = step + 1
                sampled = np.flatnonzero(coins(descent.rate, rows.count, noise))
                noisy = lattice.blur(_clipped_sum(core, rows, sampled, descent), noise)
                optimiser.step(noisy, step)
                if after_step:
                    after_step(step)
                if keep and keep_every and begun % keep_every == 0 and begun < descent.steps:
                    keep(optimiser.state(min(begun + keep_every, descent.steps)))
        finally:
            ended = optimiser.state(begun)
            if keep:
                keep(ended)
    return ended


def descend_exactly(
    network: nn.Module,
    codes: Codes,
    descent: Descent,
    noise: Noise,
    watch: Callable[[int], None],
    *,
    after_step: Callable[[int], None] | None = None,
) -> TrainingState:
    """Fit a network to rows by ordinary gradient descent, for comparison: nothing is clipped or noised.

    Args:
        network: Gives each row a loss of its own; its parameters are changed.
        codes: The rows, shape (rows, columns).
        descent: Settings; those of noise and norm are not used, and a step divides by its rows.
        noise: Source of the coins that sample rows.
        watch: Told the number of each step before it begins; may raise to stop the run.
        after_step: Told the number of each step after it; see `descend`.

    Returns:
        The state after the last step; its receipt is empty.

    Guarantee:
        None: what comes out is private.

    Edge cases:
        A step without rows changes nothing.
    """
    core = ClippedGradients(network)
    optimiser = _Optimiser(core, replace(descent, divisor=1.0), None)
    with _threads(core.network):
        for step in range(descent.steps):
            watch(step)
            sampled = np.flatnonzero(coins(descent.rate, len(codes), noise))
            if len(sampled):
                optimiser.step(_mean_gradient(core, codes[sampled], descent.physical_batch), step)
            if after_step:
                after_step(step)
    return optimiser.state(descent.steps)


def first_state(network: nn.Module, begun: int) -> TrainingState:
    """The state of a network that has learned nothing yet; its receipt is empty.

    Args:
        network: As `descend` takes it.
        begun: Steps that may have been answered and forgotten.
    """
    weights = _flat(ClippedGradients(network)).cpu().numpy().copy()
    zeros = np.zeros_like(weights)
    return TrainingState(0, begun, weights, zeros, zeros, _NOTHING)


def put_state(network: nn.Module, state: TrainingState) -> None:
    """Give a network the weights of a state, and what is beside them.

    Raises:
        InputError: If the state does not fit the network.
    """
    core = ClippedGradients(network)
    _require_fit(core, state)
    _put(core, _tensor(state.weights.copy()))
    _put_beside(network, state)


def outline(network: nn.Module) -> list[object]:
    """What a network is, but for its trained weights: names, shapes, and the values of all else."""
    trained: list[object] = []
    fixed: list[object] = []
    for name, tensor in [*network.named_parameters(), *network.named_buffers()]:
        trained.append((name, tuple(tensor.shape), str(tensor.dtype)))
        if not tensor.requires_grad:
            plain = tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8)
            fixed.append(plain.numpy())
    return [type(network).__name__, trained, fixed]


def require_row_losses(network: nn.Module, sizes: Sequence[int]) -> None:
    """Refuse a network whose loss of a row depends on other rows, with random public rows.

    Args:
        network: Gives each row a loss of its own.
        sizes: Number of codes of each column.

    Guarantee:
        None: this finds mistakes, not malice. Losses of rows are compared with those of the same
        rows alone and in another order; clipped sums of gradients with those of rows alone.

    Raises:
        InputError: If losses or gradients of a row change with other rows, are random or not
            finite, or a layer cannot be clipped.
    """
    core = ClippedGradients(network)
    rows = 7 if len(sizes) != 7 else 6  # no axis of columns can be taken for one of rows
    places = np.arange(1, rows * len(sizes) + 1).reshape(rows, len(sizes))
    drawn = places * GOLDEN % 1.0 * np.asarray(sizes)
    codes = _tensor(drawn.astype(np.int64)).to(core.parameters[0].device)
    with _threads(core.network):
        together = _losses(network, codes)
        backwards = _losses(network, codes.flip(0)).flip(0)
        alone = torch.cat([_losses(network, codes[row : row + 1]) for row in range(rows)])
        if not bool(torch.isfinite(together).all()):
            raise InputError("the losses of some rows are not finite.", "Check the network.")
        for other in (backwards, alone):
            if not torch.allclose(together, other, rtol=_TOLERANCE, atol=_TOLERANCE):
                raise InputError(
                    "the loss of a row depends on the other rows of its batch, or is random.",
                    "Return the sum or mean over the row's own parts, and draw nothing at random.",
                )
        if not _clips_row_by_row(core, codes):
            raise InputError(
                "the gradient of a row depends on the other rows of its batch, or a parameter is "
                "used outside of the layer that owns it.",
                "Let rows meet nowhere, and use parameters in their own layer only.",
            )


def _losses(network: nn.Module, codes: Tensor) -> Tensor:
    with torch.no_grad():
        losses = network(codes)
    if losses.shape != (len(codes),):
        raise InputError(
            f"the network gives losses of shape {tuple(losses.shape)} for {len(codes)} rows.",
            "Return one loss per row, not their mean.",
        )
    return losses


def _clips_row_by_row(core: ClippedGradients, codes: Tensor) -> bool:
    """Whether a clipped sum is that of the rows' own gradients, each shortened to the norm or further."""
    rows = [codes[row : row + 1] for row in range(len(codes))]
    gradients = [_gradient(core, row) for row in rows]
    most = max(sorted(map(_length, gradients))[len(rows) // 2], 1e-12)
    clipped = [core.sum(row, most) for row in rows]
    own = all(_shortened(*both, most) for both in zip(clipped, gradients, strict=True))
    return own and _near(core.sum(codes, most), torch.stack(clipped).sum(0))


def _shortened(found: Tensor, gradient: Tensor, most: float) -> bool:
    """Whether a vector is a part of a gradient, and no longer than allowed."""
    part = float(found @ gradient) / max(float(gradient @ gradient), 1e-30)
    fits = _length(found) <= most * (1 + _TOLERANCE)
    return fits and part >= 0 and _near(found, min(part, 1.0) * gradient)


def _near(found: Tensor, expected: Tensor) -> bool:
    return _length(found - expected) <= _TOLERANCE * (_length(expected) + _TOLERANCE)


def _gradient(core: ClippedGradients, codes: Tensor) -> Tensor:
    """Gradient of the summed losses of some rows, shape (parameters,)."""
    parts = cast(
        "Sequence[Tensor | None]",
        torch.autograd.grad(core.network(codes).sum(), core.parameters, allow_unused=True),
    )
    flat = [
        torch.zeros_like(parameter).reshape(-1) if part is None else part.reshape(-1)
        for parameter, part in zip(core.parameters, parts, strict=True)
    ]
    return torch.cat(flat)


def _mean_gradient(core: ClippedGradients, codes: Codes, most: int) -> Floats:
    """Mean gradient of some rows, shape (parameters,), so many of them at a time."""
    total = np.zeros(core.size)
    device = core.parameters[0].device
    for start in range(0, len(codes), most):
        inputs = _tensor(codes[start : start + most].astype(np.int64)).to(device)
        total += _gradient(core, inputs).cpu().numpy()
    return total / len(codes)


def _length(vector: Tensor) -> float:
    return float(vector.square().sum().sqrt())


def _tensor(array: NDArray[Any]) -> Tensor:
    return cast("Any", torch).from_numpy(array)


def _clipped_sum(core: ClippedGradients, rows: _Units, sampled: Ints, descent: Descent) -> Floats:
    """Sum of the sampled units' clipped gradients, shape (parameters,)."""
    total = np.zeros(core.size)
    device = core.parameters[0].device
    for codes, mask in rows.batches(sampled, descent.physical_batch):
        width = mask.shape[1]
        present = None if width == 1 else _tensor(mask.reshape(-1)).to(device)
        if present is not None:
            present = present.to(core.parameters[0].dtype)
        inputs = _tensor(codes).to(device)
        part = core.sum(inputs, descent.max_grad_norm, width=width, mask=present)
        total += part.cpu().numpy()
    return total


@dataclass(frozen=True, slots=True, eq=False)
class _Units:
    """Private rows, those of each unit together, small units first.

    Attributes:
        codes: Shape (rows, columns).
        starts: First row of each unit, shape (units,).
        counts: Rows of each unit, shape (units,).
    """

    codes: Codes
    starts: Ints
    counts: Ints

    @classmethod
    def of(cls, codes: Codes, units: Codes | None) -> _Units:
        if units is None:
            return cls(codes, np.arange(len(codes)), np.ones(len(codes), np.int64))
        _, which, counts = np.unique(units, return_inverse=True, return_counts=True)
        order = np.lexsort((which, counts[which]))
        counts = np.sort(counts)
        return cls(codes[order], np.cumsum(counts) - counts, counts)

    @property
    def count(self) -> int:
        """Number of units."""
        return len(self.counts)

    def batches(self, sampled: Ints, most: int) -> Iterator[tuple[Ints, NDArray[np.bool_]]]:
        """Codes of some units, in portions of about `most` rows, and which rows are there.

        Yields:
            Codes, shape (units * width, columns), and flags, shape (units, width).
        """
        start = 0
        while start < len(sampled):
            # Units are sorted by size, so that of the last one is the width.
            ahead = self.counts[sampled[start : start + most]]
            fits = ahead * np.arange(1, len(ahead) + 1) <= most
            end = start + max(int(fits.sum()), 1)
            chosen = sampled[start:end]
            places = np.arange(int(self.counts[chosen[-1]]))
            there = places < self.counts[chosen, None]
            rows = np.where(there, self.starts[chosen, None] + places, self.starts[chosen, None])
            yield self.codes[rows.reshape(-1)].astype(np.int64), there
            start = end


class _Optimiser:
    """The weights as one vector, and how noisy gradients change them."""

    def __init__(
        self, core: ClippedGradients, descent: Descent, state: TrainingState | None
    ) -> None:
        self._core = core
        self._descent = descent
        weights = _flat(core)
        zeros = torch.zeros_like(weights)
        if state is None:
            self._weights, self._first, self._second = weights, zeros, zeros.clone()
        else:
            _require_fit(core, state)
            self._weights, self._first, self._second = (
                _tensor(array.copy()).to(weights)
                for array in (state.weights, state.first, state.second)
            )
            _put_beside(core.network, state)
        self._updates = 0 if state is None else state.updates
        self._write()

    def step(self, noisy: Floats, step: int) -> None:
        """Change the weights by a noisy sum of gradients."""
        gradient = _tensor(noisy / self._descent.divisor).to(self._weights)
        rate = self._descent.learning_rate_at(step)
        self._updates += 1
        if self._descent.optimiser == "sgd":
            gradient += self._descent.weight_decay * self._weights
            self._first.mul_(self._descent.momentum).add_(gradient)
            self._weights -= rate * self._first
        else:
            self._adam(gradient, rate)
        self._write()

    def state(self, begun: int) -> TrainingState:
        """A copy of all that changes."""
        weights, first, second = (
            value.cpu().numpy().copy() for value in (self._weights, self._first, self._second)
        )
        found = TrainingState(self._updates, begun, weights, first, second, _NOTHING)
        network = self._core.network
        return replace(found, beside=network.beside()) if isinstance(network, Changing) else found

    def _adam(self, gradient: Tensor, rate: float) -> None:
        decay = self._descent.weight_decay
        if self._descent.optimiser == "adamw":
            self._weights.mul_(1.0 - rate * decay)
        else:
            gradient += decay * self._weights
        self._first.lerp_(gradient, 1.0 - BETAS[0])
        self._second.lerp_(gradient.square(), 1.0 - BETAS[1])
        scale = math.sqrt(1.0 - BETAS[1] ** self._updates)
        denominator = self._second.sqrt().div_(scale).add_(EPSILON)
        size = rate / (1.0 - BETAS[0] ** self._updates)
        self._weights.addcdiv_(self._first, denominator, value=-size)

    def _write(self) -> None:
        """Copy the vector to the network's parameters."""
        _put(self._core, self._weights)


def _flat(core: ClippedGradients) -> Tensor:
    """All trained parameters, one after another, shape (parameters,)."""
    return torch.cat([parameter.detach().reshape(-1) for parameter in core.parameters])


def _put(core: ClippedGradients, weights: Tensor) -> None:
    """Copy a vector to a network's trained parameters."""
    start = 0
    with torch.no_grad():
        for parameter in core.parameters:
            part = weights[start : start + parameter.numel()]
            parameter.copy_(part.view_as(parameter))
            start += parameter.numel()


def _put_beside(network: nn.Module, state: TrainingState) -> None:
    if isinstance(network, Changing) and state.beside:
        network.put_beside(state.beside)


def _require_fit(core: ClippedGradients, state: TrainingState) -> None:
    if state.weights.shape != (core.size,):
        raise InputError("the state is of another network.", "Begin anew.")


@contextmanager
def _threads(network: nn.Module) -> Generator[None]:
    """Compute small networks with one thread; what is not trained is computed, too."""
    size = sum(parameter.numel() for parameter in network.parameters())
    before = torch.get_num_threads()
    torch.set_num_threads(1 if size < SMALL else before)
    try:
        yield
    finally:
        torch.set_num_threads(before)
