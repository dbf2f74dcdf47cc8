"""The road from a private table to a public model."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

from tronie.errors import InputError, SchemaError
from tronie.measure.curator import Curator, Meter
from tronie.measure.exact import ExactCurator, Unmetered
from tronie.measure.journal import Journal, JournaledCurator, JournaledMeter
from tronie.measure.journal_file import open_journal
from tronie.measure.noise import Noise, OperatingSystemNoise
from tronie.measure.records import Records
from tronie.models.field import texts_of
from tronie.models.uncertainty import Measurements
from tronie.privacy.budget import DEFAULT_DELTA, Budget
from tronie.privacy.certificate import Certificate
from tronie.privacy.disclaimer import Disclaimer, Statement
from tronie.privacy.ledger import Ledger, Reservation
from tronie.privacy.ledger_entries import Mark
from tronie.release.drafting import draft
from tronie.release.journaling import made_for, reservation_of
from tronie.release.model import MODEL_SUFFIX, Model, is_dropped, present
from tronie.release.other_table import other_table
from tronie.release.settling import settle, settle_later
from tronie.release.without_privacy import budget_of, require_private
from tronie.schema.domain import Clique
from tronie.schema.schema import Schema
from tronie.synth.discover import planned_keys
from tronie.synth.forecasting import forecast_queries
from tronie.synth.language_settings import LanguageSettings
from tronie.synth.learning import TRAIN
from tronie.synth.method import Fitted, Synthesizer
from tronie.synth.methods import AUTO, best_for, method_named
from tronie.synth.plan import Plan
from tronie.synth.settings import DEFAULTS, Effort, Settings, Training, workload_columns
from tronie.synth.workload import Workload
from tronie.tables.codec import check_types, output_type
from tronie.tables.sources import Source, open_source

if TYPE_CHECKING:
    import pyarrow as pa


WorkloadLike: TypeAlias = Workload | str | Path | Mapping[Clique, float]
"""What a workload may be given as."""

CuratorKind = TypeVar("CuratorKind", bound=Curator)

MeterKind = TypeVar("MeterKind", bound=Meter)

Watch: TypeAlias = Callable[[str], None]
"""Told the name of each stage as it begins; may raise `Cancelled` to stop the run."""


def _unwatched(stage: str) -> None:
    """Follow nothing."""


def plan(
    schema: Schema | str | Path,
    *,
    epsilon: float,
    delta: float = DEFAULT_DELTA,
    method: str = AUTO,
    rows: int | None = None,
    effort: Effort = "normal",
    max_memory: int | None = None,
    target: str | None = None,
    workload: WorkloadLike | None = None,
    training: Training = DEFAULTS.training,
    language: LanguageSettings = DEFAULTS.language,
) -> Plan:
    """Show how a budget would be split, before any row is read.

    Args:
        schema: Public facts, or the file that holds them.
        epsilon: Privacy budget.
        delta: Probability of a worse loss than epsilon.
        method: A method's name, or `auto`.
        rows: Number of rows, if you know and may say it; it is used for forecasts only.
        effort: How much time to take: `fast`, `normal` or `high`.
        max_memory: Most MiB for counts and for the model's tables.
        target: A column that will be predicted from the others; pairs that hold it matter more.
        workload: Which marginals matter, if not all pairs alike: a `Workload`, the file that holds
            one, or weights by tuples of columns. Not together with a target.
        training: How a network is trained, for methods that train one.
        language: How a language model writes rows, for the method `llm`.

    Rows of another table, for the first stage of a language model, are read: they are public.

    Raises:
        InputError: If the schema, the budget, the method or the workload makes no sense.
    """
    facts = schema if isinstance(schema, Schema) else Schema.read(schema)
    facts.require_supported()
    wishes = Settings(
        rows,
        effort,
        max_memory,
        _workload(workload, facts),
        target,
        training=training,
        language=language,
        other=other_table(language),
    )
    chosen, reason = _method(method, facts, effort)
    found = chosen.plan(facts, Budget(epsilon, delta), wishes)
    return replace(found, queries=forecast_queries(facts, found), reason=reason)


def fit(
    source: Any,
    schema: Schema | str | Path | None = None,
    *,
    epsilon: float | None = None,
    delta: float = DEFAULT_DELTA,
    dp: bool = True,
    method: str = AUTO,
    discover: bool = False,
    name: str | None = None,
    table: str | None = None,
    ledger: Ledger | str | Path | None = None,
    max_epsilon: float | None = None,
    effort: Effort = "normal",
    max_memory: int | None = None,
    target: str | None = None,
    workload: WorkloadLike | None = None,
    prior: Any | None = None,
    training: Training = DEFAULTS.training,
    language: LanguageSettings = DEFAULTS.language,
    journal: str | Path | None = None,
    watch: Watch | None = None,
    noise: Noise | None = None,
) -> Model:
    """Fit a private model to a table.

    Args:
        source: A CSV, Parquet, Arrow or DuckDB file, or any object with the Arrow PyCapsule
            interface, such as a pandas or polars frame.
        schema: Public facts, or the file that holds them; not needed with `discover`.
        epsilon: Privacy budget; needed unless `dp` is False.
        delta: Probability of a worse loss than epsilon.
        dp: False for a run without privacy, to compare with: exact answers, nothing in the ledger, and a
            model that says of itself that it is not private. Not together with a budget or a ledger.
        method: A method's name, or `auto`.
        discover: Find bounds and categories that the schema does not declare privately, for a part
            of the budget.
        name: Name of the data set in the ledger, where no schema says it; that of the file when not
            given.
        table: Name of the table in a DuckDB file.
        ledger: Where the spending is written down; the user's own ledger when not given.
        max_epsilon: Refuse if this data set would have spent more than this over all releases.
        effort: How much time to take: `fast`, `normal` or `high`.
        max_memory: Most MiB for counts and for the model's tables.
        target: A column that will be predicted from the others; pairs that hold it matter more.
        workload: Which marginals matter, if not all pairs alike: a `Workload`, the file that holds
            one, or weights by tuples of columns. Not together with a target.
        prior: Public rows of the same columns, as a source is given, or an earlier release of
            anything: a `Model` or its file. You say that they are public; they save budget where
            they are near the truth. They need a schema that leaves nothing to be found.
        training: How a network is trained, for methods that train one.
        language: How a language model writes rows, for the method `llm`.
        journal: Folder where all answers are kept. Called again with it, and with all else as before, a
            fit that died goes on where it was, and one that ended gives the same model; what was charged
            is not charged again. Its answers are as public as the model; the folder is not, as it shows how
            fast a training went. Not together with `dp=False`.
        watch: Follows the run.
        noise: A fake source of noise, for tests; the certificate says so.

    Returns:
        The fitted model; it is public, unless `dp` is False.

    Raises:
        InputError: If something is wrong with what was given, or the journal is of another fit, in use,
            or damaged; nothing was spent.
        BudgetExceeded: If the ledger's cap forbids the release; nothing was spent. Or if an answer of the
            journal is lost.
    """
    budget = budget_of(
        dp=dp,
        epsilon=epsilon,
        delta=delta,
        training=training,
        ledger=ledger,
        max_epsilon=max_epsilon,
        journal=journal,
    )
    if dp:
        require_private(source, "the table")
    rows = open_source(source, table=table)
    facts = _public_facts(source, rows, schema, name=name, table=table, discover=discover)
    chosen, reason = _method(method, facts, effort)
    public = None if prior is None else _public_source(prior, facts)
    wishes = Settings(
        None,
        effort,
        max_memory,
        _workload(workload, facts),
        target,
        None if public is None else _public_rows(public, facts),
        training,
        language,
        other_table(language, source),
    )
    plan = replace(chosen.plan(facts, budget, wishes), reason=reason)
    noise = noise or OperatingSystemNoise()
    watch = watch or _unwatched
    records = Records(rows, facts)
    if dp:
        book = ledger if isinstance(ledger, Ledger) else Ledger(ledger)

        def reserve(journal: tuple[str, Mark] | None = None) -> Reservation:
            return _reserve(book, facts, plan, max_epsilon, journal)

        if journal is None:
            reservation = reserve()
            meter = _meter(Meter, reservation)
            curator = appoint(Curator, records, meter, facts, noise=noise, watch=watch)
            fitted = settle(reservation, meter, lambda: chosen.fit(curator, facts, plan))
        else:
            asked = made_for(facts, plan, noise, table=table, public=public)
            with open_journal(journal, asked) as file:
                reservation = reservation_of(file, book, facts, plan, reserve)
                held = Journal(file, reservation)
                meter = _meter(partial(JournaledMeter, journal=held), reservation)
                curator = appoint(JournaledCurator, records, meter, facts, noise=noise, watch=watch)
                fitted = settle_later(reservation, meter, lambda: chosen.fit(curator, facts, plan))
        statement = _certificate(fitted, plan, meter, noise)
    else:
        exact = appoint(ExactCurator, records, Unmetered(), facts, noise=noise, watch=watch)
        fitted = chosen.fit(exact, facts, plan)
        statement = Disclaimer.issue(dataset=facts.name, method=plan.method)
    return _model(rows, fitted, plan, statement)


def _reserve(
    book: Ledger,
    facts: Schema,
    plan: Plan,
    max_epsilon: float | None,
    journal: tuple[str, Mark] | None,
) -> Reservation:
    """Set the plan's budget aside."""
    return book.reserve(
        facts.name,
        plan.budget,
        events=[query.event(facts.unit.max_rows) for query in planned_keys(facts, plan)],
        sampled=any(step.name == TRAIN for step in plan.steps),
        max_epsilon=max_epsilon,
        note=plan.method,
        journal=journal,
    )


def _meter(kind: Callable[..., MeterKind], reservation: Reservation) -> MeterKind:
    """A meter that charges to a reservation."""
    return kind(
        reservation.budget,
        on_first_answer=reservation.mark_touched,
        on_sampling=reservation.mark_sampled,
        reservation=str(reservation.id),
    )


def appoint(
    kind: Callable[..., CuratorKind],
    records: Records,
    meter: Meter,
    schema: Schema,
    *,
    noise: Noise | None = None,
    watch: Watch = _unwatched,
) -> CuratorKind:
    """The curator of a release: who alone holds the rows.

    Args:
        kind: `Curator`; audits appoint others that also keep score.
        records: The private rows.
        meter: Where each access is charged.
        schema: Public facts.
        noise: Source of randomness.
        watch: Follows the run.
    """
    unit = schema.unit.max_rows
    return kind(records, meter, rows_per_unit=unit, noise=noise, checkpoint=watch)


def _method(name: str, schema: Schema, effort: Effort) -> tuple[Synthesizer, str]:
    """A method, and why if the choice is ours."""
    return best_for(schema, effort) if name == AUTO else (method_named(name), "")


def _workload(given: WorkloadLike | None, schema: Schema) -> Workload | None:
    columns = workload_columns(schema)
    if given is None:
        return None
    if isinstance(given, str | Path):
        return Workload.read(given, columns)
    return Workload.of(given.weights if isinstance(given, Workload) else given, columns)


def _public_source(prior: Any, schema: Schema) -> Source:
    """Where rows are that the user says are public: in a table, or in those of a model."""
    if schema.unknowns():
        raise InputError(
            "a prior needs a schema that declares all bounds and values.", "Declare them."
        )
    if isinstance(prior, str | Path) and Path(prior).suffix == MODEL_SUFFIX:
        prior = Model.load(prior)
    require_private(prior, "the prior")
    return open_source(prior.sample(seed=0) if isinstance(prior, Model) else prior)


def _public_rows(rows: Source, schema: Schema) -> Records:
    """Public rows, checked."""
    schema = present(schema, rows.schema.names)
    try:
        check_types(schema, rows.schema)
        records = Records(rows, schema)
        records.validate()
    except InputError as error:
        raise InputError(f"the prior does not fit: {error.what}", error.remedy) from None
    return records


def _public_facts(
    source: Any,
    rows: Source,
    schema: Schema | str | Path | None,
    *,
    name: str | None,
    table: str | None,
    discover: bool,
) -> Schema:
    """The schema, checked against the table's column names and types; no row is read."""
    if schema is None:
        if not discover:
            raise SchemaError(
                "no schema was given.",
                "Draft one with `tronie schema FILE`, or find bounds and categories privately "
                "with --discover.",
            )
        if name is None and not isinstance(source, str | Path):
            raise SchemaError(
                "the data set has no name, and the ledger adds up spending by name.",
                "Give `name`, or a schema.",
            )
        schema = draft(source, name=name, table=table)
    facts = schema if isinstance(schema, Schema) else Schema.read(schema)
    facts.require_supported()
    unknown = facts.unknowns()
    if unknown and not discover:
        raise SchemaError(
            f"the schema does not say the bounds or values of {', '.join(map(repr, unknown))}.",
            "Declare them, or let them be found privately with --discover.",
        )
    check_types(facts, rows.schema)
    return facts


def _certificate(fitted: Fitted, plan: Plan, meter: Meter, noise: Noise) -> Certificate:
    schema = fitted.prepared.schema
    return Certificate.issue(
        dataset=schema.name,
        method=plan.method,
        budget=meter.budget,
        unit=schema.unit,
        events=meter.events,
        public=[*schema.public_facts(), *_public_tables(plan)],
        noise=noise.label,
    )


def _model(rows: Source, fitted: Fitted, plan: Plan, statement: Statement) -> Model:
    schema = fitted.prepared.schema
    return Model(
        schema,
        _types(rows.schema, schema, texts_of(fitted.model)),
        fitted.prepared.codings,
        fitted.model,
        fitted.prepared.column_errors if plan.budget.dp else {},
        statement,
        plan.to_dict(),
        Measurements(fitted.measured, plan.sigma("total"), fitted.misfits),
    )


def _public_tables(plan: Plan) -> list[tuple[str, str]]:
    """That rows were said to be public, for the certificate."""
    settings = plan.settings
    found = [("prior", "rows that the user says are public")] if settings.prior else []
    if settings.other is not None:
        name = Path(str(settings.language.other)).name
        found.append(("other table", f"rows of {name}, which the user says are public"))
    return found


def _types(arrow: pa.Schema, schema: Schema, texts: Collection[str]) -> pa.Schema:
    """Names and types of the synthetic table; metadata stays behind, it may count private rows."""
    import pyarrow as pa

    columns = schema.columns
    return pa.schema(
        [
            pa.field(field.name, output_type(columns[field.name], field.type))
            for field in arrow
            if field.name in texts or not is_dropped(columns[field.name])
        ]
    )
