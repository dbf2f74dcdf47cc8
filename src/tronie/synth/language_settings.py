"""How a language model is to write rows: public wishes, fixed before a row is read."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any, Literal, TypeAlias, get_args

from tronie.errors import InputError

Stage: TypeAlias = Literal["marginal", "uniform", "prior", "other"]
"""Where the rows come from that a language model learns before it meets a private one."""

Serial: TypeAlias = Literal["sentence", "compact"]
"""How a row is written: ``age is 39, sex is Male``, or its values alone."""

Loss: TypeAlias = Literal["constrained", "weighted"]
"""What a row costs: its choices alone, or all of its tokens, values more than names."""

STAGES: tuple[Stage, ...] = get_args(Stage)

SERIALS: tuple[Serial, ...] = get_args(Serial)

LOSSES: tuple[Loss, ...] = get_args(Loss)

TINY = "tiny"
"""The base that is made from nothing: a small GPT-2 whose words are those of the declared table."""

BASE_RANK = 8
"""Rank of the changes to a base's matrices, where none is asked for."""


@dataclass(frozen=True, slots=True)
class LanguageSettings:
    """Wishes for the method `llm`.

    Attributes:
        base: Folder or GGUF file of a language model on this machine, or `tiny` for a small one from
            nothing. Nothing is ever downloaded.
        stage1: Rows that are learned first: of a `marginal` model that a part of the budget pays for, of
            `uniform` columns, of the `prior` that is given as public rows, or of the `other` table.
        other: File of another table, with any columns, for the first stage `other`: a table as for
            `tronie.fit`, or a model. You say that it is public.
        other_schema: File that says what its columns are; worked out from its rows if not given.
        stage1_rows: Number of these rows; by default as many as the base can take in a few minutes.
        stage1_epochs: How often each of them is used.
        serial: How a row is written; by default a `sentence`, and `compact` for `tiny`.
        lora_rank: Rank of the changes to each matrix; 0 trains all parameters. By default 8, and 0 for
            `tiny`.
        loss: What a row costs in training.
        temperature: Log odds are divided by it when rows are drawn; 1 draws from the model as it is.
        population: Rows that are drawn once, from which marginals are counted; by default as many as the
            base can draw in a few minutes.

    Raises:
        InputError: If a wish makes no sense.

    >>> LanguageSettings().rank, LanguageSettings(base="models/gpt2").rank
    (0, 8)
    """

    base: str = TINY
    stage1: Stage = "marginal"
    other: str | None = None
    other_schema: str | None = None
    stage1_rows: int | None = None
    stage1_epochs: float = 1.0
    serial: Serial | None = None
    lora_rank: int | None = None
    loss: Loss = "constrained"
    temperature: float = 1.0
    population: int | None = None

    def __post_init__(self) -> None:
        choices = (
            ("first stage", self.stage1, STAGES),
            ("way to write rows", self.style, SERIALS),
            ("loss", self.loss, LOSSES),
        )
        for what, chosen, known in choices:
            if chosen not in known:
                raise InputError(
                    f"there is no {what} {chosen!r}.", f"Choose one of {', '.join(known)}."
                )
        self._require_other()
        if not self.base:
            raise InputError("no base was named.", f"Give a folder, or {TINY}.")
        if not (0.0 < self.temperature < math.inf and 0.0 < self.stage1_epochs < math.inf):
            raise InputError(
                "the temperature, or the number of epochs of the first stage, is not positive.",
                "Give positive numbers; a temperature of 1 draws from the model as it is.",
            )
        if self.lora_rank is not None and self.lora_rank < 0:
            raise InputError(
                f"changes cannot have the rank {self.lora_rank}.",
                "Give at least 1, or 0 to train all parameters.",
            )
        for count in (self.stage1_rows, self.population):
            if count is not None and count < 1:
                raise InputError(f"{count} rows are too few.", "Give at least 1, or leave it out.")

    def _require_other(self) -> None:
        """Refuse another table without its stage, and the stage without the table."""
        if (self.stage1 == "other") != bool(self.other):
            raise InputError(
                "the first stage is to be on another table, and none is named."
                if self.stage1 == "other"
                else "another table is named, and the first stage is not to be on it.",
                "Set both stage1=other and other=FILE, or neither.",
            )
        if self.other_schema and not self.other:
            raise InputError(
                "a schema of another table is named, but no such table.", "Name both, or neither."
            )

    @property
    def tiny(self) -> bool:
        """Whether the base is made from nothing."""
        return self.base == TINY

    @property
    def rank(self) -> int:
        """Rank of the changes to each matrix; 0 if all parameters are trained."""
        if self.lora_rank is not None:
            return self.lora_rank
        return 0 if self.tiny else BASE_RANK

    @property
    def style(self) -> Serial:
        """How a row is written."""
        return self.serial or ("compact" if self.tiny else "sentence")

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return asdict(self)
