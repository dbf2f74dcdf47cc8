from __future__ import annotations

import itertools
from collections.abc import Mapping

import numpy as np
import pytest
from brute_models import brute_model, random_model

from tronie.errors import ConditionError, InputError
from tronie.models import sampling
from tronie.models.factor import Factor
from tronie.models.markov import MarkovRandomField
from tronie.models.sampling import sample, sample_blocks
from tronie.schema.domain import Clique

SIZES = {"a": 3, "b": 4, "c": 2, "d": 5, "e": 4, "f": 3}
TREE = [("a", "b"), ("b", "c"), ("b", "d"), ("d", "e"), ("e", "f")]
FOREST = [("a", "b"), ("b", "c"), ("d", "e"), ("e", "f")]
TRIANGLES = [("a", "b", "c"), ("b", "c", "d"), ("d", "e"), ("e", "f")]
PAIRS = list(itertools.combinations(SIZES, 2))

Rows = Mapping[str, np.ndarray]


def frequencies(rows: Rows, sizes: Mapping[str, int], clique: Clique) -> np.ndarray:
    shape = [sizes[column] for column in clique]
    cells = np.ravel_multi_index([rows[column] for column in clique], shape)
    return np.bincount(cells, minlength=int(np.prod(shape))).reshape(shape) / len(cells)


def variation(one: np.ndarray, two: np.ndarray) -> float:
    return 0.5 * float(np.abs(one - two).sum())


def pair_errors(rows: Rows, model: MarkovRandomField) -> np.ndarray:
    """Total variation between rows and model, for each pair of columns."""
    pairs = list(itertools.combinations(model.domain, 2))
    return np.array(
        [
            variation(frequencies(rows, model.domain.sizes, pair), marginal.normalise().values)
            for pair, marginal in zip(pairs, model.marginals(pairs), strict=True)
        ]
    )


def independent_errors(joint: Factor, n: int, repeats: int = 20) -> np.ndarray:
    """The same for rows drawn independently of one another, on average."""
    rng = np.random.default_rng(99)
    errors = []
    for _ in range(repeats):
        counts = rng.multinomial(n, joint.values.ravel()).reshape(joint.domain.shape)
        drawn = Factor(joint.domain, counts / n)
        errors.append(
            [
                variation(drawn.project(p).values, joint.project(p).values)
                for p in itertools.combinations(joint.domain, 2)
            ]
        )
    return np.mean(errors, axis=0)


@pytest.mark.parametrize("cliques", [TREE, FOREST, TRIANGLES])
def test_rows_are_ten_times_closer_to_the_model_than_independent_ones(
    cliques: list[Clique],
) -> None:
    model, joint = brute_model(SIZES, cliques)
    ours = np.mean(
        [pair_errors(sample(model, 20_000, np.random.default_rng(s)), model) for s in range(5)],
        axis=0,
    )
    independent = independent_errors(joint, 20_000)
    assert ours.mean() < 0.1 * independent.mean()
    # No pair is left out, in one clique, in two, or in two components.
    assert (ours < 0.5 * independent).all()


@pytest.mark.parametrize("cliques", [TREE, FOREST, TRIANGLES, []])
def test_tables_of_cliques_are_right_but_for_rounding(cliques: list[Clique]) -> None:
    model = random_model(SIZES, cliques)
    n = 5000
    rows = sample(model, n, np.random.default_rng(0))
    for i, clique in enumerate(model.tree.cliques):
        counts = n * frequencies(rows, SIZES, clique)
        separator = model.tree.separator(i)
        new = model.tree.new_columns(i)
        if len(new) == 1:
            belief = model.belief(i)
            given = (belief / belief.project(separator)).project(clique).values
            assert (np.abs(counts - counts.sum(axis=0) * given) < 1 + 1e-6).all()


@pytest.mark.parametrize("columns", [40])
def test_many_columns_do_not_fall_into_step(columns: int) -> None:
    # Columns that share an order and a slope would be far from independent.
    sizes = {f"c{i}": 2 for i in range(columns)}
    star = [("c0", f"c{i}") for i in range(1, columns)]
    n = 4001
    for cliques in ([], star):
        model = random_model(sizes, cliques)
        errors = pair_errors(sample(model, n, np.random.default_rng(1)), model)
        # Independent rows: at most 0.8 / sqrt(n) each on average.
        assert errors.max() < 3 * 0.8 / n**0.5
        assert errors.mean() < 0.8 / n**0.5


def test_few_rows_have_the_right_distribution_on_average() -> None:
    model, joint = brute_model({"a": 2, "b": 3, "c": 2}, [("a", "b"), ("b", "c")])
    repeats, n = 1000, 3
    rng = np.random.default_rng(0)
    tables = np.array(
        [
            frequencies(sample(model, n, rng), model.domain.sizes, ("a", "b", "c"))
            for _ in range(repeats)
        ]
    )
    sd = tables.std(axis=0) / repeats**0.5
    # Twelve cells, 4.5 sds each: fails once in 10,000 seeds.
    assert (np.abs(tables.mean(axis=0) - joint.values) < 4.5 * sd).all()


def test_the_same_seed_gives_the_same_rows() -> None:
    model = random_model(SIZES, TREE)
    one, two, other = (sample(model, 500, np.random.default_rng(s)) for s in (1, 1, 2))
    assert all(np.array_equal(one[column], two[column]) for column in SIZES)
    assert not all(np.array_equal(one[column], other[column]) for column in SIZES)
    assert list(one) == list(SIZES)


def test_columns_come_in_the_smallest_type() -> None:
    model = random_model({"a": 2, "b": 256, "c": 257}, [("a", "b"), ("a", "c")])
    rows = sample(model, 100, np.random.default_rng(0))
    assert [rows[column].dtype for column in "abc"] == [np.uint8, np.uint8, np.uint16]


@pytest.mark.parametrize("n", [0, 1, 2, 7])
def test_any_number_of_rows_can_be_drawn(n: int) -> None:
    rows = sample(random_model(SIZES, TREE), n, np.random.default_rng(0))
    assert all(rows[column].shape == (n,) for column in SIZES)
    assert all((rows[column] < size).all() for column, size in SIZES.items())


def test_a_negative_number_of_rows_is_refused() -> None:
    with pytest.raises(InputError, match="-1 rows"):
        sample(random_model(SIZES, TREE), -1, np.random.default_rng(0))


@pytest.mark.parametrize("cliques", [TREE, FOREST, TRIANGLES])
@pytest.mark.parametrize("n", [10, 3000])
def test_impossible_combinations_are_never_drawn(cliques: list[Clique], n: int) -> None:
    for seed in range(10):
        model = random_model(SIZES, cliques, seed=seed, impossible=0.5)
        rows = sample(model, n, np.random.default_rng(seed))
        for i, clique in enumerate(model.tree.cliques):
            assert (model.belief(i).values[tuple(rows[c] for c in clique)] > 0).all()


def test_conditions_hold_in_every_row_and_the_rest_follows_bayes() -> None:
    model, joint = brute_model(SIZES, TREE)
    given = {"f": np.array([False, True, True]), "a": np.array([True, False, True])}
    rows = sample(model, 20_000, np.random.default_rng(0), given=given)
    assert all(mask[rows[column]].all() for column, mask in given.items())
    for column, mask in given.items():
        joint = joint * Factor(joint.domain.project([column]), mask.astype(float))
    joint = joint.normalise()
    for pair in PAIRS:
        expected = joint.project(pair).values
        assert variation(frequencies(rows, SIZES, pair), expected) < 0.005
    with pytest.raises(ConditionError):
        sample(model, 1, np.random.default_rng(0), given={"a": np.zeros(3, bool)})


def test_likely_and_unlikely_codes_may_be_told_apart() -> None:
    model, joint = brute_model(SIZES, TREE)
    likelihood = np.array([0.1, 1.0, 0.5])
    rows = sample(model, 20_000, np.random.default_rng(0), given={"f": likelihood})
    posterior = (joint * Factor(joint.domain.project(["f"]), likelihood)).normalise()
    for pair in PAIRS:
        expected = posterior.project(pair).values
        assert variation(frequencies(rows, SIZES, pair), expected) < 0.005


def test_the_order_of_rows_carries_no_information() -> None:
    n = 20_000
    rows = sample(random_model(SIZES, TREE), n, np.random.default_rng(0))
    place = np.arange(n) / n - 0.5
    for codes in rows.values():
        centred = codes - codes.mean()
        trend = float(centred @ place) / (centred.std() * place.std() * n)
        neighbours = float(centred[1:] @ centred[:-1]) / (centred.var() * n)
        # Both are standard normal over sqrt(n); twelve at 4.5 fail once in 10,000 seeds.
        assert abs(trend) < 4.5 / n**0.5
        assert abs(neighbours) < 4.5 / n**0.5


def test_large_samples_are_drawn_in_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sampling, "BLOCK", 1000)
    model, joint = brute_model(SIZES, TREE)
    blocks = list(sample_blocks(model, 4001, np.random.default_rng(0)))
    assert sorted(len(block["a"]) for block in blocks) == [800, 800, 800, 800, 801]
    whole = sample(model, 4001, np.random.default_rng(0))
    for column in SIZES:
        joined = np.concatenate([block[column] for block in blocks])
        np.testing.assert_array_equal(whole[column], joined)
    assert pair_errors(whole, model).mean() < 0.3 * independent_errors(joint, 4001).mean()


def test_tables_are_cut_in_chunks_without_a_trace(monkeypatch: pytest.MonkeyPatch) -> None:
    model = random_model(SIZES, TRIANGLES)
    whole = sample(model, 1000, np.random.default_rng(0))
    monkeypatch.setattr("tronie.models.systematic.CHUNK", 7)
    parts = sample(model, 1000, np.random.default_rng(0))
    assert all(np.array_equal(whole[column], parts[column]) for column in SIZES)
