"""The methods by name, and the choice among them."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from tronie.errors import InputError
from tronie.schema.schema import Schema
from tronie.synth.aim import Aim
from tronie.synth.direct import Direct
from tronie.synth.gan import Gan
from tronie.synth.gibbs import Gibbs
from tronie.synth.glaze import Glaze
from tronie.synth.hybrid import Hybrid
from tronie.synth.independent import Independent
from tronie.synth.language import Language
from tronie.synth.marginal_net import MarginalNet
from tronie.synth.method import Synthesizer
from tronie.synth.mst import Mst
from tronie.synth.mwem import Mwem
from tronie.synth.privbayes import PrivBayes
from tronie.synth.settings import Effort
from tronie.synth.transformer import Transformer
from tronie.synth.vae import Vae

METHODS: Mapping[str, Synthesizer] = MappingProxyType(
    {
        method.name: method
        for method in (
            Independent(),
            Direct(),
            Mst(),
            PrivBayes(),
            Mwem(),
            Aim(),
            Glaze(),
            Gibbs(),
            Transformer(),
            Transformer("lstm"),
            Hybrid(),
            Vae(),
            Gan(),
            MarginalNet(),
            Language(),
        )
    }
)
"""Name -> method."""

AUTO = "auto"
"""The name that leaves the choice to tronie."""


WIDE = 600
"""Columns beyond which comparing all pairs with a model takes minutes in every round."""


def method_named(name: str) -> Synthesizer:
    """A method by its name.

    Raises:
        InputError: If there is no such method.
    """
    if name not in METHODS:
        raise InputError(
            f"there is no method {name!r}.", f"Choose {AUTO} or one of {', '.join(METHODS)}."
        )
    return METHODS[name]


DENSE = 60
"""Columns beyond which a population of rows takes minutes to fit."""


def best_for(schema: Schema, effort: Effort = "normal") -> tuple[Synthesizer, str]:
    """The method that suits a table and the time it may take, by public facts only, and why."""
    columns = len(schema.modelled) + len(schema.unknowns())
    unwritten = ", ".join(map(repr, schema.texts))
    beside = f"; it leaves out {unwritten}, which the method llm writes" if unwritten else ""
    if columns == 1:
        return METHODS["independent"], f"there is a single column to model{beside}"
    if columns > WIDE:
        why = f"{columns:,} columns have too many pairs to compare in every round{beside}"
        return METHODS["mst"], why
    if effort == "high" and columns <= DENSE:
        why = f"on most tables measured so far none is more accurate, and it may take time{beside}"
        return METHODS["gibbs"], why
    why = f"on the tables measured so far none is more accurate in its time{beside}"
    return METHODS["glaze"], why
