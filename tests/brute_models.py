"""Small random models, and their joint distributions by brute force."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tronie.models.factor import Factor
from tronie.models.junction import junction_tree
from tronie.models.markov import MarkovRandomField
from tronie.models.propagation import IMPOSSIBLE, Propagation
from tronie.schema.domain import Clique, Domain

Brute = tuple[MarkovRandomField, Factor]


def random_model(
    sizes: Mapping[str, int],
    cliques: Sequence[Clique],
    *,
    seed: int = 0,
    impossible: float = 0.0,
    total: float = 100.0,
) -> MarkovRandomField:
    """Potentials are standard normal; a share of the cells of each is impossible."""
    rng = np.random.default_rng(seed)
    tree = junction_tree(Domain(sizes), cliques)
    tables = []
    for clique in tree.cliques:
        table = rng.normal(size=tree.domain.project(clique).shape)
        table[rng.random(table.shape) < impossible] = IMPOSSIBLE
        table.flat[0] = 0.0
        tables.append(table)
    Propagation(tree).calibrate(tables)
    return MarkovRandomField(tree, total, tuple(tables))


def brute_model(sizes: Mapping[str, int], cliques: Sequence[Clique], **options: Any) -> Brute:
    """The product of the cliques' marginals over the product of the separators', cell by cell."""
    model = random_model(sizes, cliques, **options)
    joint = Factor.full(model.domain, 1.0)
    for i in range(len(model.beliefs)):
        belief = model.belief(i)
        joint = joint * belief / belief.project(model.tree.separator(i))
    return model, joint
