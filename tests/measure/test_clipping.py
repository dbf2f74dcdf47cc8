"""Clipped gradients are exact: against autograd row by row, and against vmap."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

torch = pytest.importorskip("torch")
nn = torch.nn
F = nn.functional

from tronie.errors import InputError  # noqa: E402
from tronie.measure.clipping import CANCELLATION, ClippedGradients, _Linear  # noqa: E402
from tronie.measure.lattice import SLACK  # noqa: E402

SIZES = (5, 3, 7, 2)


def seeded(build: Callable[[], Any], seed: int = 0) -> Any:
    """A network with repeatable weights, far from any symmetric start."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        network = build()
        for parameter in network.parameters():
            parameter.data += 0.3 * torch.randn_like(parameter)
    return network


def codes_of(rows: int, seed: int = 0) -> Any:
    generator = torch.Generator().manual_seed(seed)
    columns = [torch.randint(size, (rows,), generator=generator) for size in SIZES]
    return torch.stack(columns, 1)


class Flat(nn.Module):
    """Linear layers on one position per row."""

    def __init__(self, bias: bool = True) -> None:
        super().__init__()
        self.one = nn.Linear(sum(SIZES), 9, bias=bias)
        self.norm = nn.LayerNorm(9)
        self.two = nn.Linear(9, 4, bias=bias)

    def forward(self, codes: Any) -> Any:
        hot = torch.cat([F.one_hot(c, s) for c, s in zip(codes.T, SIZES, strict=True)], 1)
        return self.two(torch.tanh(self.norm(self.one(hot.float())))).square().sum(1)


class Attention(nn.Module):
    """One layer of causal attention made of linear layers, and a table of positions."""

    def __init__(self, width: int = 8, padding: int | None = None) -> None:
        super().__init__()
        self.values = nn.Embedding(sum(SIZES) + 1, width, padding_idx=padding)
        self.positions = nn.Embedding(len(SIZES), width)
        self.qkv = nn.Linear(width, 3 * width)
        self.mix = nn.Linear(width, width, bias=False)
        self.norm = nn.LayerNorm(width)
        self.up, self.down = nn.Linear(width, 2 * width), nn.Linear(2 * width, width)
        self.heads = nn.ModuleList([nn.Linear(width, size) for size in SIZES])

    def forward(self, codes: Any) -> Any:
        rows, columns = codes.shape
        offsets = torch.tensor([0, *SIZES[:-1]]).cumsum(0) + 1
        tokens = F.pad((codes + offsets)[:, :-1], (1, 0))
        places = torch.arange(columns).expand(rows, -1)
        x = self.values(tokens) + self.positions(places)
        q, k, v = self.qkv(self.norm(x)).chunk(3, 2)
        x = x + self.mix(F.scaled_dot_product_attention(q, k, v, is_causal=True))
        x = x + self.down(torch.relu(self.up(self.norm(x))))
        scores = [
            F.cross_entropy(head(x[:, i]), codes[:, i], reduction="none")
            for i, head in enumerate(self.heads)
        ]
        return torch.stack(scores, 1).sum(1)


class Recurrent(nn.Module):
    """An LSTM of any kind."""

    def __init__(self, **options: Any) -> None:
        super().__init__()
        self.values = nn.Embedding(sum(SIZES), 6)
        self.lstm = nn.LSTM(6, 5, batch_first=True, **options)
        self.head = nn.Linear(5 * (1 + options.get("bidirectional", False)), 3)

    def forward(self, codes: Any) -> Any:
        outputs, (hidden, cell) = self.lstm(self.values(codes))
        ends = hidden.transpose(0, 1).flatten(1).sum(1) + cell.transpose(0, 1).flatten(1).sum(1)
        return self.head(outputs).square().sum((1, 2)) + ends


class StepsFirst(nn.Module):
    """An LSTM with the steps as the first axis, from a state of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.values = nn.Embedding(sum(SIZES), 6)
        self.lstm = nn.LSTM(6, 5)
        self.start = nn.Linear(1, 5)

    def forward(self, codes: Any) -> Any:
        first = self.start(codes[:, :1].float())[None]
        outputs, _ = self.lstm(self.values(codes).transpose(0, 1), (first, first.tanh()))
        return outputs.square().sum((0, 2))


class Table(nn.Module):
    """A bare table of parameters in a module of its own."""

    def __init__(self, *shape: int) -> None:
        super().__init__()
        self.table = nn.Parameter(torch.zeros(*shape))

    def forward(self, x: Any) -> Any:
        return x * (1 + self.table) + self.table


class Tabled(nn.Module):
    """Small tables between known layers, one of them used twice."""

    def __init__(self) -> None:
        super().__init__()
        self.values = nn.Embedding(sum(SIZES), 6)
        self.place, self.scale = Table(len(SIZES), 6), Table(6)
        self.mix = nn.Linear(6, 6)

    def forward(self, codes: Any) -> Any:
        x = self.scale(self.mix(self.place(self.values(codes))))
        return self.scale(torch.tanh(self.mix(x))).square().sum((1, 2))


class Bare(nn.Module):
    """Parameters beside layers: all of it is one leaf."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(len(SIZES)))
        self.inner = nn.Linear(len(SIZES), 3)

    def forward(self, codes: Any) -> Any:
        return self.inner(codes * self.weight).square().sum(1)


class Twice(nn.Module):
    """The same layer under two names, used on different positions."""

    def __init__(self) -> None:
        super().__init__()
        self.one = self.two = nn.Linear(2, 3)
        self.parts = nn.ModuleList([self.one])

    def forward(self, codes: Any) -> Any:
        x = codes.float()
        return self.one(x[:, :2]).square().sum(1) + self.two(x[:, 2:]).sin().sum(1)


NETWORKS: dict[str, Callable[[], Any]] = {
    "linear": Flat,
    "linear, no bias": lambda: Flat(bias=False),
    "attention": Attention,
    "attention, wide": lambda: Attention(width=40),
    "attention, padding": lambda: Attention(padding=0),
    "lstm": Recurrent,
    "lstm, no bias": lambda: Recurrent(bias=False),
    "lstm, layers, both ways": lambda: Recurrent(num_layers=2, bidirectional=True),
    "lstm, steps first": StepsFirst,
    "tables": Tabled,
    "bare": Bare,
    "twice": Twice,
}


def by_autograd(network: Any, codes: Any, width: int, mask: Any | None = None) -> Any:
    """Gradient of each unit, shape (units, parameters), one backward pass each."""
    units = []
    for start in range(0, len(codes), width):
        rows = slice(start, start + width)
        present = torch.ones(width) if mask is None else mask[rows]
        total = (network(codes[rows]) * present).sum()
        parts = torch.autograd.grad(total, [p for p in network.parameters() if p.requires_grad])
        units.append(torch.cat([part.reshape(-1) for part in parts]))
    return torch.stack(units)


def clipped(units: Any, max_norm: float) -> Any:
    norms = units.norm(dim=1)
    return (units * (max_norm / norms.clamp_min(max_norm))[:, None]).sum(0)


def close(found: Any, expected: Any) -> bool:
    return bool((found - expected).norm() <= 1e-5 * expected.norm())


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("width", [1, 3])
def test_clipped_sums_equal_autograd_unit_by_unit(name: str, width: int) -> None:
    network = seeded(NETWORKS[name])
    codes = codes_of(12)
    units = by_autograd(network, codes, width)
    max_norm = float(units.norm(dim=1).median())
    core = ClippedGradients(network)
    assert close(core.norms(codes, width=width), units.norm(dim=1))
    assert close(core.sum(codes, max_norm, width=width), clipped(units, max_norm))
    assert close(core.sum(codes, 1e9, width=width), units.sum(0))


@pytest.mark.parametrize("name", ["attention", "lstm", "tables"])
def test_missing_rows_count_for_nothing(name: str) -> None:
    network = seeded(NETWORKS[name])
    codes = codes_of(12)
    mask = torch.tensor([1.0, 1, 0, 1, 0, 0, 1, 1, 1, 0, 0, 0])
    units = by_autograd(network, codes, 3, mask)
    max_norm = float(units.norm(dim=1).max()) / 2
    found = ClippedGradients(network).sum(codes, max_norm, width=3, mask=mask)
    assert close(found, clipped(units, max_norm))


@pytest.mark.parametrize("name", ["attention", "tables", "bare"])
def test_clipped_sums_equal_vmap(name: str) -> None:
    network = seeded(NETWORKS[name])
    codes = codes_of(20)
    values = {n: p.detach() for n, p in network.named_parameters()}

    def loss(values: Any, row: Any) -> Any:
        return torch.func.functional_call(network, values, (row[None],))[0]

    grads = torch.func.vmap(torch.func.grad(loss), (None, 0))(values, codes)
    units = torch.cat([g.reshape(20, -1) for g in grads.values()], 1)
    assert close(ClippedGradients(network).sum(codes, 1.0), clipped(units, 1.0))


def test_double_precision_agrees_to_more_digits() -> None:
    network = seeded(Attention).double()
    codes = codes_of(16)
    units = by_autograd(network, codes, 1)
    found = ClippedGradients(network).sum(codes, 1.0)
    assert (found - clipped(units, 1.0)).norm() <= 1e-12 * found.norm()


def test_frozen_parameters_are_left_out() -> None:
    network = seeded(Attention)
    for part in (network.values, network.qkv, network.up.weight, network.norm.bias):
        part.requires_grad_(False)
    codes = codes_of(9)
    core = ClippedGradients(network)
    units = by_autograd(network, codes, 1)
    assert core.size == units.shape[1] == sum(p.numel() for p in core.parameters)
    assert close(core.sum(codes, 2.0), clipped(units, 2.0))
    assert not network.qkv.weight.requires_grad
    assert network.up.bias.requires_grad


def test_a_layer_without_influence_has_zeros() -> None:
    class Idle(Flat):
        def forward(self, codes: Any) -> Any:
            self.two(torch.zeros(len(codes), 9))
            return self.one(torch.ones(len(codes), sum(SIZES)) * codes[:, :1]).square().sum(1)

    network = seeded(Idle)
    found = ClippedGradients(network).sum(codes_of(4), 1.0)
    assert float(found[-40:].abs().max()) == 0.0
    assert float(found.norm()) > 0


def test_the_network_is_left_as_it_was() -> None:
    network = seeded(Recurrent)
    codes = codes_of(4)
    before = network(codes).detach()
    core = ClippedGradients(network)
    core.sum(codes, 1.0)
    assert torch.equal(network(codes), before)
    assert all(p.requires_grad and p.grad is None for p in network.parameters())
    assert not network.lstm._forward_hooks
    assert "forward" not in vars(network.lstm)


def test_the_global_generator_is_left_alone() -> None:
    network = seeded(Recurrent)
    before = torch.random.get_rng_state()
    ClippedGradients(network).sum(codes_of(4), 1.0)
    assert torch.equal(torch.random.get_rng_state(), before)


@pytest.mark.parametrize("poison", [float("nan"), float("inf")])
@pytest.mark.parametrize("name", ["attention", "tables"])
def test_a_unit_without_a_finite_gradient_adds_nothing(name: str, poison: float) -> None:
    network = seeded(NETWORKS[name])
    codes = codes_of(10)
    codes[:, 0] = codes[:, 0] % 4
    network.values.weight.data[4 + (name == "attention")] = poison
    good = ClippedGradients(network).sum(codes, 1.0)
    assert bool(torch.isfinite(good).all())
    worse = codes.clone()
    worse[3, 0] = 4
    found = ClippedGradients(network).sum(worse, 1.0)
    without = ClippedGradients(network).sum(torch.cat([codes[:3], codes[4:]]), 1.0)
    assert torch.allclose(found, without, atol=1e-5)


@pytest.mark.parametrize("apart", [0.0, 1e-7, 1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 1.0])
def test_positions_that_cancel_leave_no_unit_longer_than_the_clip(apart: float) -> None:
    """Two positions whose gradients nearly cancel: ghost norms lose digits, but never for less."""
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(50, 1, 40, generator=generator)
    moved = x + apart * torch.randn(50, 1, 40, generator=generator)
    grads = torch.randn(50, 1, 40, generator=generator)
    inputs, outputs = torch.cat([x, moved], 1), torch.cat([grads, -grads], 1)
    rule = _Linear(nn.Linear(40, 40, bias=False))
    exact = torch.bmm(outputs.double().mT, inputs.double()).square().sum((1, 2)).sqrt()
    found = rule.squared_norms(inputs, outputs).sqrt().double()
    assert bool((found >= exact * (1 - SLACK / 2)).all())
    most = (inputs.norm(dim=2) * outputs.norm(dim=2)).sum(1)
    honest = exact > most * CANCELLATION**0.5
    assert bool(((found / exact - 1).abs() < 1e-3)[honest].all())
    factors = 1 / found.clamp_min(1e-30).float()
    for unit in range(5):
        one = torch.zeros(50)
        one[unit] = factors[unit]
        assert float(rule.weighted(inputs, outputs, one)[0].norm()) <= 1 + SLACK


class Mixed(nn.Module):
    """A network around one layer of any kind."""

    def __init__(self, layer: Any, reads: Callable[[Any, Any], Any] | None = None) -> None:
        super().__init__()
        self.layer = layer
        self.reads = reads or (lambda layer, x: layer(x))

    def forward(self, codes: Any) -> Any:
        return self.reads(self.layer, codes.float()).square().flatten(1).sum(1)


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        (lambda: nn.BatchNorm1d(4), "BatchNorm1d.*mixes the rows"),
        (lambda: nn.InstanceNorm1d(4, affine=True), "InstanceNorm1d"),
        (lambda: nn.GRU(4, 4), "GRU"),
        (lambda: nn.RNN(4, 4), "RNN"),
        (lambda: nn.EmbeddingBag(4, 4), "EmbeddingBag"),
        (lambda: nn.MultiheadAttention(4, 1), "MultiheadAttention.*nn.Linear"),
        (lambda: nn.TransformerEncoderLayer(4, 1), "self_attn.*MultiheadAttention"),
        (lambda: nn.Sequential(nn.Linear(4, 4), nn.Dropout(0.1)), "layer.1.*drops out"),
        (lambda: nn.LSTM(4, 4, num_layers=2, dropout=0.5), "drops out"),
        (lambda: nn.LazyLinear(4), "no sizes yet"),
        (lambda: nn.Embedding(4, 4, max_norm=1.0), "max_norm"),
        (lambda: nn.Embedding(4, 4, scale_grad_by_freq=True), "scale_grad_by_freq"),
        (lambda: nn.Embedding(4, 4, sparse=True), "sparse"),
        (lambda: nn.LayerNorm((4, 4)), "several axes"),
        (nn.ReLU, "no parameter"),
    ],
)
def test_layers_that_cannot_be_trained_privately_are_named(
    layer: Callable[[], Any], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        ClippedGradients(Mixed(layer()))


def test_no_dropout_is_no_dropout() -> None:
    ClippedGradients(Mixed(nn.Sequential(nn.Linear(4, 4), nn.Dropout(0.0))))


def test_a_refused_layer_is_found_inside_a_module_of_bare_parameters() -> None:
    class Hidden(Table):
        def __init__(self) -> None:
            super().__init__(4)
            self.norm = nn.BatchNorm1d(4)

    with pytest.raises(InputError, match=r"layer\.norm"):
        ClippedGradients(Mixed(Hidden()))


@pytest.mark.parametrize(
    ("reads", "message"),
    [
        (lambda layer, x: layer(x.T @ x).sum(1)[None].expand(len(x), -1), "first axis"),
        (lambda layer, x: layer(layer(x)).relu_(), "changed in place"),
        (lambda layer, x: layer(input=x), "not one tensor"),
        (lambda layer, x: layer(x).sum(), "one loss per row|too many|dim"),
        (lambda layer, x: x, "no trained layer"),
    ],
)
def test_uses_that_hide_the_rows_are_refused(reads: Any, message: str) -> None:
    class Odd(Mixed):
        def forward(self, codes: Any) -> Any:
            found = self.reads(self.layer, codes.float())
            return found if found.ndim == 0 else found.square().sum(1)

    with pytest.raises(InputError, match=message):
        ClippedGradients(Odd(nn.Linear(4, 4), reads)).sum(codes_of(6), 1.0)


def test_a_module_that_gives_several_tensors_is_refused() -> None:
    class Pair(Table):
        def forward(self, x: Any) -> Any:
            return x + self.table, x

    with pytest.raises(InputError, match="not one tensor"):
        ClippedGradients(Mixed(Pair(4), lambda layer, x: layer(x)[0])).sum(codes_of(3), 1.0)


def test_an_lstm_of_one_sequence_is_refused() -> None:
    network = Mixed(nn.LSTM(4, 4), lambda layer, x: layer(x)[0])
    with pytest.raises(InputError, match="single sequence"):
        ClippedGradients(network).sum(codes_of(3), 1.0)


def test_shared_parameters_are_refused_by_name() -> None:
    class Tied(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.values = nn.Embedding(9, 4)
            self.head = nn.Linear(4, 9, bias=False)
            self.head.weight = self.values.weight

    with pytest.raises(InputError, match="'values' and 'head' share"):
        ClippedGradients(Tied())
