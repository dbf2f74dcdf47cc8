"""Language model: rows are written as text by a model that learned, first from rows of no one, to do so.

A part of the budget goes to `glaze`, or to single columns alone. A language model, one that lies on this
machine or a tiny one from nothing, learns the form and the rough content of rows from rows of that
model, or the form alone from another public table, which costs nothing; then, by private gradient descent
(DP-SGD), from private rows. Only tokens at which a row can go on in more than one way cost anything, so no
budget is spent on the form of rows, and every row that is drawn is a row of the table's domain. Single
columns are raked to what was released.

Source: two stages, Afonja et al. 2024, arXiv 2412.02467; rows as text, Borisov et al. 2023, arXiv
2210.06280; DP-SGD, Abadi et al. 2016, arXiv 1607.00133; low-rank changes, Hu et al. 2022, arXiv 2106.09685.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from tronie.errors import InputError
from tronie.measure.curator import Curator
from tronie.models.estimation import estimate
from tronie.models.field import Field
from tronie.models.lm.drawing import Raking, Silent, Writer, draw_rows
from tronie.models.lm.lessons import BEFORE, FIRST, TRAINED, Lessons
from tronie.models.lm.lm_field import LanguageField, codes_of, writing_steps
from tronie.models.marginal import Marginal
from tronie.models.markov import MarkovRandomField
from tronie.models.nets.decoding import Parameters
from tronie.models.nets.frame import drawing_order
from tronie.privacy.budget import Budget
from tronie.schema.domain import Clique
from tronie.schema.schema import Schema
from tronie.synth.first_stage import even_model, public_model
from tronie.synth.glaze import Glaze
from tronie.synth.language_cost import descent_of, forecast_of
from tronie.synth.language_settings import LanguageSettings
from tronie.synth.language_stages import Diary, learn_publicly
from tronie.synth.learning import (
    LEAST_POPULATION,
    POPULATION,
    TRAIN,
    require_affordable,
    require_torch,
)
from tronie.synth.method import Fitted
from tronie.synth.pace import Pace
from tronie.synth.plan import Plan, Step, make_plan
from tronie.synth.prepare import Prepared, prepare
from tronie.synth.script import Script
from tronie.synth.settings import DEFAULTS, Settings

MARGINALS = 0.75
"""Share of the marginal model, if the first stage's rows are its."""

BESIDE_TEXTS = 0.5
"""The same, if there is free text, which is learned in training alone."""

COLUMNS = 0.12
"""Share of single columns, if they are not."""

BASE_POPULATION = 2048
"""Rows of the population for a base, if nothing else is asked for."""


@dataclass(frozen=True, slots=True)
class Language:
    """Have a language model learn rows of a rough model, and then private ones."""

    name: str = "llm"

    def plan(self, schema: Schema, budget: Budget, settings: Settings = DEFAULTS) -> Plan:
        """A part to the marginal model, or to single columns alone; the rest to training.

        Raises:
            InputError: If PyTorch or transformers is not installed, the base is not on this machine, public
                rows are wanted and not given, or the budget does not allow the noise that was asked.
        """
        require_transformers(self.name)
        wishes = settings.language
        if wishes.stage1 == "prior" and settings.prior is None:
            raise InputError(
                "the first stage shall learn from public rows, and none were given.",
                "Give them as the prior, or choose the first stage marginal or uniform.",
            )
        if wishes.stage1 == "other" and settings.other is None:
            raise InputError(
                "the first stage shall learn from another table, and its rows were not read.",
                "Plan and fit with `tronie.plan` and `tronie.fit`, which read them.",
            )
        plan = require_affordable(self._shares(schema, budget, settings), schema)
        return replace(plan, forecast=forecast_of(plan, schema))

    def _shares(self, schema: Schema, budget: Budget, settings: Settings) -> Plan:
        why = "train a language model on sampled rows"
        if settings.language.stage1 != "marginal":
            columns = len(schema.modelled) + len(schema.unknowns())
            later = {TRAIN: (1 - COLUMNS, why)} if columns > 1 or schema.texts else {}
            return make_plan(self.name, schema, budget, later, settings, pairs=0)
        plan = replace(Glaze().plan(schema, budget, settings), method=self.name)
        if all(step.name != "pairs" for step in plan.steps) and not schema.texts:
            return plan
        part = BESIDE_TEXTS if schema.texts else MARGINALS
        steps = [Step(step.name, step.share * part, step.why) for step in plan.steps]
        return replace(plan, steps=(*steps, Step(TRAIN, 1 - part, why)))

    def fit(self, curator: Curator, schema: Schema, plan: Plan) -> Fitted:
        """Fit the rough model, learn from its rows, then from private ones."""
        rng = np.random.default_rng(0)
        rough = Rough.of(curator, schema, plan)
        prepared, wishes = rough.prepared, plan.settings.language
        order = drawing_order(rough.tree)
        script = Script.of(
            prepared.schema, prepared.codings, order, prepared.total, wishes, plan.settings.other
        )
        weights: Parameters = {}
        origin: Mapping[str, Any] = {}
        lessons: Lessons | None = None
        reader = Silent()
        if script.decides:
            from tronie.models.lm.reading import CausalReader, Origin

            network = script.network(wishes, rng)
            diary = Diary.of(network, rough.singles, wishes)
            diary.note(BEFORE)
            learn_publicly(network, rough.model, prepared.codings, script, plan, rng, curator.tell)
            diary.note(FIRST)
            if any(step.name == TRAIN for step in plan.steps):
                descent = descent_of(plan, schema, prepared.total)
                fit = script.rows_at_once(descent.physical_batch, wishes)
                descent = replace(descent, physical_batch=fit)
                expected = descent.rate * prepared.total * (diary.tokens + script.text_tokens)
                pace = Pace(descent.steps, expected)
                curator.train(network, order, descent, remark=pace, texts=script.coder)
                diary.note(TRAINED)
            lessons = diary.lessons() if script.grammar.decides else None
            origin = Origin.of(script.base, network).model_dump(mode="json")
            weights = network.parameters_now()
            network.merge()
            reader = CausalReader(network)
        writer = Writer(reader, script.grammar, temperature=wishes.temperature)
        model = _finish(rough, script, writer, origin, weights, wishes, rng)
        return Fitted(prepared, replace(model, lessons=lessons), rough.measured)


def require_transformers(method: str) -> None:
    """Refuse, before anything is spent, to train without PyTorch and transformers.

    Raises:
        InputError: If one is not installed.
    """
    require_torch(method)
    if importlib.util.find_spec("transformers") is None:
        raise InputError(
            f"the method {method} trains a language model, and transformers is not installed.",
            "Install it with `pip install 'tronie[llm]'`, or choose glaze.",
        )


@dataclass(frozen=True, slots=True, eq=False)
class Rough:
    """What is known before a language model learns anything.

    Attributes:
        prepared: Released facts about single columns.
        model: Whose rows it learns first.
        singles: The model that says what the shares of single columns are.
        tree: The model of single columns, constraints included.
        measured: What was measured.
    """

    prepared: Prepared
    model: Field
    singles: Field
    tree: MarkovRandomField
    measured: tuple[Marginal, ...]

    @classmethod
    def of(cls, curator: Curator, schema: Schema, plan: Plan) -> Rough:
        """Spend what the plan has for all but training."""
        stage, prior = plan.settings.language.stage1, plan.settings.prior
        if stage == "marginal":
            fitted = Glaze().fit(curator, schema, plan)
            prepared, model, measured = fitted.prepared, fitted.model, fitted.measured
        else:
            prepared = prepare(curator, schema, plan)
            measured = prepared.oneways
            if stage == "prior" and prior is not None:
                model = public_model(prepared, prior)
            else:
                model = even_model(prepared)
        tree = estimate(prepared.domain, prepared.oneways, prepared.total, zeros=prepared.zeros)
        singles = model if stage == "marginal" else tree
        return cls(prepared, model, singles, tree, measured)


def _finish(
    rough: Rough,
    script: Script,
    writer: Writer,
    origin: Mapping[str, Any],
    weights: Parameters,
    wishes: LanguageSettings,
    rng: np.random.Generator,
) -> LanguageField:
    """A model whose single columns are as released."""
    grammar, tree = script.grammar, rough.tree
    shares = {
        number: rough.singles.marginal([column]).normalise().values
        for number, column in enumerate(grammar.order)
    }
    count = wishes.population
    if count is None:
        most = POPULATION if wishes.tiny else BASE_POPULATION
        count = int(min(max(2 * tree.total, LEAST_POPULATION), most))
    raking = Raking(grammar, shares)
    steps = writing_steps(tree, grammar, {})
    rows = draw_rows(writer, steps, count, rng, shift=raking.shift)
    order: Clique = tuple(tree.domain)
    population = codes_of(grammar, rows)
    return LanguageField(
        tree=tree,
        grammar=grammar,
        base=origin,
        weights=weights,
        biases=raking.biases,
        temperature=wishes.temperature,
        population={column: population[column] for column in order},
        prose=script.prose,
    )
