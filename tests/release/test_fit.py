"""From a private table to a public model: what is refused, what is charged, what is written down."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv
import pytest

import tronie
from tronie.errors import (
    BudgetError,
    BudgetExceeded,
    Cancelled,
    DomainTooLarge,
    InputError,
    SchemaError,
    SchemaMismatch,
    SourceError,
)
from tronie.measure.curator import Curator
from tronie.measure.noise import InsecureNoise
from tronie.privacy.accounting import epsilon_of, total_mu
from tronie.privacy.ledger import Ledger
from tronie.release import fit as fit_module
from tronie.release.fit import plan
from tronie.schema.schema import Schema
from tronie.synth.workload import Workload

SMALL = Schema.model_validate(
    {
        "name": "small",
        "columns": {
            "x": {"kind": "integer", "min": 0, "max": 9},
            "y": {"kind": "category", "values": ["a", "b"]},
        },
    }
)
TABLE = pa.table({"x": [i % 10 for i in range(200)], "y": ["a", "b"] * 100})
OPEN = Schema.model_validate(
    {
        "name": "open",
        "columns": {"x": {"kind": "integer"}, "y": {"kind": "open_category"}},
    }
)


@pytest.fixture
def book(tmp_path: Path) -> Ledger:
    return Ledger(tmp_path / "book.sqlite")


def fit(table: Any = TABLE, schema: Any = SMALL, **options: Any) -> tronie.Model:
    options = {"epsilon": 1.0, "noise": InsecureNoise(0), **options}
    return tronie.fit(table, schema, **options)


def states(book: Ledger) -> list[str]:
    return [entry.state for entry in book.entries()]


def test_the_ledger_holds_what_the_certificate_holds(book: Ledger) -> None:
    model = fit(ledger=book)
    (entry,) = book.entries("small")
    assert entry.state == "committed"
    assert entry.note == "glaze"
    assert entry.events == model.certificate.events
    assert entry.epsilon <= 1.0
    assert book.spent("small").releases == 1


@pytest.mark.parametrize("discover", [False, True])
def test_events_compose_to_the_claim(discover: bool, book: Ledger) -> None:
    model = fit(schema=OPEN if discover else SMALL, discover=discover, ledger=book, delta=1e-7)
    certificate = model.certificate
    epsilon = epsilon_of(certificate.events, 1e-7)
    assert 0.98 < epsilon <= 1.0
    assert (certificate.claim.epsilon, certificate.claim.delta) == (1.0, 1e-7)
    check = certificate.verify()
    assert check.epsilon_recomputed == pytest.approx(epsilon, rel=1e-6)
    assert certificate.dataset == ("open" if discover else "small")
    assert certificate.method == "glaze"
    assert len([e for e in certificate.events if e.kind == "threshold"]) == discover


def test_test_noise_is_called_insecure_and_real_noise_is_not(book: Ledger) -> None:
    insecure = fit(ledger=book).certificate
    assert insecure.noise == "INSECURE"
    assert insecure.verify().problems
    real = fit(ledger=book, noise=None).certificate
    assert real.noise == "operating system entropy, discrete"
    assert real.verify().ok


def test_noise_of_the_operating_system_differs_each_time(book: Ledger) -> None:
    one, two = (fit(ledger=book, noise=None).marginal(["x"]).table for _ in range(2))
    assert not one.equals(two)


def test_the_same_test_noise_gives_the_same_model(book: Ledger, tmp_path: Path) -> None:
    files = [fit(ledger=book).save(tmp_path / f"{i}.tronie") for i in range(2)]
    assert files[0].read_bytes() == files[1].read_bytes()


def test_paths_are_as_good_as_objects(tmp_path: Path, book: Ledger) -> None:
    pa.csv.write_csv(TABLE, tmp_path / "small.csv")
    SMALL.write(tmp_path / "small.yaml")
    model = fit(str(tmp_path / "small.csv"), tmp_path / "small.yaml", ledger=str(book.path))
    assert model.schema == SMALL
    assert states(book) == ["committed"]


def test_without_a_ledger_the_users_own_is_used(tmp_path: Path) -> None:
    fit()
    assert Ledger(tmp_path / "ledger.sqlite").spent("small").releases == 1


def test_a_schema_is_drafted_with_discover(tmp_path: Path, book: Ledger) -> None:
    pa.csv.write_csv(TABLE, tmp_path / "guests.csv")
    model = fit(tmp_path / "guests.csv", None, discover=True, ledger=book)
    assert model.schema.name == "guests"
    assert book.spent("guests").releases == 1
    assert fit(TABLE, None, name="inn", discover=True, ledger=book).schema.name == "inn"
    with pytest.raises(SchemaError, match="no name"):
        fit(TABLE, None, discover=True, ledger=book)


OUTSIDE = Schema.model_validate(
    {**SMALL.model_dump(), "columns": {**SMALL.columns, "x": {"kind": "integer"}}}
)
BY_PERSON = SMALL.model_validate(
    {
        **SMALL.model_dump(),
        "columns": {**SMALL.columns, "id": {"kind": "identifier"}},
        "unit": {"kind": "id", "id_column": "id", "max_rows": 3},
    }
)
ALL_TEXT = Schema.model_validate({"name": "t", "columns": {"x": {"kind": "text"}}})
TIED = Schema.model_validate(
    {
        "name": "tied",
        "columns": {f"c{i}": {"kind": "integer", "min": 0, "max": 99} for i in range(8)},
        "constraints": [
            {"kind": "impossible", "when": {f"c{i}": {"min": 50} for i in range(8)}},
        ],
    }
)
REFUSED: dict[str, tuple[dict[str, Any], type[Exception], str]] = {
    "no schema": ({"schema": None}, SchemaError, "no schema was given"),
    "unknowns": ({"schema": OUTSIDE}, SchemaError, "'x'"),
    "two unknowns": ({"schema": OPEN}, SchemaError, "'x', 'y'"),
    "id unit": ({"schema": BY_PERSON}, SchemaError, "the unit is all rows"),
    "nothing to model": ({"schema": ALL_TEXT}, SchemaError, "no column can be modelled"),
    "no such schema": ({"schema": "absent.yaml"}, SchemaError, "absent"),
    "no such table": ({"table": "absent.csv"}, SourceError, "absent"),
    "another table": ({"table": pa.table({"z": [1]})}, SchemaMismatch, "none of the schema's"),
    "a column more": (
        {"table": TABLE.append_column("z", TABLE["x"])},
        SchemaMismatch,
        "lacks 'z'",
    ),
    "another type": (
        {"table": TABLE.set_column(0, "x", TABLE["x"].cast(pa.timestamp("s")))},
        SchemaMismatch,
        "'x' is of kind",
    ),
    "no epsilon": ({"epsilon": 0.0}, BudgetError, "epsilon"),
    "no delta": ({"delta": 0.0}, BudgetError, "delta"),
    "no such method": ({"method": "magic"}, InputError, "magic"),
    "a cap that is none": ({"max_epsilon": -1.0}, BudgetError, "cap"),
    "rules too large": (
        {
            "schema": TIED,
            "table": pa.table({name: [1] for name in TIED.columns}),
        },
        DomainTooLarge,
        "constraints",
    ),
}


@pytest.mark.parametrize(("options", "error", "match"), REFUSED.values(), ids=REFUSED)
def test_what_makes_no_sense_is_refused_before_the_ledger_knows(
    options: dict[str, Any], error: type[InputError], match: str, book: Ledger
) -> None:
    with pytest.raises(error, match=match) as caught:
        fit(ledger=book, **options)
    assert caught.value.remedy
    assert book.entries() == ()


def test_a_table_name_is_for_databases() -> None:
    with pytest.raises(SourceError):
        tronie.fit(TABLE, SMALL, epsilon=1.0, table="people")


@pytest.mark.parametrize("limit", [0.9, 0.5])
def test_a_cap_refuses_before_anything_is_read(limit: float, book: Ledger) -> None:
    stages: list[str] = []
    with pytest.raises(BudgetExceeded, match="'small'"):
        fit(ledger=book, max_epsilon=limit, watch=stages.append)
    assert stages == []
    assert book.entries() == ()


def test_a_cap_counts_all_releases_of_the_data_set(book: Ledger) -> None:
    fit(ledger=book, max_epsilon=2.0)
    fit(ledger=book, max_epsilon=2.0)
    with pytest.raises(BudgetExceeded):
        fit(ledger=book, max_epsilon=1.5)
    assert states(book) == ["committed"] * 2


def test_rows_that_do_not_fit_cost_nothing(book: Ledger) -> None:
    table = pa.table({"x": [1, 2], "y": ["a", "private-value"]})
    with pytest.raises(SchemaMismatch, match="'y'") as caught:
        fit(table, ledger=book)
    assert "private-value" not in str(caught.value)
    assert states(book) == ["cancelled"]
    assert book.spent("small").epsilon == 0.0


def test_rows_that_do_not_fit_cost_nothing_where_domains_are_found_too(book: Ledger) -> None:
    columns = {**SMALL.columns, "x": {"kind": "integer"}}
    schema = Schema.model_validate({"name": "small", "columns": columns})
    table = pa.table({"x": [1, 2], "y": ["a", "private-value"]})
    with pytest.raises(SchemaMismatch, match="'y'"):
        fit(table, schema, discover=True, ledger=book)
    assert states(book) == ["cancelled"]


def test_noise_that_cannot_be_drawn_costs_nothing(book: Ledger) -> None:
    with pytest.raises(DomainTooLarge):
        fit(ledger=book, epsilon=1e-6)
    assert states(book) == ["cancelled"]


class Trap:
    """Raises when the curator is asked for the n-th time."""

    def __init__(self, patch: pytest.MonkeyPatch, error: BaseException, call: int) -> None:
        self.calls = 0
        honest = Curator.ask

        def ask(curator: Curator, queries: Any) -> Any:
            self.calls += 1
            answers = honest(curator, queries)
            if self.calls == call:
                raise error
            return answers

        patch.setattr(Curator, "ask", ask)


FAILURES: dict[str, Callable[[], BaseException]] = {
    "an error": lambda: ValueError("oops"),
    "no memory": MemoryError,
    "Ctrl-C": KeyboardInterrupt,
    "exit": lambda: SystemExit(3),
    "cancelled": lambda: Cancelled("stopped.", ""),
}


@pytest.mark.parametrize("make", FAILURES.values(), ids=FAILURES)
def test_a_failure_after_the_first_answer_costs_what_was_asked(
    make: Callable[[], BaseException], book: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    error = make()
    Trap(monkeypatch, error, 1)
    with pytest.raises(type(error)) as caught:
        fit(ledger=book)
    assert caught.value is error
    (entry,) = book.entries()
    assert entry.state == "committed"
    assert {event.query for event in entry.events} == {"total", "marginal"}
    assert 0 < entry.epsilon < 1
    assert entry.mu == pytest.approx(total_mu(entry.events))
    assert book.spent("small").epsilon > 0


@pytest.mark.parametrize("make", FAILURES.values(), ids=FAILURES)
def test_a_failure_before_the_first_answer_costs_nothing(
    make: Callable[[], BaseException], book: Ledger
) -> None:
    error = make()

    def watch(stage: str) -> None:
        raise error

    with pytest.raises(type(error)):
        fit(ledger=book, watch=watch)
    assert states(book) == ["cancelled"]
    assert book.spent("small").epsilon == 0.0


def test_stopping_later_costs_the_stages_before(book: Ledger) -> None:
    stages: list[str] = []

    def watch(stage: str) -> None:
        stages.append(stage)
        if len(stages) == 2:
            raise Cancelled("stopped.", "")

    with pytest.raises(Cancelled):
        fit(ledger=book, watch=watch)
    (entry,) = book.entries()
    assert entry.state == "committed"
    assert 0 < entry.mu < tronie.Budget(1.0).mu


def test_a_process_that_dies_has_spent_all(book: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is on disk while the rows are read, should the next line never run."""
    seen: list[Any] = []
    monkeypatch.setattr(
        fit_module, "settle", lambda reservation, meter, run: seen.append(book.entries()) or run()
    )
    fit(ledger=book)
    (before,) = seen[0]
    assert (before.state, before.epsilon) == ("reserved", 1.0)
    assert states(book) == ["touched"]
    assert book.spent("small").unfinished == 1


def test_thresholds_are_announced_to_the_ledger(
    book: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Any] = []
    monkeypatch.setattr(
        fit_module, "settle", lambda reservation, meter, run: seen.append(book.entries()) or run()
    )
    model = fit(schema=OPEN, discover=True, ledger=book)
    (before,) = seen[0]
    thresholds = [e for e in model.certificate.events if e.kind == "threshold"]
    assert list(before.events) == thresholds
    assert len(thresholds) == 1


def test_stages_are_named_as_they_begin(book: Ledger) -> None:
    stages: list[str] = []
    fit(schema=OPEN, discover=True, ledger=book, watch=stages.append)
    found, counted = stages[:3], stages[3:]
    assert found == ["checking declared columns", "looking for bounds", "looking for categories"]
    assert all(stage.startswith("counting") for stage in counted)
    assert len(counted) >= 2


def test_metadata_of_the_table_stays_behind(model: tronie.Model, table: pa.Table) -> None:
    assert table.schema.metadata
    assert not model.types.metadata
    assert not any(field.metadata for field in model.types)
    names = [name for name in table.schema.names if name not in {"secret", "note"}]
    assert model.types.names == names
    assert [model.types.field(n).type for n in names] == [table.schema.field(n).type for n in names]


def test_a_plan_needs_no_table(tmp_path: Path) -> None:
    SMALL.write(tmp_path / "small.json")
    from_file = plan(tmp_path / "small.json", epsilon=2.0, rows=100)
    assert from_file == plan(SMALL, epsilon=2.0, delta=1e-9, rows=100)
    assert (from_file.method, bool(from_file.reason)) == ("glaze", True)
    assert plan(SMALL, epsilon=2.0, method="glaze").reason == ""
    assert plan(SMALL, epsilon=2.0, method="independent").method == "independent"
    with pytest.raises(SchemaError):
        plan(BY_PERSON, epsilon=1.0)
    with pytest.raises(InputError):
        plan(SMALL, epsilon=1.0, method="magic")


def test_a_workload_may_be_a_file_weights_or_a_workload(
    table: pa.Table, schema: Schema, tmp_path: Path
) -> None:
    (tmp_path / "use.yaml").write_text("marginals: [{columns: [town, age], weight: 2}]")
    weights = {("age", "town"): 2.0}
    for given in (tmp_path / "use.yaml", weights, Workload(weights)):
        found = plan(schema, epsilon=1.0, method="direct", workload=given)
        assert found.settings.workload == Workload(weights)
    with pytest.raises(InputError, match="'shoe'"):
        plan(schema, epsilon=1.0, workload=Workload({("age", "shoe"): 1.0}))
