"""The methods by name, and the choice among them."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from tronie.errors import InputError
from tronie.synth.aim import Aim
from tronie.synth.direct import Direct
from tronie.synth.glaze import Glaze
from tronie.synth.independent import Independent
from tronie.synth.method import Synthesizer
from tronie.synth.mst import Mst
from tronie.synth.mwem import Mwem
from tronie.synth.privbayes import PrivBayes

METHODS: Mapping[str, Synthesizer] = MappingProxyType(
    {
        method.name: method
        for method in (Independent(), Direct(), Mst(), PrivBayes(), Mwem(), Aim(), Glaze())
    }
)
"""Name -> method."""

AUTO = "auto"
"""The name that leaves the choice to tronie."""


def method_named(name: str) -> Synthesizer:
    """A method by its name; `auto` is `glaze`, which measures as best on tables of all kinds.

    Raises:
        InputError: If there is no such method.
    """
    if name == AUTO:
        return METHODS["glaze"]
    if name not in METHODS:
        raise InputError(
            f"there is no method {name!r}.", f"Choose {AUTO} or one of {', '.join(METHODS)}."
        )
    return METHODS[name]
