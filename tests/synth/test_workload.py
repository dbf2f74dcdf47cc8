"""Workloads: files, weights, and what a marginal is worth."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from synth_tables import schema_of

from tronie.errors import InputError
from tronie.schema.domain import Clique
from tronie.synth import workload as workload_module
from tronie.synth.workload import MOST_WEIGHT, TARGET_WEIGHT, Workload

NAMES = ("age", "income", "sex", "job")

cliques = st.lists(st.sampled_from(NAMES), min_size=1, unique=True).map(tuple)
workloads = st.dictionaries(cliques, st.floats(0.01, 100.0), max_size=8).map(Workload)


@pytest.fixture
def written(tmp_path: Path) -> Callable[[str], Path]:
    """A workload file of some text."""

    def write(text: str, name: str = "workload.yaml") -> Path:
        path = tmp_path / name
        path.write_text(text)
        return path

    return write


def read(path: Path) -> dict[Clique, float]:
    return dict(Workload.read(path, NAMES).weights)


def refusal(path: Path) -> str:
    with pytest.raises(InputError) as caught:
        read(path)
    assert caught.value.remedy
    return caught.value.what


def test_sets_of_columns_come_in_the_tables_order(written: Callable[..., Path]) -> None:
    path = written("marginals:\n- {columns: [job, age], weight: 2.5}\n- columns: [sex]\n")
    assert read(path) == {("age", "job"): 2.5, ("sex",): 1.0}


def test_json_says_the_same(written: Callable[..., Path]) -> None:
    path = written('{"marginals": [{"all": 2, "with": "sex", "weight": 3}]}', "workload.json")
    assert read(path) == {("age", "sex"): 3.0, ("income", "sex"): 3.0, ("sex", "job"): 3.0}


@pytest.mark.parametrize("size", [1, 2, 3])
def test_all_sets_of_a_size(written: Callable[..., Path], size: int) -> None:
    path = written(f"marginals: [{{all: {size}}}]")
    assert read(path) == dict.fromkeys(itertools.combinations(NAMES, size), 1.0)


@pytest.mark.parametrize("size", [1, 2, 3])
def test_all_sets_with_a_column(written: Callable[..., Path], size: int) -> None:
    path = written(f"marginals: [{{all: {size}, with: income}}]")
    expected = [c for c in itertools.combinations(NAMES, size) if "income" in c]
    assert read(path) == dict.fromkeys(expected, 1.0)


def test_weights_of_the_same_columns_add_up(written: Callable[..., Path]) -> None:
    text = "marginals: [{all: 2}, {columns: [sex, age], weight: 2}, {columns: [age, sex]}]"
    weights = read(written(text))
    assert weights.pop(("age", "sex")) == 4.0
    assert set(weights.values()) == {1.0}


def test_a_byte_order_mark_is_no_part_of_the_text(tmp_path: Path) -> None:
    path = tmp_path / "w.yml"
    path.write_bytes(b"\xef\xbb\xbfmarginals: [{all: 1}]")
    assert len(read(path)) == 4


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("", "the whole file: "),
        ("[]", "the whole file: "),
        ("{}", "marginals: Field required"),
        ("marginals: []", "marginals: "),
        ("marginals: [{}]", "marginals.0: give either `columns` or `all`"),
        ("marginals: [{all: 2, columns: [age]}]", "give either `columns` or `all`"),
        ("marginals: [{all: 1}, {all: 4}]", "marginals.1.all: "),
        ("marginals: [{all: '2'}]", "marginals.0.all: "),
        ("marginals: [{columns: []}]", "marginals.0.columns: "),
        ("marginals: [{columns: age}]", "marginals.0.columns: "),
        ("marginals: [{columns: [1, 2]}]", "marginals.0.columns.0: "),
        ("marginals: [{columns: [age], with: sex}]", "marginals.0: `with` belongs to `all`"),
        ("marginals: [{all: 2, weight: 0}]", "marginals.0.weight: "),
        ("marginals: [{all: 2, weight: -1}]", "marginals.0.weight: "),
        ("marginals: [{all: 2, weight: 1e7}]", "marginals.0.weight: "),
        ("marginals: [{all: 2, weight: '3'}]", "marginals.0.weight: "),
        ("marginals: [{all: 2, weight: true}]", "marginals.0.weight: "),
        ("marginals: [{all: 2, wieght: 3}]", "marginals.0.wieght: "),
        ("marginals: [{all: 2}]\nmore: 1", "more: "),
    ],
)
def test_a_file_that_is_no_workload(written: Callable[..., Path], text: str, fault: str) -> None:
    what = refusal(written(text))
    assert what.startswith("workload.yaml is no workload: ")
    assert fault in what


@pytest.mark.parametrize(
    ("entry", "named"),
    [
        ("{columns: [age, shoe]}", "'age', 'shoe'"),
        ("{columns: [age, age]}", "'age', 'age'"),
        ("{all: 2, with: shoe}", "'shoe'"),
    ],
)
def test_columns_must_be_the_tables(written: Callable[..., Path], entry: str, named: str) -> None:
    path = written(f"marginals: [{entry}]")
    assert refusal(path) == f"a workload names {named}, which is no set of columns to model."
    with pytest.raises(InputError, match="Choose from age, income, sex, job; each once"):
        read(path)


@pytest.mark.parametrize(
    ("name", "text", "fault"),
    [
        ("workload.txt", "x", "neither YAML nor JSON"),
        ("workload.yaml", "marginals: [", "workload.yaml: not valid YAML, line 1"),
        ("workload.json", "{\n'", "workload.json: not valid JSON, line 2"),
    ],
)
def test_a_file_of_another_format(
    written: Callable[..., Path], name: str, text: str, fault: str
) -> None:
    path = written(text, name)
    assert fault in refusal(path)
    with pytest.raises(InputError) as caught:
        read(path)
    assert "schema" not in str(caught.value)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    what = refusal(tmp_path / "none.yaml")
    assert what.startswith("the workload ")
    assert what.endswith("cannot be read: no such file or directory.")


def test_a_file_without_any_marginal_of_the_table(written: Callable[..., Path]) -> None:
    path = written("marginals: [{all: 2}]")
    with pytest.raises(InputError, match="names no marginal"):
        Workload.read(path, ["only"])


def test_too_many_marginals(written: Callable[..., Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workload_module, "MOST_MARGINALS", 5)
    path = written("marginals: [{all: 2}]")
    assert refusal(path) == (
        "the workload asks for all marginals of 2 columns, which are too many."
    )
    # Six pairs are too many, the three that hold one column are not.
    assert len(read(written("marginals: [{all: 2, with: age}]"))) == 3
    several = written("marginals: [{all: 2, with: age}, {all: 1}]")
    assert refusal(several) == "the workload asks for 7 marginals, too many."
    with pytest.raises(InputError, match="at most 5"):
        Workload.of(dict.fromkeys(itertools.combinations(NAMES, 2), 1.0), NAMES)


def test_weights_in_python_are_put_in_order_and_added_up() -> None:
    workload = Workload.of({("sex", "age"): 1.0, ("age", "sex"): 2, ("job",): 0.5}, NAMES)
    assert workload.weights == {("age", "sex"): 3.0, ("job",): 0.5}


@pytest.mark.parametrize("weight", [0, -1.0, math.nan, math.inf, 2 * MOST_WEIGHT])
def test_weights_are_positive_and_finite(weight: float) -> None:
    with pytest.raises(InputError, match="not all positive"):
        Workload.of({("age", "sex"): weight}, NAMES)


def test_a_workload_names_at_least_one_marginal() -> None:
    with pytest.raises(InputError, match="names no marginal"):
        Workload.of({}, NAMES)


@pytest.mark.parametrize(
    ("clique", "named"),
    [
        ((), "an empty set"),
        (("age", "shoe"), "'age', 'shoe'"),
        (("age", "age"), "'age', 'age'"),
        ("age", "'age'"),
    ],
)
def test_sets_in_python_are_sets_of_columns(clique: Clique, named: str) -> None:
    with pytest.raises(InputError, match=f"names {named}, which is no set"):
        Workload.of({clique: 1.0}, NAMES)


def test_pairs_with_the_target_weigh_more() -> None:
    workload = Workload.of_pairs(NAMES, target="income")
    assert len(workload.weights) == 6
    for pair, weight in workload.weights.items():
        assert weight == (TARGET_WEIGHT if "income" in pair else 1.0)
    assert set(Workload.of_pairs(NAMES).weights.values()) == {1.0}
    assert Workload.of_pairs(["only"]).weights == {}


WHOLE = {"kind": "integer", "min": 0, "max": 3, "nullable": False}
LADDER = schema_of(
    {
        "id": {"kind": "identifier"},
        "grade": {"kind": "category", "values": [1, 2], "nullable": False},
        "job": {"kind": "category", "values": ["a", "b"], "nullable": False},
        "rank": WHOLE,
        "age": WHOLE,
        "town": {"kind": "open_category"},
    },
    constraints=[
        {"kind": "function", "of": "job", "gives": "grade", "table": [["a", 1], ["b", 2]]},
        {"kind": "function", "of": "grade", "gives": "rank", "table": [[1, 0], [2, 3]]},
    ],
)


def test_a_column_stands_for_those_that_it_determines() -> None:
    workload = Workload(
        {
            ("grade", "age"): 1.0,
            ("rank", "age"): 2.0,
            ("job", "age"): 4.0,
            ("grade", "rank"): 8.0,
            ("age", "town"): 16.0,
            ("town",): 32.0,
            ("id", "age"): 64.0,
        }
    )
    over = workload.over(LADDER)
    assert over.weights == {("job", "age"): 7.0, ("job",): 8.0, ("age",): 80.0}


def test_found_columns_are_modelled_too() -> None:
    found = LADDER.model_copy(update={"columns": {**LADDER.columns, "town": LADDER.columns["age"]}})
    workload = Workload({("rank", "town"): 1.0, ("town", "age"): 2.0})
    assert workload.over(found).weights == {("job", "town"): 1.0, ("age", "town"): 2.0}


@given(workloads)
def test_over_columns_that_are_all_modelled_nothing_changes(workload: Workload) -> None:
    schema = schema_of(dict.fromkeys(NAMES, WHOLE))
    over = workload.over(schema)
    assert sum(over.weights.values()) == pytest.approx(sum(workload.weights.values()))
    for pair in itertools.combinations(NAMES, 2):
        assert over.value(pair) == pytest.approx(workload.value(pair))
    assert all(list(c) == sorted(c, key=NAMES.index) for c in over.weights)


@given(workloads, cliques)
def test_the_value_of_a_set_is_that_of_its_pairs(workload: Workload, clique: Clique) -> None:
    pairs = workload.pair_values()
    expected = sum(pairs.get(frozenset(pair), 0.0) for pair in itertools.combinations(clique, 2))
    assert workload.value(clique) == pytest.approx(expected)
    assert workload.value(reversed(clique)) == pytest.approx(expected)


@given(workloads)
def test_all_columns_together_are_worth_all_marginals(workload: Workload) -> None:
    total = sum(weight for clique, weight in workload.weights.items() if len(clique) > 1)
    assert workload.value(NAMES) == pytest.approx(total)
    assert sum(workload.pair_values().values()) == pytest.approx(total)
    for clique, weight in workload.weights.items():
        worth = workload.value(clique)
        assert worth >= weight * (len(clique) > 1) * (1 - 1e-12)


@given(workloads, cliques, st.sampled_from(NAMES))
def test_more_columns_are_never_worth_less(workload: Workload, clique: Clique, column: str) -> None:
    assert workload.value({*clique, column}) >= workload.value(clique) - 1e-9


@given(workloads)
def test_only_pairs_of_some_marginal_have_a_value(workload: Workload) -> None:
    values = workload.pair_values()
    for pair in itertools.combinations(NAMES, 2):
        held = any(set(pair) <= set(clique) for clique in workload.weights)
        assert (frozenset(pair) in values) == held
        assert workload.value(pair) == pytest.approx(values.get(frozenset(pair), 0.0))
