"""The methods by name, and the choice among them."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from tronie.errors import InputError
from tronie.synth.glaze import Glaze
from tronie.synth.independent import Independent
from tronie.synth.method import Synthesizer
from tronie.synth.mst import Mst

METHODS: Mapping[str, Synthesizer] = MappingProxyType(
    {method.name: method for method in (Independent(), Mst(), Glaze())}
)
"""Name -> method."""

AUTO = "auto"
"""The name that leaves the choice to tronie."""


def method_named(name: str) -> Synthesizer:
    """A method by its name; `auto` is the one that is best on most tables.

    Raises:
        InputError: If there is no such method.
    """
    if name == AUTO:
        return METHODS["mst"]
    if name not in METHODS:
        raise InputError(
            f"there is no method {name!r}.", f"Choose {AUTO} or one of {', '.join(METHODS)}."
        )
    return METHODS[name]
