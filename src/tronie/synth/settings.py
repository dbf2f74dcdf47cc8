"""What a user asks of a method beside the budget: public facts and wishes, known before any row is read."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeAlias, get_args

import numpy as np
from numpy.typing import NDArray

from tronie.errors import InputError
from tronie.schema.columns import Identifier, Text
from tronie.schema.domain import Clique
from tronie.schema.grid import Coding, Ints
from tronie.schema.schema import Schema
from tronie.synth.language_settings import LanguageSettings
from tronie.synth.workload import Workload

if TYPE_CHECKING:
    from tronie.measure.records import TextCoder

Effort: TypeAlias = Literal["fast", "normal", "high"]
"""How much time a method may take to be more accurate."""

EFFORTS: tuple[Effort, ...] = get_args(Effort)

LEAST_MEMORY = 64
"""MiB that every method may use for its tables, at least."""

CELL_BYTES = 48
"""Bytes for a cell of a model while it is fitted: six copies of a number."""


LANGUAGE = LanguageSettings()
"""No wishes for a language model."""


@dataclass(frozen=True, slots=True)
class Training:
    """How a network is trained on private rows; what is None follows from public numbers.

    Attributes:
        epochs: How often each privacy unit is used, on average.
        batch_size: Units in a batch, on average; needs `rows`.
        noise_multiplier: Standard deviation of the noise on each sum of gradients, in units of
            `max_grad_norm`; by default the least that the budget allows.
        max_grad_norm: L2 norm to which a unit's gradient is shortened if it is longer.
        learning_rate: Its largest value.
        rows: Number of units, if it is public: you say so.

    >>> Training(epochs=10, learning_rate=0.01).epochs
    10
    """

    epochs: float | None = None
    batch_size: float | None = None
    noise_multiplier: float | None = None
    max_grad_norm: float | None = None
    learning_rate: float | None = None
    rows: int | None = None

    def __post_init__(self) -> None:
        for name, value in asdict(self).items():
            if value is not None and not 0 < value < math.inf:
                raise InputError(
                    f"{name} of the training is {value}.",
                    "Give a positive number, or leave it out.",
                )
        if self.batch_size is not None and self.rows is None:
            raise InputError(
                "a batch size is given, but not the number of rows.",
                "Give rows too if their number is public, or leave the batch size out.",
            )


class Prior(Protocol):
    """Public rows of the same columns, that can be counted, and read."""

    @property
    def texts(self) -> tuple[str, ...]:
        """Names of the columns of free text that they have, and whose length is limited."""
        ...

    def codes(
        self,
        columns: Sequence[str],
        codings: Mapping[str, Coding],
        texts: TextCoder | None = None,
    ) -> NDArray[np.integer[Any]]:
        """All rows as codes, shape (rows, columns); numbers of texts follow, if they are wanted."""
        ...

    def count(
        self, cliques: Sequence[Clique], codings: Mapping[str, Coding]
    ) -> Mapping[Clique, Ints]:
        """Contingency tables by some codes; that of ``()`` is the number of rows."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class OtherTable:
    """Public rows of another table, as codes, for a language model to learn before all else.

    Attributes:
        schema: What its columns are, nothing unknown.
        codings: Column -> its codes.
        codes: The rows, shape (rows, columns), columns in the order of `codings`.
    """

    schema: Schema
    codings: Mapping[str, Coding]
    codes: NDArray[np.integer[Any]]


@dataclass(frozen=True, slots=True)
class Settings:
    """Wishes of a user; every method heeds those that it can.

    Attributes:
        rows: Number of rows, if it is public; used for forecasts only.
        effort: How much time to take.
        max_memory: Most MiB for counts and for the model's tables; None leaves it to the method.
        workload: Which marginals matter; all pairs alike when not given.
        target: The column that will be predicted from the others, if any.
        prior: Public rows, if there are any.
        training: How a network is trained, for methods that train one.
        language: How a language model writes rows, for the method `llm`.
        other: Rows of the other table that is named there, if one is.
    """

    rows: int | None = None
    effort: Effort = "normal"
    max_memory: int | None = None
    workload: Workload | None = None
    target: str | None = None
    prior: Prior | None = None
    training: Training = Training()
    language: LanguageSettings = LANGUAGE
    other: OtherTable | None = None

    def __post_init__(self) -> None:
        if self.rows is not None and self.rows < 0:
            raise InputError(
                f"the table cannot have {self.rows} rows.", "Give a number of at least 0."
            )
        if self.effort not in EFFORTS:
            raise InputError(
                f"there is no effort {self.effort!r}.", f"Choose one of {', '.join(EFFORTS)}."
            )
        if self.max_memory is not None and self.max_memory < LEAST_MEMORY:
            raise InputError(
                f"{self.max_memory} MiB are too few for the tables of a model.",
                f"Allow at least {LEAST_MEMORY}.",
            )
        if self.target is not None and self.workload is not None:
            raise InputError(
                "both a target and a workload were given.",
                "Give one; in a workload, {all: 2, with: COLUMN, weight: 4} stands for a target.",
            )

    def cells(self, default: int) -> int:
        """Cells of a model that fit in the allowed memory, `default` where none was given.

        >>> Settings(max_memory=480).cells(1000), Settings().cells(1000)
        (10485760, 1000)
        """
        return default if self.max_memory is None else self.max_memory * 2**20 // CELL_BYTES

    def workload_of(self, schema: Schema) -> Workload:
        """The workload for a table.

        Raises:
            InputError: If the target is no column that can be modelled.
        """
        columns = workload_columns(schema)
        if self.workload is not None:
            return self.workload
        if self.target is not None and self.target not in columns:
            raise InputError(
                f"the target {self.target!r} is no column that can be predicted.",
                f"Choose one of {', '.join(columns)}.",
            )
        return Workload.of_pairs(columns, target=self.target)

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        marginals = None
        if self.workload is not None:
            marginals = [
                {"columns": list(clique), "weight": weight}
                for clique, weight in self.workload.weights.items()
            ]
        return {
            "rows": self.rows,
            "effort": self.effort,
            "max_memory": self.max_memory,
            "workload": marginals,
            "target": self.target,
            "prior": self.prior is not None,
            "training": {k: v for k, v in asdict(self.training).items() if v is not None},
            "language": self.language.to_dict(),
        }


DEFAULTS = Settings()
"""No wishes."""


def workload_columns(schema: Schema) -> list[str]:
    """The columns that a workload may name: all but identifiers and text, in the table's order."""
    return [n for n, column in schema.columns.items() if not isinstance(column, Identifier | Text)]
