"""What every method is: a plan from public facts, then a fit through the curator."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from tronie.measure.curator import Curator
from tronie.models.field import Field
from tronie.models.marginal import Marginal
from tronie.models.uncertainty import Misfit
from tronie.privacy.budget import Budget
from tronie.schema.schema import Schema
from tronie.synth.plan import Plan
from tronie.synth.prepare import Prepared
from tronie.synth.settings import DEFAULTS, Settings


@dataclass(frozen=True, slots=True)
class Fitted:
    """What a method leaves behind: numbers that hurt no one.

    Attributes:
        prepared: Released facts about single columns, and the codes.
        model: The joint distribution of the codes.
        measured: What it was fitted to, single columns included.
        misfits: Released distances of pairs that were not measured.
    """

    prepared: Prepared
    model: Field
    measured: tuple[Marginal, ...]
    misfits: tuple[Misfit, ...] = ()


class Synthesizer(Protocol):
    """A way to spend a budget on a table and to model what came back."""

    @property
    def name(self) -> str:
        """The method's name, as on the command line."""
        ...

    def plan(self, schema: Schema, budget: Budget, settings: Settings = DEFAULTS) -> Plan:
        """Split the budget.

        Args:
            schema: Public facts.
            budget: Epsilon and delta of the whole release.
            settings: What the user asks for beside the budget.
        """
        ...

    def fit(self, curator: Curator, schema: Schema, plan: Plan) -> Fitted:
        """Ask the curator what the plan says, and fit a model to the answers."""
        ...
