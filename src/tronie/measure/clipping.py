"""Gradients of single units, clipped and summed in one backward pass.

The gradient of a linear layer is an outer product of what went in and of the gradient of what came
out, so its norm follows from both without the product (ghost norms), and the clipped sum from the
same numbers, weighted (book-keeping). A unit of several rows is one sample with as many positions.

Sources: Goodfellow 2015, arXiv 1510.01799; Li, Tramer, Liang, Hashimoto 2022, arXiv 2110.05679
(ghost norms of sequences); Bu, Wang, Zha, Karypis 2023, arXiv 2210.00038 (book-keeping).
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Protocol, TypeAlias, cast

import torch
from torch import Tensor, nn

from tronie.errors import InputError

Parameter: TypeAlias = nn.Parameter

CANCELLATION = 2.0**-12
"""A layer's squared ghost norm is taken for at least this part of its largest possible value.

Below it positions cancel so well that rounding decides; such a unit is clipped more than it need be.
"""

_BY_HAND = "Put what it does into a small module of your own, or leave it out."

_REFUSED: tuple[tuple[type[nn.Module], str], ...] = (
    (nn.modules.batchnorm._BatchNorm, "it mixes the rows of a batch"),  # pyright: ignore[reportPrivateUsage]
    (nn.modules.instancenorm._InstanceNorm, "it may keep statistics of rows"),  # pyright: ignore[reportPrivateUsage]
    (nn.GRU, "its steps cannot be taken apart; nn.LSTM can"),
    (nn.RNN, "its steps cannot be taken apart; nn.LSTM can"),
    (nn.EmbeddingBag, "its bags are not rows; nn.Embedding is known"),
    (nn.MultiheadAttention, "its projections are no layers; attention made of nn.Linear is known"),
)


class Rule(Protocol):
    """How one layer's gradients follow from its inputs and from the gradients of its outputs."""

    @property
    def parameters(self) -> tuple[Parameter, ...]:
        """The parameters that are trained."""
        ...

    def squared_norms(self, inputs: Tensor, grads: Tensor) -> Tensor:
        """Squared norm of each unit's gradient, shape (units,)."""
        ...

    def weighted(self, inputs: Tensor, grads: Tensor, factors: Tensor) -> list[Tensor]:
        """Sum of the units' gradients times their factors, one tensor per parameter."""
        ...


@dataclass(slots=True)
class _Use:
    """One call of a layer: what went in, and what came out."""

    inputs: tuple[Tensor, ...]
    output: Tensor
    versions: tuple[int, ...]


@dataclass(slots=True, eq=False)
class _Layer:
    name: str
    module: nn.Module
    rule: Rule
    uses: list[_Use] = field(default_factory=list[_Use])


class ClippedGradients:
    """Clipped sums of gradients of a network whose loss is one number per row.

    Args:
        network: Maps codes, shape (rows, columns), to each row's own loss, shape (rows,).

    Raises:
        InputError: If a layer cannot be taken apart by rows; it is named.

    Guarantee:
        See `sum`. Layers known in closed form are `nn.Linear`, `nn.Embedding`, `nn.LayerNorm` and
        `nn.LSTM`. Any other module that owns parameters is differentiated row by row, together with
        all that is inside it (`torch.func.vmap`): exact as well, but slower, and its gradients are
        kept for every unit; so parameters of other kinds belong into small modules of their own.
    """

    def __init__(self, network: nn.Module) -> None:
        self.network = network
        self._layers: list[_Layer] = []
        self._loops: list[tuple[nn.LSTM, Callable[..., Any]]] = []
        self._known: set[int] = set()
        self._walk("", network)
        self.parameters = tuple(p for p in network.parameters() if p.requires_grad)
        self._places = _places(self._layers, self.parameters)
        if not self.parameters:
            raise InputError("the network has no parameter to train.", "Unfreeze some.")

    @property
    def size(self) -> int:
        """Number of trained parameters."""
        return sum(parameter.numel() for parameter in self.parameters)

    def sum(
        self, codes: Tensor, max_norm: float, *, width: int = 1, mask: Tensor | None = None
    ) -> Tensor:
        """Add up the clipped gradients of some units.

        Args:
            codes: Rows of the units, shape (units * width, columns); each unit's stand together.
            max_norm: L2 norm to which each unit's gradient is shortened if it is longer.
            width: Rows of each unit, missing ones included.
            mask: 1 for rows that are there, 0 for rows that are missing, shape (rows,).

        Returns:
            The sum as one vector, in the order of `parameters`, shape (size,).

        Guarantee:
            Each unit adds a vector of norm at most `max_norm` that depends on its own rows only, up
            to the rounding of float arithmetic, for which `tronie.measure.lattice.SLACK` leaves
            room.

        Edge cases:
            A unit whose gradient is not finite adds nothing.
        """
        recorded = self._backward(codes, width, mask)
        norms = _norms(recorded)
        finite = torch.isfinite(norms)
        factors = torch.where(finite, max_norm / norms.clamp_min(max_norm), 0.0)
        if not bool(finite.all()):
            recorded = [_without(one, finite) for one in recorded]
        total = torch.zeros(self.size, dtype=factors.dtype, device=factors.device)
        for layer, inputs, grads in recorded:
            sums = layer.rule.weighted(inputs, grads, factors)
            for parameter, part in zip(layer.rule.parameters, sums, strict=True):
                place = self._places[id(parameter)]
                total[place : place + part.numel()] += part.reshape(-1)
        return total

    def norms(self, codes: Tensor, *, width: int = 1, mask: Tensor | None = None) -> Tensor:
        """Norm of each unit's gradient, shape (units,); private, so for tests only."""
        return _norms(self._backward(codes, width, mask))

    def _walk(self, name: str, module: nn.Module) -> None:
        """Find a rule for every module that owns parameters."""
        if id(module) in self._known:
            return
        self._known.add(id(module))
        _refuse(name, module)
        rules = _rules(module)
        if rules is not None:
            self._add(name, module, rules)
        elif any(p.requires_grad for p in module.parameters(recurse=False)):
            for inner, part in _modules(module):
                _refuse(f"{name}.{inner}".strip("."), part)
            self._layers.append(_Layer(name or "network", module, _Leaf(module)))
        else:
            for inner, part in module.named_children():
                self._walk(f"{name}.{inner}".strip("."), part)

    def _add(self, name: str, module: nn.Module, rules: Sequence[tuple[nn.Module, Rule]]) -> None:
        if isinstance(module, nn.LSTM):
            self._loops.append((module, _lstm_loop(module, [part for part, _ in rules])))
        self._layers += [_Layer(name, part, rule) for part, rule in rules if rule.parameters]

    def _backward(self, codes: Tensor, width: int, mask: Tensor | None) -> list[_Recorded]:
        """Inputs and gradients of the outputs of each layer, by units."""
        rows = len(codes)
        try:
            with self._recording():
                losses = self.network(codes)
            if losses.shape != (rows,):
                raise InputError(
                    f"the network gives losses of shape {tuple(losses.shape)} for {rows} rows.",
                    "Return one loss per row, not their mean.",
                )
            used = [layer for layer in self._layers if layer.uses]
            if not used:
                raise InputError("the losses depend on no trained layer.", "Check the network.")
            for layer in used:
                _require_rows(layer, rows)
            outputs = [use.output for layer in used for use in layer.uses]
            total = losses.sum() if mask is None else torch.dot(losses, mask)
            found = iter(torch.autograd.grad(total, outputs, allow_unused=True))
            return [_by_units(layer, [next(found) for _ in layer.uses], width) for layer in used]
        finally:
            for layer in self._layers:
                layer.uses.clear()

    @contextmanager
    def _recording(self) -> Generator[None]:
        """Keep what goes in and out of layers; compute no gradient of any parameter."""
        handles = [
            layer.module.register_forward_hook(partial(_record, layer), with_kwargs=True)
            for layer in self._layers
        ]
        for module, loop in self._loops:
            module.forward = loop  # type: ignore[method-assign]
        for parameter in self.parameters:
            parameter.requires_grad_(False)
        try:
            yield
        finally:
            for parameter in self.parameters:
                parameter.requires_grad_(True)
            for module, _ in self._loops:
                del module.forward
            for handle in handles:
                handle.remove()


_Recorded: TypeAlias = tuple[_Layer, Any, Tensor]
"""A layer, what went into it and the gradients of what came out, by units."""


def _record(
    layer: _Layer, _: nn.Module, inputs: tuple[Any, ...], named: dict[str, Any], output: Any
) -> None:
    if named or not all(isinstance(value, Tensor) and value.ndim for value in (*inputs, output)):
        raise InputError(
            f"layer {layer.name!r} gets or gives something that is not one tensor of rows.",
            _BY_HAND,
        )
    if not output.requires_grad:
        output.requires_grad_()
    kept = tuple(value.detach() for value in inputs)
    layer.uses.append(_Use(kept, output, _versions(kept, output)))


def _versions(inputs: Iterable[Tensor], output: Tensor) -> tuple[int, ...]:
    """How often each tensor was changed in place."""
    return tuple(value._version for value in (*inputs, output))  # pyright: ignore[reportPrivateUsage]


def _require_rows(layer: _Layer, rows: int) -> None:
    """Refuse what cannot be told apart by rows."""
    for use in layer.uses:
        if any(len(value) != rows for value in (*use.inputs, use.output)):
            raise InputError(
                f"layer {layer.name!r} works on tensors whose first axis is not the rows.",
                "Let every tensor that goes into a layer with parameters have the rows first; expand "
                "constants to all rows.",
            )
        if _versions(use.inputs, use.output) != use.versions:
            raise InputError(
                f"what goes into or out of layer {layer.name!r} is changed in place.",
                "Make new tensors.",
            )


def _by_units(layer: _Layer, grads: Sequence[Tensor | None], width: int) -> _Recorded:
    """Uses of a layer, the rows of a unit and positions of a row are all positions of a unit."""
    outputs = [
        torch.zeros_like(use.output) if grad is None else grad
        for use, grad in zip(layer.uses, grads, strict=True)
    ]
    if isinstance(layer.rule, _LayerNorm | _Leaf):
        rows = [
            layer.rule.rows(use.inputs, grad) for use, grad in zip(layer.uses, outputs, strict=True)
        ]
        total = rows[0] if len(rows) == 1 else torch.stack(rows).sum(0)
        units = total if width == 1 else total.reshape(-1, width, total.shape[1]).sum(1)
        return layer, None, units
    features = 0 if isinstance(layer.rule, _Embedding) else 1
    inputs = [_positions(use.inputs[0], width, features) for use in layer.uses]
    gradients = [_positions(grad, width, 1) for grad in outputs]
    if len(inputs) == 1:
        return layer, inputs[0], gradients[0]
    return layer, torch.cat(inputs, 1), torch.cat(gradients, 1)


def _positions(value: Tensor, width: int, features: int) -> Tensor:
    """Shape (units, positions, features), or (units, positions) for indices."""
    units = len(value) // width
    return value.reshape(units, -1, value.shape[-1]) if features else value.reshape(units, -1)


def _norms(recorded: Iterable[_Recorded]) -> Tensor:
    squares = [layer.rule.squared_norms(inputs, grads) for layer, inputs, grads in recorded]
    return torch.stack(squares).sum(0).sqrt()


def _without(recorded: _Recorded, keep: Tensor) -> _Recorded:
    """The same, with zeros for units that are left out."""
    layer, inputs, grads = recorded

    def kept(value: Tensor) -> Tensor:
        return torch.where(keep.reshape(-1, *[1] * (value.ndim - 1)), value, 0)

    return layer, inputs if inputs is None else kept(inputs), kept(grads)


def _places(layers: Sequence[_Layer], parameters: Sequence[Parameter]) -> dict[int, int]:
    """Where each parameter begins in the vector of all."""
    owner: dict[int, str] = {}
    for layer in layers:
        for parameter in layer.rule.parameters:
            other = owner.setdefault(id(parameter), layer.name)
            if other != layer.name:
                raise InputError(
                    f"layers {other!r} and {layer.name!r} share a parameter.",
                    "Put both into one module that owns the parameter.",
                )
    places: dict[int, int] = {}
    start = 0
    for parameter in parameters:
        places[id(parameter)] = start
        start += parameter.numel()
    return places


def _refuse(name: str, module: nn.Module) -> None:
    """Refuse a layer that mixes rows, or that is random in a way that nobody accounts for."""
    for kind, reason in _REFUSED:
        if isinstance(module, kind):
            raise InputError(
                f"layer {name!r} is {type(module).__name__}, which cannot be trained privately: "
                f"{reason}.",
                _BY_HAND,
            )
    if any(isinstance(p, nn.UninitializedParameter) for p in module.parameters(recurse=False)):
        raise InputError(f"layer {name!r} has no sizes yet.", "Run the network once on any codes.")
    dropout = getattr(module, "p", 0) if "Dropout" in type(module).__name__ else 0
    if dropout or (isinstance(module, nn.RNNBase) and module.dropout):
        raise InputError(
            f"layer {name!r} drops out at random from torch's own generator.",
            "Set its probability to 0; noise is added anyhow.",
        )


def _modules(module: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    """A module and all inside it, with their names."""
    yield from cast("Any", module).named_modules()


def _trained(*parameters: Tensor | None) -> tuple[Parameter, ...]:
    return tuple(cast("Parameter", p) for p in parameters if p is not None and p.requires_grad)


def _rules(module: nn.Module) -> list[tuple[nn.Module, Rule]] | None:
    """The layers that a module consists of, and their rules; None where none is known."""
    if type(module) is nn.Linear:
        return [(module, _Linear(module))]
    if type(module) is nn.LayerNorm:
        return [(module, _LayerNorm(module))]
    if type(module) is nn.Embedding:
        if module.max_norm is not None or module.scale_grad_by_freq or module.sparse:
            raise InputError(
                "an nn.Embedding has max_norm, scale_grad_by_freq or sparse set.", "Leave them out."
            )
        return [(module, _Embedding(module))]
    if type(module) is nn.LSTM and not module.proj_size:
        return [(linear, _Linear(linear)) for linear in _lstm_linears(module)]
    return None


class _Linear:
    """Gradients of a linear layer: inputs (units, positions, in), grads (units, positions, out)."""

    def __init__(self, module: nn.Linear) -> None:
        self._weight = module.weight.requires_grad
        self._bias = module.bias is not None and module.bias.requires_grad  # pyright: ignore[reportUnnecessaryComparison]
        self.parameters = _trained(module.weight, module.bias)

    def squared_norms(self, inputs: Tensor, grads: Tensor) -> Tensor:
        _, positions, size = inputs.shape
        if positions == 1:
            squares = inputs.square().sum((1, 2)) if self._weight else 0.0
            return (squares + float(self._bias)) * grads.square().sum((1, 2))
        total = torch.zeros(len(inputs), dtype=grads.dtype, device=grads.device)
        if self._bias:
            total = total + grads.sum(1).square().sum(1)
        if not self._weight:
            return total
        out = grads.shape[2]
        if positions * (size + out) > size * out:
            return total + torch.bmm(grads.mT, inputs).square().sum((1, 2))
        return total + _ghost(torch.bmm(inputs, inputs.mT), torch.bmm(grads, grads.mT))

    def weighted(self, inputs: Tensor, grads: Tensor, factors: Tensor) -> list[Tensor]:
        scaled = (grads * factors[:, None, None]).flatten(0, 1)
        parts = [scaled.T @ inputs.flatten(0, 1)] if self._weight else []
        return [*parts, scaled.sum(0)] if self._bias else parts


class _Embedding:
    """Gradients of an embedding: inputs (units, positions) of indices."""

    def __init__(self, module: nn.Embedding) -> None:
        self._rows, self._padding = module.num_embeddings, module.padding_idx
        self.parameters = _trained(module.weight)

    def squared_norms(self, inputs: Tensor, grads: Tensor) -> Tensor:
        grads = self._unpadded(inputs, grads)
        if inputs.shape[1] == 1:
            return grads.square().sum((1, 2))
        same = (inputs[:, :, None] == inputs[:, None, :]).to(grads.dtype)
        return _ghost(same, torch.bmm(grads, grads.mT))

    def weighted(self, inputs: Tensor, grads: Tensor, factors: Tensor) -> list[Tensor]:
        scaled = self._unpadded(inputs, grads) * factors[:, None, None]
        total = torch.zeros(self._rows, grads.shape[2], dtype=scaled.dtype, device=scaled.device)
        return [total.index_add_(0, inputs.reshape(-1), scaled.flatten(0, 1))]

    def _unpadded(self, inputs: Tensor, grads: Tensor) -> Tensor:
        if self._padding is None:
            return grads
        return grads * (inputs != self._padding)[:, :, None]


class _Whole:
    """Gradients that are kept whole for every unit: grads (units, parameters)."""

    parameters: tuple[Parameter, ...]

    def squared_norms(self, inputs: Any, grads: Tensor) -> Tensor:
        return grads.square().sum(1)

    def weighted(self, inputs: Any, grads: Tensor, factors: Tensor) -> list[Tensor]:
        sizes = [parameter.numel() for parameter in self.parameters]
        return list(cast("Any", factors @ grads).split(sizes))


class _LayerNorm(_Whole):
    """Gradients of a layer norm, whose parameters are few."""

    def __init__(self, module: nn.LayerNorm) -> None:
        if len(module.normalized_shape) != 1:
            raise InputError("an nn.LayerNorm is over several axes.", "Normalise the last one.")
        weight = cast("Parameter | None", module.weight)
        bias = cast("Parameter | None", module.bias)
        self._weight = weight is not None and weight.requires_grad
        self._bias = bias is not None and bias.requires_grad
        self._epsilon = module.eps
        self.parameters = _trained(weight, bias)

    def rows(self, inputs: Sequence[Tensor], grads: Tensor) -> Tensor:
        """Gradient of each row, shape (rows, parameters)."""
        (before,) = inputs
        size = before.shape[-1:]
        parts: list[Tensor] = []
        if self._weight:
            normal = nn.functional.layer_norm(before, size, eps=self._epsilon)
            parts.append((normal * grads).reshape(len(grads), -1, *size).sum(1))
        if self._bias:
            parts.append(grads.reshape(len(grads), -1, *size).sum(1))
        return torch.cat(parts, 1)


class _Leaf(_Whole):
    """Gradients of any module, row by row."""

    def __init__(self, module: nn.Module) -> None:
        self._module = module
        self.parameters = tuple(p for p in module.parameters() if p.requires_grad)
        self._names = [name for name, p in module.named_parameters() if p.requires_grad]

    def rows(self, inputs: Sequence[Tensor], grads: Tensor) -> Tensor:
        """Gradient of each row, shape (rows, parameters)."""
        values = [parameter.detach() for parameter in self.parameters]

        def gradient(grad: Tensor, *row: Tensor) -> list[Tensor]:
            def output(*values: Tensor) -> Tensor:
                named = dict(zip(self._names, values, strict=True))
                one = tuple(value[None] for value in row)
                return torch.func.functional_call(self._module, named, one)[0]

            _, pullback = cast("Any", torch.func.vjp)(output, *values)
            return [part.reshape(-1) for part in pullback(grad)]

        parts = cast("Any", torch.func.vmap(gradient))(grads, *inputs)
        return torch.cat(list(parts), 1)


def _ghost(one: Tensor, other: Tensor) -> Tensor:
    """Squared norm of each sum of outer products, from the two Gram matrices of its factors.

    Args:
        one: Inner products of the positions' left factors, shape (units, positions, positions).
        other: The same of the right factors.
    """
    squares = (one * other).sum((1, 2))
    diagonals = one.diagonal(dim1=1, dim2=2) * other.diagonal(dim1=1, dim2=2)
    most = diagonals.clamp_min(0).sqrt().sum(1).square()
    return torch.maximum(squares, CANCELLATION * most)


def _lstm_linears(module: nn.LSTM) -> Iterator[nn.Linear]:
    """The linear layers inside an LSTM, on its own parameters: input and state, layer by layer."""
    for layer in range(module.num_layers):
        for direction in ("", "_reverse")[: 1 + module.bidirectional]:
            for kind in ("ih", "hh"):
                weight = cast("Parameter", getattr(module, f"weight_{kind}_l{layer}{direction}"))
                linear = nn.Linear(1, 1, bias=False, device="meta")
                linear.weight = weight
                if module.bias:
                    linear.bias = getattr(module, f"bias_{kind}_l{layer}{direction}")
                yield linear


def _lstm_loop(module: nn.LSTM, linears: Sequence[nn.Module]) -> Callable[..., Any]:
    """What an LSTM computes, one step at a time, by its linear layers."""
    directions = 1 + module.bidirectional

    def run(
        inputs: Tensor, start: tuple[Tensor, Tensor] | None = None
    ) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        if inputs.ndim != 3:
            raise InputError("an nn.LSTM gets a single sequence.", "Give it one for each row.")
        steps = inputs if module.batch_first else inputs.transpose(0, 1)
        size = (len(linears) // 2, len(steps), module.hidden_size)
        hidden, cell = (
            start if start is not None else (steps.new_zeros(size), steps.new_zeros(size))
        )
        ends: list[tuple[Tensor, Tensor]] = []
        for layer in range(module.num_layers):
            sides: list[Tensor] = []
            for side in range(directions):
                number = layer * directions + side
                enter, recur = linears[2 * number], linears[2 * number + 1]
                outputs, end = _lstm_side(
                    enter, recur, steps, hidden[number], cell[number], backwards=side == 1
                )
                sides.append(outputs)
                ends.append(end)
            steps = torch.cat(sides, 2)
        outputs = steps if module.batch_first else steps.transpose(0, 1)
        last = (torch.stack([h for h, _ in ends]), torch.stack([c for _, c in ends]))
        return outputs, last

    return run


def _lstm_side(
    enter: nn.Module,
    recur: nn.Module,
    steps: Tensor,
    hidden: Tensor,
    cell: Tensor,
    *,
    backwards: bool,
) -> tuple[Tensor, tuple[Tensor, Tensor]]:
    """One layer of an LSTM in one direction; gates in the order input, forget, cell, output."""
    entered = cast("Tensor", enter(steps)).unbind(1)
    outputs: list[Tensor] = []
    for part in reversed(entered) if backwards else entered:
        gates = part + recur(hidden)
        keep_in, keep, new, out = gates.chunk(4, 1)
        cell = keep.sigmoid() * cell + keep_in.sigmoid() * new.tanh()
        hidden = out.sigmoid() * cell.tanh()
        outputs.append(hidden)
    if backwards:
        outputs.reverse()
    return torch.stack(outputs, 1), (hidden, cell)
