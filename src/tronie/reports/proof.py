"""The sections about what is promised: claims, audits, budget; and how the numbers are made."""

from __future__ import annotations

from itertools import groupby
from math import isfinite

from tronie.audit.result import Audit
from tronie.reports.audits import detail_tables
from tronie.reports.numbers import NONE, count, number, share
from tronie.reports.outline import Block, Cell, Fact, Facts, Section, Table, Tone, left, right, row
from tronie.reports.result import Claim, Report

UNTRIED = (
    "No attack was tried. The command `tronie audit` tests whether the guarantee holds in practice."
)

TONES: dict[str, Tone] = {"violation": "alarm", "consistent": "", "inconclusive": "quiet"}
"""Verdict of an audit -> how much it should stand out."""


def claims(report: Report) -> Section:
    """What is guaranteed, about which unit."""
    tables = report.tables
    blocks = [
        Facts(
            claim.table,
            tuple(_facts(claim)),
            tables.index(claim.table) if claim.table in tables else None,
        )
        for claim in report.claims
    ]
    uncovered = next((claim.not_covered for claim in report.claims if claim.not_covered), ())
    title = "Not covered by any certificate" if uncovered else ""
    return Section("claims", "What is claimed", (), tuple(blocks), uncovered, title)


def _facts(claim: Claim) -> list[Fact]:
    tone: Tone = "alarm" if claim.dp is False else ""
    facts = [Fact("guarantee", claim.guarantee, " ".join(claim.meanings), tone)]
    if claim.epsilon is None:
        return facts
    facts.append(Fact("hidden", f"the presence of {claim.unit}"))
    if claim.dataset:
        facts.append(Fact("made from", f"{claim.dataset}, by {claim.method}"))
        insecure = claim.noise == "INSECURE"
        facts.append(Fact("noise", claim.noise, tone="alarm" if insecure else ""))
    if claim.verified is not None:
        facts.append(
            Fact("certificate", "holds", "Recomputed from its list of accesses to private rows.")
            if claim.verified
            else Fact("certificate", "DOES NOT HOLD", " ".join(claim.problems), "alarm")
        )
    return facts


def audits(report: Report) -> Section:
    """What attacks found."""
    if not report.audits:
        return Section("audits", "Audits", (UNTRIED,))
    scale = max(
        (v for a in report.audits for v in (a.lower, a.power, a.epsilon or 0.0) if isfinite(v)),
        default=0.0,
    )
    rows = [
        row(
            audit.name,
            Cell(audit.verdict, tone=TONES[audit.verdict]),
            NONE if audit.epsilon is None else f"{audit.epsilon:g}",
            _bound(audit, scale),
            number(audit.power),
            count(audit.runs),
            share(audit.confidence),
        )
        for audit in report.audits
    ]
    heads = (
        *left("attack", "verdict"),
        *right("epsilon claimed", "shown at least", "could have shown", "runs", "confidence"),
    )
    table = Table("Attacks", heads, tuple(rows), "The mark on each bar is the claim.")
    blocks: list[Block] = [table]
    for audit in report.audits:
        blocks += [_audit(audit), *detail_tables(audit)]
    lead = (
        "Each attack shows a lower bound of epsilon. Above the claim it is a violation. A bound below it "
        "proves nothing about a better attack: read it beside the largest bound that so many runs "
        "could have shown."
    )
    return Section("audits", "Audits", (lead,), tuple(blocks))


def _bound(audit: Audit, scale: float) -> Cell:
    """What was shown, on a bar on which the claim is marked."""
    if not scale or not isfinite(audit.lower):
        return Cell(number(audit.lower))
    mark = None if audit.epsilon is None else audit.epsilon / scale
    return Cell(number(audit.lower), audit.lower / scale, mark)


def _audit(audit: Audit) -> Facts:
    facts = (
        Fact("finding", audit.finding),
        Fact("attacker", audit.threat_model),
        Fact("neighbours", audit.relation),
    )
    return Facts(audit.name, facts)


def budget(report: Report) -> Section:
    """Where the budgets went."""
    if not report.budget:
        lead = "No budget was spent that this report knows of."
        return Section("budget", "Budget", (lead,))
    places = {claim.table: n for n, claim in enumerate(report.claims)}
    blocks = [
        Table(
            f"Where the budget went: {name}",
            (*left("step"), *right("share"), *left("what for")),
            tuple(
                row(
                    step.step,
                    Cell(share(step.part), step.part, series=places.get(name, 0)),
                    step.why,
                )
                for step in steps
            ),
        )
        for name, steps in groupby(report.budget, lambda step: step.table)
    ]
    return Section("budget", "Budget", (), tuple(blocks))


def methods(report: Report) -> Section:
    """How each number is made, and what was left out."""
    made = Facts("How each number is made", tuple(Fact(m.name, "", m.text) for m in report.methods))
    title = "What was left out" if report.omitted else ""
    return Section("methods", "Methods", (), (made,), report.omitted, title)
