"""Reports are made here: an internal one from real rows, or one for release at a price."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tronie.audit.result import Audit
from tronie.errors import InputError
from tronie.measure.noise import Noise
from tronie.models.lm.lessons import Lessons
from tronie.models.lm.lm_field import LanguageField
from tronie.privacy.budget import DEFAULT_DELTA
from tronie.privacy.ledger import Ledger
from tronie.release.fit import Watch
from tronie.release.without_privacy import require_private
from tronie.reports.claims import budget_of, budget_of_report, claim_of, claims_of_report
from tronie.reports.given import Given, read_given
from tronie.reports.methods import RELEASED, methods_of
from tronie.reports.profiles import profiles
from tronie.reports.result import Method, Report
from tronie.schema.schema import Schema

if TYPE_CHECKING:
    from tronie.evaluate.evaluation import Evaluation
    from tronie.evaluate.tables import Tables

UNTRAINED = (
    "Nothing was trained, since scikit-learn is not installed: there is no classifier two-sample test, "
    "and no train-on-synthetic-test-on-real. Install tronie[evaluate] to get them."
)
NOT_ASKED = (
    "Nothing was trained, as was asked for: there is no classifier two-sample test, and no "
    "train-on-synthetic-test-on-real."
)


def report(
    synthetic: Any,
    *,
    real: Any,
    schema: Schema | str | Path | None = None,
    holdout: Any | None = None,
    names: Sequence[str] | None = None,
    learn: bool = True,
    target: str | None = None,
    audits: Sequence[Audit] = (),
    title: str | None = None,
    watch: Watch | None = None,
) -> Report:
    """Say what synthetic tables are worth, beside the real one. INTERNAL: not for publication.

    Args:
        synthetic: One synthetic table, or several in a list or a mapping of names: each a table as for
            `tronie.fit`, a release or its folder, or a model or its file. The first is the report's
            subject; the others stand beside it.
        real: The private table.
        schema: What the columns are. When not given it is that of the first model; without one it is
            worked out from the tables.
        holdout: Real rows that no synthetic table was made from.
        names: What to call the synthetic tables.
        learn: Whether to train classifiers; without scikit-learn the report says what it lacks.
        target: A column to predict from the others.
        audits: What attacks found.
        title: Title of the report.
        watch: Called with the name of each stage.

    Raises:
        InputError: If there is no synthetic table or there are too many, or one has no rows.
        SchemaMismatch: If a table does not fit the schema.
    """
    from tronie.evaluate.evaluation import evaluate
    from tronie.evaluate.tables import read_tables

    watch = watch or _unwatched
    watch("reading the tables")
    given = read_given(synthetic, names)
    known = _schema(schema, given, real, holdout)
    tables = read_tables(real, {each.name: each.rows for each in given}, known, holdout)
    training, omitted = _training(learn)
    found = evaluate(tables, learn=training, target=target, watch=watch)
    found, unlikely = _with_likelihood(tables, found, given)
    return Report(
        "internal",
        title or f"{known.name}: what the synthetic rows are worth",
        _today(),
        tuple(claim_of(each) for each in given),
        found,
        audits=tuple(audits),
        budget=tuple(step for each in given for step in budget_of(each.name, each.model)),
        methods=methods_of(found),
        omitted=(*omitted, *unlikely, *_skipped(found)),
        profiles=profiles(tables),
        lessons=_lessons(given),
    )


def release_report(
    synthetic: Any,
    *,
    real: Any,
    schema: Schema | str | Path | None = None,
    epsilon: float,
    delta: float = DEFAULT_DELTA,
    ledger: Ledger | str | Path | None = None,
    max_epsilon: float | None = None,
    rows: int | None = None,
    name: str | None = None,
    audits: Sequence[Audit] = (),
    title: str | None = None,
    watch: Watch | None = None,
    noise: Noise | None = None,
) -> Report:
    """Say what a synthetic table is worth in numbers that may be published, at a price.

    Every number about the real rows is noised and charged to the data set's ledger.

    Args:
        synthetic: One synthetic table: a table as for `tronie.fit`, a release or its folder, or a model
            or its file.
        real: The private table.
        schema: What the columns are, if the table came without a model.
        epsilon: Privacy budget of the report.
        delta: Probability of a worse loss than epsilon.
        ledger: Where the spending is written down; the user's own ledger when not given.
        max_epsilon: Refuse if the data set would have spent more than this over all releases.
        rows: Exact number of private rows, if you know and may say it.
        name: What to call the synthetic table.
        audits: What attacks found; of audits that read no real row, as all of this may be published.
        title: Title of the report.
        watch: Called with the name of each stage.
        noise: A fake source of noise, for tests; the certificate says so.

    Raises:
        InputError: If there is not exactly one synthetic table, it was made without privacy, no schema is
            known, or the score would be too inexact for the number of rows; nothing was spent.
        BudgetExceeded: If the ledger's cap forbids the report; nothing was spent.
        TooInexact: If a first look at the number of rows shows that the score would be too inexact.
    """
    from tronie.evaluate.released import released_scores

    given = read_given(synthetic, None if name is None else (name,))
    if len(given) != 1:
        raise InputError(
            f"a report for release is about one synthetic table, not {len(given)}.",
            "Make a report of each; each has its price.",
        )
    (subject,) = given
    for thing in (subject.certificate, subject.model):
        require_private(thing, "the synthetic table")
    known = schema if subject.model is None else subject.model
    if known is None:
        raise InputError(
            "a report for release needs to know what the columns are.",
            "Give the schema, or the release folder that the table came in.",
        )
    found = released_scores(
        subject.rows,
        real,
        known,
        epsilon=epsilon,
        delta=delta,
        ledger=ledger,
        max_epsilon=max_epsilon,
        rows=rows,
        name=subject.name,
        watch=watch,
        noise=noise,
    )
    dataset = found.certificate.dataset
    return Report(
        "release",
        title or f"{dataset}: what the synthetic rows are worth",
        _today(),
        (claim_of(subject), *claims_of_report(subject, found.certificate)),
        released=found,
        audits=tuple(audits),
        budget=(*budget_of(subject.name, subject.model), *budget_of_report(found.certificate)),
        methods=(Method("Score", found.headline.method), *RELEASED),
        lessons=_lessons(given),
    )


def _schema(
    schema: Schema | str | Path | None, given: Sequence[Given], real: Any, holdout: Any | None
) -> Schema:
    if isinstance(schema, Schema):
        return schema
    if schema is not None:
        return Schema.read(schema)
    model = next((each.model for each in given if each.model is not None), None)
    if model is not None:
        return model.schema
    from tronie.evaluate.schemas import schema_of

    others = [each.rows for each in given]
    return schema_of(real, others if holdout is None else [*others, holdout])


def _training(learn: bool) -> tuple[bool, tuple[str, ...]]:
    """Whether anything is trained; and if not, why."""
    if not learn:
        return False, (NOT_ASKED,)
    from tronie.evaluate import learners

    try:
        learners.require()
    except InputError:
        return False, (UNTRAINED,)
    return True, ()


def _with_likelihood(
    tables: Tables, found: tuple[Evaluation, ...], given: Sequence[Given]
) -> tuple[tuple[Evaluation, ...], tuple[str, ...]]:
    """The likelihood of real rows, for tables that came with a model which knows it."""
    from tronie.evaluate.likelihood import likelihood

    complete: list[Evaluation] = []
    omitted: list[str] = []
    for evaluation, each in zip(found, given, strict=True):
        if each.model is not None:
            try:
                evaluation = replace(evaluation, likelihood=likelihood(tables, each.model))
            except InputError as error:
                omitted.append(f"No likelihood of real rows under {each.name}: {error.what}")
        complete.append(evaluation)
    return tuple(complete), tuple(omitted)


def _lessons(given: Sequence[Given]) -> dict[str, Lessons]:
    """What language models' files say of their stages."""
    fields = {each.name: each.model.field for each in given if each.model is not None}
    return {
        name: field.lessons
        for name, field in fields.items()
        if isinstance(field, LanguageField) and field.lessons is not None
    }


def _skipped(found: Sequence[Evaluation]) -> tuple[str, ...]:
    """What the evaluations left out, each reason once."""
    reasons = [reason for evaluation in found for reason in evaluation.skipped]
    return tuple(dict.fromkeys(reasons))


def _today() -> str:
    return dt.datetime.now(dt.UTC).date().isoformat()


def _unwatched(stage: str) -> None:
    """Nobody is told."""
