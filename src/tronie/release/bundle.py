"""A model in one file: a zip of JSON and safetensors, with no code in it.

Members: ``manifest.json`` (format, kind and structure of the model, structure of codes), ``schema.json``,
``certificate.json``, ``plan.json``, ``types.arrow`` (names and types of the synthetic table as an empty
Arrow stream) and ``arrays.safetensors``. Reading checks the members' names and sizes before it unpacks
them, and every array's shape and values before it is used; nothing in a file is executed.

A model that is not private says so in ``manifest.json``, ``plan.json`` and ``certificate.json``
(``"dp": false``); a file whose members do not agree is refused.
"""

from __future__ import annotations

import json
import zipfile
import zlib
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from tronie.errors import BundleError, InputError
from tronie.files import PRIVATE_MODE, atomic_path, reserve
from tronie.models.field import TREE, kind_of, read_field, texts_of
from tronie.models.uncertainty import Measurements
from tronie.privacy.certificate import Certificate
from tronie.privacy.disclaimer import statement_from_json
from tronie.release.basis import basis_arrays, basis_structure, read_basis
from tronie.schema.columns import Identifier
from tronie.schema.grid import Coding, Grid
from tronie.schema.schema import Schema

if TYPE_CHECKING:
    import pyarrow as pa

    from tronie.release.model import Model

FORMAT = 2
"""Version of the format that this code writes, and the newest that it reads.

Version 1 had models of one kind only, junction trees, and did not name it; nor did it say what was
measured."""

MAX_MEMBER_BYTES = 2**32
"""A member that claims to unpack to more than this is refused."""

_MEMBERS = (
    "manifest.json",
    "schema.json",
    "certificate.json",
    "plan.json",
    "types.arrow",
    "arrays.safetensors",
)


def write_bundle(model: Model, path: Path) -> Path:
    """Write a model to a file, by rename.

    Raises:
        OutputError: If the file cannot be written.
    """
    from safetensors.numpy import save

    arrays: dict[str, NDArray[Any]] = {
        f"field.{name}": array for name, array in model.field.to_arrays().items()
    }
    arrays |= basis_arrays(model.measurements)
    for number, coding in enumerate(model.codings.values()):
        arrays[f"coding.{number}.edges"] = coding.grid.edges
        arrays[f"coding.{number}.groups"] = coding.groups
        arrays[f"coding.{number}.weights"] = coding.weights
    manifest = {
        "tronie": FORMAT,
        "kind": kind_of(model.field),
        "field": model.field.structure(),
        "measured": basis_structure(model.measurements),
        "column_errors": dict(model.column_errors),
        "codings": [
            {"column": name, "other": coding.grid.other, "null": coding.grid.null}
            for name, coding in model.codings.items()
        ],
        **({} if model.dp else {"dp": False}),
    }
    contents = {
        "manifest.json": json.dumps(manifest, indent=1).encode(),
        "schema.json": model.schema.to_json().encode(),
        "certificate.json": model.certificate.to_json().encode(),
        "plan.json": json.dumps(model.plan, indent=1).encode(),
        "types.arrow": model.types.serialize().to_pybytes(),
        "arrays.safetensors": save({k: np.ascontiguousarray(v) for k, v in arrays.items()}),
    }
    with atomic_path(path) as temporary:
        if not model.dp:
            reserve(temporary, PRIVATE_MODE)
        with zipfile.ZipFile(temporary, "w") as archive:
            for name in _MEMBERS:
                # A fixed time: two files of the same model are the same bytes.
                member = zipfile.ZipInfo(name, date_time=(1980, 1, 1, 0, 0, 0))
                member.compress_type = zipfile.ZIP_DEFLATED
                archive.writestr(member, contents[name])
    return path


def read_bundle(path: Path) -> Model:
    """Read a model from a file.

    Raises:
        BundleError: If the file is missing, is not a model, is corrupt, or is too new.
    """
    contents = _members(path)
    try:
        return _assemble(contents)
    except (
        InputError,
        ArithmeticError,
        AttributeError,
        LookupError,
        RecursionError,
        TypeError,
        ValueError,
    ) as error:
        what = error.what if isinstance(error, BundleError) else f"{path.name} is corrupt."
        remedy = error.remedy if isinstance(error, BundleError) else "Write the model again."
        raise BundleError(what, remedy) from None


def _members(path: Path) -> Mapping[str, bytes]:
    """The members' bytes, once their names and sizes were checked."""
    try:
        with zipfile.ZipFile(path) as archive:
            sizes = {info.filename: info.file_size for info in archive.infolist()}
            if set(sizes) != set(_MEMBERS) or len(archive.infolist()) != len(_MEMBERS):
                raise BundleError(
                    f"{path.name} does not have the members of a tronie model.",
                    "Choose a file that `tronie fit` wrote.",
                )
            if max(sizes.values()) > MAX_MEMBER_BYTES:
                raise BundleError(
                    f"{path.name} would unpack to more than {MAX_MEMBER_BYTES / 2**30:.0f} GiB.",
                    "Do not open files from people whom you do not trust.",
                )
            return {name: archive.read(name) for name in _MEMBERS}
    except FileNotFoundError:
        raise BundleError(f"there is no file {path}.", "Check the path.") from None
    except (zipfile.BadZipFile, zlib.error, OSError, EOFError, RuntimeError, ValueError):
        raise BundleError(
            f"{path.name} is not a tronie model, or is damaged.",
            "Choose a file that `tronie fit` wrote.",
        ) from None


def _assemble(contents: Mapping[str, bytes]) -> Model:
    from safetensors import SafetensorError
    from safetensors.numpy import load

    from tronie.release.model import Model

    manifest = json.loads(contents["manifest.json"])
    if manifest["tronie"] not in range(1, FORMAT + 1):
        raise BundleError(
            f"the model has format {manifest['tronie']}, and this tronie reads up to {FORMAT}.",
            "Install a newer tronie.",
        )
    try:
        arrays = load(contents["arrays.safetensors"])
        schema = Schema.parse(contents["schema.json"].decode(), "json")
    except (SafetensorError, ValidationError) as error:
        raise ValueError from error
    codings = {
        entry["column"]: _coding(arrays, number, entry)
        for number, entry in enumerate(manifest["codings"])
    }
    field = read_field(
        TREE if manifest["tronie"] == 1 else manifest["kind"],
        manifest["field"],
        {k.removeprefix("field."): v for k, v in arrays.items() if k.startswith("field.")},
    )
    model = Model(
        schema,
        _types(contents["types.arrow"]),
        codings,
        field,
        {name: float(error) for name, error in manifest["column_errors"].items()},
        statement_from_json(contents["certificate.json"].decode()),
        json.loads(contents["plan.json"]),
        read_basis(manifest["measured"], arrays, field.domain)
        if manifest["tronie"] > 1
        else Measurements(),
    )
    _require_consistent(model, dp=manifest.get("dp", True))
    return model


def _types(data: bytes) -> pa.Schema:
    import pyarrow as pa

    try:
        return pa.ipc.read_schema(pa.py_buffer(data))
    except pa.ArrowException as error:
        raise ValueError from error


def _coding(arrays: Mapping[str, Any], number: int, entry: Mapping[str, Any]) -> Coding:
    edges, groups, weights = (
        arrays[f"coding.{number}.{part}"] for part in ("edges", "groups", "weights")
    )
    grid = Grid(edges, bool(entry["other"]), bool(entry["null"]))
    coding = Coding(grid, groups, weights)
    used = np.unique(groups)
    sound = (
        (edges.dtype, groups.dtype, weights.dtype) == (np.int64, np.int64, np.float64)
        and edges.ndim == 1
        and edges[0] == 0
        and (np.diff(grid.edges) > 0).all()
        and coding.groups.shape == coding.weights.shape == (grid.size,)
        and (used == np.arange(len(used))).all()
        and np.isfinite(coding.weights).all()
        and (coding.weights >= 0).all()
    )
    if not sound:
        raise ValueError
    return coding


def _require_consistent(model: Model, *, dp: object) -> None:
    """Refuse a file whose parts do not belong together."""
    claimed = isinstance(model.certificate, Certificate)
    sizes = {name: coding.size for name, coding in model.codings.items()}
    grids = {name: _shape(coding.grid) for name, coding in model.codings.items()}
    texts = texts_of(model.field)
    lattices = {name: _shape(Grid.of(column, 1)) for name, column in model.schema.modelled.items()}
    if (
        any(said is not model.dp for said in (dp, model.plan.get("dp", True), claimed))
        or sizes != dict(model.field.domain.sizes)
        or grids != lattices
        or not all(_writable(model.schema, field.name, field.type, texts) for field in model.types)
        or not {*texts} <= {*model.schema.texts}
        or any(not 0 <= step["share"] <= 1 for step in model.plan["steps"])
    ):
        raise ValueError


def _shape(grid: Grid) -> tuple[int, bool, bool]:
    return grid.points, grid.other, grid.null


def _writable(schema: Schema, name: str, kind: pa.DataType, texts: Collection[str]) -> bool:
    """Whether a column of the synthetic table can be made, in the type that is promised."""
    from tronie.release.model import is_dropped
    from tronie.tables.codec import output_type

    column = schema.columns[name]
    if name in texts:
        return output_type(column, kind) == kind
    known = isinstance(column, Identifier) or name in {**schema.modelled, **schema.derived}
    return known and not is_dropped(column) and output_type(column, kind) == kind
