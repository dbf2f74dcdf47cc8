"""A joint distribution of coded columns that is known by a language model."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self, TypeAlias

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from tronie.errors import InputError
from tronie.models.lm.drawing import (
    Biases,
    Place,
    Reader,
    Writer,
    candidates_for,
    draw_given,
    draw_rows,
    written_logs,
)
from tronie.models.lm.grammar import Grammar
from tronie.models.lm.lessons import Lessons
from tronie.models.lm.prose import Prose
from tronie.models.lm.prose_drawing import draw_texts
from tronie.models.markov import MarkovRandomField
from tronie.models.nets.decoding import Parameters, Singles
from tronie.models.nets.drawing import Step
from tronie.models.nets.frame import (
    Populated,
    corrupt,
    drawing_steps,
    keeps_rules,
    obeys,
    stored_population,
)
from tronie.models.systematic import Codes
from tronie.schema.domain import Clique
from tronie.schema.grid import Floats, Ints

LARGE = 20_000_000
"""Parameters from which on a model reads slowly without a graphics card."""

FEW_AT_ONCE, MANY_AT_ONCE = 16, 256
"""Rows that a large model, and a small one, reads at once."""

TextColumns: TypeAlias = Mapping[str, Sequence[str | None]]
"""Column -> the free text of each row; None where it is missing."""


@dataclass(frozen=True, slots=True, eq=False)
class LanguageField(Populated):
    """A language model that writes rows, one column after another.

    Args:
        tree: A rougher model of the same columns that holds what is impossible, exactly.
        grammar: How rows are written, in an order of columns in which rules can be kept.
        base: What the language model began as, as plain data; see `tronie.models.lm.loading`.
        weights: What it learned: all parameters, or changes of the base's.
        biases: What is added to its log odds where values part, so that single columns come out right.
        temperature: What its log odds are divided by.
        population: Column -> codes of rows of the model; marginals are counts of them.
        lessons: How well it foretold rows at each stage of its training, if that was measured.
        prose: How its columns of free text are written, if it has any. They are no part of the joint
            distribution of codes: they follow a row's codes.

    Marginals have a Monte-Carlo error, as rows are drawn by chance: see
    `tronie.models.nets.net_field.NetField`. They need no PyTorch; rows do.
    """

    tree: MarkovRandomField
    grammar: Grammar
    base: Mapping[str, Any]
    weights: Parameters
    biases: Biases
    temperature: float
    population: Mapping[str, Codes]
    lessons: Lessons | None = None
    prose: Prose | None = None
    _opened: list[Reader] = field(default_factory=list[Reader], init=False, repr=False)

    @property
    def order(self) -> Clique:
        """The columns, in the order in which they are written."""
        return self.grammar.order

    def sample(
        self,
        n: int,
        rng: np.random.Generator,
        given: Mapping[str, NDArray[Any]] | None = None,
    ) -> dict[str, Codes]:
        """Draw rows, column after column.

        Counts of single columns and of pairs are closer to the model's than those of independent rows,
        unless something is given: then see `tronie.models.lm.drawing.draw_given`.

        Args:
            n: Number of rows.
            rng: Source of randomness; equal states give equal rows on the same machine.
            given: Column -> evidence about its codes, as in `MarkovRandomField.condition`.

        Raises:
            ConditionError: If no row of the model satisfies the condition.
            InputError: If the number of rows is negative, the base is not found or is another one, or
                PyTorch is not installed.
        """
        if n < 0:
            raise InputError(f"{n} rows cannot be drawn.", "Ask for 0 or more.")
        steps = writing_steps(self.tree, self.grammar, given or {})
        rows = np.empty((0, len(steps)), np.int64)
        if n:
            writer = Writer(self._reader(), self.grammar, self.biases, self.temperature)
            if given:
                candidates = candidates_for(self._chance(given))
                rows = draw_given(writer, steps, n, rng, candidates=candidates)
            else:
                rows = draw_rows(writer, steps, n, rng)
        drawn = codes_of(self.grammar, rows)
        return {column: drawn[column] for column in self.domain}

    def log_likelihoods(self, codes: Mapping[str, Ints]) -> dict[str, Floats]:
        """Log probability of each code of some rows, given the columns that are written before it.

        Biases, temperature and rules count, as they do when rows are drawn; free text does not.

        Args:
            codes: Column -> codes, shape (rows,).

        Returns:
            Column -> shape (rows,), in the order of writing; minus infinity for what is impossible.

        Raises:
            InputError: If the base is not found or is another one, or PyTorch is not installed.
        """
        writer = Writer(self._reader(), self.grammar, self.biases, self.temperature)
        steps = writing_steps(self.tree, self.grammar, {})
        rows = np.stack([codes[column] for column in self.order], axis=1).astype(np.int64)
        return dict(zip(self.order, written_logs(writer, steps, rows).T, strict=True))

    def perplexities(self, codes: Mapping[str, Ints]) -> dict[str, float]:
        """Perplexity of some rows by kind of token; see `tronie.models.lm.perplexity.perplexities`.

        It is the network's own: biases, temperature and rules do not count, nor does free text.

        Args:
            codes: Column -> codes, shape (rows,).

        Raises:
            InputError: If the base is not found or is another one, or PyTorch is not installed.
        """
        self._require_torch()
        if not self.grammar.decides:
            return {}
        from tronie.models.lm.perplexity import perplexities
        from tronie.models.lm.reading import open_network

        rows = np.stack([codes[column] for column in self.order], axis=1).astype(np.int64)
        batch = FEW_AT_ONCE if self.slow else MANY_AT_ONCE
        network = open_network(self.base, self.weights, self.grammar, self.prose)
        return perplexities(network, rows, physical_batch=batch)

    @property
    def slow(self) -> bool:
        """Whether it is so large that a row takes about a second on a processor."""
        whole = sum(weight.size for weight in self.weights.values())
        return bool(self.base.get("rank")) or whole >= LARGE

    def write(self, codes: Mapping[str, Codes], rng: np.random.Generator) -> TextColumns:
        """Write the free text of some rows.

        Args:
            codes: Column -> codes of the rows, shape (rows,).
            rng: Source of randomness; equal states give equal texts on the same machine.

        Returns:
            Column -> the text of each row, printable, on one line and within its limit; None where it is
            missing.

        Raises:
            InputError: If the base is not found or is another one, or PyTorch is not installed.
        """
        if self.prose is None:
            return {}
        rows = np.stack([codes[column].astype(np.int64) for column in self.order], axis=1)
        numbers = np.zeros((0, self.prose.width), np.int64)
        if len(rows):
            writer = Writer(self._reader(), self.grammar, self.biases, self.temperature)
            numbers = draw_texts(writer, self.prose, rows, rng)
        return self.prose.texts(numbers)

    def _reader(self) -> Reader:
        """What writes rows; it is kept where texts are written after codes."""
        if not self._opened:
            reader = self._open()
            if self.prose is None:
                return reader
            self._opened.append(reader)
        return self._opened[0]

    def _open(self) -> Reader:
        self._require_torch()
        from tronie.models.lm.reading import open_reader

        return open_reader(self.base, self.weights, self.grammar, self.prose)

    @staticmethod
    def _require_torch() -> None:
        if any(importlib.util.find_spec(name) is None for name in ("torch", "transformers")):
            raise InputError(
                "this model's rows are written by a language model, and what runs it is not installed.",
                "Install it with `pip install 'tronie[llm]'`; marginals can be had without.",
            )

    def _chance(self, given: Mapping[str, NDArray[Any]]) -> float:
        """Probability of what is given, by the population."""
        likely: Floats = np.ones(len(self.population[self.order[0]]))
        for column, evidence in given.items():
            likely = likely * np.asarray(evidence, np.float64)[self.population[column]]
        return float(likely.mean())

    def structure(self) -> dict[str, Any]:
        """Everything but the numbers in the tables, as plain data for JSON."""
        stored = _Structure(
            tree=self.tree.structure(),
            grammar=self.grammar.structure(),
            base=dict(self.base),
            temperature=self.temperature,
            lessons=self.lessons,
            prose=None if self.prose is None else self.prose.structure(),
        )
        return stored.model_dump(mode="json")

    def to_arrays(self) -> dict[str, NDArray[Any]]:
        """Weights, tables and the population, by name, for safetensors."""
        tree = self.tree.to_arrays().items()
        alphabet = {} if self.prose is None else self.prose.alphabet.to_arrays()
        return {
            **{f"tree.{name}": table for name, table in tree},
            **{f"weight.{name}": np.ascontiguousarray(w) for name, w in self.weights.items()},
            **{f"bias.{one}.{two}": bias for (one, two), bias in self.biases.items()},
            **{f"population.{n}": self.population[name] for n, name in enumerate(self.order)},
            **{f"alphabet.{name}": array for name, array in alphabet.items()},
        }

    @classmethod
    def from_arrays(cls, structure: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> Self:
        """The model that `structure` and `to_arrays` described; its base is not looked at.

        Raises:
            BundleError: If they are not a model: biases of other places, weights that are no numbers, an
                order in which rules cannot be kept, rows that the domain rules out.
        """
        try:
            stored = _Structure.model_validate_json(json.dumps(structure))
        except ValidationError as error:
            raise corrupt("its structure is not that of a language model") from error
        parts: dict[str, dict[str, NDArray[Any]]] = {kind: {} for kind in _KINDS}
        for name, array in arrays.items():
            group, _, rest = name.partition(".")
            if group not in parts:
                raise corrupt("there are too many tables")
            parts[group][rest] = array
        tree = MarkovRandomField.from_arrays(stored.tree, parts["tree"])
        grammar = Grammar.from_structure(stored.grammar)
        order = grammar.order
        if sorted(order) != sorted(tree.domain) or not keeps_rules(tree, order):
            raise corrupt("its columns are in no order in which they can be written")
        if grammar.sizes != tuple(tree.domain[column] for column in order):
            raise corrupt("it writes more codes than there are, or fewer")
        for name, weight in parts["weight"].items():
            if weight.dtype != np.float32 or not np.isfinite(weight).all():
                raise corrupt(f"the weight {name} holds what is no number")
        population = stored_population(order, grammar.sizes, parts["population"])
        if not obeys(tree, population):
            raise corrupt("its population has rows that it rules out")
        if stored.lessons is not None and not stored.lessons.sound:
            raise corrupt("its perplexities are none")
        biases = _biases(grammar, parts["bias"])
        prose = _prose(order, stored.prose, parts["alphabet"])
        return cls(
            tree,
            grammar,
            stored.base,
            parts["weight"],
            biases,
            stored.temperature,
            population,
            stored.lessons,
            prose,
        )


_KINDS = ("tree", "weight", "bias", "population", "alphabet")


class _Structure(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    tree: dict[str, Any]
    grammar: dict[str, Any]
    base: dict[str, Any]
    temperature: float = Field(gt=0, allow_inf_nan=False)
    lessons: Lessons | None = None
    prose: dict[str, Any] | None = None


def writing_steps(
    tree: MarkovRandomField, grammar: Grammar, given: Mapping[str, NDArray[Any]]
) -> list[Step]:
    """What is possible and given in each column, in the grammar's order.

    Raises:
        ConditionError: If no row of the model satisfies the condition.
    """
    return sorted(drawing_steps(tree, grammar.order, given), key=lambda step: step.column)


def codes_of(grammar: Grammar, rows: Ints) -> dict[str, Codes]:
    """Column -> codes in the smallest unsigned type, from rows in the grammar's order."""
    return {
        column.name: rows[:, number].astype(np.min_scalar_type(column.size - 1))
        for number, column in enumerate(grammar.columns)
    }


def _prose(
    order: Clique, structure: Mapping[str, Any] | None, arrays: Mapping[str, NDArray[Any]]
) -> Prose | None:
    if structure is None:
        return None
    prose = Prose.from_structure(structure, arrays)
    names = [*order, *prose.order]
    if len({*names}) < len(names):
        raise corrupt("its free text has names that are taken")
    return prose


def _biases(grammar: Grammar, arrays: Mapping[str, NDArray[Any]]) -> dict[Place, Singles]:
    places = {
        f"{column}.{node}": (column, node)
        for column in range(len(grammar.columns))
        for node in range(len(grammar.columns[column].nodes))
    }
    if not set(arrays) <= set(places):
        raise corrupt("it has biases where nothing is decided")
    for name, array in arrays.items():
        column, node = places[name]
        choices = len(grammar.columns[column].nodes[node].tokens)
        if array.dtype != np.float32 or array.shape != (choices,):
            raise corrupt(f"the bias {name} does not fit its choices")
        if not np.isfinite(array).all():
            raise corrupt(f"the bias {name} holds what is no number")
    return {places[name]: array for name, array in arrays.items()}
