"""Training keeps its promise: sensitivity, non-interference, exact audits, and planted bugs.

The audits here know everything but which units are in the table. Networks whose gradients are known make
them exact: a weight for each code, so that a row's gradient is one at its own code and zero elsewhere, and
one run is a game for every code. Column networks are audited in one run by `Curator.train` itself.

All bounds hold with a confidence of 95 %: a correct program would be flagged in one of 20 audits at most.
Seeds are fixed, so no test fails by chance. The tests of samples allow 4.5 standard deviations, which is
7e-6 for each of their three numbers.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from neighbours import CODINGS, LOOSE, Neighbours, neighbours, records

torch = pytest.importorskip("torch")
nn = torch.nn

from tronie.audit.bounds import Errors, epsilon_from_errors, split_bound  # noqa: E402
from tronie.audit.onerun import Listener, coins, one_run  # noqa: E402
from tronie.audit.result import Audit  # noqa: E402
from tronie.errors import BudgetError, Cancelled  # noqa: E402
from tronie.measure import gradients as gradients_module  # noqa: E402
from tronie.measure.clipping import ClippedGradients  # noqa: E402
from tronie.measure.curator import Curator, Meter  # noqa: E402
from tronie.measure.gradients import Descent, descend  # noqa: E402
from tronie.measure.lattice import SLACK, Lattice  # noqa: E402
from tronie.measure.noise import InsecureNoise  # noqa: E402
from tronie.measure.records import Records  # noqa: E402
from tronie.measure.training_state import TrainingState  # noqa: E402
from tronie.models.nets.network import ColumnNetwork, initial  # noqa: E402
from tronie.models.nets.shape import Shape  # noqa: E402
from tronie.privacy.accounting import epsilon_of  # noqa: E402
from tronie.privacy.budget import Budget  # noqa: E402
from tronie.privacy.calibration import noise_multiplier  # noqa: E402
from tronie.privacy.gdp import gdp_epsilon  # noqa: E402
from tronie.schema.grid import Coding, Grid  # noqa: E402
from tronie.schema.schema import Schema  # noqa: E402
from tronie.tables.sources import open_source  # noqa: E402

log = logging.getLogger(__name__)
"""Shown by ``pytest --log-cli-level INFO``."""

DELTA = 1e-5
COLUMNS = ("a", "b", "c")


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> Iterator[None]:
    """Small networks are faster with one thread."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


class Tally(nn.Module):
    """A weight for each code of a column; a row's gradient is 1 at its code, else 0."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.values = nn.Embedding(size, 1)
        self.values.weight.data.zero_()

    def forward(self, codes: Any) -> Any:
        return self.values(codes[:, 0])[:, 0]


def columns_network(body: Any = "transformer", scale: float = 1.0) -> ColumnNetwork:
    """A small network on the neighbours' columns; a larger scale makes larger gradients."""
    shape = Shape(body, tuple(CODINGS[c].size for c in COLUMNS), 8, 1, 2)
    network = ColumnNetwork(shape, initial(shape, {}, np.random.default_rng(0)))
    for parameter in network.parameters():
        parameter.data *= scale
    return network


class Heard:
    """What was answered: sums before noise, and what was said, step by step."""

    def __init__(self, patch: pytest.MonkeyPatch, mute: bool = False) -> None:
        self.exact: list[np.ndarray] = []
        self.said: list[np.ndarray] = []
        blur = Lattice.blur

        def listening(lattice: Lattice, vector: np.ndarray, noise: Any) -> np.ndarray:
            self.exact.append(vector.copy())
            self.said.append(vector if mute else blur(lattice, vector, noise))
            return self.said[-1]

        patch.setattr(Lattice, "blur", listening)

    def scores(self) -> np.ndarray:
        """Sum of all answers, entry by entry."""
        return np.sum(self.said, axis=0)


def run(network: Any, codes: Any, descent: Descent, seed: int = 0, units: Any = None) -> None:
    descend(network, codes, units, descent, InsecureNoise(seed), lambda step: None)


# --- sensitivity --------------------------------------------------------------------------------


def exact_sum(rows: list[dict[str, Any]], network: Any, descent: Descent, k: int) -> np.ndarray:
    """What the noise is added to, with every row sampled."""
    with pytest.MonkeyPatch.context() as patch:
        heard = Heard(patch, mute=True)
        patch.setattr(gradients_module, "require_row_losses", lambda network, sizes: None)
        curator = Curator(records(rows), Meter(LOOSE), rows_per_unit=k, noise=InsecureNoise(0))
        curator.recode(CODINGS)
        curator.train(network, COLUMNS, descent)
        return heard.exact[0]


def distance(tables: Neighbours, network: Callable[[], Any], descent: Descent) -> float:
    """How far one unit moves a sum."""
    one, other = (
        exact_sum(rows, network(), descent, tables.k)
        for rows in (tables.with_unit, tables.without_unit)
    )
    return float(np.linalg.norm(one - other))


def check_moved(tables: Neighbours, network: Callable[[], Any], descent: Descent) -> None:
    """Fail if one unit moves a sum further than the lattice makes room for."""
    limit = descent.max_grad_norm * (1 + SLACK)
    moved = distance(tables, network, descent)
    assert moved <= limit, f"moved {moved}, charged {limit}"


def exact_epsilon(tables: Neighbours, network: Callable[[], Any], descent: Descent) -> float:
    """What one step on two neighbouring tables costs: the exact epsilon of Gaussian noise on their sums."""
    step = Lattice.of(1, descent.max_grad_norm, descent.noise_multiplier)
    return gdp_epsilon(distance(tables, network, descent) / (step.sigma * step.step), DELTA)


@settings(max_examples=20)
@given(
    neighbours(),
    st.sampled_from(["transformer", "lstm"]),
    st.sampled_from([0.1, 1.0, 3.0]),
    st.sampled_from([1e-3, 0.5, 50.0]),
    st.integers(1, 9),
)
def test_a_unit_moves_a_sum_by_at_most_the_clip(
    tables: Neighbours, body: Any, scale: float, clip: float, physical: int
) -> None:
    descent = Descent(1.0, 1, 1.0, max_grad_norm=clip, physical_batch=physical)
    check_moved(tables, lambda: columns_network(body, scale), descent)


@settings(max_examples=20)
@given(st.integers(0, 2**32 - 1), st.integers(1, 8), st.sampled_from([0.01, 0.5, 1e3]))
def test_a_unit_of_many_rows_moves_a_sum_by_at_most_the_clip(
    seed: int, most: int, clip: float
) -> None:
    """Where units are known: each is clipped as a whole, wherever its rows stand."""
    rng = np.random.default_rng(seed)
    units = rng.integers(0, 6, 30)
    codes = (rng.random((30, 3)) * [CODINGS[c].size for c in COLUMNS]).astype(np.uint8)
    keep = units != 3
    descent = Descent(1.0, 1, 1.0, max_grad_norm=clip, physical_batch=most)
    sums = []
    for rows in (np.ones(30, bool), keep):
        with pytest.MonkeyPatch.context() as patch:
            heard = Heard(patch, mute=True)
            run(columns_network(), codes[rows], descent, units=units[rows])
            sums.append(heard.exact[0])
    assert np.linalg.norm(sums[0] - sums[1]) <= clip * (1 + SLACK)


@pytest.mark.parametrize("clip", [1.0, 1e4])
@pytest.mark.parametrize("place", [0, 300, 1499])
def test_float_arithmetic_stays_within_its_room(clip: float, place: int) -> None:
    """1,500 rows with or without one: all others' contributions round differently."""
    shape = Shape("transformer", (9, 40, 16, 7, 15, 6, 2, 50), 32, 2, 4)
    network = ColumnNetwork(shape, initial(shape, {}, np.random.default_rng(0)))
    codes = torch.from_numpy(
        (np.random.default_rng(1).random((1500, 8)) * shape.sizes).astype(np.int64)
    )
    core = ClippedGradients(network)
    alone = core.sum(codes[place : place + 1], clip).double()

    def total(rows: Any) -> Any:
        return torch.stack([core.sum(part, clip).double() for part in rows.split(512)]).sum(0)

    without = torch.cat([codes[:place], codes[place + 1 :]])
    moved = total(codes) - total(without)
    assert float(moved.norm()) <= clip * (1 + SLACK)
    error = float((moved - alone).norm() / clip)
    log.info("float error %.2g of the clip", error)
    assert error < SLACK / 2


# --- non-interference ---------------------------------------------------------------------------


def test_nothing_but_noisy_sums_leaves() -> None:
    """Two tables, the same answers: weights, states, events and progress are the same."""
    answers: list[np.ndarray] = []
    blur = Lattice.blur
    results: list[Any] = []
    for number, rows in enumerate(
        (
            [{"a": "x", "b": 3, "c": True}] * 90,
            [{"a": None, "b": i % 10, "c": False} for i in range(7)],
        )
    ):
        replies = iter(list(answers))

        def taped(
            lattice: Lattice, vector: Any, noise: Any, n: int = number, r: Any = replies
        ) -> Any:
            if n:
                return next(r)
            answers.append(blur(lattice, vector, noise))
            return answers[-1]

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Lattice, "blur", taped)
            stages: list[str] = []
            meter = Meter(LOOSE, reservation="r")
            curator = Curator(
                records(rows), meter, noise=InsecureNoise(number), checkpoint=stages.append
            )
            curator.recode(CODINGS)
            kept: list[TrainingState] = []
            network = columns_network()
            ended = curator.train(
                network, COLUMNS, Descent(0.3, 6, 1.0), keep=kept.append, keep_every=2
            )
            weights = [p.detach().numpy().tobytes() for p in network.parameters()]
            states = [(s.updates, s.next, s.weights.tobytes(), s.receipt) for s in [*kept, ended]]
            results.append((weights, states, stages, meter.events))
    assert results[0] == results[1]


# --- audits -------------------------------------------------------------------------------------


def half(size: int, seed: int = 5) -> np.ndarray:
    """Which codes are in the table: a fair coin each."""
    return np.random.default_rng(seed).random(size) < 0.5


def train_tally(included: np.ndarray, descent: Descent, seed: int = 0) -> None:
    codes = np.flatnonzero(included)[:, None]
    run(Tally(len(included)), codes, descent, seed)


def shown(scores: np.ndarray, included: np.ndarray) -> float:
    """Epsilon that full batches betray; they claim Gaussian DP."""
    return split_bound(scores[~included], scores[included], DELTA, claim="gaussian").epsilon


@pytest.mark.parametrize("epsilon", [1.0, 8.0])
def test_a_single_step_stays_under_its_claim_and_is_not_far_below(
    epsilon: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """100,000 draws of the noise around known gradients."""
    heard, included = Heard(monkeypatch), half(100_000)
    noise = noise_multiplier(Budget(epsilon, DELTA), 1.0, 1)
    train_tally(included, Descent(1.0, 1, noise))
    lower = shown(heard.scores(), included)
    log.info("claimed %g, shown %.3f", epsilon, lower)
    assert 0.85 * epsilon < lower <= epsilon


@pytest.mark.parametrize("epsilon", [1.0, 8.0])
def test_many_sampled_steps_stay_under_their_claim(
    epsilon: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One run, 10,000 canaries, 40 Poisson batches."""
    heard, included = Heard(monkeypatch), half(10_000)
    noise = noise_multiplier(Budget(epsilon, DELTA), 0.1, 40)
    train_tally(included, Descent(0.1, 40, noise))
    found = one_run(heard.scores(), included, epsilon, DELTA)
    log.info("claimed %g, shown %.3f", epsilon, found.lower)
    assert found.verdict != "violation"
    assert found.lower > 0.02 * epsilon


FREE = Schema.model_validate(
    {
        "name": "free",
        "columns": {
            c: {"kind": "integer", "min": 0, "max": 29, "nullable": False} for c in COLUMNS
        },
    }
)


def audit_of_columns(body: Any, epsilon: float, charged: float | None = None) -> Audit:
    """One run with 300 canaries among 100 rows, through the curator, by all noisy sums.

    Args:
        body: Kind of network.
        epsilon: The claim.
        charged: Epsilon that the noise is for, if another one.
    """
    rng = np.random.default_rng(7)
    size = FREE.columns["a"].max + 1  # type: ignore[union-attr]
    codings = dict.fromkeys(COLUMNS, Coding.identity(Grid(np.arange(size + 1))))
    marked, rest = (rng.integers(0, size, (rows, len(COLUMNS))) for rows in (300, 100))
    included = coins(len(marked), seed=7)

    def held(rows: np.ndarray) -> Records:
        return Records(open_source(pa.table(dict(zip(COLUMNS, rows.T, strict=True)))), FREE)

    noise = noise_multiplier(Budget(charged or epsilon, DELTA), 0.25, 20)
    curator = Listener(
        held(np.concatenate([rest, marked[included]])),
        Meter(Budget(charged or epsilon, DELTA)),
        schema=FREE,
        noise=InsecureNoise(7),
    )
    curator.recode(codings)
    shape = Shape(body, (size,) * len(COLUMNS), 8, 1, 2)
    network = ColumnNetwork(shape, initial(shape, {}, rng))
    curator.train(network, COLUMNS, Descent(0.25, 20, noise, learning_rate=1e-3))
    (training,) = curator.trained
    return one_run(training.score(held(rest), held(marked)), included, epsilon, DELTA)


@pytest.mark.parametrize("body", ["transformer", "lstm"])
@pytest.mark.parametrize("epsilon", [1.0, 8.0])
def test_column_networks_stay_under_their_claim(body: Any, epsilon: float) -> None:
    audit = audit_of_columns(body, epsilon)
    right = audit.details["correct"] / audit.details["guessed"]
    log.info("%s: claimed %g, shown %.3f, %.2f right", body, epsilon, audit.lower, right)
    assert audit.verdict != "violation"
    assert right > 0.65 or epsilon < 8.0, "an attack that sees something"


def test_column_networks_with_noise_of_another_budget_are_flagged() -> None:
    """As where epsilon is stated for a sample: noise of epsilon 40 under a claim of 1."""
    audit = audit_of_columns("transformer", 1.0, charged=40.0)
    log.info("claimed 1, shown %.3f", audit.lower)
    assert audit.verdict == "violation"


def test_column_networks_with_a_layer_without_noise_are_flagged(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The head of the last column, whose parameters come last, is answered exactly."""
    blur, size = Lattice.blur, 30 * (8 + 1)

    def forgetful(lattice: Lattice, vector: np.ndarray, noise: Any) -> np.ndarray:
        said = blur(lattice, vector, noise)
        said[-size:] = vector[-size:]
        return said

    monkeypatch.setattr(Lattice, "blur", forgetful)
    audit = audit_of_columns("transformer", 1.0)
    log.info("claimed 1, shown %.3f", audit.lower)
    assert audit.verdict == "violation"


def test_noise_of_a_smaller_budget_is_flagged(monkeypatch: pytest.MonkeyPatch) -> None:
    """The audit has teeth: noise for epsilon 1.3 under a claim of 1."""
    heard, included = Heard(monkeypatch), half(100_000)
    train_tally(included, Descent(1.0, 1, noise_multiplier(Budget(1.3, DELTA), 1.0, 1)))
    lower = shown(heard.scores(), included)
    log.info("claimed 1, shown %.3f", lower)
    assert lower > 1.0


# --- planted bugs -------------------------------------------------------------------------------


def independence(taken: np.ndarray, rate: float) -> float:
    """How far a record of samples is from independent coins: the largest of three z-scores.

    Args:
        taken: Whether each unit was in each batch, shape (steps, units).
        rate: The rate that was charged.

    The numbers of units in batches vary as binomial ones; so do the numbers of batches of a unit; and
    whether a unit is in a batch says nothing about the next one.
    """
    steps, units = taken.shape
    spread = rate * (1 - rate)
    sizes = ((taken.sum(1) - rate * units) ** 2).mean() / (spread * units) - 1
    uses = ((taken.sum(0) - rate * steps) ** 2).mean() / (spread * steps) - 1
    lag = ((taken[1:] - rate) * (taken[:-1] - rate)).mean() / spread
    return max(
        abs(sizes) * math.sqrt(steps / 2),
        abs(uses) * math.sqrt(units / 2),
        abs(lag) * math.sqrt(units * (steps - 1)),
    )


def samples(patch: pytest.MonkeyPatch, rate: float, steps: int) -> np.ndarray:
    heard = Heard(patch)
    train_tally(np.ones(300, bool), Descent(rate, steps, 1.0))
    return np.array(heard.exact)


def test_poisson_samples_are_independent(monkeypatch: pytest.MonkeyPatch) -> None:
    deviation = independence(samples(monkeypatch, 0.1, 400), 0.1)
    log.info("Poisson: %.1f standard deviations", deviation)
    assert deviation < 4.5


@pytest.mark.parametrize("kind", ["shuffled", "fixed size", "repeated"])
def test_batches_that_are_not_poisson_are_flagged(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Epochs in shuffled order, batches of one size, a sample used twice: all charged as Poisson."""
    rng = np.random.default_rng(0)
    queue: list[np.ndarray] = []

    def planted(rate: float, size: int, noise: Any) -> np.ndarray:
        number = round(rate * size)
        if not queue:
            order = rng.permutation(size)
            if kind == "shuffled":
                queue.extend(order[i : i + number] for i in range(0, size, number))
            elif kind == "fixed size":
                queue.append(order[:number])
            else:
                queue.extend([np.flatnonzero(rng.random(size) < rate)] * 2)
        found = np.zeros(size, bool)
        found[queue.pop()] = True
        return found

    monkeypatch.setattr(gradients_module, "coins", planted)
    deviation = independence(samples(monkeypatch, 0.1, 400), 0.1)
    log.info("%s: %.1f standard deviations", kind, deviation)
    assert deviation > 10


def test_shuffled_batches_are_flagged_by_what_they_betray(monkeypatch: pytest.MonkeyPatch) -> None:
    """Epochs shuffled with a seed that is public, charged as Poisson: it is known where a unit would be."""
    size, batches, epochs, claim = 20_000, 24, 5, 1.0
    slots = np.random.default_rng(0).permuted(
        np.tile(np.arange(size) % batches, (epochs, 1)), axis=1
    )
    queue = [slots[epoch] == batch for epoch in range(epochs) for batch in range(batches)]
    noise = noise_multiplier(Budget(claim, DELTA), 1 / batches, epochs * batches)
    included = half(size)
    place = np.cumsum(included) - included  # a unit's number in the table, if it is there

    def known(scores: list[np.ndarray]) -> np.ndarray:
        """Sum of each unit's answers in the batches where it would be."""
        answers = np.array(scores).reshape(epochs, batches, size)
        return sum(answers[e, slots[e][place], np.arange(size)] for e in range(epochs))

    def bound(batches_from: Callable[..., np.ndarray]) -> float:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(gradients_module, "coins", batches_from)
            heard = Heard(patch)
            train_tally(included, Descent(1 / batches, epochs * batches, noise))
        scores = known(heard.said)
        return split_bound(scores[~included], scores[included], DELTA).epsilon

    order = iter(queue)
    planted = bound(lambda rate, count, noise: next(order)[:count])
    correct = bound(gradients_module.coins)
    log.info("claimed 1, shown %.3f, correct %.3f", planted, correct)
    assert correct <= claim < planted


class MeanOverBatch(ColumnNetwork):
    """Losses weighted by the row's part of the batch's tokens, as a mean over all tokens has it."""

    def forward(self, codes: Any, orders: Any = None) -> Any:
        tokens = 1.0 + 100.0 * codes[:, 0]
        return super().forward(codes, orders) * len(codes) * tokens / tokens.sum()


def test_a_mean_over_the_batch_is_flagged() -> None:
    """One long row makes all others' losses, and so their gradients, smaller."""
    shape = columns_network().shape

    def network() -> MeanOverBatch:
        return MeanOverBatch(shape, initial(shape, {}, np.random.default_rng(0)))

    rest = [{"a": "x", "b": 1, "c": True}] * 20
    tables = Neighbours([*rest, {"a": None, "b": 1, "c": True}], rest, 1)
    descent = Descent(1.0, 1, 1.0, max_grad_norm=3.0)
    check_moved(tables, columns_network, descent)
    for epsilon in (1.0, 8.0):
        noise = noise_multiplier(Budget(epsilon, DELTA), 1.0, 1)
        charged = replace(descent, noise_multiplier=noise)
        correct = exact_epsilon(tables, columns_network, charged)
        planted = exact_epsilon(tables, network, charged)
        log.info("claimed %g, correct %.3f, mean over the batch %.3g", epsilon, correct, planted)
        assert correct <= epsilon < planted
    with pytest.raises(AssertionError, match=r"moved .*, charged"):
        check_moved(tables, network, descent)


def test_clipping_of_rows_in_place_of_units_is_flagged(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Descent, "for_rows", lambda self, rows_per_unit: self)
    rest = [{"a": "x", "b": 1, "c": True}]
    tables = Neighbours([*rest, *[{"a": "y", "b": 2, "c": False}] * 3], rest, 3)
    descent = Descent(1.0, 1, 5.0, max_grad_norm=0.1)
    with pytest.raises(AssertionError, match=r"moved .*, charged"):
        check_moved(tables, columns_network, descent)
    claimed = epsilon_of([descent.event(COLUMNS)], DELTA)
    found = exact_epsilon(tables, columns_network, descent)
    log.info("claimed %.3f, exact %.3f", claimed, found)
    assert found > claimed


class TwoTallies(nn.Module):
    """Two layers, each with a weight for each code."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.one, self.two = Tally(size), Tally(size)

    def forward(self, codes: Any) -> Any:
        return self.one(codes) + self.two(codes)


@pytest.mark.parametrize("planted", [False, True])
def test_missing_noise_on_one_layer_is_flagged(
    planted: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Layer by layer, with half of the probability of a false alarm each."""
    size = 20_000
    if planted:
        blur = Lattice.blur

        def forgetful(lattice: Lattice, vector: np.ndarray, noise: Any) -> np.ndarray:
            said = blur(lattice, vector, noise)
            said[size:] = vector[size:]
            return said

        monkeypatch.setattr(Lattice, "blur", forgetful)
    heard, included = Heard(monkeypatch), half(size)
    noise = noise_multiplier(Budget(1.0, DELTA), 1.0, 1)
    run(TwoTallies(size), np.flatnonzero(included)[:, None], Descent(1.0, 1, noise))
    layers = heard.scores().reshape(2, size)
    lower = [
        split_bound(s[~included], s[included], DELTA, claim="gaussian", confidence=0.975).epsilon
        for s in layers
    ]
    log.info("shown by layers: %s", lower)
    assert (max(lower) > 1.0) == planted


WIDE = Schema.model_validate(
    {"name": "wide", "columns": {"a": {"kind": "integer", "min": 0, "max": 39_999}}}
)


def trained_twice(meter: Meter, included: np.ndarray, descent: Descent, tamper: bool) -> None:
    """A training that is stopped after its last step, and resumed."""
    source = open_source(pa.table({"a": np.flatnonzero(included)}))
    kept: list[TrainingState] = []

    def train(seed: int, **options: Any) -> None:
        curator = Curator(Records(source, WIDE), meter, noise=InsecureNoise(seed))
        curator.recode({"a": Coding.identity(Grid(np.arange(40_001)))})
        curator.train(Tally(len(included)), ["a"], descent, keep=kept.append, **options)

    train(1)
    state = kept[-1]
    train(2, state=replace(state, next=0) if tamper else state)


@pytest.mark.parametrize("planted", [False, True])
def test_double_spending_after_resuming_is_flagged(
    planted: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A state that forgets how many steps were answered, and a meter that does not look."""
    if planted:
        monkeypatch.setattr(Meter, "use", lambda meter, run, step: None)
    heard, included = Heard(monkeypatch), half(40_000)
    descent = Descent(1.0, 3, noise_multiplier(Budget(1.0, DELTA), 1.0, 3))
    meter = Meter(Budget(1.0, DELTA))
    trained_twice(meter, included, descent, tamper=planted)
    assert epsilon_of(meter.events, DELTA) <= 1.0
    lower = shown(heard.scores(), included)
    log.info("claimed 1, shown %.3f after %d answers", lower, len(heard.said))
    assert (lower > 1.0) == planted


def test_the_meter_stops_double_spending(monkeypatch: pytest.MonkeyPatch) -> None:
    heard, included = Heard(monkeypatch), half(40_000)
    with pytest.raises(Exception, match="answered twice"):
        trained_twice(Meter(LOOSE), included, Descent(1.0, 3, 9.0), tamper=True)
    assert len(heard.said) == 3


def test_a_bug_in_the_coin_is_flagged(monkeypatch: pytest.MonkeyPatch) -> None:
    """All units sampled in every step, charged as one in ten."""
    monkeypatch.setattr(gradients_module, "coins", lambda rate, size, noise: np.ones(size, bool))
    heard, included = Heard(monkeypatch), half(10_000)
    noise = noise_multiplier(Budget(1.0, DELTA), 0.1, 40)
    train_tally(included, Descent(0.1, 40, noise))
    scores = heard.scores() / 40
    errors = Errors.at(0.5, scores[~included], scores[included])
    lower = epsilon_from_errors(errors, DELTA)
    log.info("claimed 1, shown %.3f", lower)
    assert lower > 1.0


def test_a_stopped_training_has_been_charged_in_full() -> None:
    def stop(stage: str) -> None:
        if "step 2" in stage:
            raise Cancelled("stopped")

    meter = Meter(LOOSE)
    curator = Curator(records([]), meter, noise=InsecureNoise(0), checkpoint=stop)
    curator.recode(CODINGS)
    with pytest.raises(Cancelled):
        curator.train(columns_network(), COLUMNS, Descent(0.5, 9, 2.0))
    assert [event.steps for event in meter.events] == [9]  # type: ignore[union-attr]


def test_a_state_without_a_receipt_is_refused() -> None:
    ended = descend(
        columns_network(),
        np.zeros((3, 3), np.uint8),
        None,
        Descent(0.5, 2, 2.0),
        InsecureNoise(0),
        lambda step: None,
    )
    curator = Curator(records([]), Meter(LOOSE), noise=InsecureNoise(0))
    curator.recode(CODINGS)
    with pytest.raises(BudgetError):
        curator.train(columns_network(), COLUMNS, Descent(0.5, 2, 2.0), state=ended)
