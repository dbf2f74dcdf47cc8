"""One result that is shown as HTML, Markdown, plain text and JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from tronie.audit.result import Audit
from tronie.errors import InputError
from tronie.files import atomic_path
from tronie.models.lm.lessons import Lessons
from tronie.reports.profiles import Profile

if TYPE_CHECKING:
    from tronie.evaluate.evaluation import Evaluation
    from tronie.evaluate.released import ReleasedEvaluation

Tier: TypeAlias = Literal["internal", "release"]

FORMAT = 1
"""Version of the layout of `Report.to_dict`."""

BANNERS: Mapping[Tier, str] = {
    "internal": (
        "Computed from real rows: not differentially private, not for publication. Publishing it, or "
        "choosing among releases by it, voids the stated epsilon."
    ),
    "release": (
        "Every number about the real rows was released with noise and charged to the ledger. This "
        "report may be published."
    ),
}
"""Tier -> what everyone who sees a report of it must know."""

PRIVATE_MODE, PUBLIC_MODE = 0o600, 0o644
"""File modes of internal and of release reports."""


@dataclass(frozen=True, slots=True)
class Claim:
    """What is guaranteed about one synthetic table.

    Attributes:
        table: The synthetic table's name.
        guarantee: The guarantee, or that there is none, in one sentence.
        unit: Whose presence is hidden; empty where nothing is claimed.
        epsilon: Of the claim; None where nothing is claimed.
        delta: Likewise.
        mu: The claim as Gaussian differential privacy, where it can be stated so.
        dataset: Declared name of the private table.
        method: How the synthetic table was made.
        noise: Source of randomness.
        verified: Whether the certificate holds when it is recomputed; None without one.
        problems: Why it does not.
        meanings: What follows from it, in sentences.
        not_covered: What it does not say.
        dp: Whether the table is differentially private: True if its certificate holds, False if it says
            of itself that it is not, None if nothing is known.
    """

    table: str
    guarantee: str
    unit: str = ""
    epsilon: float | None = None
    delta: float | None = None
    mu: float | None = None
    dataset: str = ""
    method: str = ""
    noise: str = ""
    verified: bool | None = None
    problems: tuple[str, ...] = ()
    meanings: tuple[str, ...] = ()
    not_covered: tuple[str, ...] = ()
    dp: bool | None = None


@dataclass(frozen=True, slots=True)
class Spent:
    """Where a part of a budget went.

    Attributes:
        table: The synthetic table that it was spent on, or the report itself.
        step: What it was spent on.
        part: Share of that table's budget.
        why: What for.
    """

    table: str
    step: str
    part: float
    why: str = ""


@dataclass(frozen=True, slots=True)
class Method:
    """How a number is made.

    Attributes:
        name: The number.
        text: One paragraph.
    """

    name: str
    text: str


@dataclass(frozen=True, slots=True)
class Report:
    """What synthetic tables are worth, what is guaranteed about them, and what attacks found.

    Attributes:
        tier: Whether it may be published (`release`) or not (`internal`).
        title: What it is about.
        created: Date on which it was made, as in 2026-11-22.
        claims: What is guaranteed, one for each synthetic table.
        evaluations: One for each synthetic table: its subject first, others to compare it with. Empty
            in the release tier.
        released: What was released about the synthetic table; None in the internal tier.
        audits: What attacks found.
        budget: Where the budgets went.
        methods: How the numbers are made.
        omitted: What was left out, why, and how to get it; in sentences.
        profiles: Column -> its histograms on an even axis, for drawing only.
        lessons: Table -> what each stage taught the language model that made it, from the model's file.
    """

    tier: Tier
    title: str
    created: str
    claims: tuple[Claim, ...]
    evaluations: tuple[Evaluation, ...] = ()
    released: ReleasedEvaluation | None = None
    audits: tuple[Audit, ...] = ()
    budget: tuple[Spent, ...] = ()
    methods: tuple[Method, ...] = ()
    omitted: tuple[str, ...] = ()
    profiles: Mapping[str, Profile] = field(default_factory=dict[str, Profile], repr=False)
    lessons: Mapping[str, Lessons] = field(default_factory=dict[str, Lessons])

    @property
    def tables(self) -> tuple[str, ...]:
        """Names of the synthetic tables."""
        if self.released is not None:
            return (self.released.name,)
        return tuple(evaluation.name for evaluation in self.evaluations)

    @property
    def banner(self) -> str:
        """What everyone who sees the report must know first."""
        return BANNERS[self.tier]

    def html(self) -> str:
        """One self-contained page: no network, no other file."""
        from tronie.reports.page import page

        return page(self)

    def markdown(self) -> str:
        """The tables and sentences, without drawings."""
        from tronie.reports.markdown import markdown

        return markdown(self)

    def text(self) -> str:
        """Likewise, as plain text."""
        from tronie.reports.plain_text import plain_text

        return plain_text(self)

    def to_dict(self) -> dict[str, Any]:
        """Everything but the drawings as plain data, the tier first."""
        from tronie.reports.plain_data import plain_data

        return plain_data(self)

    def to_json(self) -> str:
        """`to_dict` as JSON; what is not finite is null."""
        return json.dumps(self.to_dict(), ensure_ascii=False, indent=1, allow_nan=False) + "\n"

    def write(self, path: str | Path) -> Path:
        """Write the report to a file; the suffix says how (.html, .json, .md, .txt).

        The file appears by rename. An internal report can be read by its owner only (mode 0600).

        Raises:
            InputError: If the suffix is another.
            OutputError: If the file cannot be written; nothing is left half-written.
        """
        place = Path(path)
        render = _renderer(self, place)
        content = render.encode()
        mode = PRIVATE_MODE if self.tier == "internal" else PUBLIC_MODE
        with atomic_path(place) as temporary:
            temporary.touch(mode, exist_ok=False)
            temporary.write_bytes(content)
            temporary.chmod(mode)
        return place


SUFFIXES = (".html", ".json", ".md", ".txt")
"""Kinds of files that a report can be written to."""


def require_suffix(path: Path) -> None:
    """Refuse a file name that does not say how to write a report.

    Raises:
        InputError: If its suffix is none of `SUFFIXES`.
    """
    if path.suffix.lower() not in SUFFIXES:
        raise InputError(
            f"a report cannot be written to {str(path)!r}.",
            f"Choose a name that ends in {', '.join(SUFFIXES)}.",
        )


def _renderer(report: Report, path: Path) -> str:
    require_suffix(path)
    match path.suffix.lower():
        case ".html":
            return report.html()
        case ".json":
            return report.to_json()
        case ".md":
            return report.markdown()
        case _:
            return report.text()
