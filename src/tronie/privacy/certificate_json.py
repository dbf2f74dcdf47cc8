"""What must hold of a text before it is read as a certificate or a disclaimer."""

from __future__ import annotations

import json
from typing import Any, cast

from tronie.errors import BundleError

UNCLAIMED = "nothing is claimed in it: it says of itself that it is not private"


def require_certificate(text: str, version: int) -> None:
    """Refuse what is no certificate, or one of another format.

    Args:
        text: JSON.
        version: The format that can be read.

    Raises:
        BundleError: If it is no JSON object with a claim, a field occurs twice (readers would not
            agree on which one counts), or the format is another one.
    """
    if is_disclaimer(text):
        raise refusal(UNCLAIMED)
    require_document(text, version, "claim")


def require_document(text: str, version: int, needed: str) -> None:
    """Refuse what is no JSON object with a certain field and of a certain format.

    Args:
        text: JSON.
        version: The format that can be read.
        needed: The field.

    Raises:
        BundleError: If it is none, a field occurs twice, or the format is another one.
    """
    try:
        data: object = json.loads(text, object_pairs_hook=_without_repeats)
    except (ValueError, RecursionError) as error:
        raise refusal(str(error)) from None
    if not isinstance(data, dict) or needed not in data:
        raise refusal(f"there is no {needed} in it")
    found = cast("dict[str, Any]", data).get("format")
    if found != version:
        raise BundleError(
            f"the certificate has format {found!r}; this tronie reads format {version}.",
            "Install a newer tronie.",
        )


def is_disclaimer(text: str) -> bool:
    """Whether a text says of itself that it is not private, or that it may not be: ``dp`` in it."""
    try:
        data: object = json.loads(text)
    except (ValueError, RecursionError):
        return False
    return isinstance(data, dict) and "dp" in data


def refusal(reason: str) -> BundleError:
    """The error for a text that is no certificate."""
    return BundleError(
        f"this is not a tronie certificate, or it is damaged: {reason}.",
        "Ask whoever published the release for the certificate as it was issued.",
    )


def _without_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values = dict(pairs)
    if len(values) != len(pairs):
        raise ValueError("a field occurs twice")
    return values
