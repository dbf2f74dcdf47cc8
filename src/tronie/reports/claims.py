"""What is guaranteed about a synthetic table, from the certificate that came with it."""

from __future__ import annotations

import math

from tronie.privacy.accounting import spent
from tronie.privacy.certificate import Certificate
from tronie.privacy.disclaimer import MEANING, NOT_PRIVATE, Disclaimer
from tronie.privacy.gdp import advantage, tpr_at_fpr
from tronie.release.model import Model
from tronie.reports.given import Given
from tronie.reports.result import Claim, Spent
from tronie.schema.schema import PrivacyUnit
from tronie.tables.stamp import says_not_private

THIS_REPORT, TOGETHER = "this report", "table and report together"
"""What claims are about, besides tables."""

NOTHING = "nothing is claimed about this table"


def claim_of(given: Given) -> Claim:
    """What a certificate claims about a table, and whether it holds; without one, nothing.

    A table whose rows or model say that it is not private is not, whatever lies beside it.
    """
    table, certificate = given.name, given.certificate
    if isinstance(certificate, Disclaimer) or any(map(says_not_private, (given.rows, given.model))):
        words = f"NOT PRIVATE. {NOT_PRIVATE}"
        return Claim(table, words, meanings=(MEANING,), dp=False)
    if certificate is None:
        meaning = "No certificate came with it: tronie does not know how it was made."
        return Claim(table, NOTHING, meanings=(meaning,))
    claim = certificate.claim
    checked = certificate.verify()
    problems = checked.problems
    if given.model is not None and given.model.certificate != certificate:
        problems += ("The model beside it holds another certificate.",)
    return Claim(
        table,
        f"epsilon {claim.epsilon:g} at delta {claim.delta:g}",
        unit_in_words(certificate.unit),
        claim.epsilon,
        claim.delta,
        claim.mu,
        certificate.dataset,
        certificate.method,
        certificate.noise,
        not problems,
        problems,
        tuple(_meanings(claim.epsilon, claim.delta, claim.mu, certificate.unit)),
        certificate.not_covered,
        None if problems else True,
    )


def unit_in_words(unit: PrivacyUnit) -> str:
    """Whose presence is hidden."""
    if unit.kind == "id":
        return f"all rows, at most {unit.max_rows:,}, that share a value of {unit.id_column!r}"
    return "one row" if unit.max_rows == 1 else f"up to {unit.max_rows:,} rows of one person"


def budget_of(table: str, model: Model | None) -> tuple[Spent, ...]:
    """Where a model's budget went, from its plan; it had none if it is not private."""
    steps = model.plan["steps"] if model is not None and model.dp else ()
    return tuple(
        Spent(table, str(step["name"]), float(step["share"]), str(step.get("why", "")))
        for step in steps
    )


def claims_of_report(given: Given, own: Certificate) -> tuple[Claim, ...]:
    """What a report for release claims about itself; and, where both are known, with the table."""
    alone = claim_of(Given(THIS_REPORT, None, own))
    table = given.certificate
    if not isinstance(table, Certificate) or table.dataset != own.dataset:
        return (alone,)
    delta = max(table.claim.delta, own.claim.delta)
    both = spent([*table.events, *own.events], delta)
    words = f"epsilon {both.epsilon:.4g} at delta {delta:g}"
    return (alone, Claim(TOGETHER, words, unit_in_words(own.unit), both.epsilon, delta, both.mu))


def budget_of_report(own: Certificate) -> tuple[Spent, ...]:
    """Where a report's own budget went: each question's part of the squares of mu."""
    squares: dict[str, float] = {}
    for event in own.events:
        squares[event.query] = squares.get(event.query, 0.0) + event.mu**2
    total = math.fsum(squares.values()) or 1.0
    return tuple(Spent(THIS_REPORT, query, square / total) for query, square in squares.items())


def _meanings(epsilon: float, delta: float, mu: float | None, unit: PrivacyUnit) -> list[str]:
    odds = f"{math.exp(epsilon):.3g}" if epsilon < 700 else "more than 10^300"
    found = [
        (
            f"Adding or removing {unit_in_words(unit)} changes the odds of any outcome by at most a "
            f"factor of {odds}, except with a chance of {delta:g}."
        )
    ]
    if mu is not None:
        found.append(
            f"No test of whether somebody is in the table finds more than {tpr_at_fpr(mu, 0.01):.1%} of "
            f"those who are at 1% false alarms (advantage at most {advantage(mu):.1%})."
        )
    return found
