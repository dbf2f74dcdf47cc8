"""tronie: a table about people in, a table about nobody out, with a guarantee that anyone can recompute."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tronie.privacy.budget import Budget
    from tronie.privacy.certificate import Certificate
    from tronie.privacy.ledger import Ledger
    from tronie.release.drafting import draft
    from tronie.release.fit import fit, plan
    from tronie.release.model import Model
    from tronie.release.rows import Rows
    from tronie.release.synthesize import Release, synthesize
    from tronie.reports.build import release_report, report
    from tronie.reports.result import Report
    from tronie.schema.constraints import Range
    from tronie.schema.schema import Schema
    from tronie.synth.language_settings import LanguageSettings
    from tronie.synth.plan import Plan
    from tronie.synth.settings import Training

__version__ = "0.1.0"

_HOMES = {
    "Budget": "tronie.privacy.budget",
    "Certificate": "tronie.privacy.certificate",
    "LanguageSettings": "tronie.synth.language_settings",
    "Ledger": "tronie.privacy.ledger",
    "Model": "tronie.release.model",
    "Plan": "tronie.synth.plan",
    "Range": "tronie.schema.constraints",
    "Release": "tronie.release.synthesize",
    "Report": "tronie.reports.result",
    "Rows": "tronie.release.rows",
    "Schema": "tronie.schema.schema",
    "Training": "tronie.synth.settings",
    "draft": "tronie.release.drafting",
    "fit": "tronie.release.fit",
    "plan": "tronie.release.fit",
    "release_report": "tronie.reports.build",
    "report": "tronie.reports.build",
    "synthesize": "tronie.release.synthesize",
}

__all__ = [
    "Budget",
    "Certificate",
    "LanguageSettings",
    "Ledger",
    "Model",
    "Plan",
    "Range",
    "Release",
    "Report",
    "Rows",
    "Schema",
    "Training",
    "__version__",
    "draft",
    "fit",
    "plan",
    "release_report",
    "report",
    "synthesize",
]


def __getattr__(name: str) -> Any:
    """Load a public name when it is first used, so that ``import tronie`` stays light."""
    if name not in _HOMES:
        raise AttributeError(f"module 'tronie' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
