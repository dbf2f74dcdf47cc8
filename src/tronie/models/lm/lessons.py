"""How well a language model foretold rows before and after each stage of its training."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

BEFORE, FIRST, TRAINED = "before", "first stage", "training"
"""Names of the stages: nothing learned yet, public rows learned, private rows learned."""

DECISION = "decision"
"""Name of the perplexity of decisions among the tokens that the grammar allows."""


@dataclass(frozen=True, slots=True)
class Lessons:
    """Perplexities of a language model, stage by stage; they cost nothing and may be published.

    Attributes:
        rows: Number of rows that they were measured on.
        origin: Where these rows came from: released numbers, never private rows.
        stages: Stage -> kind of token -> perplexity, as `tronie.models.lm.perplexity.perplexities` says.

    >>> Lessons(256, "a model", {"before": {"value": 9.0}, "training": {"value": 4.0}}).kinds
    ('value',)
    """

    rows: int
    origin: str
    stages: Mapping[str, Mapping[str, float]]

    @property
    def kinds(self) -> tuple[str, ...]:
        """Kinds of tokens, in the order in which they were measured."""
        return tuple(dict.fromkeys(kind for found in self.stages.values() for kind in found))

    @property
    def sound(self) -> bool:
        """Whether all perplexities are numbers that perplexities can be."""
        found = [value for stage in self.stages.values() for value in stage.values()]
        return self.rows > 0 and all(1.0 - 1e-6 <= value < math.inf for value in found)
