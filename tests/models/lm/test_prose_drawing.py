"""Drawing free text: as often as the model says, within its limit, and what comes before is read once."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from lm_tables import Recurrent, grammar_of

from tronie.models.lm.drawing import Writer
from tronie.models.lm.grammar import PADDING
from tronie.models.lm.prose import END, FIRST, MISSING, Alphabet, Prose, ProseColumn
from tronie.models.lm.prose_drawing import draw_texts

LETTERS = Alphabet(np.array([10, 0, 97, 98]), (b"a", b"b"))
TEXTS = {"size": ("s", "l")}


def prose_of(limit: int = 2, *, nullable: bool = True, columns: int = 1) -> Prose:
    names = tuple(
        ProseColumn(name=f"t{n}", key=(90 + n,), between=(), limit=limit, nullable=nullable)
        for n in range(columns)
    )
    return Prose(names, LETTERS)


def shares(writer: Writer, prose: Prose, code: int) -> dict[tuple[int, ...], float]:
    """Probability of each text after a row, by reading it whole."""
    column = prose.columns[0]
    whole: dict[tuple[int, ...], float] = {}
    for numbers in itertools.product(range(4), repeat=column.limit):
        chance, ended = 1.0, False
        for place, number in enumerate(numbers):
            if ended:
                chance *= number == END
                continue
            before = np.array([[*numbers[:place], *[END] * (column.limit - place)]])
            rows = writer.grammar.rows(np.array([[code]]))
            ids = prose.up_to(rows, before, 0).ids[0].tolist()
            ids += LETTERS.ids[list(numbers[:place])].tolist()
            memory = writer.reader.start()
            known = writer.reader.read(memory, np.array([ids]), np.ones((1, len(ids)), bool))
            logs = (known @ writer.reader.head(LETTERS.ids).T)[0] / writer.temperature
            if place or not column.nullable:
                logs[MISSING] = -np.inf
            odds = np.exp(logs - logs.max())
            chance *= float(odds[number] / odds.sum())
            ended = number < FIRST
        whole[numbers] = chance
    return whole


@pytest.mark.parametrize("nullable", [True, False])
@pytest.mark.parametrize("temperature", [1.0, 0.5])
def test_texts_are_as_frequent_as_the_model_says(nullable: bool, temperature: float) -> None:
    """10,000 texts; the total variation is below 0.03, of up to 15 texts."""
    grammar = grammar_of(texts=TEXTS)
    prose = prose_of(nullable=nullable)
    writer = Writer(Recurrent(3, spread=0.5), grammar, temperature=temperature)
    expected = shares(writer, prose, 1)
    assert sum(expected.values()) == pytest.approx(1, abs=1e-5)
    drawn = draw_texts(
        writer, prose, np.ones((10_000, 1), np.int64), np.random.default_rng(0), block=3000
    )
    found, counts = np.unique(drawn, axis=0, return_counts=True)
    seen = dict(zip(map(tuple, found.tolist()), counts / len(drawn), strict=True))
    distance = sum(abs(expected[text] - seen.get(text, 0.0)) for text in expected) / 2
    assert distance < 0.03
    assert set(seen) <= {text for text, chance in expected.items() if chance > 0}


def test_what_comes_before_is_read_once_and_texts_follow_their_rows() -> None:
    grammar, prose = grammar_of(texts=TEXTS), prose_of(limit=3, columns=2)
    reader = Recurrent(3, spread=0.5)
    writer = Writer(reader, grammar)
    codes = np.array([[0], [1]] * 500)
    first = int((grammar.rows(codes[:2]).kinds != PADDING).sum())
    alone = Prose(prose.columns[:1], LETTERS)
    numbers = draw_texts(writer, alone, codes, np.random.default_rng(0))
    letters = int((numbers[:, :-1] >= FIRST).sum())
    assert reader.tokens_read == first + 2 + letters
    both = draw_texts(writer, prose, codes, np.random.default_rng(0))
    np.testing.assert_array_equal(both[:, :3], numbers)
    again = draw_texts(writer, prose, codes, np.random.default_rng(0))
    np.testing.assert_array_equal(both, again)
    even, odd = (np.bincount(both[part::2, 0], minlength=4) / 500 for part in (0, 1))
    assert np.abs(even - odd).sum() > 0.2


def test_a_text_ends_where_its_characters_do() -> None:
    """Pieces of three characters: two of them are more than the limit and a space before."""
    letters = Alphabet(np.array([10, 0, 97]), (b"abc",))
    column = ProseColumn(name="t", key=(), between=(), limit=5, nullable=False)
    prose = Prose((column,), letters)
    reader = Recurrent(0)
    reader._head[[10, 97]] = 0
    writer = Writer(reader, grammar_of(texts=TEXTS))
    drawn = draw_texts(writer, prose, np.zeros((200, 1), np.int64), np.random.default_rng(0))
    lengths = (drawn >= FIRST).sum(axis=1)
    assert lengths.max() == 3
    texts = prose.texts(drawn)["t"]
    assert max(len(text or "") for text in texts) == 5
    assert set(texts) == {"", "abc", "abcab"}
    assert draw_texts(writer, prose, np.zeros((0, 1), np.int64), np.random.default_rng(0)).size == 0
