"""Which sections a report has, in which order."""

from __future__ import annotations

from tronie.reports import distances, proof, relations, scoring, uses
from tronie.reports.outline import Section
from tronie.reports.released import released_sections
from tronie.reports.result import Report


def contents(report: Report) -> tuple[Section, ...]:
    """The sections: what is claimed first, how the numbers are made last."""
    lessons = uses.lessons(report)
    return (
        proof.claims(report),
        *_evidence(report),
        *([lessons] if lessons is not None else []),
        proof.audits(report),
        proof.budget(report),
        proof.methods(report),
    )


def _evidence(report: Report) -> list[Section]:
    if report.released is not None:
        return [*released_sections(report.released)]
    if not report.evaluations:
        return []
    likelihood = uses.likelihood(report)
    return [
        scoring.score(report),
        distances.worst(report),
        distances.distributions(report),
        relations.associations(report),
        relations.structure(report),
        uses.use(report),
        *([likelihood] if likelihood is not None else []),
        uses.gretel(report),
    ]
