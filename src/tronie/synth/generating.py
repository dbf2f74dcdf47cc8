"""What every method does that fits a generator: one point for each component, columns alike for all."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from tronie.models.estimation import estimate
from tronie.models.field import Field
from tronie.models.markov import MarkovRandomField
from tronie.models.nets.decoding import Parameters, Singles
from tronie.models.nets.frame import as_codes, drawing_order, drawing_steps
from tronie.models.nets.latent import LatentShape
from tronie.models.nets.latent_field import LatentField
from tronie.models.nets.mixing import rake_mixture
from tronie.schema.domain import Clique
from tronie.schema.grid import Floats
from tronie.synth.learning import LEAST_POPULATION, MANY, POPULATION
from tronie.synth.prepare import Prepared

COMPONENTS = 4096
"""Components of a mixture whose points come from a continuous distribution."""


@dataclass(frozen=True, slots=True, eq=False)
class Draft:
    """A generator before it saw anything but single columns, and all that is known beside it.

    Attributes:
        prepared: Released facts about single columns.
        tree: The model of single columns, constraints included.
        order: The columns, in the order of drawing.
        shares: Column's number -> released shares of its codes.
        shape: Sizes of the generator.
        parameters: Its parameters.
    """

    prepared: Prepared
    tree: MarkovRandomField
    order: Clique
    shares: Mapping[int, Floats]
    shape: LatentShape
    parameters: Parameters

    @classmethod
    def of(
        cls,
        prepared: Prepared,
        rng: np.random.Generator,
        *,
        latent: int,
        width: int,
        depth: int,
        model: Field | None = None,
    ) -> Draft:
        """A generator whose columns are nearly independent, with released shares.

        Args:
            prepared: Released facts about single columns.
            rng: Source of randomness.
            latent: Numbers of a point.
            width: Units of a hidden layer; half of them for a small table.
            depth: Hidden layers.
            model: A better model of single columns than what was measured of each alone.
        """
        from tronie.models.nets.generator import initial_generator

        tree = estimate(prepared.domain, prepared.oneways, prepared.total, zeros=prepared.zeros)
        order = drawing_order(tree)
        sizes = tuple(tree.domain[column] for column in order)
        units = width if prepared.total >= MANY else width // 2
        shape = LatentShape(sizes, latent, units, depth)
        shares = {
            number: (model or tree).marginal([column]).normalise().values
            for number, column in enumerate(order)
        }
        return cls(prepared, tree, order, shares, shape, initial_generator(shape, shares, rng))

    def finish(
        self, parameters: Parameters, points: Singles, rng: np.random.Generator
    ) -> LatentField:
        """A model whose single columns are as released.

        Args:
            parameters: Of the generator as it was fitted.
            points: Its points, shape (components, latent).
            rng: Source of randomness.
        """
        steps = drawing_steps(self.tree, self.order, {})
        count = int(min(max(2 * self.tree.total, LEAST_POPULATION), POPULATION))
        raked = rake_mixture(self.shape, parameters, points, steps, self.shares, count, rng)
        population = as_codes(self.order, self.shape, raked.rows)
        return LatentField(self.tree, self.order, self.shape, raked.parameters, points, population)


def points_of(count: int, latent: int, rng: np.random.Generator) -> Singles:
    """Normal points, shape (count, latent)."""
    return rng.standard_normal((count, latent), np.float32)
