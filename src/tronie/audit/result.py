"""What an audit found, in the form that all audits share."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, TypeAlias

Verdict: TypeAlias = Literal["violation", "consistent", "inconclusive"]
"""Never "safe": an attack that fails proves nothing about a better one."""


@dataclass(frozen=True, slots=True)
class Audit:
    """What one attack found.

    Attributes:
        name: Which attack, in a few words.
        epsilon: The claim that was tested; None where nothing was claimed.
        delta: The claim's delta.
        relation: Which tables are neighbours under the claim.
        threat_model: What the attacker sees and knows, in one sentence.
        runs: Number of runs, or of independent canaries, that the bound rests on.
        confidence: Probability with which a correct claim is not called a violation.
        lower: Lower bound of epsilon that was shown at that confidence.
        power: Largest lower bound that this audit could have shown with so many runs, had the claim been
            tight (or, where nothing was claimed, had every guess been right).
        verdict: A violation where the bound exceeds the claim; consistent where it does not although a
            much larger one could have been shown; else inconclusive.
        finding: One sentence that a non-statistician understands.
        details: Anything else, as plain data.
    """

    name: str
    epsilon: float | None
    delta: float
    relation: str
    threat_model: str
    runs: int
    confidence: float
    lower: float
    power: float
    verdict: Verdict
    finding: str
    details: Mapping[str, Any] = field(default_factory=dict[str, Any])

    def to_dict(self) -> dict[str, Any]:
        """As plain data."""
        return asdict(self)
