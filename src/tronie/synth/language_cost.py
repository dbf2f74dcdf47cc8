"""How long a language model is trained, on what, and what that will take."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from tronie.measure.descent import Descent
from tronie.schema.grid import Coding
from tronie.schema.schema import Schema
from tronie.synth.language_settings import LanguageSettings
from tronie.synth.learning import LEVELS, MANY, TRAIN, Size, settings_of
from tronie.synth.plan import TYPICAL_ROWS, Forecast, Plan, first_grid
from tronie.synth.script import FILLED, Script
from tronie.synth.settings import OtherTable

TINY_RATE, BASE_RATE = 2e-3, 1e-3
"""Largest learning rates on private rows, of a tiny model and of changes of a base."""

PUBLIC_BATCH, PUBLIC_BASE_BATCH = 256, 32
"""Rows of a step on the first stage's rows."""

PUBLIC_STEPS = 0.5
"""Steps of a tiny model on the first stage's rows, as a part of those of other networks."""

BASE_ROWS = 4096
"""Rows of the first stage for a base, if nothing else is asked for."""

PHYSICAL, BASE_PHYSICAL = 512, 16
"""Rows in memory together."""

SMALL_SECONDS, TINY_SECONDS, TINY_START = 1.5e-5, 5.5e-5, 6.0
"""CPU seconds for each token of a row that a tiny model learns, in a small table and in one of `MANY` rows,
and for loading libraries."""

TINY_MEGABYTES = 550.0
"""What the libraries and a tiny model take."""


def descent_of(plan: Plan, schema: Schema, rows: float) -> Descent:
    """Settings of the plan's step `train`; see `tronie.synth.learning.settings_of`."""
    tiny = plan.settings.language.tiny
    descent = settings_of(plan, schema, rows)
    if plan.settings.training.learning_rate is None:
        descent = replace(descent, learning_rate=TINY_RATE if tiny else BASE_RATE)
    return replace(descent, physical_batch=PHYSICAL if tiny else BASE_PHYSICAL)


def first_rows(plan: Plan, rows: float) -> int:
    """Rows of the first stage.

    Args:
        plan: The plan.
        rows: Rows of the table, about.
    """
    wishes = plan.settings.language
    if wishes.stage1_rows is not None:
        return wishes.stage1_rows
    if not wishes.tiny:
        return BASE_ROWS
    steps = LEVELS[plan.settings.effort].public * Size.of(rows).pace * PUBLIC_STEPS
    return max(round(steps), 1) * PUBLIC_BATCH


def forecast_of(plan: Plan, schema: Schema) -> Forecast:
    """What a run will need; for a base, from one step on made-up rows that is timed here.

    Args:
        plan: A plan, whose forecast is that of all but the language model.
        schema: Public facts.

    Raises:
        InputError: If the base is not on this machine.
    """
    ahead, wishes = plan.forecast, plan.settings.language
    if all(step.name != TRAIN for step in plan.steps):
        return ahead
    rows = plan.settings.rows or TYPICAL_ROWS
    descent = descent_of(plan, schema, rows)
    learned = descent.steps * descent.rate * rows
    before = first_rows(plan, rows) * wishes.stage1_epochs
    other = plan.settings.other
    if wishes.tiny:
        tokens = len(schema.modelled) + len(schema.unknowns()) + 1
        earlier = tokens if other is None else len(other.codings) + 1
        tokens += FILLED * sum(column.max_length or 0 for column in schema.texts.values())
        pace = TINY_SECONDS if Size.of(rows) == Size.of(MANY) else SMALL_SECONDS
        seconds = TINY_START + pace * (tokens * learned + earlier * before)
        megabytes = TINY_MEGABYTES
    else:
        each, megabytes = timed(plan, schema)
        earlier = each if other is None else timed_other(other, wishes)
        seconds = each * learned + earlier * before
    return replace(
        ahead,
        megabytes=round(ahead.megabytes + megabytes, 1),
        seconds=round(ahead.seconds + seconds, 1),
    )


def timed(plan: Plan, schema: Schema) -> tuple[float, float]:
    """CPU seconds for each row that is learned, and MiB, by a step on made-up rows.

    Columns of which nothing is declared are left out.
    """
    from tronie.models.lm.timing import bytes_of_step, seconds_per_row

    wishes = plan.settings.language
    codings = {n: Coding.identity(first_grid(c)) for n, c in schema.modelled.items()}
    script = Script.of(schema, codings, list(codings), TYPICAL_ROWS, wishes)
    network = script.network(wishes, np.random.default_rng(0))
    rows = script.rows_at_once(BASE_PHYSICAL, wishes)
    return seconds_per_row(network, filled=FILLED), bytes_of_step(network, rows) / 2**20


def timed_other(other: OtherTable, wishes: LanguageSettings) -> float:
    """CPU seconds for each row of another table that a base learns, by a step on made-up rows."""
    from tronie.models.lm.timing import seconds_per_row

    script = Script.of(other.schema, other.codings, list(other.codings), TYPICAL_ROWS, wishes)
    return seconds_per_row(script.network(wishes, np.random.default_rng(0)))
