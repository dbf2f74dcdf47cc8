"""Free text as numbers: whatever the numbers, they say a text that may be written."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from lm_tables import grammar_of

from tronie.errors import BundleError, InputError
from tronie.models.lm.grammar import KEY, OTHER, PADDING, START, VALUE
from tronie.models.lm.prose import (
    END,
    FIRST,
    MISSING,
    Alphabet,
    Prose,
    ProseCoder,
    require_trainable,
)
from tronie.schema.columns import Text

LETTERS = [*range(32, 127), *range(0x80, 0xC0), *range(0xC2, 0xF5)]
ALPHABET = Alphabet(
    np.array([10, 0, *LETTERS], np.int64), tuple(bytes([letter]) for letter in LETTERS)
)
COLUMNS = {"notes": Text(max_length=6), "more": Text(max_length=3, nullable=False)}


class Bytes:
    """A base whose tokens are bytes."""

    def encode(self, text: str) -> tuple[int, ...]:
        return tuple(text.encode())

    def spell(self, text: str) -> tuple[int, ...]:
        return tuple(text.encode())


def prose_of(serial: Any = "sentence") -> Prose:
    return Prose.of(COLUMNS, Bytes(), serial, alphabet=ALPHABET)


def numbers_of(prose: Prose, *rows: tuple[str | None, str | None]) -> np.ndarray:
    coder = ProseCoder(prose, Bytes())
    numbers = np.zeros((len(rows), prose.width), np.int64)
    for row, texts in enumerate(rows):
        start = 0
        for column, text in zip(prose.columns, texts, strict=True):
            found = coder.encode(column.name, text)
            numbers[row, start : start + len(found)] = found
            start += column.limit
    return numbers


ROWS = [("hi", "ab"), (None, ""), ("longer than six", "abc"), ("é!", "a")]


def test_texts_come_back() -> None:
    prose = prose_of()
    found = prose.texts(numbers_of(prose, *ROWS))
    assert found == {"notes": ["hi", None, "longer", "é!"], "more": ["ab", "", "abc", "a"]}
    assert (prose.order, prose.width) == (("notes", "more"), 9)


@pytest.mark.parametrize("serial", ["sentence", "compact"])
def test_rows_go_on_with_their_texts(serial: Any) -> None:
    grammar, prose = grammar_of(serial), prose_of(serial)
    codes = np.array([[0, 0, 0, 0], [2, 1, 0, 2], [4, 1, 0, 4], [1, 0, 0, 1]])
    before = grammar.rows(codes)
    found = prose.append(before, numbers_of(prose, *ROWS))
    names = (" notes is", " more is") if serial == "sentence" else ("", "")
    texts = [("hi\n", "ab\n"), ("\0", "\n"), ("longer\n", "abc\n"), ("é!\n", "a\n")]
    for row in range(4):
        there = found.rows.kinds[row] != PADDING
        read = bytes(found.rows.ids[row][there].tolist())
        first = bytes(before.ids[row][before.kinds[row] != PADDING].tolist())
        own = "".join(name + text for name, text in zip(names, texts[row], strict=True))
        assert read == first + own.encode()
        told = found.targets[row] >= 0
        places = found.places[row][told]
        spelt = prose.alphabet.ids[found.targets[row][told]]
        np.testing.assert_array_equal(found.rows.ids[row][places], spelt)
        assert bytes(spelt.tolist()) == "".join(texts[row]).encode()
        assert (found.rows.kinds[row][places] == VALUE).all()
        assert found.openings[row].sum() == 1
        assert found.openings[row][0]
        np.testing.assert_array_equal(found.rows.places[row], before.places[row])
    kinds = set(found.rows.kinds.ravel().tolist())
    assert kinds == {KEY, VALUE, OTHER, PADDING, START} - ({KEY} if serial == "compact" else set())
    assert found.rows.ids.shape[1] <= grammar.longest + prose.longest
    upto = prose.up_to(before, numbers_of(prose, *ROWS), 1)
    for row in range(4):
        read = bytes(upto.ids[row][upto.kinds[row] != PADDING].tolist())
        assert read.decode().endswith(names[0] + texts[row][0] + names[1])


@given(st.integers(0, 2**32 - 1))
def test_any_numbers_are_texts(seed: int) -> None:
    prose, rng = prose_of(), np.random.default_rng(seed)
    high = FIRST + 1 if seed % 2 else len(ALPHABET)
    numbers = rng.integers(0, high, (3, prose.width))
    for name, texts in prose.texts(numbers).items():
        for text in texts:
            assert text is not None or name == "notes"
            assert text is None or text == COLUMNS[name].line(text)
            assert text is None or len(text) <= (COLUMNS[name].max_length or 0)
    found = prose.append(grammar_of().rows(np.zeros((3, 4), np.int64)), numbers)
    assert not ((found.targets == MISSING) & ~found.openings).any()
    ends = (found.targets == END) | (found.targets == MISSING)
    assert (ends.sum(axis=1) == 2).all()


def test_a_token_of_no_letter_is_left_out() -> None:
    coder = ProseCoder(prose_of(), Bytes())
    assert coder.encode("notes", "a\nb") == coder.encode("notes", "ab")
    assert coder.columns == ("notes", "more")
    assert [len(part) for part in coder.sizes] == [6, 3]
    assert {size for part in coder.sizes for size in part} == {len(ALPHABET)}


def test_files_bring_it_back_or_are_refused() -> None:
    prose = prose_of()
    structure, arrays = prose.structure(), ALPHABET.to_arrays()
    again = Prose.from_structure(structure, arrays)
    assert again.columns == prose.columns
    assert again.alphabet.pieces == ALPHABET.pieces
    np.testing.assert_array_equal(again.tokens, prose.tokens)
    for wrong in ({"columns": []}, {"columns": [{"name": "a"}]}, {}):
        with pytest.raises(BundleError):
            Prose.from_structure(wrong, arrays)
    changes: list[dict[str, Any]] = [
        {"ids": arrays["ids"][:-1]},
        {"ids": arrays["ids"].astype(np.int32)},
        {"ids": np.zeros_like(arrays["ids"])},
        {"ids": arrays["ids"] - 1},
        {"lengths": arrays["lengths"] * 2},
        {"lengths": arrays["lengths"] - 1},
        {"bytes": arrays["bytes"][None]},
    ]
    for change in changes:
        with pytest.raises(BundleError):
            Prose.from_structure(structure, {**arrays, **change})
    with pytest.raises(BundleError):
        Prose.from_structure(structure, {"ids": arrays["ids"]})


def test_rows_in_memory_are_fewer_the_longer_the_texts() -> None:
    grammar, short = grammar_of(), prose_of()
    wide = Prose.of({"a": Text(max_length=1000)}, Bytes(), "compact", alphabet=ALPHABET)
    for trained in (True, False):
        few, many = (p.rows_at_once(grammar, trained=trained) for p in (wide, short))
        assert 1 <= few < many


def test_vectors_of_very_many_letters_are_not_trained() -> None:
    many = Alphabet(np.arange(5002), (b"x",) * 5000)
    with pytest.raises(InputError, match="too many"):
        require_trainable(many, trained=True)
    require_trainable(many, trained=False)
    require_trainable(ALPHABET, trained=True)
