"""Private gradient descent: samples, sums, noise, optimisers, and going on after a stop."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from neighbours import CODINGS, LOOSE, records

torch = pytest.importorskip("torch")
nn = torch.nn

from tronie.errors import BudgetError, BudgetExceeded, BundleError, Cancelled, InputError  # noqa: E402
from tronie.measure import gradients as gradients_module  # noqa: E402
from tronie.measure.clipping import ClippedGradients  # noqa: E402
from tronie.measure.curator import Curator, Meter  # noqa: E402
from tronie.measure.exact import ExactCurator, Unmetered  # noqa: E402
from tronie.measure.gradients import (  # noqa: E402
    SMALL,
    Descent,
    _Optimiser,
    _Units,
    descend,
    descend_exactly,
    require_row_losses,
)
from tronie.measure.lattice import Lattice  # noqa: E402
from tronie.measure.noise import InsecureNoise  # noqa: E402
from tronie.measure.training_state import Receipt, TrainingState  # noqa: E402
from tronie.models.nets.network import ColumnNetwork, initial  # noqa: E402
from tronie.models.nets.shape import Shape  # noqa: E402
from tronie.privacy.budget import Budget  # noqa: E402
from tronie.privacy.events import Gaussian, SampledGaussian  # noqa: E402

SIZES = (4, 3, 5)


class Tally(nn.Module):
    """A weight for each code of the first column; a row's gradient is 1 at its code, else 0."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.values = nn.Embedding(size, 1)
        self.values.weight.data.zero_()

    def forward(self, codes: Any) -> Any:
        return self.values(codes[:, 0])[:, 0]


class Small(nn.Module):
    """Two layers, far from symmetric."""

    def __init__(self, seed: int = 0) -> None:
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            self.values = nn.Embedding(5, 4)
            self.head = nn.Linear(12, 3)

    def forward(self, codes: Any) -> Any:
        return self.head(self.values(codes).flatten(1).tanh()).square().sum(1)


def rows_of(count: int, seed: int = 0, sizes: Sequence[int] = SIZES) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return (rng.random((count, len(sizes))) * sizes).astype(np.uint8)


def settings(**changes: Any) -> Descent:
    base = {"rate": 0.5, "steps": 3, "noise_multiplier": 1.0, "learning_rate": 0.1, "warm_up": 0}
    return Descent(**{**base, **changes})


def run(network: Any, codes: Any, descent: Descent, seed: int = 0, **options: Any) -> TrainingState:
    units = options.pop("units", None)
    watch = options.pop("watch", lambda step: None)
    return descend(network, codes, units, descent, InsecureNoise(seed), watch, **options)


def sums(patch: pytest.MonkeyPatch) -> list[np.ndarray]:
    """What the noise is added to, step by step; nothing is added."""
    seen: list[np.ndarray] = []

    def blur(lattice: Lattice, vector: np.ndarray, noise: Any) -> np.ndarray:
        seen.append(vector.copy())
        return vector

    monkey: Any = patch
    monkey.setattr(Lattice, "blur", blur)
    return seen


# --- samples ------------------------------------------------------------------------------------


def test_units_are_sampled_independently_at_the_rate(monkeypatch: pytest.MonkeyPatch) -> None:
    """600 steps of 200 units: each unit's count, each batch's size, and pairs (5 sds each)."""
    seen = sums(monkeypatch)
    units, steps, rate = 200, 600, 0.1
    codes = np.arange(units)[:, None]
    run(Tally(units), codes, settings(rate=rate, steps=steps))
    taken = np.array(seen)
    assert set(np.unique(taken)) == {0.0, 1.0}
    spread = math.sqrt(rate * (1 - rate))
    assert np.abs(taken.mean(0) - rate).max() < 5 * spread / math.sqrt(steps)
    sizes = taken.sum(1)
    assert abs(sizes.mean() - rate * units) < 5 * spread * math.sqrt(units / steps)
    assert sizes.var() == pytest.approx(spread**2 * units, rel=5 * math.sqrt(2 / steps))
    correlation = np.corrcoef(taken.T) - np.eye(units)
    assert np.abs(correlation).max() < 6 / math.sqrt(steps)
    again = np.corrcoef(taken[:-1].ravel(), taken[1:].ravel())[0, 1]
    assert abs(again) < 5 / math.sqrt(units * steps)


def test_empty_batches_are_answered(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = sums(monkeypatch)
    ended = run(Tally(4), np.zeros((2, 1), np.uint8), settings(rate=1e-9, steps=5))
    assert len(seen) == 5
    assert not np.any(seen)
    assert ended.updates == 5


def test_a_table_without_rows_gives_noise_alone() -> None:
    ended = run(Tally(300), np.empty((0, 1), np.uint8), settings(optimiser="sgd", steps=1))
    assert np.std(ended.weights) == pytest.approx(0.05, rel=0.2)


def test_a_rate_of_one_takes_all(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = sums(monkeypatch)
    run(Tally(4), np.array([[0], [1], [1], [3]]), settings(rate=1.0, steps=1))
    assert seen[0].tolist() == [1.0, 2.0, 0.0, 1.0]


def test_the_sum_does_not_depend_on_physical_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = sums(monkeypatch)
    codes = rows_of(90)
    units = np.repeat(np.arange(30), 3)[np.random.default_rng(1).permutation(90)]
    for physical in (1, 7, 64, 1000):
        run(Small(), codes, settings(steps=1, physical_batch=physical), units=units)
    for other in seen[1:]:
        assert np.linalg.norm(other - seen[0]) < 1e-5 * np.linalg.norm(seen[0])


def test_rows_of_a_unit_are_clipped_together(monkeypatch: pytest.MonkeyPatch) -> None:
    """Units of 1 to 9 rows, anywhere in the table, against autograd unit by unit."""
    seen = sums(monkeypatch)
    rng = np.random.default_rng(2)
    units = rng.permutation(np.repeat([7, -3, 900, 12, 5], [1, 2, 9, 4, 1]))
    codes = rows_of(len(units), 3)
    network = Small()
    expected = np.zeros(ClippedGradients(network).size)
    for unit in np.unique(units):
        loss = network(torch.from_numpy(codes[units == unit].astype(np.int64))).sum()
        parts = torch.autograd.grad(loss, list(network.parameters()))
        gradient = torch.cat([part.reshape(-1) for part in parts]).double().numpy()
        expected += gradient * min(1.0, 0.7 / np.linalg.norm(gradient))
    run(
        network,
        codes,
        settings(rate=1.0, steps=1, max_grad_norm=0.7, physical_batch=8),
        units=units,
    )
    assert np.linalg.norm(seen[0] - expected) < 1e-5 * np.linalg.norm(expected)


def test_portions_hold_each_row_once_and_are_full() -> None:
    units = np.random.default_rng(0).integers(0, 40, 150)
    codes = np.arange(150)[:, None]
    arranged = _Units.of(codes, units)
    found: list[int] = []
    for rows, there in arranged.batches(np.arange(arranged.count), 16):
        assert len(rows) <= 16 or there.shape[0] == 1
        found += rows[there.reshape(-1), 0].tolist()
        for unit, flags in enumerate(there):
            width = there.shape[1]
            mine = rows[unit * width : (unit + 1) * width][flags, 0]
            assert len(set(units[mine].tolist())) == 1
            assert flags.sum() == (units == units[mine[0]]).sum()
    assert sorted(found) == list(range(150))


# --- optimisers ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "theirs"),
    [
        ({}, lambda p: torch.optim.Adam(p, lr=0.1)),
        ({"weight_decay": 0.02}, lambda p: torch.optim.Adam(p, lr=0.1, weight_decay=0.02)),
        (
            {"optimiser": "adamw", "weight_decay": 0.3},
            lambda p: torch.optim.AdamW(p, lr=0.1, weight_decay=0.3),
        ),
        ({"optimiser": "sgd"}, lambda p: torch.optim.SGD(p, lr=0.1)),
        (
            {"optimiser": "sgd", "momentum": 0.8, "weight_decay": 0.1},
            lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.8, weight_decay=0.1),
        ),
    ],
)
def test_optimisers_agree_with_torch(changes: dict[str, Any], theirs: Callable[..., Any]) -> None:
    ours, other = Small(), Small()
    descent = settings(divisor=4.0, steps=20, **changes)
    core = ClippedGradients(ours)
    optimiser = _Optimiser(core, descent, None)
    reference = theirs(other.parameters())
    rng = np.random.default_rng(0)
    for step in range(20):
        gradient = rng.normal(size=core.size)
        optimiser.step(gradient, step)
        start = 0
        for parameter in other.parameters():
            part = torch.from_numpy(gradient[start : start + parameter.numel()] / 4.0)
            parameter.grad = part.view_as(parameter).float()
            start += parameter.numel()
        reference.param_groups[0]["lr"] = descent.learning_rate_at(step)
        reference.step()
    for mine, their in zip(ours.parameters(), other.parameters(), strict=True):
        assert torch.allclose(mine, their, atol=2e-6)


def test_training_learns() -> None:
    """A network of columns comes nearer to a table where the second column copies the first."""
    rng = np.random.default_rng(0)
    first = rng.integers(0, 4, 4000)
    codes = np.stack([first, first], 1).astype(np.uint8)
    shape = Shape("transformer", (4, 4), 8, 1, 2)
    network = ColumnNetwork(shape, initial(shape, {}, rng))
    held = torch.from_numpy(codes[:500].astype(np.int64))
    before = float(network(held).mean().detach())
    run(network, codes, settings(rate=0.2, steps=60, learning_rate=0.03, warm_up=5))
    assert float(network(held).mean().detach()) < before - 0.8


def test_double_precision_networks_are_trained_as_well() -> None:
    ended = run(Small().double(), rows_of(20), settings(), units=np.arange(20) // 2)
    assert ended.weights.dtype == np.float64


# --- networks that are refused ------------------------------------------------------------------


class Averaged(Small):
    """The mean over the batch in place of a loss of each row."""

    def forward(self, codes: Any) -> Any:
        return super().forward(codes).mean().expand(len(codes))


class Shares(Small):
    """A loss whose weight is the row's part of the batch, as a mean over its tokens has."""

    def forward(self, codes: Any) -> Any:
        tokens = 1.0 + codes[:, 0]
        return super().forward(codes) * tokens / tokens.sum()


class Neighbour(Small):
    """Each row's loss is that of the row before it."""

    def forward(self, codes: Any) -> Any:
        return super().forward(codes).roll(1)


class Hidden(Small):
    """Losses are right, but their gradients mix."""

    def forward(self, codes: Any) -> Any:
        losses = super().forward(codes)
        mixed = losses * codes[:, 0].roll(1)
        return losses + mixed - mixed.detach()


class Outside(Small):
    """A weight that is also used outside of its layer."""

    def forward(self, codes: Any) -> Any:
        return super().forward(codes) + (self.head.weight**2).sum()


class Random(Small):
    """A loss that is drawn."""

    def forward(self, codes: Any) -> Any:
        with torch.no_grad():
            scale = torch.rand(len(codes), generator=GENERATOR)
        return super().forward(codes) * scale


GENERATOR = torch.Generator().manual_seed(0)


class Broken(Small):
    """A loss that is not a number."""

    def forward(self, codes: Any) -> Any:
        return super().forward(codes) * math.nan


class Scalar(Small):
    """One loss for all."""

    def forward(self, codes: Any) -> Any:
        return super().forward(codes).mean()


@pytest.mark.parametrize(
    ("network", "message"),
    [
        (Averaged, "other rows"),
        (Shares, "other rows"),
        (Neighbour, "other rows"),
        (Hidden, "gradient of a row depends"),
        (Outside, "outside of the layer"),
        (Random, "random"),
        (Broken, "not finite"),
        (Scalar, "one loss per row"),
    ],
)
def test_networks_whose_rows_meet_are_refused_before_anything_is_charged(
    network: type[Small], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        require_row_losses(network(), SIZES)
    meter = Meter(LOOSE)
    curator = Curator(records([]), meter, noise=InsecureNoise(0))
    curator.recode(CODINGS)
    with pytest.raises(InputError, match=message):
        curator.train(network(), ["a", "c", "a"], settings())
    assert meter.events == ()


@pytest.mark.parametrize("body", ["transformer", "lstm"])
@pytest.mark.parametrize("sizes", [(3,), (4, 3, 5), (2,) * 7])
def test_column_networks_are_accepted(body: Any, sizes: tuple[int, ...]) -> None:
    shape = Shape(body, sizes, 8, 2, 2)
    network = ColumnNetwork(shape, initial(shape, {}, np.random.default_rng(0)))
    require_row_losses(network, sizes)


def test_a_network_with_an_unused_layer_is_accepted() -> None:
    class Spare(Small):
        def __init__(self) -> None:
            super().__init__()
            self.spare = nn.Linear(2, 2)

    require_row_losses(Spare(), SIZES)


# --- the curator --------------------------------------------------------------------------------

ROWS = [{"a": "xyz"[i % 3], "b": i % 10, "c": i % 2 == 0} for i in range(40)]


def curator_of(meter: Meter | None = None, **options: Any) -> tuple[Curator, Meter]:
    meter = meter or Meter(LOOSE, **options.pop("meter", {}))
    options.setdefault("noise", InsecureNoise(0))
    curator = Curator(records(ROWS), meter, **options)
    curator.recode(CODINGS)
    return curator, meter


def test_training_is_charged_whole_before_rows_are_read() -> None:
    seen: list[tuple[str, int]] = []
    calls: list[str] = []
    meter = Meter(LOOSE, lambda: calls.append("answer"), on_sampling=lambda: calls.append("sample"))
    curator, _ = curator_of(meter, checkpoint=lambda stage: seen.append((stage, len(meter.events))))
    curator.train(Small(), ["a", "c", "a"], settings())
    assert meter.events == (settings().event(["a", "c", "a"]),)
    assert seen[0] == ("reading rows for training", 1)
    assert [stage for stage, _ in seen[1:]] == [f"training, step {i} of 3" for i in (1, 2, 3)]
    assert calls == ["sample", "answer"]


def test_what_is_said_of_steps_stands_beside_them() -> None:
    for kind in (Curator, ExactCurator):
        seen: list[str] = []
        meter = Meter(LOOSE) if kind is Curator else Unmetered()
        curator = kind(records(ROWS), meter, noise=InsecureNoise(0), checkpoint=seen.append)
        curator.recode(CODINGS)
        curator.tell("first stage, step 1 of 9")
        curator.train(Tally(4), ["a"], settings(), remark=lambda step: f", {2 - step} left")
        assert seen[0] == "first stage, step 1 of 9"
        assert seen[-1] == "training, step 3 of 3, 0 left"


def test_frozen_parameters_count_as_computed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Low-rank changes of a large network are few, but computing them takes all of it."""
    threads: list[int] = []
    monkeypatch.setattr(torch, "set_num_threads", threads.append)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 2)
    network = Small()
    run(network, rows_of(5), settings())
    network.frozen = nn.Parameter(torch.zeros(SMALL), requires_grad=False)
    run(network, rows_of(5), settings())
    assert threads == [1, 2, 2, 2]


def test_the_network_gets_the_codes_of_its_columns(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = sums(monkeypatch)
    curator, _ = curator_of()
    curator.train(Tally(4), ["a"], settings(rate=1.0, steps=1))
    assert seen[0].tolist() == [14.0, 13.0, 13.0, 0.0]


def test_rows_of_unknown_owners_are_clipped_to_their_part(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = sums(monkeypatch)
    curator, meter = curator_of(rows_per_unit=4)
    curator.train(Tally(4), ["a"], settings(rate=1.0, steps=1))
    assert seen[0].tolist() == [3.5, 3.25, 3.25, 0.0]
    assert meter.events == (settings(rate=1.0, steps=1).event(["a"]),)


def test_an_overdraft_trains_nothing() -> None:
    curator, meter = curator_of(Meter(Budget(0.1, 1e-9)))
    network = Small()
    before = network.head.weight.clone()
    with pytest.raises(BudgetExceeded):
        curator.train(network, ["a", "c", "a"], settings())
    assert meter.events == ()
    assert torch.equal(network.head.weight, before)


def test_a_fresh_training_is_charged_again() -> None:
    curator, meter = curator_of()
    for _ in range(2):
        curator.train(Tally(4), ["a"], settings())
    assert meter.events == (settings().event(["a"]),) * 2


# --- going on -----------------------------------------------------------------------------------


def stop_at(step: int) -> Callable[[str], None]:
    def checkpoint(stage: str) -> None:
        if stage.startswith(f"training, step {step} "):
            raise Cancelled("stopped")

    return checkpoint


class Endless:
    """Test noise that depends on what was asked, not on how often."""

    label = "INSECURE"

    def __init__(self) -> None:
        self.step = 0

    def bytes(self, n: int) -> bytes:
        self.step += 1
        return InsecureNoise(self.step).bytes(n)


def test_a_stopped_run_goes_on_as_if_it_had_not_stopped() -> None:
    noise = Endless()
    whole, _ = curator_of(noise=Endless())
    expected = whole.train(Small(), ["a", "c", "a"], settings(steps=9))

    meter = Meter(LOOSE)
    kept: list[TrainingState] = []
    first, _ = curator_of(meter, noise=noise, checkpoint=stop_at(5))
    with pytest.raises(Cancelled):
        first.train(Small(), ["a", "c", "a"], settings(steps=9), keep=kept.append)
    assert [state.next for state in kept] == [4]
    second, _ = curator_of(meter, noise=noise)
    ended = second.train(Small(1), ["a", "c", "a"], settings(steps=9), state=kept[-1])
    assert meter.events == (settings(steps=9).event(["a", "c", "a"]),)
    assert np.array_equal(ended.weights, expected.weights)
    assert (ended.updates, ended.next) == (9, 9)


def test_states_that_were_kept_on_the_way_claim_the_steps_ahead() -> None:
    kept: list[TrainingState] = []
    curator, _ = curator_of()
    curator.train(Tally(4), ["a"], settings(steps=10), keep=kept.append, keep_every=4)
    assert [(s.updates, s.next, s.receipt.used) for s in kept] == [
        (4, 8, 8),
        (8, 10, 10),
        (10, 10, 10),
    ]


def crashed(path: Path) -> None:
    """A process that dies in its seventh step, with a state of the fourth on disk."""
    curator, _ = curator_of(Meter(LOOSE, reservation="17"), checkpoint=stop_at(7))

    def keep(state: TrainingState) -> None:
        if state.updates == 4:
            state.save(path)

    curator.ask([])
    with pytest.raises(Cancelled):
        curator.train(Tally(4), ["a"], settings(steps=10), keep=keep, keep_every=4)


def test_a_dead_process_is_resumed_without_repeating_a_step(tmp_path: Path) -> None:
    crashed(tmp_path / "state")
    state = TrainingState.load(tmp_path / "state")
    meter = Meter(LOOSE, reservation="17", resumed=state.receipt)
    used: list[int] = []
    honest = meter.use
    meter.use = lambda run, step: (used.append(step), honest(run, step))[1]  # type: ignore[method-assign]
    curator, _ = curator_of(meter)
    ended = curator.train(Tally(4), ["a"], settings(steps=10), state=state)
    assert used == [8, 9], "steps 4 to 7 may have been answered, and are given up"
    assert ended.updates == 6
    assert meter.events == (settings(steps=10).event(["a"]),)


def test_a_state_of_another_reservation_is_refused(tmp_path: Path) -> None:
    crashed(tmp_path / "state")
    state = TrainingState.load(tmp_path / "state")
    with pytest.raises(BudgetError, match="another reservation"):
        Meter(LOOSE, reservation="18", resumed=state.receipt)
    curator, meter = curator_of()
    with pytest.raises(BudgetError, match="another reservation"):
        curator.train(Tally(4), ["a"], settings(steps=10), state=state)
    assert meter.events == ()


def test_an_old_state_other_settings_or_an_unknown_run_are_refused() -> None:
    kept: list[TrainingState] = []
    meter = Meter(LOOSE)
    curator, _ = curator_of(meter, checkpoint=stop_at(3))
    with pytest.raises(Cancelled):
        curator.train(Tally(4), ["a"], settings(steps=6), keep=kept.append)
    state = kept[-1]
    more, _ = curator_of(meter)
    with pytest.raises(BudgetError, match="other settings"):
        more.train(Tally(4), ["a"], settings(steps=7), state=state)
    unknown = replace(state, receipt=replace(state.receipt, run=5))
    with pytest.raises(BudgetError, match="never charged"):
        more.train(Tally(4), ["a"], settings(steps=6), state=unknown)
    more.train(Tally(4), ["a"], settings(steps=6), state=state)
    with pytest.raises(BudgetError, match="went on since"):
        more.train(Tally(4), ["a"], settings(steps=6), state=state)


def test_no_step_is_answered_twice_whatever_asks_for_it() -> None:
    meter = Meter(LOOSE)
    run = meter.begin(SampledGaussian(query="q", rate=0.5, noise_multiplier=1.0, steps=3))
    meter.use(run, 0)
    for step in (0, 3):
        with pytest.raises(BudgetExceeded, match="twice"):
            meter.use(run, step)
    meter.charge([Gaussian(query="q", sigma=9.0, sensitivity=1.0)])
    with pytest.raises(BudgetExceeded, match="twice"):
        meter.use(1, 0)


def test_a_finished_state_has_nothing_left_to_do() -> None:
    curator, meter = curator_of()
    ended = curator.train(Tally(4), ["a"], settings())
    again = curator.train(Tally(4), ["a"], settings(), state=ended)
    assert np.array_equal(again.weights, ended.weights)
    assert len(meter.events) == 1


def test_a_state_of_another_network_is_refused() -> None:
    ended = run(Tally(4), np.zeros((2, 1), np.uint8), settings())
    with pytest.raises(InputError, match="another network"):
        run(Tally(5), np.zeros((2, 1), np.uint8), settings(), state=ended)


def test_states_are_the_same_after_a_file(tmp_path: Path) -> None:
    ended = run(Small(), rows_of(9), settings())
    event = settings().event(["a"])
    state = replace(
        ended, receipt=Receipt("r", (Gaussian(query="n", sigma=9.0, sensitivity=1.0), event), 1, 3)
    )
    state.save(tmp_path / "state")
    found = TrainingState.load(tmp_path / "state")
    assert (found.updates, found.next, found.receipt) == (3, 3, state.receipt)
    for name in ("weights", "first", "second"):
        assert np.array_equal(getattr(found, name), getattr(state, name))


@pytest.mark.parametrize("damage", ["text", "missing", "empty", "other", "version"])
def test_damaged_states_are_refused(damage: str, tmp_path: Path) -> None:
    from safetensors.numpy import save_file

    path = tmp_path / "state"
    run(Tally(4), np.zeros((2, 1), np.uint8), settings()).save(path)
    if damage == "text":
        path.write_text("hello")
    elif damage == "missing":
        path.unlink()
    elif damage == "empty":
        path.write_bytes(b"")
    elif damage == "other":
        save_file({"weights": np.zeros(3, np.float32)}, str(path))
    else:
        path.write_bytes(path.read_bytes().replace(b'format\\": \\"1', b'format\\": \\"2'))
    with pytest.raises(BundleError, match="no state of a training"):
        TrainingState.load(path)


def test_threads_are_left_as_they_were() -> None:
    before = torch.get_num_threads()
    run(Tally(4), np.zeros((2, 1), np.uint8), settings())
    assert torch.get_num_threads() == before


def test_large_networks_use_all_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gradients_module, "SMALL", 0)
    run(Tally(4), np.zeros((2, 1), np.uint8), settings())


# --- between steps ------------------------------------------------------------------------------


class Pulled(nn.Module):
    """A tally whose loss is multiplied by a buffer, beside a parameter that is not trained."""

    def __init__(self) -> None:
        super().__init__()
        self.tally = Tally(4)
        self.frozen = nn.Linear(2, 2)
        self.frozen.requires_grad_(requires_grad=False)
        self.register_buffer("pull", torch.ones(()))

    def forward(self, codes: Any) -> Any:
        return self.tally(codes) * self.pull


def test_what_is_not_trained_may_change_between_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """Later steps see the change, the state does not hold it, and sums are clipped as before."""
    seen = sums(monkeypatch)
    network = Pulled()
    told: list[int] = []

    def after(step: int) -> None:
        told.append(step)
        network.pull.fill_(0.5 if step == 0 else 7.0)
        network.frozen.weight.fill_(float(step))

    codes = np.zeros((10, 1), np.uint8)
    ended = run(network, codes, settings(rate=1.0), after_step=after)
    assert told == [0, 1, 2]
    assert [float(one[0]) for one in seen] == [10.0, 5.0, 10.0]
    assert ended.weights.shape == (4,)
    assert float(network.frozen.weight[0, 0]) == 2.0


def test_what_is_trained_may_not_change_between_steps() -> None:
    ends: list[np.ndarray] = []
    for change in (0.0, 1000.0):
        network = Tally(4)

        def after(step: int, network: Tally = network, change: float = change) -> None:
            network.values.weight.data.add_(change)

        ended = run(network, rows_of(20), settings(), after_step=after)
        ends.append(ended.weights)
    assert np.array_equal(ends[0], ends[1])


def test_a_curator_tells_of_steps_that_were_answered() -> None:
    curator, meter = curator_of()
    told: list[int] = []

    def after(step: int) -> None:
        told.append(step)
        with pytest.raises(BudgetExceeded, match="twice"):
            meter.use(0, step)

    curator.train(Tally(4), ["a"], settings(), after_step=after)
    assert told == [0, 1, 2]


def test_ordinary_training_tells_of_its_steps_too() -> None:
    told: list[int] = []
    noise = InsecureNoise(0)
    descend_exactly(
        Tally(4), rows_of(0), settings(), noise, lambda step: None, after_step=told.append
    )
    assert told == [0, 1, 2]
