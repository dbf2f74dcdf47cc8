"""Public facts about a table."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    ModelWrapValidatorHandler,
    ValidationError,
    field_validator,
    model_validator,
)

from tronie.errors import SchemaError
from tronie.files import atomic_write
from tronie.schema import io, messages
from tronie.schema.columns import (
    Column,
    Listed,
    Modelled,
    OpenCategory,
    Ordered,
    Text,
)
from tronie.schema.constraints import Constraint, Function
from tronie.schema.facts import describe
from tronie.schema.literals import is_writable
from tronie.schema.validate import check


class PrivacyUnit(BaseModel):
    """Whose presence is hidden: a row, or all rows of one person.

    Attributes:
        kind: `row`, or `id` for all rows that share a value of `id_column`.
        id_column: The column that names the person, for kind `id`.
        max_rows: Most rows of one unit. For kind `row` it is a promise of the data owner: at most
            this many rows are about the same person.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["row", "id"] = "row"
    id_column: str | None = None
    max_rows: int = Field(default=1, ge=1, le=1_000_000)


class Schema(BaseModel):
    """Public facts about a table; nothing here may come from private rows unless it was paid for.

    Attributes:
        tronie: Version of the schema format.
        name: The data set's declared name, by which the ledger adds up what it has spent.
        unit: Whose presence is hidden.
        columns: Name -> column, in the order of the output.
        constraints: Rules that every synthetic row obeys.

    Raises:
        SchemaError: If a part is unknown or malformed, or the parts contradict each other.

    >>> schema = Schema.parse("{name: people, columns: {age: {kind: integer, min: 0, max: 99}}}")
    >>> schema.columns["age"].points
    100
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    tronie: Literal[1] = messages.VERSION
    name: str = Field(min_length=1)
    unit: PrivacyUnit = PrivacyUnit()
    columns: dict[str, Column] = Field(min_length=1)
    constraints: tuple[Constraint, ...] = ()

    @field_validator("columns")
    @classmethod
    def _names_are_text(cls, columns: dict[str, Column]) -> dict[str, Column]:
        if not all(is_writable(name) for name in columns):
            raise ValueError("a column's name is not valid text")
        return columns

    @model_validator(mode="wrap")
    @classmethod
    def _checked(cls, data: Any, handler: ModelWrapValidatorHandler[Self]) -> Self:
        try:
            schema = handler(data)
        except ValidationError as error:
            raise messages.explain(error, Schema, PrivacyUnit) from None
        check(schema)
        return schema

    @classmethod
    def read(cls, path: str | Path) -> Self:
        """A schema from a file, YAML or JSON by its name.

        Raises:
            SchemaError: If the file cannot be read or is not a schema.
        """
        path = Path(path)
        form = io.format_of(path)
        text = io.read_text(path)
        try:
            return cls.parse(text, form)
        except SchemaError as error:
            raise SchemaError(f"{path}: {error.what}", error.remedy) from None

    @classmethod
    def parse(cls, text: str, form: io.Format = "yaml") -> Self:
        """A schema from text.

        Raises:
            SchemaError: If the text is not a schema.
        """
        data = io.load(text, form)
        if data is None:
            raise SchemaError("the schema is empty.", "Give it a name and columns, or draft one.")
        return cls.model_validate(data)

    def write(self, path: str | Path) -> None:
        """Write a file, YAML or JSON by its name; it appears whole or not at all.

        Raises:
            SchemaError: If the name is of neither format.
            OutputError: If the file cannot be written.
        """
        path = Path(path)
        text = self.to_json() if io.format_of(path) == "json" else self.to_yaml()
        atomic_write(path, text.encode("utf-8"))

    def to_yaml(self) -> str:
        """The schema as YAML, what has its default left out."""
        return io.dump_yaml(self)

    def to_json(self) -> str:
        """The schema as JSON, what has its default left out."""
        return io.dump_json(io.plain(self))

    @classmethod
    def json_schema(cls) -> dict[str, Any]:
        """What a schema may hold, as JSON Schema (draft 2020-12)."""
        return {
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            **cls.model_json_schema(),
        }

    @property
    def lattices(self) -> dict[str, Modelled]:
        """Columns whose values are known to lie on a lattice."""
        return {
            name: column
            for name, column in self.columns.items()
            if isinstance(column, Listed) or (isinstance(column, Ordered) and column.bounded)
        }

    @property
    def modelled(self) -> dict[str, Modelled]:
        """Columns with a known lattice that are not computed from another."""
        derived = self.derived
        return {name: column for name, column in self.lattices.items() if name not in derived}

    @property
    def derived(self) -> dict[str, Function]:
        """Columns that are computed from another by a table, and the function that does it."""
        functions = (rule for rule in self.constraints if isinstance(rule, Function))
        return {rule.gives: rule for rule in functions if rule.table is not None}

    @property
    def texts(self) -> dict[str, Text]:
        """Columns of free text that a language model can write: those of limited length."""
        return {
            name: column
            for name, column in self.columns.items()
            if isinstance(column, Text) and column.max_length is not None
        }

    def unknowns(self) -> dict[str, Literal["values", "bounds"]]:
        """Columns whose domain has to be found privately, and what of it."""
        found: dict[str, Literal["values", "bounds"]] = {}
        for name, column in self.columns.items():
            if isinstance(column, OpenCategory):
                found[name] = "values"
            elif isinstance(column, Ordered) and not column.bounded:
                found[name] = "bounds"
        return found

    def resolve(self, discovered: Mapping[str, Column]) -> Self:
        """The schema with some unknown columns replaced by what was found; their origin is released.

        Raises:
            SchemaError: If a column is not unknown, or was found to be of another kind.
        """
        unknown = self.unknowns()
        columns = dict(self.columns)
        for name, column in discovered.items():
            wanted = columns[name].kind if name in unknown else None
            if column.kind != ("category" if wanted == "open_category" else wanted):
                raise SchemaError(
                    f"column {name!r} has no unknown domain of kind {column.kind}.",
                    "Discover the columns that `unknowns` names, and keep their kinds.",
                )
            columns[name] = column.model_copy(update={"origin": "released"})
        return self.model_validate({**dict(self), "columns": columns})

    def require_supported(self) -> None:
        """Refuse what can be declared but not yet released; called before anything is charged.

        Raises:
            SchemaError: If the unit is not a row, or no column is left to be modelled.
        """
        if self.unit.kind == "id":
            raise SchemaError(
                f"the unit is all rows with one value of {self.unit.id_column!r}: bounding the rows "
                "of a person comes later.",
                "Declare `unit: {kind: row, max_rows: k}` instead, but only if it is true that no "
                "person has more than k rows.",
            )
        if not self.modelled and not self.unknowns():
            raise SchemaError(
                "no column can be modelled: all are identifiers or text.",
                "Declare at least one column of another kind.",
            )

    def public_facts(self) -> list[tuple[str, str]]:
        """What the schema declares to be public, as (subject, fact) pairs for the certificate."""
        return describe(self)
