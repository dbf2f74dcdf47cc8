"""Documents with a digest of all else that they say, against accidental edits."""

from __future__ import annotations

import hashlib
import json
import platform
from importlib import metadata
from pathlib import Path
from typing import Self

from pydantic import BaseModel, ConfigDict, ValidationError

from tronie.errors import BudgetError
from tronie.files import atomic_write
from tronie.privacy.certificate_json import refusal


class Part(BaseModel):
    """A part of a document: frozen, and with no field that is not known."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Sealed(Part):
    """A document whose field `digest` is the SHA-256 of all its other fields."""

    def sealed(self) -> Self:
        """The same document with its digest."""
        return self.model_copy(update={"digest": self.digest_now()})

    def digest_now(self) -> str:
        """What the digest has to be."""
        payload = self.model_dump(mode="json", exclude={"digest"})
        canonical = json.dumps(payload, sort_keys=True, separators=(",", ":"), allow_nan=False)
        return hashlib.sha256(canonical.encode()).hexdigest()

    def to_json(self) -> str:
        """The document as JSON; `from_json` gives back an equal one."""
        return json.dumps(self.model_dump(mode="json"), indent=2, allow_nan=False) + "\n"

    def write(self, path: str | Path) -> None:
        """Write the document as a JSON file.

        Raises:
            OutputError: If it cannot be written; nothing was left half-written.
        """
        atomic_write(path, self.to_json().encode())

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read the fields from JSON, strictly.

        Raises:
            BundleError: If one is missing, unknown or out of range.
        """
        try:
            return cls.model_validate_json(text, strict=True)
        except ValidationError as error:
            first = error.errors()[0]
            place = ".".join(str(part) for part in first["loc"])
            raise refusal(f"{place}: {first['msg']}") from None
        except BudgetError as error:
            raise refusal(error.what) from None


def read_document(path: str | Path) -> str:
    """The text of a document's file.

    Raises:
        BundleError: If it cannot be read.
    """
    try:
        return Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise refusal(f"{str(path)!r} cannot be read as text") from error


def versions() -> dict[str, str]:
    """Versions of the software that makes a document."""
    return {
        "tronie": metadata.version("tronie"),
        "python": platform.python_version(),
        "numpy": metadata.version("numpy"),
    }
