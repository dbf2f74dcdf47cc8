"""A generator and the discriminator that it learns from; private rows meet the discriminator only."""

from __future__ import annotations

import copy
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from tronie.models.nets.decoding import Parameters, Singles
from tronie.models.nets.generator import Generator
from tronie.models.nets.latent import LatentShape, even_paces
from tronie.schema.grid import Floats, Ints

POOLED, POOL = 2**15, 32
"""Made-up rows that are kept, about, and those of one condition, at most."""

CONDITION = 16
"""Numbers of a point that say what is wanted."""

MOST_ODDS = 3.0
"""Log odds are cut off here when made-up rows are weighted by them."""

SMOOTHING = 0.8
"""Part of the discriminator's moving mean that a step keeps."""


@dataclass(frozen=True, slots=True)
class Duel:
    """How the generator learns.

    Attributes:
        every: Steps of the discriminator between two lessons of the generator. On coded Adult lessons that
            came more often made it drift.
        steps: Steps of the generator in each lesson.
        made: Made-up rows of a lesson.
        batch: Those of a step.
        points: Points of a step.
        rate: Learning rate.
        obey: Weight of conditions.
        shares: Weight of the released shares of single columns.
    """

    every: int = 40
    steps: int = 160
    made: int = 16384
    batch: int = 512
    points: int = 512
    rate: float = 2e-3
    obey: float = 0.1
    shares: float = 1.0


class Discriminator(nn.Module):
    """Log odds that a row is real rather than made up.

    Args:
        tokens: Number of codes of all columns together.
        width: Units of its layers.
        rng: Source of randomness.
    """

    def __init__(self, tokens: int, width: int, rng: np.random.Generator) -> None:
        super().__init__()
        with torch.device("meta"):
            self.inner = nn.Linear(width, width)
            self.outer = nn.Linear(width, 1)
        self.values = nn.Embedding(tokens, width, _weight=_normal(rng, 1.0, tokens, width))
        for layer, spread in ((self.inner, math.sqrt(2 / width)), (self.outer, width**-0.5)):
            weight = _normal(rng, spread, *layer.weight.shape)
            first = {"weight": weight, "bias": torch.zeros(len(weight))}
            layer.load_state_dict(first, assign=True)
            layer.requires_grad_(requires_grad=True)

    def forward(self, tokens: Tensor) -> Tensor:
        """Shape (rows,), of tokens, shape (rows, columns)."""
        hidden = torch.relu(self.values(tokens).sum(1) / math.sqrt(tokens.shape[1]))
        return self.outer(hidden + torch.relu(self.inner(hidden)))[:, 0]


class Adversary(nn.Module):
    """A discriminator that is trained on private rows, and a generator that is trained on it.

    To private training this is a network of which the discriminator alone is trained. A row's loss is the
    discriminator's error on the row and on one made-up row. Which one follows from the row itself, by
    public numbers: a column of it is chosen, and the made-up row comes from a public pool of rows that the
    generator made under the condition that this column has this code. So both rows agree there, and the
    gradient shows what else tells them apart.

    Between the private steps (`after_step`) the generator has lessons, from nothing but the noisy
    discriminator: rows are drawn from it and weighted by their odds to be real, and it is fitted to the
    weighted rows, by the likelihood of a mixture over random points and conditions. What it was taught is
    then taken off the discriminator's log odds, so that they begin at 0 for the rows that it makes now;
    or else the same lesson would be taught again.

    Args:
        shape: Sizes of the generator.
        parameters: Where it starts.
        shares: Column's number -> released shares of its codes; conditions are drawn from these.
        steps: Number of private steps; there is a lesson after the last.
        width: Units of the discriminator's layers.
        duel: How the generator learns.
        rng: Source of randomness.

    Source: conditions, and made-up rows under the same ones, as in CTGAN, Xu et al. 2019, arXiv 1907.00503;
    lessons by weighted rows, Che et al. 2017, arXiv 1702.07983, and Hjelm et al. 2018, arXiv 1702.08431;
    noise on the discriminator only, Xie et al. 2018, arXiv 1802.06739.
    """

    offsets: Tensor
    starts: Tensor
    paces: Tensor
    step: Tensor
    pool: Tensor

    def __init__(
        self,
        shape: LatentShape,
        parameters: Parameters,
        shares: Mapping[int, Floats],
        steps: int,
        width: int,
        duel: Duel,
        rng: np.random.Generator,
    ) -> None:
        super().__init__()
        tokens = sum(shape.sizes)
        self.shape, self.duel = shape, duel
        self._rng, self._last = rng, steps - 1
        self._shares = [shares[number] for number in range(shape.columns)]
        self._wanted = torch.tensor(np.concatenate(self._shares).astype(np.float32))
        self.discriminator = Discriminator(tokens, width, rng)
        self.average = _frozen(self.discriminator)
        self.taught = _frozen(self.discriminator)
        self.generator = Generator(shape, parameters)
        self.conditions = nn.Parameter(_normal(rng, 0.5, tokens, CONDITION))
        _freeze(self._learned(), frozen=True)
        self._optimiser = torch.optim.Adam(self._learned(), lr=duel.rate)
        places = max(min(POOLED // tokens, POOL), 1)
        self.register_buffer("offsets", torch.tensor(np.cumsum([0, *shape.sizes[:-1]])))
        self.register_buffer("starts", torch.tensor(rng.random((tokens, 2), np.float32)))
        self.register_buffer("paces", torch.tensor(even_paces(2)))
        self.register_buffer("step", torch.zeros(()))
        empty = torch.zeros((tokens, places, shape.columns), dtype=torch.int64)
        self.register_buffer("pool", empty)
        self._fill()

    def forward(self, codes: Tensor) -> Tensor:
        """Each row's loss: how wrong the discriminator is about it, and about a made-up row.

        Args:
            codes: Shape (rows, columns).

        Returns:
            Shape (rows,).
        """
        tokens = codes + self.offsets
        quantile = (self.starts[tokens].sum(1) + self.step * self.paces) % 1.0
        column = _place(quantile[:, :1], tokens.shape[1])
        made = self.pool[tokens.gather(1, column)[:, 0], _place(quantile[:, 1], self.pool.shape[1])]
        real, unreal = (self.discriminator(rows) - self.taught(rows) for rows in (tokens, made))
        return functional.softplus(-real) + functional.softplus(unreal)

    def after_step(self, step: int) -> None:
        """Go on to the next private step; every few steps the generator has a lesson."""
        with torch.no_grad():
            _move(self.average, self.discriminator, 1 - SMOOTHING)
        self.step.fill_(float(step + 1))
        if (step + 1) % self.duel.every == 0 or step == self._last:
            self._teach()

    def beside(self) -> dict[str, NDArray[Any]]:
        """What changes between steps and is not trained; see `tronie.measure.training_state.Changing`."""
        arrays = {name: tensor.detach().numpy().copy() for name, tensor in self._changed().items()}
        for number, parameter in enumerate(self._learned()):
            for name, moment in self._optimiser.state[parameter].items():
                arrays[f"adam.{number}.{name}"] = moment.numpy().copy()
        known = self._rng.bit_generator.state
        words = (known["state"]["state"], known["state"]["inc"])
        halves = [half for word in words for half in divmod(word, 2**64)]
        numbers = [*halves, known["has_uint32"], known["uinteger"]]
        return {**arrays, "rng": np.array(numbers, np.uint64)}

    def put_beside(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        """Become as when `beside` was called."""
        with torch.no_grad():
            for name, tensor in self._changed().items():
                tensor.copy_(torch.tensor(arrays[name]))
        for number, parameter in enumerate(self._learned()):
            start = f"adam.{number}."
            moments = {
                name.removeprefix(start): torch.tensor(array)
                for name, array in arrays.items()
                if name.startswith(start)
            }
            if moments:
                self._optimiser.state[parameter] = moments
        high, low, inc_high, inc_low, has, spare = map(int, arrays["rng"])
        words = {"state": high * 2**64 + low, "inc": inc_high * 2**64 + inc_low}
        known = self._rng.bit_generator.state
        self._rng.bit_generator.state = {
            **known,
            "state": words,
            "has_uint32": has,
            "uinteger": spare,
        }

    def _changed(self) -> dict[str, Tensor]:
        """All tensors that change between steps, but for the discriminator's."""
        parts = {"average": self.average, "taught": self.taught, "generator": self.generator}
        named = {
            f"{part}.{name}": tensor
            for part, network in parts.items()
            for name, tensor in network.state_dict().items()
        }
        return {**named, "conditions": self.conditions, "step": self.step, "pool": self.pool}

    def points(self, count: int, rng: np.random.Generator) -> Singles:
        """Points of the generator: conditions by released shares, and normal numbers.

        Returns:
            Shape (count, latent).
        """
        with torch.no_grad():
            return self._points(torch.tensor(self._wishes(count, rng)), rng).numpy()

    def _learned(self) -> list[nn.Parameter]:
        return [*self.generator.parameters(), self.conditions]

    def _teach(self) -> None:
        """Fit the generator to rows of its own, weighted by their odds; all of it is public."""
        duel, rng = self.duel, self._rng
        with torch.no_grad():
            wishes = torch.tensor(self._wishes(duel.made, rng))
            made = self._make(self._points(wishes, rng), wishes)
            odds = self.average(made) - self.taught(made)
            weights = odds.clamp(-MOST_ODDS, MOST_ODDS).exp()
            weights /= weights.mean()
        _freeze(self._learned(), frozen=False)
        for _ in range(duel.steps):
            batch = torch.tensor(rng.integers(duel.made, size=duel.batch))
            wishes = torch.tensor(self._wishes(duel.points, rng))
            logs = torch.cat(self.generator(self._points(wishes, rng)), 1)
            hot = torch.zeros(duel.batch, logs.shape[1]).scatter_(1, made[batch], 1.0)
            # The log probability of a row in the mixture of all points, up to a constant.
            fit = -(weights[batch] * (hot @ logs.T).logsumexp(1)).mean()
            obey = -logs.gather(1, wishes[:, None]).mean()
            # Relative entropy of the released shares to the generator's, up to a constant.
            apart = -(self._wanted * logs.exp().mean(0).log()).sum()
            self._optimiser.zero_grad()
            (fit + duel.obey * obey + duel.shares * apart).backward()  # pyright: ignore[reportUnknownMemberType]
            self._optimiser.step()  # pyright: ignore[reportUnknownMemberType]
        _freeze(self._learned(), frozen=True)
        with torch.no_grad():
            _move(self.taught, self.average, 1.0)
        self._fill()

    def _fill(self) -> None:
        """Fill the pool with rows of the generator as it is now."""
        tokens, places, columns = self.pool.shape
        wishes = torch.arange(tokens).repeat_interleave(places)
        with torch.no_grad():
            made = self._make(self._points(wishes, self._rng), wishes)
        self.pool.copy_(made.view(tokens, places, columns))

    def _wishes(self, count: int, rng: np.random.Generator) -> Ints:
        """Tokens: any column, a code of it by released shares."""
        columns = rng.integers(self.shape.columns, size=count)
        chances = rng.random(count)
        wishes = np.empty(count, np.int64)
        for column, shares in enumerate(self._shares):
            mine = columns == column
            upto: Floats = np.cumsum(shares)[:-1]
            aims: Floats = chances[mine] * float(shares.sum())
            wishes[mine] = upto.searchsorted(aims, side="right") + int(self.offsets[column])
        return wishes

    def _points(self, wishes: Tensor, rng: np.random.Generator) -> Tensor:
        size = (len(wishes), self.shape.latent - CONDITION)
        return torch.cat(
            [torch.tensor(rng.standard_normal(size, np.float32)), self.conditions[wishes]], 1
        )

    def _make(self, points: Tensor, wishes: Tensor) -> Tensor:
        """Tokens of a row for each point, shape (points, columns), the wanted one among them."""
        chances = torch.tensor(self._rng.random((len(points), self.shape.columns), np.float32))
        made: list[Tensor] = []
        for column, logs in enumerate(self.generator(points)):
            upto = logs.exp().cumsum(1)[:, :-1]
            made.append((upto <= chances[:, column : column + 1]).sum(1) + self.offsets[column])
        column = torch.bucketize(wishes, self.offsets, right=True) - 1
        return torch.stack(made, 1).scatter(1, column[:, None], wishes[:, None])


def _normal(rng: np.random.Generator, spread: float, *size: int) -> Tensor:
    return torch.tensor((spread * rng.standard_normal(size)).astype(np.float32))


def _place(quantile: Tensor, count: int) -> Tensor:
    """A number below `count` for each quantile."""
    return (quantile * count).long().clamp(max=count - 1)


def _frozen(network: Discriminator) -> Discriminator:
    return copy.deepcopy(network).requires_grad_(requires_grad=False)


def _freeze(parameters: Iterable[nn.Parameter], *, frozen: bool) -> None:
    for parameter in parameters:
        parameter.requires_grad = not frozen


def _move(one: nn.Module, other: nn.Module, part: float) -> None:
    """Move parameters a part of the way to those of another network."""
    for mine, its in zip(one.parameters(), other.parameters(), strict=True):
        mine.lerp_(its, part)
