"""Rows as tokens: every text that the grammar allows is a row, and every row is such a text."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tronie.errors import BundleError, InputError
from tronie.models.lm.grammar import KEY, OTHER, PADDING, START, VALUE, Column, Grammar, Ragged

FIRST = [7]


def encode(text: str) -> list[int]:
    return list(text.encode())


def pairs(text: str) -> list[int]:
    """A tokenizer that knows some pairs of letters, as byte pair encodings do."""
    ids: list[int] = []
    while text:
        taken = next(
            (piece for piece in (" a", "ab", "bc", "c,", '"a') if text.startswith(piece)), ""
        )
        ids.append(300 + sum(map(ord, taken)) if taken else ord(text[0]))
        text = text[len(taken or "x") :]
    return ids


def grammar(texts: dict[str, Sequence[str]], **settings: Any) -> Grammar:
    return Grammar.of(list(texts), texts, settings.pop("encode", encode), start=FIRST, **settings)


def written(column: Column, code: int) -> list[int]:
    """Walk the column's nodes to a code."""
    ids, number = list(column.forced), 0
    while column.nodes and number >= 0:
        node = column.nodes[number]
        ranges = zip(node.starts, node.stops, strict=True)
        (choice,) = (i for i, (a, b) in enumerate(ranges) if code in column.leaves[a:b])
        assert node.chunks[choice][0] == node.tokens[choice]
        ids += node.chunks[choice]
        number = node.children[choice]
        if number < 0:
            assert column.leaves[node.starts[choice]] == code
    return ids


def text_of(ids: Sequence[int]) -> str:
    return bytes(map(int, ids)).decode()


def test_a_row_is_a_sentence() -> None:
    one = grammar({"age": ("39", "4"), "work class": ("none", "State-gov")})
    rows = one.rows(np.array([[0, 1], [1, 0]]))
    assert text_of(rows.ids[0][1:]) == " age is 39, work class is State-gov,"
    assert text_of(rows.ids[1][rows.kinds[1] >= 0]) == " age is 4, work class is none,"
    assert rows.ids[0, 0] == FIRST[0]
    assert one.longest == rows.ids.shape[1]
    assert one.order == ("age", "work class")
    assert one.sizes == (2, 2)


def test_a_compact_row_has_no_names_and_as_few_commas_as_it_can() -> None:
    one = grammar({"a": ("x", "y"), "b": ("1", "10"), "c": ("yes", "no")}, serial="compact")
    rows = one.rows(np.array([[0, 1, 1]]))
    assert text_of(rows.ids[0][1:]) == " x 10, no"


def test_a_value_that_holds_a_comma_is_quoted_where_it_must_be() -> None:
    free = grammar({"a": ("x, y", "z")})
    assert text_of(free.rows(np.array([[0]])).ids[0][1:]) == " a is x, y,"
    bound = grammar({"a": ("x, y", "x")})
    assert text_of(bound.rows(np.array([[1]])).ids[0, 1:]).startswith(' a is "x",')


def test_kinds_of_tokens() -> None:
    rows = grammar({"ab": ("x", "yyy")}).rows(np.array([[0], [1]]))
    expected = [START] + [KEY] * 3 + [OTHER] * 3 + [VALUE] * 2 + [OTHER] + [PADDING] * 2
    assert rows.kinds[0].tolist() == expected
    assert (rows.ids[0, -2:] == 0).all()


def test_only_tokens_with_an_alternative_are_decisions() -> None:
    one = grammar({"a": ("red", "rose", "blue"), "b": ("only",)})
    rows = one.rows(np.array([[0, 0], [1, 0], [2, 0]]))
    decided = [
        [chr(token) for token in ids[flags]]
        for ids, flags in zip(rows.ids, rows.decisions, strict=True)
    ]
    assert decided == [["r", "e"], ["r", "o"], ["b"]]
    assert rows.nodes.tolist() == [[0, 1], [0, 1], [0, -1]]
    root = one.columns[0].nodes[0]
    assert [chr(token) for token in root.tokens] == ["b", "r"]
    assert text_of(root.chunks[0]) == "blue,"
    assert one.columns[1].nodes == ()


@settings(max_examples=50)
@given(
    st.lists(
        st.lists(st.text('abc, "1é', max_size=4), min_size=1, max_size=8, unique=True),
        min_size=1,
        max_size=4,
    ),
    st.sampled_from(["sentence", "compact"]),
    st.sampled_from([encode, pairs]),
    st.data(),
)
def test_walking_the_nodes_writes_the_row(
    values: Any, serial: Any, tokenizer: Any, data: Any
) -> None:
    texts = {f"c{number}": tuple(one) for number, one in enumerate(values)}
    one = grammar(texts, serial=serial, encode=tokenizer)
    again = Grammar.from_structure(one.structure())
    row = [data.draw(st.integers(0, size - 1)) for size in one.sizes]
    order = data.draw(st.permutations(range(len(row))))
    rows = again.rows(np.array([row, row]), np.array([range(len(row)), order]))
    segments = [written(column, code) for column, code in zip(one.columns, row, strict=True)]
    for which, sequence in enumerate((range(len(row)), order)):
        ids = FIRST + [token for number in sequence for token in segments[number]]
        assert rows.ids[which].tolist() == ids
        tokens = again.allowed
        for place, node, choice in zip(
            rows.places[which], rows.nodes[which], rows.choices[which], strict=True
        ):
            if node >= 0:
                start = tokens.starts[node]
                assert tokens.values[start + choice] == ids[place]
                assert len(set(tokens.values[start : start + tokens.lengths[node]])) >= 2
    assert set(rows.ids.ravel()) <= set(one.tokens)
    assert (
        len({tuple(written(one.columns[0], code)) for code in range(one.sizes[0])}) == one.sizes[0]
    )


@given(st.lists(st.text("ab1", max_size=4), min_size=2, max_size=9, unique=True), st.data())
def test_weights_below_a_choice_are_sums_of_codes(values: list[str], data: Any) -> None:
    (column,) = grammar({"a": values}).columns
    weights = data.draw(st.lists(st.floats(0, 9), min_size=len(values), max_size=len(values)))
    for number, node in enumerate(column.nodes):
        sums = column.below(number, np.array([weights]))
        codes = [column.leaves[a:b] for a, b in zip(node.starts, node.stops, strict=True)]
        assert np.allclose(sums, [[sum(weights[c] for c in part) for part in codes]])
        flags = column.open(number, np.array(weights) > 0)
        assert flags.tolist() == [any(weights[c] > 0 for c in part) for part in codes]


def test_values_without_a_difference_are_refused() -> None:
    with pytest.raises(InputError, match="'a'"):
        grammar({"a": ("x", "x")})
    with pytest.raises(InputError, match="told apart"):
        grammar({"a": ("x", "y")}, encode=lambda text: [0] * len(text))
    with pytest.raises(InputError, match="no value"):
        grammar({"a": ()})
    with pytest.raises(InputError, match="no column"):
        grammar({})


def test_a_damaged_grammar_is_refused() -> None:
    good = grammar({"a": ("x", "y")}).structure()
    for damage in (
        {"start": []},
        {"columns": []},
        {"columns": [good["columns"][0] | {"values": [[1], [1]]}]},
        {"columns": [good["columns"][0] | {"values": []}]},
        {"more": 1},
    ):
        with pytest.raises(BundleError):
            Grammar.from_structure(good | damage)


def test_a_start_is_found_when_none_is_given() -> None:
    assert Grammar.of(["a"], {"a": ("x",)}, encode).start == (10,)


def test_lists_that_are_all_empty_join_to_nothing() -> None:
    values, there = Ragged.of([[], []]).take(np.array([[0, 1]]))
    assert values.shape == there.shape == (1, 0)
