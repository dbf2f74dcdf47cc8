"""What one release can prove about itself.

A certificate lists every access to private rows with its noise, so that anyone can forget the claim
and add the costs up again. It is neither signed nor a proof that the listed events are what
happened; its digest finds accidental edits only.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, Self, TypeAlias

from pydantic import Field

from tronie.errors import BudgetError, BudgetExceeded
from tronie.privacy.accounting import Accountant, samples, spent, total_mu
from tronie.privacy.attack import best_attack
from tronie.privacy.budget import Budget
from tronie.privacy.certificate_json import require_certificate
from tronie.privacy.events import Event, Threshold
from tronie.privacy.gdp import advantage, tpr_at_fpr
from tronie.privacy.sealed import Part, Sealed, read_document, versions
from tronie.schema.schema import PrivacyUnit

FORMAT = 1
"""Format of certificates that this version writes and reads."""

NoiseLabel: TypeAlias = Literal["operating system entropy, discrete", "INSECURE"]

NOT_COVERED = (
    "Side channels: duration, memory use, errors and logs of the run, seen by whoever ran it.",
    "Other releases about the same units; a ledger adds up those that it knows of.",
    "Groups: for k units together mu is k times as large.",
    "Inference from the population: what holds for people in general holds for people in the table.",
    "The truth of what was declared public, and of the promised number of rows of a unit.",
    "Whether the listed events are all that happened: that rests on the program and its operator.",
)
"""What no certificate of differential privacy can say."""

# Composition by PLD is numerical: another machine's Fourier transform may differ a little.
_TOLERANCE: dict[Accountant, float] = {"GDP": 1e-9, "RDP": 1e-9, "PLD": 1e-5}


class Claim(Part):
    """The guarantee.

    Attributes:
        epsilon: For adding or removing one unit, at `delta`.
        delta: Chance of a worse loss than epsilon.
        mu: The release is mu-GDP; None where thresholds make that true only up to their delta, or
            where events sample units, so that only a useless mu is true.
        accountant: The composition that was needed: Gaussian DP, Renyi DP or privacy loss
            distributions.
    """

    epsilon: float = Field(gt=0, allow_inf_nan=False)
    delta: float = Field(gt=0, lt=1)
    mu: float | None = Field(default=None, ge=0, allow_inf_nan=False)
    accountant: Accountant


class PublicFact(Part):
    """A fact that was declared public rather than paid for.

    Attributes:
        item: What it is about.
        how: What was declared.
    """

    item: str
    how: str


@dataclass(frozen=True, slots=True)
class Verification:
    """What recomputing a certificate showed.

    Attributes:
        ok: Whether there are no problems.
        epsilon_claimed: Epsilon as the certificate states it.
        epsilon_recomputed: Epsilon of its events alone, at the same delta.
        mu_recomputed: GDP parameter of its events alone, up to thresholds' delta; without what
            sampling saves.
        problems: What is wrong, in sentences.
    """

    ok: bool
    epsilon_claimed: float
    epsilon_recomputed: float
    mu_recomputed: float
    problems: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """Plain data, ready for JSON; an infinite epsilon or mu becomes None."""
        return {name: _finite(value) for name, value in asdict(self).items()}


class Certificate(Sealed):
    """What one release can prove about itself.

    Attributes:
        format: Version of this layout.
        dataset: Declared name of the data set.
        method: Name of the method that made the release.
        unit: Whose presence is hidden.
        relation: How neighbouring tables differ.
        claim: The guarantee.
        events: Every access to private rows.
        public: What was declared public rather than paid for.
        noise: Source of randomness; `INSECURE` means that nothing is guaranteed.
        not_covered: What the guarantee does not say.
        versions: Versions of the software that made the release.
        digest: SHA-256 of all the above, against accidental edits.
    """

    format: Literal[1] = FORMAT
    dataset: str = Field(min_length=1)
    method: str = Field(min_length=1)
    unit: PrivacyUnit
    relation: Literal["add/remove"] = "add/remove"
    claim: Claim
    events: tuple[Event, ...]
    public: tuple[PublicFact, ...]
    noise: NoiseLabel
    not_covered: tuple[str, ...] = NOT_COVERED
    versions: dict[str, str]
    digest: str = ""

    @classmethod
    def issue(
        cls,
        *,
        dataset: str,
        method: str,
        budget: Budget,
        unit: PrivacyUnit,
        events: Sequence[Event],
        public: Iterable[tuple[str, str]],
        noise: NoiseLabel,
    ) -> Self:
        """Certify a release that has ended.

        Args:
            dataset: Declared name of the data set.
            method: Name of the method.
            budget: The limit that the release was held to; it becomes the claim.
            unit: Whose presence is hidden.
            events: Every access to private rows.
            public: What was declared public: item, and what was declared.
            noise: Label of the source of randomness.

        Guarantee:
            The claim is never below what the events cost. It is the limit fixed beforehand, not the
            smaller sum of a run that happened to stop early, since when to stop may have depended
            on the data.

        Raises:
            BudgetError: If the run had no budget, that is, no privacy.
            BudgetExceeded: If the events cost more than the budget.
        """
        if not budget.dp:
            raise BudgetError("a run without privacy gets no certificate.", "Give it a budget.")
        certificate = cls(
            dataset=dataset,
            method=method,
            unit=unit,
            claim=_claim(budget, events),
            events=tuple(events),
            public=tuple(PublicFact(item=item, how=how) for item, how in public),
            noise=noise,
            versions=versions(),
        )
        return certificate.sealed()

    def verify(self) -> Verification:
        """Forget the claim, add up the events, and compare.

        Guarantee:
            `ok` only if the events, as listed, give at most the claimed epsilon and mu.

        Edge cases:
            A certificate without events proves any claim. What cannot be read at all is refused
            earlier, by `from_json`.
        """
        found = spent(self.events, self.claim.delta)
        problems = (
            *self._accounting_problems(found.epsilon, found.mu, _TOLERANCE[found.accountant]),
            *_threshold_problems(self.events),
        )
        if self.noise == "INSECURE":
            problems += ("The noise came from a test source: nothing is guaranteed.",)
        if self.digest != self.digest_now():
            problems += ("The digest does not match: the certificate was changed after its issue.",)
        return Verification(
            not problems, self.claim.epsilon, found.epsilon, found.mu, tuple(problems)
        )

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Read a certificate from JSON; call `verify` before believing it.

        Raises:
            BundleError: If it is no certificate, has another format, lacks a field, has an unknown
                or repeated one, or an event's parameter is out of range.
        """
        require_certificate(text, FORMAT)
        return cls.parse(text)

    @classmethod
    def read(cls, path: str | Path) -> Self:
        """Read a certificate from a JSON file; call `verify` before believing it.

        Raises:
            BundleError: If the file cannot be read, or for the reasons of `from_json`.
        """
        return cls.from_json(read_document(path))

    def to_text(self) -> str:
        """The certificate in words, for people to read."""
        claim = self.claim
        lines = [
            f"Certificate of differential privacy for {self.dataset!r}, method {self.method}",
            f"  hidden      the presence of {_unit(self.unit)}",
            f"  guarantee   epsilon {claim.epsilon:g}, delta {claim.delta:g} ({claim.accountant})",
            *_attack(claim.mu, self.events),
            f"  noise       {self.noise}",
            f"  events      {len(self.events)} accesses to private rows",
            "Declared public, not paid for:",
            *(f"  - {fact.item}: {fact.how}" for fact in self.public),
            "Not covered:",
            *(f"  - {sentence}" for sentence in self.not_covered),
        ]
        return "\n".join(lines) + "\n"

    def _accounting_problems(self, epsilon: float, mu: float, tolerance: float) -> tuple[str, ...]:
        problems: list[str] = []
        if epsilon > self.claim.epsilon * (1.0 + tolerance):
            problems.append(
                f"The events cost epsilon {epsilon:.6g} at delta {self.claim.delta:g}, "
                f"more than the claimed {self.claim.epsilon:.6g}."
            )
        if self.claim.mu is not None:
            if mu > self.claim.mu * (1.0 + tolerance):
                problems.append(f"The events cost mu {mu:.6g}, more than {self.claim.mu:.6g}.")
            if _thresholds(self.events):
                problems.append("A mu is claimed although thresholds spend a delta besides.")
        return tuple(problems)


def _claim(budget: Budget, events: Sequence[Event]) -> Claim:
    found = spent(events, budget.delta)
    if found.epsilon > budget.epsilon * (1.0 + _TOLERANCE["GDP"]):
        raise BudgetExceeded(
            f"the events cost epsilon {found.epsilon:.6g} at delta {budget.delta:g}, more than the "
            f"budget of {budget.epsilon:g}.",
            "No certificate was issued; please report this as a fault.",
        )
    return Claim(
        epsilon=max(budget.epsilon, found.epsilon),
        delta=budget.delta,
        mu=None if _thresholds(events) or samples(events) else max(budget.mu, total_mu(events)),
        accountant=found.accountant,
    )


def _thresholds(events: Sequence[Event]) -> bool:
    return any(event.delta for event in events)


def _threshold_problems(events: Sequence[Event]) -> tuple[str, ...]:
    """Thresholds that a single unit's keys pass more often than their delta says."""
    return tuple(
        f"Event {number} ({event.query!r}) has a delta of {event.delta:g}, but its threshold needs "
        f"at least {event.least_delta:.3g}."
        for number, event in enumerate(events)
        if isinstance(event, Threshold) and event.delta < event.least_delta
    )


def _finite(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _unit(unit: PrivacyUnit) -> str:
    if unit.kind == "id":
        return f"all rows, at most {unit.max_rows}, that share a value of {unit.id_column!r}"
    return "one row" if unit.max_rows == 1 else f"up to {unit.max_rows} rows of one person"


def _attack(mu: float | None, events: Sequence[Event]) -> list[str]:
    if mu is None and not samples(events):
        return []
    if mu is None:
        found = best_attack(events)
        name, tpr, gain = "attacks     at best", found.tpr, found.advantage
    else:
        name, tpr, gain = f"mu          {mu:.4g}", tpr_at_fpr(mu, 0.01), advantage(mu)
    return [
        f"  {name}: no test finds more than {tpr:.1%} of the units",
        f"              in the table at 1% false alarms (advantage at most {gain:.1%})",
    ]
