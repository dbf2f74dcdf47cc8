"""Options that set several fields of one thing: ``--train epochs=10 --train learning_rate=0.01``."""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from tronie.synth.language_settings import LanguageSettings
    from tronie.synth.settings import Training

Kind = TypeVar("Kind")


def training(_: click.Context, __: click.Parameter, given: tuple[str, ...]) -> Training:
    """How a network is trained."""
    from tronie.synth.settings import Training

    return filled(Training, given)


def language(_: click.Context, __: click.Parameter, given: tuple[str, ...]) -> LanguageSettings:
    """How a language model writes rows."""
    from tronie.synth.language_settings import LanguageSettings

    return filled(LanguageSettings, given)


def filled(kind: type[Kind], given: tuple[str, ...]) -> Kind:
    """A dataclass some of whose fields are set by texts such as ``epochs=10``.

    Raises:
        BadParameter: If there is no such field, or its value is of another type.
        InputError: If the values make no sense.
    """
    from pydantic import TypeAdapter, ValidationError

    names = [field.name for field in fields(kind)]  # pyright: ignore[reportArgumentType]
    values: dict[str, Any] = {}
    for text in given:
        name, equals, value = text.partition("=")
        if not equals or name not in names:
            raise click.BadParameter(f"{text!r} is not NAME=VALUE with one of {', '.join(names)}.")
        values[name] = value
    try:
        return TypeAdapter(kind).validate_python(values)
    except ValidationError as error:
        wrong = error.errors()[0]
        name, why = wrong["loc"][0], wrong["msg"]
        raise click.BadParameter(f"{name}={values[str(name)]}: {why}.") from None
