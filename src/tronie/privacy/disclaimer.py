"""What a run without privacy says about itself: that nothing is claimed.

It is no certificate with a large epsilon. It has no claim, no events and no noise, and what reads
certificates refuses it. Like a certificate it is neither signed nor a proof: whoever can write files
can leave it out.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Literal, Self, TypeAlias

from pydantic import Field

from tronie.privacy.certificate import Certificate, Verification
from tronie.privacy.certificate_json import is_disclaimer, require_document
from tronie.privacy.sealed import Sealed, read_document, versions

FORMAT = 1
"""Format of disclaimers that this version writes and reads."""

NOT_PRIVATE = "Made without differential privacy, for comparison only: do not publish."
"""What every number and file of such a run is headed by."""

MEANING = (
    "Exact numbers of the private table are in it. Whoever has it may find out who is in the table, "
    "and what they are."
)


class Disclaimer(Sealed):
    """Says of a model, or of rows, that they are not private.

    Attributes:
        format: Version of this layout.
        dp: Whether it is differentially private: no.
        statement: The same in words.
        dataset: Declared name of the data set.
        method: Name of the method that was run.
        versions: Versions of the software.
        digest: SHA-256 of all the above, against accidental edits.
    """

    format: Literal[1] = FORMAT
    dp: Literal[False] = False
    statement: Literal[
        "Made without differential privacy, for comparison only: do not publish."
    ] = NOT_PRIVATE
    dataset: str = Field(min_length=1)
    method: str = Field(min_length=1)
    versions: dict[str, str]
    digest: str = ""

    @classmethod
    def issue(cls, *, dataset: str, method: str) -> Self:
        """Disclaim a run that has ended.

        Args:
            dataset: Declared name of the data set.
            method: Name of the method.
        """
        return cls(dataset=dataset, method=method, versions=versions()).sealed()

    def verify(self) -> Verification:
        """Nothing is claimed, so nothing holds.

        Guarantee:
            `ok` is never true.
        """
        problems = (f"{NOT_PRIVATE} Nothing is claimed.",)
        if self.digest != self.digest_now():
            problems += ("The digest does not match: the disclaimer was changed after its issue.",)
        return Verification(False, math.inf, math.inf, math.inf, problems)

    def to_text(self) -> str:
        """The disclaimer in words, for people to read."""
        return (
            f"NOT PRIVATE: {self.dataset!r}, method {self.method}\n"
            f"  guarantee   none\n"
            f"{NOT_PRIVATE}\n{MEANING}\n"
        )

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Read a disclaimer from JSON.

        Raises:
            BundleError: If it is none, or is damaged.
        """
        require_document(text, FORMAT, "statement")
        return cls.parse(text)


Statement: TypeAlias = Certificate | Disclaimer
"""What a model, or a folder, says about its privacy."""


def statement_from_json(text: str) -> Statement:
    """A certificate or a disclaimer, by what the text says of itself.

    Raises:
        BundleError: If it is neither, or is damaged.

    Guarantee:
        A text that says ``"dp": false`` anywhere at its top is never read as a certificate; nor is one
        without a claim.
    """
    return Disclaimer.from_json(text) if is_disclaimer(text) else Certificate.from_json(text)


def read_statement(path: str | Path) -> Statement:
    """The same from a file.

    Raises:
        BundleError: If the file cannot be read, or for the reasons of `statement_from_json`.
    """
    return statement_from_json(read_document(path))
