"""What every method does that trains a network on private rows.

How likely a row is to be in a batch, the number of steps and the noise follow from the plan, before any row
is read. A large table is sampled more thinly than that, which only costs less.
"""

from __future__ import annotations

import importlib.util
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType

import numpy as np

from tronie.errors import InputError
from tronie.measure.curator import Curator
from tronie.measure.descent import Descent, default_descent, ordinary_descent
from tronie.models.estimation import estimate
from tronie.models.field import Field
from tronie.models.marginal import Marginal, combine
from tronie.models.markov import MarkovRandomField
from tronie.models.nets.decoding import Parameters
from tronie.models.nets.frame import as_codes, drawing_order, drawing_steps
from tronie.models.nets.net_field import NetField
from tronie.models.nets.raking import Pair, rake
from tronie.models.nets.shape import Body, Shape
from tronie.models.systematic import Codes
from tronie.schema.columns import OpenCategory
from tronie.schema.domain import Clique
from tronie.schema.grid import Floats, Ints
from tronie.schema.schema import Schema
from tronie.synth.plan import KEYS_DELTA, Plan
from tronie.synth.prepare import Prepared
from tronie.synth.settings import Effort, Training

TRAIN = "train"
"""Name of the step that trains."""

LARGEST_BATCH = 8192
"""Rows of a batch, about, in a table so large that the rate would give more."""

POPULATION = 2**15
"""Rows that are drawn to know a model's marginals, at most."""

LEAST_POPULATION = 2**13
"""As many are drawn for a small table."""

MANY = 10_000
"""Rows from which on a larger network is worth its noise, and its time."""


@dataclass(frozen=True, slots=True)
class Level:
    """How much time to take.

    Attributes:
        epochs: How often each row is used, on average.
        public: Steps on rows of another model, before.
        orders: Steps on the model's own rows, after, to learn other orders of columns.
    """

    epochs: float
    public: int
    orders: int


LEVELS: Mapping[Effort, Level] = MappingProxyType(
    {"fast": Level(2.5, 300, 100), "normal": Level(5, 600, 200), "high": Level(10, 1200, 400)}
)


TYPICAL = 14
"""Columns of a table for which the numbers of epochs were chosen; fewer columns take less time each."""

LONGEST = 4.0
"""Times as many epochs, at most, for a table of few columns."""


@dataclass(frozen=True, slots=True)
class Size:
    """How large a network is, and how long it is trained.

    Attributes:
        width: Units of a token's vector.
        depth: Layers.
        pace: Part of the steps on public rows that are taken.
    """

    width: int
    depth: int
    pace: float

    @classmethod
    def of(cls, rows: float) -> Size:
        """What suits a table of so many rows."""
        return cls(64, 2, 1.0) if rows >= MANY else cls(32, 1, 0.3)


def require_torch(method: str) -> None:
    """Refuse, before anything is spent, to train without PyTorch.

    Raises:
        InputError: If it is not installed.
    """
    if importlib.util.find_spec("torch") is None:
        raise InputError(
            f"the method {method} trains a network, and PyTorch is not installed.",
            "Install it with `pip install 'tronie[neural]'`, or choose glaze.",
        )


def settings_of(plan: Plan, schema: Schema, rows: float) -> Descent:
    """Settings of the plan's step `train`.

    Args:
        plan: All its other steps together are one Gaussian of what is not the training's share.
        schema: Public facts.
        rows: Released number of rows; a large table is sampled more thinly.
    """
    wishes = plan.settings.training
    if not plan.budget.dp:
        return ordinary_descent(
            rows,
            epochs=wishes.epochs,
            batch_size=wishes.batch_size,
            learning_rate=wishes.learning_rate,
            effort=LEVELS[plan.settings.effort].epochs / LEVELS["normal"].epochs,
        )
    descent = _settings(plan, schema)
    if wishes.batch_size is not None:
        return descent
    return replace(descent, rate=min(descent.rate, LARGEST_BATCH / rows))


def require_affordable(plan: Plan, schema: Schema) -> Plan:
    """The plan, if the noise that was asked for is enough; before a row is read.

    Raises:
        InputError: If it is too little for the budget.
    """
    wishes = plan.settings.training
    if wishes.noise_multiplier is None or all(step.name != TRAIN for step in plan.steps):
        return plan
    least = _settings(with_training(plan, replace(wishes, noise_multiplier=None)), schema)
    if wishes.noise_multiplier < least.noise_multiplier:
        raise InputError(
            f"a noise multiplier of {wishes.noise_multiplier:g} costs more than is left of the budget "
            f"in {least.steps} steps.",
            f"Give at least {least.noise_multiplier:.4g}, fewer epochs or more epsilon, or leave it out.",
        )
    return plan


def with_training(plan: Plan, wishes: Training) -> Plan:
    """The same plan with other wishes for its training."""
    return replace(plan, settings=replace(plan.settings, training=wishes))


def _longer(schema: Schema) -> float:
    """Times as many epochs, for the same time, as in a table of `TYPICAL` columns.

    What only four or five columns show together, such as a parity, takes many steps to be found.
    """
    columns = max(len(schema.modelled) + len(schema.unknowns()), 1)
    return min(max(TYPICAL / columns, 1.0), LONGEST)


def _settings(plan: Plan, schema: Schema) -> Descent:
    """Settings that public facts alone decide."""
    named = any(isinstance(column, OpenCategory) for column in schema.columns.values())
    delta = plan.budget.delta * (1 - KEYS_DELTA) if named else plan.budget.delta
    wishes = plan.settings.training
    return default_descent(
        plan.budget.with_delta(delta),
        rows=wishes.rows,
        mu=plan.mu * math.sqrt(1 - plan.share(TRAIN)),
        noise_multiplier=wishes.noise_multiplier,
        max_grad_norm=wishes.max_grad_norm or 1.0,
        epochs=wishes.epochs or LEVELS[plan.settings.effort].epochs * _longer(schema),
        batch_size=wishes.batch_size,
        learning_rate=wishes.learning_rate,
    )


@dataclass(frozen=True, slots=True, eq=False)
class Start:
    """A network before it saw a row, and all that is known beside it.

    Attributes:
        prepared: Released facts about single columns.
        tree: The model of single columns, constraints included.
        order: The columns, in the order of drawing.
        shares: Column's number -> released shares of its codes.
        shape: Sizes of the network.
        parameters: Its parameters.
        level: How much time to take.
        pace: Part of the steps on public rows that are taken.
    """

    prepared: Prepared
    tree: MarkovRandomField
    order: Clique
    shares: Mapping[int, Floats]
    shape: Shape
    parameters: Parameters
    level: Level
    pace: float

    @classmethod
    def of(
        cls,
        prepared: Prepared,
        plan: Plan,
        body: Body,
        rng: np.random.Generator,
        model: Field | None = None,
    ) -> Start:
        """A network whose columns are nearly independent, with released shares.

        Args:
            prepared: Released facts about single columns.
            plan: How much time to take.
            body: Kind of network.
            rng: Source of randomness.
            model: A better model of single columns than what was measured of each alone.
        """
        from tronie.models.nets.network import initial

        tree = estimate(prepared.domain, prepared.oneways, prepared.total, zeros=prepared.zeros)
        order = drawing_order(tree)
        size = Size.of(prepared.total)
        shape = Shape(body, tuple(tree.domain[c] for c in order), size.width, size.depth)
        shares = {
            number: (model or tree).marginal([column]).normalise().values
            for number, column in enumerate(order)
        }
        parameters = initial(shape, shares, rng)
        level = LEVELS[plan.settings.effort]
        return cls(prepared, tree, order, shares, shape, parameters, level, size.pace)


def train_publicly(
    start: Start,
    parameters: Parameters,
    rows: Ints,
    steps: int,
    rng: np.random.Generator,
) -> Parameters:
    """Fit a network to rows of a model, in all orders of columns."""
    from tronie.models.nets.training import Course, train_on_public

    course = Course(max(round(steps * start.pace), 1))
    return train_on_public(start.shape, parameters, rows, course, rng)


def train_privately(
    curator: Curator, schema: Schema, plan: Plan, start: Start, parameters: Parameters
) -> Parameters:
    """Fit a network to the private rows, for the plan's step `train`."""
    from tronie.models.nets.network import ColumnNetwork

    network = ColumnNetwork(start.shape, parameters)
    descent = settings_of(plan, schema, start.prepared.total)
    curator.train(network, start.order, descent)
    return network.parameters_now()


def finish(
    start: Start,
    parameters: Parameters,
    rng: np.random.Generator,
    measured: Sequence[Marginal] = (),
) -> NetField:
    """A model whose single columns are as released, and that can begin with any columns.

    Args:
        start: What the network began with.
        parameters: Of the trained network.
        rng: Source of randomness.
        measured: Noisy counts that pairs are brought to, as far as they are known better than by the
            network; those of more or fewer columns are left out.
    """
    shape, tree, order = start.shape, start.tree, start.order
    steps = drawing_steps(tree, order, {})
    count = int(min(max(2 * tree.total, LEAST_POPULATION), POPULATION))
    pairs = _pairs(measured, order, tree.total)
    raked = rake(shape, parameters, steps, start.shares, count, rng, pairs=pairs, total=tree.total)
    guide = raked.parameters
    if len(order) > 1:
        guide = train_publicly(start, guide, raked.rows, start.level.orders, rng)
    population = as_codes(order, shape, raked.rows)
    return NetField(tree, order, shape, raked.parameters, raked.ties, guide, population)


def _pairs(
    measured: Sequence[Marginal], order: Sequence[str], total: float
) -> dict[tuple[int, int], Pair]:
    """Measured pairs as shares, by the places of their columns."""
    place = {column: number for number, column in enumerate(order)}
    found: dict[Clique, list[Marginal]] = {}
    for marginal in measured:
        if len(marginal.clique) == 2:
            clique = tuple(sorted(marginal.clique, key=place.__getitem__))
            found.setdefault(clique, []).append(marginal.reorder(clique))
    pairs: dict[tuple[int, int], Pair] = {}
    for (one, two), marginals in found.items():
        both = combine(marginals)
        pairs[place[one], place[two]] = Pair(both.values / total, both.sd / total)
    return pairs


def in_order(codes: Mapping[str, Codes], order: Sequence[str]) -> Ints:
    """Rows of codes, shape (rows, columns)."""
    return np.stack([codes[column].astype(np.int64) for column in order], axis=1)
