"""A model's file: whole, the same every time, and refused when anything is wrong with it."""

from __future__ import annotations

import json
import re
import warnings
import zipfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from safetensors.numpy import load, save

import tronie
from tronie.errors import BundleError, OutputError
from tronie.measure.noise import InsecureNoise
from tronie.release import bundle as bundle_module
from tronie.synth.gibbs import Gibbs

Contents = dict[str, bytes]


def members(path: Path) -> Contents:
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def pack(path: Path, contents: Contents) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in contents.items():
            archive.writestr(name, data)
    return path


def refused(path: Path, match: str = ".") -> BundleError:
    """The error, which is one with a remedy and no cause to be shown."""
    with pytest.raises(BundleError, match=match) as caught:
        tronie.Model.load(path)
    assert caught.value.remedy
    assert caught.value.__cause__ is None
    return caught.value


@pytest.fixture
def changed(bundle: Path, tmp_path: Path) -> Callable[..., Path]:
    """The file with one of its members changed."""

    def change(name: str, edit: Callable[[Any], Any]) -> Path:
        contents = members(bundle)
        if name.endswith(".json"):
            data = json.loads(contents[name])
            contents[name] = json.dumps(edit(data)).encode()
        elif name == "arrays.safetensors":
            contents[name] = save(edit(load(contents[name])))
        else:
            contents[name] = edit(contents[name])
        return pack(tmp_path / "changed.tronie", contents)

    return change


def put(*path: Any, to: Any) -> Callable[[Any], Any]:
    """An edit that puts a value somewhere in nested data."""

    def edit(data: Any) -> Any:
        place = data
        for step in path[:-1]:
            place = place[step]
        if path:
            place[path[-1]] = to
        return data if path else to

    return edit


def drop(*path: Any) -> Callable[[Any], Any]:
    def edit(data: Any) -> Any:
        place = data
        for step in path[:-1]:
            place = place[step]
        del place[path[-1]]
        return data

    return edit


def test_what_was_saved_comes_back(model: tronie.Model, bundle: Path) -> None:
    again = tronie.Model.load(bundle)
    assert again.schema == model.schema
    assert again.types.equals(model.types)
    assert again.certificate == model.certificate
    assert again.plan == json.loads(json.dumps(model.plan))
    assert again.column_errors == model.column_errors
    assert again.field.total == model.field.total
    for name, coding in model.codings.items():
        other = again.codings[name]
        np.testing.assert_array_equal(other.grid.edges, coding.grid.edges)
        np.testing.assert_array_equal(other.groups, coding.groups)
        np.testing.assert_array_equal(other.weights, coding.weights)
        assert (other.grid.other, other.grid.null) == (coding.grid.other, coding.grid.null)
    assert again.sample(200, seed=1).table.equals(model.sample(200, seed=1).table)


def test_two_files_of_one_model_are_the_same_bytes(
    model: tronie.Model, bundle: Path, tmp_path: Path
) -> None:
    first = model.save(tmp_path / "one.tronie")
    second = tronie.Model.load(bundle).save(tmp_path / "two.tronie")
    assert first.read_bytes() == second.read_bytes() == bundle.read_bytes()


def test_a_file_of_the_first_format_is_read(
    model: tronie.Model, bundle: Path, tmp_path: Path
) -> None:
    """It did not name the kind of model, nor what was measured."""
    contents = members(bundle)
    manifest = json.loads(contents["manifest.json"])
    assert manifest.pop("kind") == "tree"
    del manifest["measured"]
    contents["manifest.json"] = json.dumps({**manifest, "tronie": 1}).encode()
    arrays = load(contents["arrays.safetensors"])
    known = {k: v for k, v in arrays.items() if k.startswith(("field.", "coding."))}
    contents["arrays.safetensors"] = save(known)
    old = tronie.Model.load(pack(tmp_path / "old.tronie", contents))
    assert old.sample(200, seed=1).table.equals(model.sample(200, seed=1).table)


def test_a_model_of_another_kind_comes_back(
    table: pa.Table, schema: tronie.Schema, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tronie.release.fit.method_named", lambda name: Gibbs())
    model = tronie.fit(
        table, schema, epsilon=20.0, method="gibbs", noise=InsecureNoise(1), ledger=tmp_path / "l"
    )
    path = model.save(tmp_path / "gibbs.tronie")
    assert json.loads(members(path)["manifest.json"])["kind"] == "gibbs"
    again = tronie.Model.load(path)
    assert again.save(tmp_path / "again.tronie").read_bytes() == path.read_bytes()
    for options in ({"n": 1500}, {"n": 50, "given": {"town": "Lisse"}}):
        one, two = (m.sample(**options, seed=1).table for m in (model, again))
        assert one.equals(two)
    assert again.marginal(["town"]).table.equals(model.marginal(["town"]).table)


def test_nothing_private_is_in_the_file(bundle: Path) -> None:
    contents = members(bundle)
    assert set(contents) == {
        "manifest.json",
        "schema.json",
        "certificate.json",
        "plan.json",
        "types.arrow",
        "arrays.safetensors",
    }
    everything = b"\n".join(contents.values())
    assert b"private" not in everything.replace(b"found privately", b"")
    assert b"pandas" not in everything
    assert pa.ipc.read_schema(pa.py_buffer(contents["types.arrow"])).metadata is None
    text = b"\n".join(data for name, data in contents.items() if name.endswith(".json")).decode()
    # The table has 600 rows; the released estimate is another number.
    assert not re.search(r"(?<![\d.])600(?!\d)", text)


def test_a_damaged_file_never_does_anything_but_refuse(bundle: Path, tmp_path: Path) -> None:
    """Bytes flipped all over the file; a few of them (times, attributes) mean nothing."""
    whole = bundle.read_bytes()
    rng = np.random.default_rng(0)
    harmless = 0
    for number, place in enumerate(rng.integers(0, len(whole), 250).tolist()):
        damaged = bytearray(whole)
        damaged[place] ^= 1 << number % 8
        path = tmp_path / "damaged.tronie"
        path.write_bytes(damaged)
        with warnings.catch_warnings(), suppress(BundleError):
            warnings.simplefilter("ignore")
            again = tronie.Model.load(path)
            harmless += 1
            assert again.sample(3, seed=0).table.num_rows == 3
    assert harmless < 25


def test_a_truncated_file_is_refused(bundle: Path, tmp_path: Path) -> None:
    whole = bundle.read_bytes()
    for size in [0, 1, 21, 22, 100, len(whole) // 2, len(whole) - 1]:
        path = tmp_path / "short.tronie"
        path.write_bytes(whole[:size])
        refused(path, "short.tronie")


def test_what_is_no_model_is_refused(tmp_path: Path) -> None:
    refused(tmp_path / "absent.tronie", "there is no file")
    refused(tmp_path, "is not a tronie model")
    text = tmp_path / "text.tronie"
    text.write_text("import os")
    refused(text, "is not a tronie model")
    refused(pack(tmp_path / "other.tronie", {"a.txt": b"1"}), "does not have the members")
    with zipfile.ZipFile(tmp_path / "empty.tronie", "w"):
        pass
    refused(tmp_path / "empty.tronie", "does not have the members")


@pytest.mark.parametrize("name", bundle_module._MEMBERS)
def test_a_missing_member_is_refused(name: str, bundle: Path, tmp_path: Path) -> None:
    contents = members(bundle)
    del contents[name]
    refused(pack(tmp_path / "less.tronie", contents), "does not have the members")


def test_an_extra_or_doubled_member_is_refused(bundle: Path, tmp_path: Path) -> None:
    contents = members(bundle)
    refused(pack(tmp_path / "more.tronie", {**contents, "run.py": b"1"}), "members")
    refused(pack(tmp_path / "up.tronie", {**contents, "../up": b"1"}), "members")
    path = pack(tmp_path / "twice.tronie", contents)
    with pytest.warns(UserWarning, match="Duplicate"), zipfile.ZipFile(path, "a") as archive:
        archive.writestr("plan.json", b"{}")
    refused(path, "members")


def test_a_bomb_is_refused_before_it_is_unpacked(
    bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    contents = {**members(bundle), "plan.json": b" " * 2_000_000}
    bomb = pack(tmp_path / "bomb.tronie", contents)
    assert bomb.stat().st_size < 100_000
    monkeypatch.setattr(bundle_module, "MAX_MEMBER_BYTES", 1_000_000)

    def read(*args: Any) -> bytes:
        raise AssertionError

    monkeypatch.setattr(zipfile.ZipFile, "read", read)
    refused(bomb, "would unpack to more than")


def test_a_member_that_lies_about_its_size_is_refused(bundle: Path, tmp_path: Path) -> None:
    contents = {**members(bundle), "plan.json": b" " * 2_000_000}
    path = pack(tmp_path / "liar.tronie", contents)
    size, lie = (2_000_000).to_bytes(4, "little"), (10).to_bytes(4, "little")
    path.write_bytes(path.read_bytes().replace(size, lie))
    refused(path)


@pytest.mark.parametrize("version", [0, 3, 99, "1", 1.5, None])
def test_another_format_is_refused_by_its_number(
    version: object, changed: Callable[..., Path]
) -> None:
    error = refused(changed("manifest.json", put("tronie", to=version)), "has format")
    assert "newer" in error.remedy


MANIFEST = {
    "no number": drop("tronie"),
    "a list": put(to=[1]),
    "no codings": drop("codings"),
    "one coding less": drop("codings", 0),
    "no field": drop("field"),
    "no kind": drop("kind"),
    "an unknown kind": put("kind", to=["tree"]),
    "another kind": put("kind", to="gibbs"),
    "field is text": put("field", to="x"),
    "errors are a list": put("column_errors", to=["a"]),
    "errors are text": put("column_errors", "age", to="much"),
    "another column": put("codings", 0, "column", to="zip"),
    "the same column twice": put("codings", 0, "column", to="town"),
    "others that the schema lacks": put("codings", 1, "other", to=True),
    "no cell for nulls": put("codings", 0, "null", to=False),
    "a total of zero": put("field", "total", to=0.0),
    "an endless total": put("field", "total", to=float("inf")),
    "a smaller domain": put("field", "domain", "age", to=1),
    "no cliques": put("field", "cliques", to=[]),
    "a parent that is not there": put("field", "parents", 0, to=17),
}


@pytest.mark.parametrize("edit", MANIFEST.values(), ids=MANIFEST)
def test_a_manifest_that_does_not_fit_is_refused(
    edit: Callable[[Any], Any], changed: Callable[..., Path]
) -> None:
    refused(changed("manifest.json", edit), "corrupt")


@pytest.mark.parametrize("name", ["manifest.json", "schema.json", "certificate.json", "plan.json"])
def test_text_that_is_no_data_is_refused(name: str, bundle: Path, tmp_path: Path) -> None:
    for text in (b"", b"{", b"\xff\xfe", b"[]", b"null", b"17", b"[" * 100_000):
        refused(pack(tmp_path / "bad.tronie", {**members(bundle), name: text}))


SCHEMA = {
    "another bound": put("columns", "age", "max", to=98),
    "another list": put("columns", "town", "values", to=["Delft", "Gouda", "Lisse", "Breda"]),
    "not nullable": put("columns", "age", "nullable", to=False),
    "bounds unknown": put("columns", "age", to={"kind": "integer"}),
    "a column less": drop("columns", "cost"),
    "an unknown kind": put("columns", "cost", "kind", to="magic"),
    "a date that was a number": put(
        "columns", "cost", to={"kind": "date", "min": "2020-01-01", "max": "2020-07-19"}
    ),
    "a key without a pattern": put("columns", "id", to={"kind": "identifier"}),
    "a rule less": drop("constraints", 0),
}


@pytest.mark.parametrize("edit", SCHEMA.values(), ids=SCHEMA)
def test_a_schema_of_another_model_is_refused(
    edit: Callable[[Any], Any], changed: Callable[..., Path]
) -> None:
    refused(changed("schema.json", edit))


@pytest.mark.parametrize(
    "edit", [drop("steps"), put("steps", to=3), put("steps", 0, "share", to="all")]
)
def test_a_plan_without_steps_is_refused(
    edit: Callable[[Any], Any], changed: Callable[..., Path]
) -> None:
    refused(changed("plan.json", edit))


def cells(array: str, place: int, value: float) -> Callable[[Any], Any]:
    def edit(arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        changed = arrays[array].copy()
        changed.flat[place] = value
        return {**arrays, array: changed}

    return edit


def other(array: str, change: Callable[[np.ndarray], np.ndarray]) -> Callable[[Any], Any]:
    return lambda arrays: {**arrays, array: np.ascontiguousarray(change(arrays[array]))}


ARRAYS = {
    "weights that are NaN": cells("coding.0.weights", 3, np.nan),
    "endless weights": cells("coding.0.weights", 3, np.inf),
    "negative weights": cells("coding.0.weights", 3, -1.0),
    "too few weights": other("coding.0.weights", lambda a: a[:-1]),
    "weights in a square": other("coding.0.weights", lambda a: a[:4].reshape(2, 2)),
    "narrow weights": other("coding.0.weights", lambda a: a.astype(np.float32)),
    "a code left out": other("coding.0.groups", lambda a: a + (a > 0)),
    "a negative code": cells("coding.0.groups", 0, -1),
    "a code beyond memory": cells("coding.0.groups", -1, 2**60),
    "one code more": other("coding.0.groups", lambda a: np.append(a[:-1], a.max() + 1)),
    "codes that are fractions": other("coding.0.groups", lambda a: a / 2),
    "edges in disorder": cells("coding.0.edges", 2, 0),
    "edges that begin late": cells("coding.0.edges", 0, 1),
    "another last edge": cells("coding.0.edges", -1, 101),
    "no edges": other("coding.0.edges", lambda a: a[:0]),
    "one edge, without axes": other("coding.0.edges", lambda a: np.array(0)),
    "edges that are numbers": other("coding.0.edges", lambda a: a.astype(np.float64)),
    "an array less": drop("coding.2.groups"),
    "a table less": drop("field.belief.0"),
    "a table more": lambda arrays: {**arrays, "field.belief.99": np.ones(1)},
    "probabilities that are NaN": cells("field.belief.0", 0, np.nan),
    "negative probabilities": cells("field.belief.0", 0, -0.5),
    "probabilities above one": other("field.belief.0", lambda a: a * 2),
    "a table of another shape": other("field.belief.0", lambda a: a.ravel()),
}


@pytest.mark.parametrize("edit", ARRAYS.values(), ids=ARRAYS)
def test_arrays_that_do_not_fit_are_refused(
    edit: Callable[[Any], Any], changed: Callable[..., Path]
) -> None:
    refused(changed("arrays.safetensors", edit), "corrupt")


def test_a_file_without_arrays_is_refused(bundle: Path, tmp_path: Path) -> None:
    for data in (b"", b"0" * 50, b"\xff" * 8 + b"{}", save({})):
        refused(pack(tmp_path / "bad.tronie", {**members(bundle), "arrays.safetensors": data}))


def types(edit: Callable[[pa.Schema], pa.Schema]) -> Callable[[bytes], bytes]:
    def change(data: bytes) -> bytes:
        return edit(pa.ipc.read_schema(pa.py_buffer(data))).serialize().to_pybytes()

    return change


TYPES = {
    "nothing": lambda data: b"",
    "not Arrow": lambda data: b"\x00" * 64,
    "half of it": lambda data: data[: len(data) // 2],
    "an unknown column": types(lambda t: t.append(pa.field("spy", pa.int64()))),
    "a text column": types(lambda t: t.append(pa.field("note", pa.string()))),
    "a dropped key": types(lambda t: t.append(pa.field("secret", pa.string()))),
    "another type": types(lambda t: t.set(0, pa.field(t[0].name, pa.list_(pa.int8())))),
    "a type too narrow": types(
        lambda t: t.set(t.get_field_index("seen"), pa.field("seen", pa.int8()))
    ),
}


@pytest.mark.parametrize("edit", TYPES.values(), ids=TYPES)
def test_types_that_cannot_be_written_are_refused(
    edit: Callable[[bytes], bytes], changed: Callable[..., Path]
) -> None:
    refused(changed("types.arrow", edit))


def test_a_file_that_cannot_be_written_leaves_nothing(model: tronie.Model, tmp_path: Path) -> None:
    with pytest.raises(OutputError):
        model.save(tmp_path / "no such folder" / "m.tronie")
    (tmp_path / "taken").mkdir()
    with pytest.raises(OutputError):
        model.save(tmp_path / "taken")
    assert [path.name for path in tmp_path.iterdir()] == ["taken"]


def test_an_old_file_stays_when_a_new_one_fails(
    model: tronie.Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = model.save(tmp_path / "m.tronie")
    before = path.read_bytes()

    def full(*args: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(zipfile.ZipFile, "writestr", full)
    with pytest.raises(OutputError, match="No space left"):
        model.save(path)
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["m.tronie"]
