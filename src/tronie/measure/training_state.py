"""Where a private training stands: enough to go on, and never to do a step twice."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Protocol, TypeAlias, cast, runtime_checkable

import numpy as np
from numpy.typing import NDArray
from pydantic import TypeAdapter

from tronie.errors import BundleError
from tronie.files import atomic_write
from tronie.privacy.events import Event

Singles: TypeAlias = NDArray[np.float32]

Arrays: TypeAlias = Mapping[str, NDArray[Any]]

_EVENTS: TypeAdapter[tuple[Event, ...]] = TypeAdapter(tuple[Event, ...])
_FORMAT = "1"

_BESIDE = "beside."
"""How names of arrays begin that are not trained."""


@runtime_checkable
class Changing(Protocol):
    """A network of which more changes between steps than what is trained, by its own doing.

    What changes rests on noisy answers and public numbers only, as all that `after_step` does.
    """

    def beside(self) -> Arrays:
        """A copy of all that changes and is not trained."""
        ...

    def put_beside(self, arrays: Arrays) -> None:
        """Become as when `beside` was called."""
        ...


@dataclass(frozen=True, slots=True)
class Receipt:
    """What was charged before a training began, and how much of it may have been used.

    Attributes:
        reservation: Name of the reservation that it was charged to.
        events: All events charged to it so far.
        run: Place of the training's event among them.
        used: Steps that may have been answered, whether or not the weights show it.
    """

    reservation: str
    events: tuple[Event, ...]
    run: int
    used: int


@dataclass(frozen=True, slots=True, eq=False)
class TrainingState:
    """Where a training stands. All of it rests on noisy answers only, so it is public.

    Attributes:
        updates: How often the weights were changed.
        next: Number of the step to go on with. It is larger than `updates` where steps were given
            up, since they may have been answered and forgotten.
        weights: All trained parameters, one after another, shape (size,).
        first: Moving mean of the gradients, shape (size,).
        second: Moving mean of their squares, shape (size,).
        receipt: What was charged.
        beside: What else of the network changes between steps; see `Changing`.
    """

    updates: int
    next: int
    weights: Singles
    first: Singles
    second: Singles
    receipt: Receipt
    beside: Arrays = field(default_factory=dict[str, NDArray[Any]])

    def save(self, path: str | Path) -> None:
        """Write the state to a file.

        Raises:
            OutputError: If it cannot be written; nothing was left half-written.
        """
        atomic_write(path, self.to_bytes())

    def to_bytes(self) -> bytes:
        """What `save` writes."""
        from safetensors.numpy import save

        receipt = asdict(self.receipt)
        receipt["events"] = _EVENTS.dump_python(self.receipt.events, mode="json")
        about = {"format": _FORMAT, "updates": self.updates, "next": self.next, "receipt": receipt}
        arrays = {"weights": self.weights, "first": self.first, "second": self.second}
        beside = {_BESIDE + name: np.asarray(a, order="C") for name, a in self.beside.items()}
        return save({**arrays, **beside}, {"training": json.dumps(about, allow_nan=False)})

    @classmethod
    def load(cls, path: str | Path) -> TrainingState:
        """Read a state from a file.

        Raises:
            BundleError: If it is none, or damaged.
        """
        from safetensors import SafetensorError, safe_open

        try:
            with cast("Any", safe_open)(str(path), framework="np") as file:
                about: dict[str, Any] = json.loads(dict(file.metadata() or {})["training"])
                weights, first, second = (
                    cast("Singles", file.get_tensor(name))
                    for name in ("weights", "first", "second")
                )
                beside = {
                    name.removeprefix(_BESIDE): cast("NDArray[Any]", file.get_tensor(name))
                    for name in cast("list[str]", file.keys())
                    if name.startswith(_BESIDE)
                }
            if about["format"] != _FORMAT or not weights.shape == first.shape == second.shape:
                raise ValueError("another format")
            charged = about["receipt"]
            events = _EVENTS.validate_python(charged["events"])
            receipt = Receipt(
                charged["reservation"], events, int(charged["run"]), int(charged["used"])
            )
            updates, following = int(about["updates"]), int(about["next"])
            return cls(updates, following, weights, first, second, receipt, beside)
        except (OSError, SafetensorError, KeyError, TypeError, ValueError) as error:
            raise BundleError(
                f"{str(path)!r} is no state of a training, or it is damaged.",
                "Begin anew; that is charged again.",
            ) from error
