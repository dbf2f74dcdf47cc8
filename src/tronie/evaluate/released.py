"""Scores of a synthetic table that may be published: noised, and charged to the data set's ledger.

The private table is met through the curator only. What it is compared with is public: codes and
reference tables rest on the schema and on synthetic rows (`tronie.evaluate.references`). What is asked,
and how exact the answers are, is in `tronie.evaluate.asking`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from tronie.errors import InputError, SchemaError
from tronie.evaluate.asking import Answers, Asker, Size
from tronie.evaluate.expected import TwoSamples
from tronie.evaluate.headline import Headline, headline_of
from tronie.evaluate.references import BASELINE, OWN, Subject
from tronie.evaluate.score import Score
from tronie.measure.curator import Curator, Meter
from tronie.measure.noise import Noise, OperatingSystemNoise
from tronie.measure.records import Records
from tronie.privacy.budget import DEFAULT_DELTA, Budget
from tronie.privacy.certificate import Certificate
from tronie.privacy.ledger import Ledger
from tronie.release.model import Model
from tronie.release.report import ReleaseReport, describe
from tronie.release.settling import settle
from tronie.release.without_privacy import require_private
from tronie.schema.schema import Schema
from tronie.tables.compatibility import check_types
from tronie.tables.sources import open_source

DEFAULT_EPSILON = 0.1
"""Budget of a report that names none."""

METHOD = "report"
"""What certificates and the ledger call a release report."""

MOST_ROWS = 2**40
"""Largest number of rows that may be declared."""

NORMAL_95 = 1.96
"""Half the width of a 95 % interval, in standard deviations."""


@dataclass(frozen=True, slots=True)
class ReleasedEvaluation:
    """What is known of a synthetic table's worth, all of it public.

    Every score's `error` is the standard deviation of its noise, or an upper bound on it: the exact
    number is within 1.96 times that with probability 95 % or more. Noise may carry a number outside the
    range of exact ones.

    Attributes:
        name: What the synthetic table is called.
        rows: Number of its rows.
        size: The number of private rows, and how exactly it is known.
        headline: The one score.
        columns: Overlap of each column, worst first.
        pairs: Overlap of each pair of columns, worst first.
        whole: What is said of whole rows: how many are replayed, how many hold no unknown value.
        certificate: What the report cost, for anyone to recompute.
        release: What a model says about itself for nothing, if one was given.
    """

    name: str
    rows: int
    size: Size
    headline: Headline
    columns: tuple[Score, ...]
    pairs: tuple[Score, ...]
    whole: tuple[Score, ...]
    certificate: Certificate
    release: ReleaseReport | None = None

    @property
    def means(self) -> tuple[Score, ...]:
        """Mean overlap of columns, pairs and triples of columns."""
        return self.headline.parts

    @property
    def sentences(self) -> tuple[str, ...]:
        """Each number with its 95 % interval, in words."""
        score, claim = self.headline.score, self.certificate.claim
        numbers = (*self.means, *self.whole)
        return (
            f"Score: {score.value:.1f} ± {NORMAL_95 * score.error:.1f} of 100. {score.meaning}",
            *(f"{one.name.capitalize()}: {_percent(one)}. {one.meaning}" for one in numbers),
            f"Private rows: {self.size.rows:,.0f} ± {NORMAL_95 * self.size.sd:,.0f} ({self.size.origin}).",
            f"All together cost epsilon {claim.epsilon:g} at delta {claim.delta:g}.",
            "Each number is exact to within what follows ± with probability 95 %.",
        )

    def to_dict(self) -> dict[str, Any]:
        """Plain data, ready for JSON."""
        lists = {"columns": self.columns, "pairs": self.pairs, "whole": self.whole}
        return {
            "name": self.name,
            "rows": self.rows,
            "size": asdict(self.size),
            "headline": asdict(self.headline),
            **{name: [asdict(score) for score in scores] for name, scores in lists.items()},
            "sentences": list(self.sentences),
            "certificate": self.certificate.model_dump(mode="json"),
        }


def released_scores(
    synthetic: Any,
    real: Any,
    schema: Schema | Model | str | Path,
    *,
    epsilon: float = DEFAULT_EPSILON,
    delta: float = DEFAULT_DELTA,
    ledger: Ledger | str | Path | None = None,
    max_epsilon: float | None = None,
    rows: int | None = None,
    name: str = "synthetic",
    watch: Callable[[str], None] | None = None,
    noise: Noise | None = None,
) -> ReleasedEvaluation:
    """Score a synthetic table so that the scores may be published.

    Args:
        synthetic: The synthetic rows. They are taken to be public: released before, or made from
            public facts.
        real: The private table, as for `tronie.fit`.
        schema: What the columns are, nothing unknown, or the file that holds it; or the model that was
            fitted to this very table. A model also knows the number of rows, which saves budget.
        epsilon: Privacy budget of the report.
        delta: Probability of a worse loss than epsilon.
        ledger: Where the spending is written down; the user's own ledger when not given.
        max_epsilon: Refuse if this data set would have spent more than this over all releases.
        rows: Exact number of private rows, if you know it and may say it. If it is off by some part,
            total variations are off by up to half that part, which the stated errors do not know.
        name: What the synthetic table is called.
        watch: Told what is read next; may raise `Cancelled`.
        noise: A fake source of noise, for tests; the certificate says so.

    Raises:
        InputError: If something is wrong with what was given, the synthetic rows were made without
            privacy, or the score would be too inexact for the number of rows that is known; nothing
            was spent.
        BudgetExceeded: If the ledger's cap forbids the report; nothing was spent.
        TooInexact: If a first look at the number of rows shows that the score would be too inexact.
            That look, about an eighth of epsilon, was spent.
    """
    for thing in (synthetic, schema):
        require_private(thing, "the synthetic table")
    model = schema if isinstance(schema, Model) else None
    facts = _facts(schema)
    compared = facts.model_copy(update={"columns": facts.lattices, "constraints": ()})
    source = open_source(real)
    check_types(compared, _part_of(source.schema, compared.columns))
    budget = Budget(epsilon, delta)
    known = _known_size(rows, model)
    subject = Subject.read(synthetic, compared)
    asker = Asker(subject, budget, facts.unit.max_rows)
    if known is not None:
        asker.require_exact(known)
    noise = noise or OperatingSystemNoise()
    book = ledger if isinstance(ledger, Ledger) else Ledger(ledger)
    reservation = book.reserve(facts.name, budget, max_epsilon=max_epsilon, note=METHOD)
    meter = Meter(budget, on_first_answer=reservation.mark_touched)
    curator = Curator(
        Records(source, compared),
        meter,
        rows_per_unit=facts.unit.max_rows,
        noise=noise,
        checkpoint=watch or (lambda stage: None),
    )
    answers = settle(reservation, meter, lambda: asker.ask(curator, known))
    certificate = Certificate.issue(
        dataset=facts.name,
        method=METHOD,
        budget=budget,
        unit=facts.unit,
        events=meter.events,
        public=[*facts.public_facts(), *_said(answers.noise.size)],
        noise=noise.label,
    )
    return ReleasedEvaluation(
        name,
        subject.rows,
        answers.noise.size,
        _headline(subject, answers),
        _singles(subject, answers, "columns"),
        _singles(subject, answers, "pairs") if "pairs" in subject.parts else (),
        _whole(subject, answers),
        certificate,
        None if model is None else describe(model),
    )


def _facts(schema: Schema | Model | str | Path) -> Schema:
    """The schema, nothing unknown."""
    if isinstance(schema, Model):
        facts = schema.schema
    else:
        facts = schema if isinstance(schema, Schema) else Schema.read(schema)
    facts.require_supported()
    if unknown := facts.unknowns():
        raise SchemaError(
            f"the schema does not say the bounds or values of {', '.join(map(repr, unknown))}.",
            "Declare them, or give the model of the release, which found them privately.",
        )
    return facts


def _part_of(arrow: pa.Schema, columns: Iterable[str]) -> pa.Schema:
    wanted = set(columns)
    return pa.schema([field for field in arrow if field.name in wanted])


def _known_size(rows: int | None, model: Model | None) -> Size | None:
    """The number of private rows, if it is public."""
    if rows is not None:
        if not 1 <= rows <= MOST_ROWS:
            raise InputError(f"the number of rows is {rows:,}.", "Give a positive number.")
        return Size(rows, 0.0, "as declared")
    if model is None:
        return None
    return _released_size(model)


def _released_size(model: Model) -> Size | None:
    """A model's own number of rows: the inverse-variance mean of a count and of its columns' sums."""
    basis = model.measurements
    if not basis.total_sd:
        return None
    sums: dict[str, float] = {}
    for marginal in basis.marginals:
        if len(marginal.clique) == 1:
            variance = float((marginal.sd**2).sum())
            sums[marginal.clique[0]] = max(variance, sums.get(marginal.clique[0], 0.0))
    precision = basis.total_sd**-2 + math.fsum(1 / variance for variance in sums.values())
    return Size(max(model.field.total, 1.0), precision**-0.5, "as released with the model")


def _said(size: Size) -> list[tuple[str, str]]:
    """What a certificate says was taken for public."""
    facts = [("synthetic rows", "public: released before, or made from public facts")]
    if not size.sd:
        facts.append(("number of rows", f"declared: {size.rows:,.0f}"))
    return facts


def _headline(subject: Subject, answers: Answers) -> Headline:
    means = answers.means(subject)
    errors = {part: answers.noise.mean((part, OWN)) for part in subject.parts}
    return headline_of(means, {**errors, "total": answers.noise.score(means)})


def _singles(subject: Subject, answers: Answers, part: str) -> tuple[Score, ...]:
    """The overlap of each column or pair, worst first."""
    chance = TwoSamples(subject.rows, max(round(answers.noise.size.rows), 1))
    floors = answers.variations[part, BASELINE]
    error = answers.noise.single((part, OWN))
    what = "this column's" if part == "columns" else "these columns' common"
    scores = [
        Score(
            ", ".join(clique),
            1 - far,
            1 - floors[clique],
            1 - chance.expected(subject.groups[part, OWN].tables[clique]),
            f"{_share(1 - far)} of the rows agree in {what} distribution.",
            error,
        )
        for clique, far in answers.variations[part, OWN].items()
    ]
    return tuple(sorted(scores, key=lambda score: score.value - score.ceiling))


def _whole(subject: Subject, answers: Answers) -> tuple[Score, ...]:
    """What is said of whole rows."""
    met, strangers = (float(number) for number in answers.whole)
    points = np.stack(list(subject.points.indices.values()), axis=1)
    distinct = len(np.unique(points, axis=0))
    size, sigma = answers.noise.size, answers.whole_sigma
    replayed, lost = met / distinct, strangers / size.rows
    return (
        Score(
            "replayed rows",
            replayed,
            0.0,
            1.0,
            f"About {_share(replayed)} of the different synthetic rows equal a real one in all columns. "
            "Where few combinations are possible, that is so by chance; it says nothing against the "
            "guarantee.",
            sigma / distinct,
        ),
        Score(
            "covered rows",
            1 - lost,
            0.0,
            1.0,
            f"About {_share(1 - lost)} of the real rows hold only categories that some synthetic row "
            "holds as well.",
            math.hypot(sigma, lost * size.sd) / size.rows,
        ),
    )


def _share(part: float) -> str:
    return f"{100 * min(max(part, 0.0), 1.0):.1f} %"


def _percent(score: Score) -> str:
    return f"{100 * score.value:.2f} % ± {100 * NORMAL_95 * score.error:.2f}"
