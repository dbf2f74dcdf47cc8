"""What every kind of model offers, and the kinds by name."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from tronie.errors import BundleError, InputError
from tronie.models.factor import Factor
from tronie.models.gibbs import GibbsField
from tronie.models.likelihood import code_log_likelihoods
from tronie.models.lm.lm_field import LanguageField
from tronie.models.markov import Convergence, MarkovRandomField
from tronie.models.nets.latent_field import LatentField
from tronie.models.nets.net_field import NetField
from tronie.models.sampling import sample
from tronie.models.systematic import Codes
from tronie.schema.domain import Clique, Domain
from tronie.schema.grid import Floats, Ints

Given = Mapping[str, NDArray[Any]] | None
"""Column -> evidence about its codes, as in `MarkovRandomField.condition`."""


class Field(Protocol):
    """A joint distribution of coded columns."""

    @property
    def domain(self) -> Domain:
        """The columns."""
        ...

    @property
    def total(self) -> float:
        """Number of rows that it stands for."""
        ...

    @property
    def convergence(self) -> Convergence | None:
        """How well it was estimated, if it was."""
        ...

    def marginal(self, columns: Iterable[str]) -> Factor:
        """Expected counts of any columns, in the given order; they sum to `total`."""
        ...

    def structure(self) -> dict[str, Any]:
        """Everything but the numbers in the tables, as plain data for JSON."""
        ...

    def to_arrays(self) -> Mapping[str, NDArray[Any]]:
        """The tables, by name, for safetensors."""
        ...


@dataclass(frozen=True, slots=True)
class _Kind:
    """How models of one kind are read and drawn from."""

    read: Callable[[Mapping[str, Any], Mapping[str, NDArray[Any]]], Field]
    draw: Callable[[Any, int, np.random.Generator, Given], dict[str, Codes]]
    logs: Callable[[Any, Mapping[str, Ints]], dict[str, Floats]] | None = None


TREE = "tree"
"""The kind of a model that holds its cliques' marginals exactly."""

_NAMES: Mapping[type[Any], str] = {
    MarkovRandomField: TREE,
    GibbsField: "gibbs",
    NetField: "net",
    LanguageField: "lm",
    LatentField: "latent",
}

KINDS: Mapping[str, _Kind] = MappingProxyType(
    {
        TREE: _Kind(MarkovRandomField.from_arrays, sample, code_log_likelihoods),
        "gibbs": _Kind(GibbsField.from_arrays, GibbsField.sample),
        "net": _Kind(NetField.from_arrays, NetField.sample, NetField.log_likelihoods),
        "lm": _Kind(LanguageField.from_arrays, LanguageField.sample, LanguageField.log_likelihoods),
        "latent": _Kind(LatentField.from_arrays, LatentField.sample, LatentField.log_likelihoods),
    }
)
"""Name -> kind of model."""


def kind_of(field: Field) -> str:
    """The name of a model's kind."""
    return _NAMES[type(field)]


def draw(field: Field, n: int, rng: np.random.Generator, given: Given = None) -> dict[str, Codes]:
    """Draw rows.

    Args:
        field: The model.
        n: Number of rows.
        rng: Source of randomness; equal states give equal rows.
        given: Column -> evidence about its codes; rows are drawn from the model given that.

    Returns:
        Column -> codes, shape (n,).

    Raises:
        ConditionError: If no row of the model satisfies the condition.
        InputError: If the number of rows is negative.
    """
    return KINDS[kind_of(field)].draw(field, n, rng, given)


def log_likelihoods(field: Field, codes: Mapping[str, Ints]) -> dict[str, Floats]:
    """Log probability of each code of some rows, given the columns that the model draws before it.

    Args:
        field: The model.
        codes: Column -> codes, shape (rows,).

    Returns:
        Column -> shape (rows,), in the order of drawing; minus infinity for what is impossible. Their sum
        is the log probability of the row.

    Raises:
        InputError: If the model is known by its rows only, or cannot be read.
    """
    logs = KINDS[kind_of(field)].logs
    if logs is None:
        raise InputError(
            "the model's distribution is known by samples only: rows have no exact likelihood.",
            "Leave the likelihood out, or fit with another method.",
        )
    return logs(field, codes)


def texts_of(field: Field) -> Clique:
    """Columns of free text that a model writes."""
    if isinstance(field, LanguageField) and field.prose is not None:
        return field.prose.order
    return ()


def write_texts(
    field: Field, codes: Mapping[str, Codes], rng: np.random.Generator
) -> Mapping[str, Sequence[str | None]]:
    """Column -> the free text of each of some rows; None where it is missing.

    Args:
        field: The model; most write none.
        codes: Column -> codes of the rows, shape (rows,).
        rng: Source of randomness; equal states give equal texts.
    """
    return field.write(codes, rng) if isinstance(field, LanguageField) else {}


def read_field(
    kind: str, structure: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]
) -> Field:
    """The model that `structure` and `to_arrays` described.

    Raises:
        BundleError: If there is no such kind, or they are not a model of it.
    """
    if kind not in KINDS:
        raise BundleError(
            f"the stored model is of the kind {kind!r}, which is not known.",
            "Install a newer tronie.",
        )
    return KINDS[kind].read(structure, arrays)
