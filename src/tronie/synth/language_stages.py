"""What a language model learns before private rows, and how well it foretells rows at each stage."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from tronie.models.field import Field, draw
from tronie.models.lm.grammar import Grammar
from tronie.models.lm.lessons import Lessons
from tronie.schema.grid import Coding, Ints
from tronie.synth.language_cost import BASE_PHYSICAL, PUBLIC_BASE_BATCH, PUBLIC_BATCH, first_rows
from tronie.synth.language_settings import LanguageSettings
from tronie.synth.learning import in_order
from tronie.synth.pace import Pace
from tronie.synth.plan import Plan
from tronie.synth.script import Script

if TYPE_CHECKING:
    from tronie.models.lm.network import LanguageNetwork

PUBLIC_RATE, PUBLIC_BASE_RATE = 3e-3, 5e-4
"""Largest learning rates on the first stage's rows."""

MEASURED, BASE_MEASURED = 256, 32
"""Rows that perplexities are measured on, by a tiny model and by a base."""

OF_MODEL, OF_COLUMNS = "the released marginal model", "independent columns with released shares"
"""Where these rows come from."""


@dataclass(frozen=True, slots=True, eq=False)
class Diary:
    """Notes how well a language model foretells rows that hurt no one.

    Attributes:
        network: The model.
        rows: Codes in its grammar's order, shape (rows, columns); drawn for this, not learned.
        origin: Where they come from.
        wishes: What was asked of the model.
    """

    network: LanguageNetwork
    rows: Ints
    origin: str
    wishes: LanguageSettings
    _stages: dict[str, dict[str, float]] = field(default_factory=dict[str, dict[str, float]])

    @classmethod
    def of(cls, network: LanguageNetwork, model: Field, wishes: LanguageSettings) -> Diary:
        """A diary on rows of a released model; nothing else draws from the same random numbers."""
        count = MEASURED if wishes.tiny else BASE_MEASURED
        drawn = draw(model, count, np.random.default_rng(1))
        origin = OF_MODEL if wishes.stage1 == "marginal" else OF_COLUMNS
        return cls(network, in_order(drawn, network.grammar.order), origin, wishes)

    @property
    def tokens(self) -> float:
        """Tokens of a row, on average."""
        return tokens_of(self.network.grammar, self.rows)

    def note(self, stage: str) -> None:
        """Measure now."""
        from tronie.models.lm.perplexity import perplexities

        batch = MEASURED if self.wishes.tiny else BASE_PHYSICAL
        self._stages[stage] = perplexities(self.network, self.rows, physical_batch=batch)

    def lessons(self) -> Lessons:
        """All that was noted."""
        return Lessons(len(self.rows), self.origin, dict(self._stages))


def tokens_of(grammar: Grammar, rows: Ints) -> float:
    """Tokens of a row, on average, without the start and without free text."""
    codes = rows[:MEASURED, : len(grammar.columns)]
    return float((grammar.rows(codes).kinds >= 0).sum(1).mean())


def learn_publicly(
    network: LanguageNetwork,
    rough: Field,
    codings: Mapping[str, Coding],
    script: Script,
    plan: Plan,
    rng: np.random.Generator,
    tell: Callable[[str], None],
) -> None:
    """The first stage: rows of a rough model, or of another public table in words of its own.

    Args:
        network: The model; it is changed, and reads rows of its own table afterwards.
        rough: Whose rows are learned, if they are not another table's.
        codings: Column -> its codes.
        script: How rows are written.
        plan: What was asked for.
        rng: Source of randomness.
        tell: Told of each step. These rows hurt no one, so that their loss may be shown.
    """
    from tronie.models.lm.training import train_on_public
    from tronie.models.nets.training import Course

    wishes, other = plan.settings.language, plan.settings.other
    count = first_rows(plan, rough.total)
    if other is not None and script.before is not None:
        network.read(script.before)
        rows = other.codes[rng.permutation(len(other.codes))[:count]].astype(np.int64)
    else:
        rows = _rows_of_table(rough, codings, script, plan, count, rng)
    if not network.grammar.decides and rows.shape[1] == len(network.grammar.columns):
        return
    batch = PUBLIC_BATCH if wishes.tiny else PUBLIC_BASE_BATCH
    course = Course(
        steps=max(round(count * wishes.stage1_epochs / batch), 1),
        batch=batch,
        rate=PUBLIC_RATE if wishes.tiny else PUBLIC_BASE_RATE,
        promoted=0.0,
    )
    pace = Pace(course.steps, batch * tokens_of(network.grammar, rows))
    pace(0)

    def watch(step: int, loss: float) -> None:
        tell(f"first stage, step {step + 1} of {course.steps}, loss {loss:.3f}{pace(step + 1)}")

    train_on_public(
        network,
        rows,
        course,
        rng,
        physical_batch=script.rows_at_once(PUBLIC_BATCH if wishes.tiny else BASE_PHYSICAL, wishes),
        watch=watch,
    )
    network.read(script.grammar)
    network.forget()


def _rows_of_table(
    rough: Field,
    codings: Mapping[str, Coding],
    script: Script,
    plan: Plan,
    count: int,
    rng: np.random.Generator,
) -> Ints:
    """Rows of the rough model, which have no free text; or public ones, if these have some."""
    prior, order = plan.settings.prior, script.grammar.order
    if (
        plan.settings.language.stage1 == "prior"
        and prior is not None
        and script.prose is not None
        and {*script.prose.order} <= {*prior.texts}
    ):
        rows = prior.codes(order, codings, script.coder)
        if len(rows):
            return rows[rng.integers(len(rows), size=count)].astype(np.int64)
    return in_order(draw(rough, count, rng), order)
