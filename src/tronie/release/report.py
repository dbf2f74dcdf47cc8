"""What a release is and is worth, from public numbers only: for the terminal and for a file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from tronie.models.lm.lessons import DECISION, Lessons
from tronie.models.lm.lm_field import LanguageField
from tronie.privacy.accounting import samples
from tronie.privacy.attack import BestAttack, best_attack
from tronie.privacy.certificate import Certificate
from tronie.privacy.disclaimer import MEANING, NOT_PRIVATE, Disclaimer
from tronie.privacy.gdp import advantage, tpr_at_fpr
from tronie.release.model import Model


@dataclass(frozen=True, slots=True)
class Line:
    """One fact of a report.

    Attributes:
        name: What it is, in a few words.
        value: The fact.
        meaning: One sentence that a non-statistician understands.
    """

    name: str
    value: str
    meaning: str


@dataclass(frozen=True, slots=True)
class ReleaseReport:
    """What can be said about a release without looking at private rows again.

    Attributes:
        title: What was released.
        claim: The guarantee.
        worth: How good the rows are expected to be.
        budget: Where the budget went: step -> its part.
        banner: What must be said first, if it is not private.
    """

    title: str
    claim: tuple[Line, ...]
    worth: tuple[Line, ...]
    budget: Mapping[str, float]
    banner: str = ""

    def text(self) -> str:
        """The report as plain text."""
        lines = [f"NOT PRIVATE: {self.banner}", ""] if self.banner else []
        lines += [self.title, "=" * len(self.title), ""]
        for heading, facts in (
            ("What is guaranteed", self.claim),
            ("What it is worth", self.worth),
        ):
            lines += [heading, "-" * len(heading)]
            for fact in facts:
                lines += [f"{fact.name}: {fact.value}", f"    {fact.meaning}"]
            lines.append("")
        if self.budget:
            lines += ["Where the budget went", "---------------------"]
        lines += [f"{name:<10} {share:6.1%}" for name, share in self.budget.items()]
        return "\n".join(lines) + "\n"


def describe(model: Model) -> ReleaseReport:
    """Describe a fitted model from its certificate and its released numbers.

    Everything here is public: it may be published with the rows. That of a model that is not private is
    not, and says so.
    """
    certificate = model.certificate
    title = f"{certificate.dataset}: synthetic rows by {certificate.method}"
    if isinstance(certificate, Disclaimer) or not model.dp:
        nothing = Line("guarantee", "none", MEANING)
        return ReleaseReport(title, (nothing,), tuple(_worth(model)), {}, NOT_PRIVATE)
    shares = {step["name"]: step["share"] for step in model.plan["steps"]}
    return ReleaseReport(title, tuple(_claim(model, certificate)), tuple(_worth(model)), shares)


def _claim(model: Model, certificate: Certificate) -> list[Line]:
    claim = certificate.claim
    rows = model.schema.unit.max_rows
    unit = "one row" if rows == 1 else f"the up to {rows} rows of one person"
    facts = [
        Line(
            "epsilon, delta",
            f"{claim.epsilon:g}, {claim.delta:g}",
            f"Adding or removing {unit} changes the odds of any outcome by at most a factor of "
            f"{np.exp(claim.epsilon):.3g}, except with a chance of {claim.delta:g}.",
        ),
    ]
    if (attack := _attack(certificate)) is not None:
        facts.append(
            Line(
                "best attack",
                f"{attack.tpr:.1%} at 1% false alarms (advantage {attack.advantage:.1%})",
                "No test of whether somebody is in the table can find a larger part of those who "
                "are, if it may be wrong about one in a hundred of those who are not.",
            )
        )
    facts.append(
        Line("noise", certificate.noise, "Anything but the operating system's is for tests.")
    )
    return facts


def _attack(certificate: Certificate) -> BestAttack | None:
    """The best attack on the claim, or on the accesses where no mu is claimed for sampling them."""
    mu = certificate.claim.mu
    if mu is not None:
        return BestAttack(0.01, tpr_at_fpr(mu, 0.01), advantage(mu))
    return best_attack(certificate.events) if samples(certificate.events) else None


def _worth(model: Model) -> list[Line]:
    errors = model.column_errors
    fit = model.field.convergence
    facts = [
        Line(
            "rows",
            f"about {model.rows:,}" if model.dp else f"{model.rows:,}",
            "The exact number is private; this is the released estimate."
            if model.dp
            else "As many as the private table has.",
        ),
        Line(
            "columns",
            f"{len(model.types.names)} written, {len(model.dropped)} left out"
            + (f" ({', '.join(model.dropped)})" if model.dropped else ""),
            "Free text that no language model wrote, and identifiers without a pattern, are left out.",
        ),
    ]
    if errors:
        worst = max(errors, key=lambda name: errors[name])
        facts.append(
            Line(
                "noise in single columns",
                f"{sum(errors.values()) / len(errors):.2%} on average, "
                f"{errors[worst]:.2%} in {worst}",
                "About this part of the rows would have to change their value for a column's "
                "distribution to be exactly right.",
            )
        )
    if fit is not None:
        units = "noise sds" if model.dp else "half rows"
        facts.append(
            Line(
                "fit",
                f"{'converged' if fit.converged else 'NOT converged'} (rms {fit.rms:.3f} {units})",
                "How far the model is from the best fit to the noisy numbers, in units of their "
                "noise."
                if model.dp
                else "How far the model is from the best fit to the counts, in units of half a row.",
            )
        )
    if isinstance(model.field, LanguageField) and model.field.lessons is not None:
        facts.append(_learned(model.field.lessons))
    return facts


def _learned(lessons: Lessons) -> Line:
    """How well a language model foretold rows, stage by stage."""
    told = {stage: found[DECISION] for stage, found in lessons.stages.items() if DECISION in found}
    return Line(
        "perplexity of decisions",
        ", ".join(f"{value:.2f} ({stage})" for stage, value in told.items()),
        "As many equally likely ways to go on would be as hard to foretell, at each stage of learning. "
        f"Measured on {lessons.rows:,} rows of {lessons.origin}, drawn anew.",
    )
