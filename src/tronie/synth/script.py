"""How a language model writes the rows of a table: its words, its grammar, its base."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from tronie.models.lm.grammar import Grammar
from tronie.models.lm.prose import Prose, ProseCoder, require_trainable
from tronie.schema.grid import Coding
from tronie.schema.schema import Schema
from tronie.synth.language_settings import LanguageSettings
from tronie.synth.learning import Size
from tronie.synth.settings import OtherTable
from tronie.synth.wording import texts_of

if TYPE_CHECKING:
    from tronie.models.lm.loading import StoredBase, TinyBase
    from tronie.models.lm.network import LanguageNetwork

FILLED = 0.5
"""Part of its length that a text has, for forecasts."""


@dataclass(frozen=True, slots=True, eq=False)
class Script:
    """How rows are written, and by whom.

    Attributes:
        base: The language model before it saw any row.
        grammar: What may follow what.
        before: The same for the other table that is learned first, if there is one.
        prose: How free text is written, if there is any.
    """

    base: StoredBase | TinyBase
    grammar: Grammar
    before: Grammar | None = None
    prose: Prose | None = None

    @classmethod
    def of(
        cls,
        schema: Schema,
        codings: Mapping[str, Coding],
        order: Sequence[str],
        rows: float,
        wishes: LanguageSettings,
        other: OtherTable | None = None,
    ) -> Script:
        """The words of a table.

        Args:
            schema: Public facts.
            codings: Column -> its codes.
            order: The columns, in the order in which they are written.
            rows: Number of rows, which decides how large a tiny base is.
            wishes: Which base, and how rows are written.
            other: Another table that is learned first, in words of its own.

        Raises:
            InputError: If the base is not on this machine, or cannot write free text.
        """
        texts = texts_of(schema, codings)
        more = texts_of(other.schema, other.codings) if other else {}
        base = _tiny_base([texts, more], schema, rows) if wishes.tiny else _stored_base(wishes)

        def written(names: Sequence[str], words: Mapping[str, Sequence[str]]) -> Grammar:
            return Grammar.of(names, words, base.encode, wishes.style, start=base.start)

        prose = None
        if schema.texts:
            alphabet = base.alphabet()
            require_trainable(alphabet, trained=not wishes.rank)
            prose = Prose.of(schema.texts, base, wishes.style, alphabet=alphabet)
        before = written(list(more), more) if more else None
        return cls(base, written(order, texts), before, prose)

    @property
    def decides(self) -> bool:
        """Whether anything is left to be learned: some column has more than one code, or is free text."""
        return self.grammar.decides or self.prose is not None

    @property
    def coder(self) -> ProseCoder | None:
        """What makes numbers of private texts."""
        return None if self.prose is None else ProseCoder(self.prose, self.base)

    @property
    def text_tokens(self) -> float:
        """Tokens of free text in a row, about."""
        return 0.0 if self.prose is None else FILLED * self.prose.width

    def rows_at_once(self, most: int, wishes: LanguageSettings) -> int:
        """Rows in memory together, `most` unless free text takes more room."""
        if self.prose is None:
            return most
        return min(most, self.prose.rows_at_once(self.grammar, trained=not wishes.rank))

    def network(self, wishes: LanguageSettings, rng: np.random.Generator) -> LanguageNetwork:
        """The base as it is trained; on a graphics card, if there is one and the base is not tiny."""
        from tronie.models.lm.network import LanguageNetwork
        from tronie.models.lm.timing import on_fastest_device

        rank = wishes.rank
        longest = self.grammar.longest + (self.prose.longest if self.prose else 0)
        longest = max(longest, self.before.longest if self.before else 0)
        network = LanguageNetwork(
            self.base.model(longest),
            self.grammar,
            rng=rng,
            rank=rank,
            loss=wishes.loss,
            prose=self.prose,
            whole_vocabulary=bool(rank) and wishes.loss == "weighted",
            also=None if self.before is None else self.before.tokens,
        )
        return network if wishes.tiny else on_fastest_device(network)


def _tiny_base(
    tables: Iterable[Mapping[str, Sequence[str]]], schema: Schema, rows: float
) -> TinyBase:
    """A base whose words are those of some tables: public ones, and released ones."""
    from tronie.models.lm.loading import TinyBase

    size = Size.of(rows)
    words = [
        f" {name} is {text},"
        for texts in tables
        for name, column in texts.items()
        for text in column
    ]
    words += [f" {name} is" for name in schema.texts]
    return TinyBase.of(words, width=size.width, depth=size.depth)


def _stored_base(wishes: LanguageSettings) -> StoredBase:
    from tronie.models.lm.loading import fastest_precision, open_base

    precision = fastest_precision() if wishes.rank else "float32"
    return open_base(Path(wishes.base).expanduser().resolve(), precision)
