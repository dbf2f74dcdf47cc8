"""Digests of questions and settings, to see whether the same is asked again."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any

import numpy as np
from pydantic import BaseModel


def fingerprint(thing: object) -> bytes:
    """A digest of plain data, arrays, models and queries: equal only for what is the same in all parts."""
    digest = hashlib.blake2b(digest_size=16)
    _feed(digest, thing)
    return digest.digest()


def _feed(digest: Any, thing: Any) -> None:
    digest.update(f"<{type(thing).__name__}".encode())
    if isinstance(thing, np.ndarray | np.generic):
        array: Any = np.ascontiguousarray(thing)  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType]
        digest.update(f"{array.dtype.str}{array.shape}".encode())
        digest.update(array.tobytes())
    elif isinstance(thing, BaseModel):
        digest.update(thing.model_dump_json().encode())
    elif hasattr(thing, "to_arrays"):
        _feed(digest, [thing.structure(), thing.to_arrays()])
    elif is_dataclass(thing):
        _feed(digest, [getattr(thing, field.name) for field in fields(thing)])
    elif isinstance(thing, Mapping):
        _feed(digest, list(thing.items()))  # pyright: ignore[reportUnknownArgumentType, reportUnknownMemberType]
    elif isinstance(thing, list | tuple):
        for part in thing:  # pyright: ignore[reportUnknownVariableType]
            _feed(digest, part)
    else:
        digest.update(repr(thing).encode())
    digest.update(b">")
