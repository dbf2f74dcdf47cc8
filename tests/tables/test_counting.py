from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from numpy.typing import NDArray

from tronie.errors import DomainTooLarge, SchemaMismatch, SourceError
from tronie.tables import counting
from tronie.tables.counting import MAX_CELLS, count_keys, count_marginals, require_countable
from tronie.tables.packing import BLOCK_CELLS, cover

DTYPES = [np.int8, np.uint8, np.int16, np.uint16, np.int32, np.uint32, np.int64, np.uint64]


def brute(
    table: Mapping[str, NDArray[Any]], sizes: Mapping[str, int], clique: tuple[str, ...]
) -> NDArray[np.int64]:
    counts = np.zeros([sizes[column] for column in clique], np.int64)
    np.add.at(counts, tuple(table[column] for column in clique), 1)
    return counts


@st.composite
def problems(draw: st.DrawFn) -> tuple[list[dict[str, NDArray[Any]]], dict[str, int], list[Any]]:
    names = draw(st.lists(st.text(min_size=1, max_size=3), min_size=1, max_size=6, unique=True))
    size = st.one_of(st.integers(1, 9), st.sampled_from([255, 256, 257, 700]))
    sizes = {name: draw(size) for name in names}
    subsets = st.lists(st.sampled_from(names), max_size=3, unique=True).map(tuple)
    cliques = draw(st.lists(subsets, max_size=8))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    chunks = [
        {
            name: rng.integers(0, sizes[name], rows).astype(
                rng.choice([d for d in DTYPES if np.iinfo(d).max >= sizes[name]])
            )
            for name in names
        }
        for rows in draw(st.lists(st.integers(0, 40), max_size=4))
    ]
    return chunks, sizes, cliques


@given(problems(), st.sampled_from([2, 7, 2**18]))
def test_counts_are_those_of_a_plain_loop(problem: Any, buffer_rows: int) -> None:
    chunks, sizes, cliques = problem
    cells = sum(math.prod(sizes[column] for column in clique) for clique in set(cliques))
    assume(cells <= counting.MAX_CELLS)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(counting, "BUFFER_ROWS", buffer_rows)
        counts = count_marginals(iter(chunks), sizes, cliques)
    table = {name: np.concatenate([[], *(c[name] for c in chunks)]).astype(int) for name in sizes}
    rows = sum(len(next(iter(chunk.values()))) for chunk in chunks)
    assert list(counts) == list(dict.fromkeys(cliques))
    for clique, found in counts.items():
        assert found.dtype == np.int64
        assert found.shape == tuple(sizes[column] for column in clique)
        assert found.flags.c_contiguous
        expected = brute(table, sizes, clique) if clique else np.array(rows)
        assert (found == expected).all()


def test_all_pairs_and_triples_of_a_wider_table() -> None:
    rng = np.random.default_rng(1)
    sizes = dict(zip("abcdefghij", [2, 2, 3, 5, 9, 16, 42, 85, 100, 100], strict=True))
    table = {name: rng.integers(0, size, 20_000) for name, size in sizes.items()}
    cliques = [*itertools.combinations(sizes, 2), ("j", "a", "h"), ("a", "b", "c")]
    counts = count_marginals([table], sizes, cliques)
    assert all((counts[clique] == brute(table, sizes, clique)).all() for clique in cliques)


def test_tables_with_many_more_cells_than_rows() -> None:
    sizes = {"a": 3000, "b": 2000, "c": 70_000}
    rng = np.random.default_rng(2)
    table = {name: rng.integers(0, size, 500) for name, size in sizes.items()}
    counts = count_marginals([table, table], sizes, [("b", "a"), ("c",)])
    assert (counts["b", "a"] == 2 * brute(table, sizes, ("b", "a"))).all()
    assert (counts["c",] == 2 * brute(table, sizes, ("c",))).all()


@pytest.mark.parametrize("size", [2**16 - 2, 2**16 - 1, 2**16, 2**16 + 1])
def test_sizes_around_16_bits(size: int) -> None:
    table = {"a": np.array([0, size - 1, size - 1]), "b": np.array([0, 0, 0])}
    counts = count_marginals([table], {"a": size, "b": 1}, [("a", "b"), ("b", "a"), ("a",)])
    for clique, found in counts.items():
        assert found.ravel()[[0, -1]].tolist() == [1, 2], clique
        assert found.sum() == 3


def test_no_rows_and_no_chunks() -> None:
    nothing = {"a": np.array([], np.int64)}
    for chunks in ([], [nothing], [nothing, {"a": np.array([1])}, nothing]):
        counts = count_marginals(chunks, {"a": 2}, [("a",), ()])
        assert counts["a",].tolist() == [0, int(len(chunks) == 3)]
        assert counts[()].shape == ()
        assert counts[()] == int(len(chunks) == 3)


def test_all_chunks_are_read_even_if_nothing_is_asked() -> None:
    read: list[int] = []

    def chunks() -> Iterator[dict[str, NDArray[Any]]]:
        for number in range(3):
            read.append(number)
            yield {}

    assert count_marginals(chunks(), {}, []) == {}
    assert read == [0, 1, 2]


def test_one_pass_and_few_chunks_at_a_time() -> None:
    """Chunks are not collected: each is let go before long."""
    alive, most = 0, 0

    class Codes(np.ndarray):  # type: ignore[type-arg]
        def __del__(self) -> None:
            nonlocal alive
            if self.base is None:
                alive -= 1

    def chunks() -> Iterator[dict[str, NDArray[Any]]]:
        nonlocal alive, most
        for _ in range(200):
            codes = Codes((1000,), np.int64)
            codes[:] = 1
            alive += 1
            most = max(most, alive)
            yield {"a": codes}

    assert count_marginals(chunks(), {"a": 2}, [("a",)])["a",].tolist() == [0, 200_000]
    assert most <= 3


@pytest.mark.parametrize("code", [-1, 3, 2**31, 255])
def test_codes_beyond_the_domain_are_refused(code: int) -> None:
    for dtype in (np.int64, np.int32 if code < 2**31 else np.uint32):
        chunk = {"a": np.array([0, code], dtype)}
        with pytest.raises(SchemaMismatch, match="column 'a' was coded beyond"):
            count_marginals([chunk], {"a": 3}, [("a",)])


def test_strided_and_read_only_codes() -> None:
    codes = np.arange(20)[::2] % 5
    codes.flags.writeable = False
    reverse = codes[::-1]
    counts = count_marginals([{"a": codes, "b": reverse}], {"a": 5, "b": 5}, [("a", "b")])
    assert counts["a", "b"].sum() == 10


def test_a_table_too_large_is_refused_before_a_chunk_is_read() -> None:
    def chunks() -> Iterator[dict[str, NDArray[Any]]]:
        raise AssertionError("a chunk was read")
        yield {}

    sizes = {"a": 2**13, "b": 2**13, "c": 2}
    require_countable(sizes, [("a", "b"), ("a", "b")])
    for cliques in ([("a", "b", "c")], [("a", "b"), ("b", "a")]):
        with pytest.raises(DomainTooLarge, match=f"at most {MAX_CELLS:,} fit"):
            count_marginals(chunks(), sizes, cliques)


# --- packing -----------------------------------------------------------------------------------------


@given(st.dictionaries(st.text(max_size=3), st.integers(1, 400), min_size=1, max_size=9), st.data())
def test_blocks_hold_every_clique_and_stay_small(
    sizes: dict[str, int], data: st.DataObject
) -> None:
    subsets = st.lists(st.sampled_from(sorted(sizes)), max_size=4, unique=True).map(tuple)
    cliques = data.draw(st.lists(subsets, max_size=12))
    blocks = cover(sizes, cliques)
    assert all(any(set(clique) <= set(block) for block in blocks) for clique in cliques if clique)
    assert len(blocks) <= len({frozenset(clique) for clique in cliques})
    wanted = {frozenset(clique) for clique in cliques}
    for block in blocks:
        cells = math.prod(sizes[column] for column in block)
        assert cells <= BLOCK_CELLS or frozenset(block) in wanted


def test_packing_saves_most_of_the_work() -> None:
    """The 105 pairs of Adult's columns and one more: a third of the passes."""
    adult = [85, 9, 100, 16, 7, 15, 6, 5, 2, 100, 100, 99, 42, 2, 85]
    sizes = {f"c{place}": size for place, size in enumerate(adult)}
    assert len(cover(sizes, itertools.combinations(sizes, 2))) <= 35


def test_packing_many_columns_is_quick() -> None:
    sizes = {f"c{place}": 2 + place % 30 for place in range(120)}
    pairs = list(itertools.combinations(sizes, 2))
    assert len(cover(sizes, pairs)) < len(pairs) / 3


# --- keys --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "kind",
    [
        pa.string(),
        pa.large_string(),
        pa.string_view(),
        pa.dictionary(pa.int8(), pa.string()),
        pa.dictionary(pa.uint16(), pa.large_string()),
    ],
)
def test_keys_of_text(kind: pa.DataType) -> None:
    arrays = [pa.array(part, pa.string()).cast(kind) for part in (["ü", None, "a"], [], ["a"])]
    assert count_keys(arrays) == {"a": 2, "ü": 1}
    assert count_keys([arrays[0][1:]]) == {"a": 1}


def test_keys_that_a_dictionary_lists_but_no_row_has_are_no_keys() -> None:
    array = pa.DictionaryArray.from_arrays(pa.array([0, 0, None]), pa.array(["a", "b"]))
    assert dict(count_keys([array])) == {"a": 2}


def test_keys_of_numbers() -> None:
    assert count_keys([pa.array([3, None, 3, 2**62], pa.int64())]) == {3: 2, 2**62: 1}
    assert count_keys([pa.array([1.0, float("nan"), None, 1.0])]) == {1.0: 2}
    assert count_keys([pa.array([0.0, -0.0])]) == {0.0: 2}
    assert count_keys([pa.array([True, None, True])]) == {True: 2}
    huge = count_keys([pa.array([Decimal(5), Decimal("1.5")], pa.decimal128(38, 1))])
    assert huge == {5: 1, 1.5: 1}
    assert all(isinstance(key, int | float) for key in huge)


def test_keys_of_frames_and_of_nothing() -> None:
    values = ["a", None, "a"]
    frames = (
        pd.DataFrame({"s": values, "c": pd.Categorical(values)}),
        pl.DataFrame({"s": values, "c": pl.Series(values, dtype=pl.Categorical)}),
    )
    for frame in frames:
        for column in pa.table(frame).columns:
            assert count_keys([column]) == {"a": 2}
    assert count_keys([]) == {}
    assert count_keys([pa.nulls(3)]) == {}
    assert count_keys([pa.nulls(3, pa.string())]) == {}


def test_keys_that_are_not_utf8_are_refused() -> None:
    data = b"s3cr3t\xff"
    array = pa.StringArray.from_buffers(
        1, pa.py_buffer(np.array([0, len(data)], np.int32)), pa.py_buffer(data)
    )
    for bad in (array, pa.DictionaryArray.from_arrays(pa.array([0]), array)):
        with pytest.raises(SourceError, match="UTF-8") as caught:
            count_keys([bad])
        assert "s3cr3t" not in str(caught.value)
