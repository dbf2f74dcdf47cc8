from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from schema_strategies import LOOKALIKES, schemas, texts, values

from tronie.errors import OutputError, SchemaError
from tronie.schema import yaml_text
from tronie.schema.columns import Category
from tronie.schema.draft import Field, draft
from tronie.schema.schema import Schema

ADULT = Path(__file__).resolve().parents[2] / "src" / "tronie" / "data" / "adult.yaml"
PEOPLE = "name: people\ncolumns: {age: {kind: integer, min: 0, max: 99}}\n"


# `repr` tells 1 from True and from 1.0, and 0.0 from -0.0, where `==` does not.
@settings(max_examples=80, deadline=None)
@given(schemas())
def test_yaml_round_trip(schema: Schema) -> None:
    assert repr(Schema.parse(schema.to_yaml())) == repr(schema)


@settings(max_examples=80, deadline=None)
@given(schemas())
def test_json_round_trip(schema: Schema) -> None:
    assert repr(Schema.parse(schema.to_json(), "json")) == repr(schema)


@settings(max_examples=60, deadline=None)
@given(schemas())
def test_another_yaml_reader_understands_the_same(schema: Schema) -> None:
    assert repr(Schema.model_validate(yaml.safe_load(schema.to_yaml()))) == repr(schema)


@settings(max_examples=30, deadline=None)
@given(schemas())
def test_json_is_yaml_too(schema: Schema) -> None:
    data = json.loads(schema.to_json())
    assert repr(Schema.model_validate(data)) == repr(schema)


@pytest.mark.parametrize("value", LOOKALIKES, ids=repr)
def test_types_of_lookalikes_survive(value: bool | float | str) -> None:
    schema = Schema(name="x", columns={"c": Category(values=(value, "other one"))})
    for back in (Schema.parse(schema.to_yaml()), Schema.parse(schema.to_json(), "json")):
        column = back.columns["c"]
        assert isinstance(column, Category)
        assert repr(column.values[0]) == repr(value)


@settings(max_examples=60, deadline=None)
@given(st.dictionaries(texts, st.lists(values)))
def test_yaml_of_plain_data_comes_back(data: dict[str, list[object]]) -> None:
    assert repr(yaml_text.load(yaml_text.dump({"columns": data}))) == repr({"columns": data})


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("yes", "yes"),
        ("on", "on"),
        ("true", True),
        ("007", "007"),
        ("12:30", "12:30"),
        ("2020-01-31", "2020-01-31"),
        ("1_000", "1_000"),
        ("-12", -12),
        ("1e3", 1000.0),
        (".5", 0.5),
        ("0", 0),
        ("~", None),
        ("", None),
        ("'1'", "1"),
    ],
)
def test_what_unquoted_words_mean(text: str, expected: object) -> None:
    assert repr(yaml_text.load(f"x: {text}")) == repr({"x": expected})


def test_keys_are_text() -> None:
    text = "name: x\ncolumns: {1: {kind: boolean}, yes: {kind: boolean}, null: {kind: text}}"
    assert [*Schema.parse(text).columns] == ["1", "yes", "null"]


def test_short_columns_stand_on_a_line_and_defaults_are_left_out() -> None:
    text = Schema.parse(PEOPLE).to_yaml()
    assert text == ("tronie: 1\nname: people\ncolumns:\n  age: {kind: integer, min: 0, max: 99}\n")


def test_long_lists_are_wrapped() -> None:
    schema = Schema(name="x", columns={"c": Category(values=tuple(range(1000, 1100)))})
    lines = schema.to_yaml().splitlines()
    assert 5 < len(lines) < 20
    assert max(len(line) for line in lines) <= 100


def test_adult_is_shorter_and_the_same() -> None:
    schema = Schema.read(ADULT)
    assert len(schema.to_yaml()) < len(ADULT.read_text())
    assert Schema.parse(schema.to_yaml()) == schema


def test_a_draft_says_so() -> None:
    assert draft([Field("a", "int64")], "x").to_yaml().startswith("# A draft.")


@pytest.mark.parametrize("name", ["s.yaml", "s.yml", "s.json", "S.YAML"])
def test_write_and_read(tmp_path: Path, name: str) -> None:
    schema = Schema.read(ADULT)
    schema.write(tmp_path / name)
    assert Schema.read(str(tmp_path / name)) == schema
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_write_replaces_whole(tmp_path: Path) -> None:
    path = tmp_path / "s.yaml"
    path.write_text("before")
    with pytest.raises(SchemaError):
        Schema.parse(PEOPLE).write(tmp_path / "s.txt")
    with pytest.raises(OutputError):
        Schema.parse(PEOPLE).write(tmp_path / "nowhere" / "s.yaml")
    assert path.read_text() == "before"
    Schema.parse(PEOPLE).write(path)
    assert Schema.read(path).name == "people"


def test_a_byte_order_mark_is_no_matter(tmp_path: Path) -> None:
    (tmp_path / "s.yaml").write_text(PEOPLE, encoding="utf-8-sig")
    assert Schema.read(tmp_path / "s.yaml").name == "people"


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(SchemaError, match="no such file"):
        Schema.read(tmp_path / "s.yaml")
    with pytest.raises(SchemaError, match="neither YAML nor JSON"):
        Schema.read(tmp_path / "s.toml")
    (tmp_path / "s.json").write_bytes(b"\xff\xfe")
    with pytest.raises(SchemaError, match="not UTF-8"):
        Schema.read(tmp_path / "s.json")
    (tmp_path / "t.yaml").write_text("name: x\nfoo: 1")
    with pytest.raises(SchemaError, match=r"t\.yaml.*: the schema: "):
        Schema.read(tmp_path / "t.yaml")


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("name: x\ncolumns: [", "line 2"),
        ("name: x\n\tcolumns: 3", "line 2"),
        ("name: x\nname: y", "line 2: 'name' is given twice"),
        ("[1]: 2", "line 1: a key is a single word"),
        ("name: !!python/object:os.system x", "line 1"),
        ("a: 1\n---\nb: 2", "line 2"),
        ("a: !!int b", "invalid literal"),
        ("a: !!map b", "a mapping is expected"),
        ("a: \x01", "not valid YAML"),
        ("[" * 500, "not valid YAML"),
        ("", "empty"),
        ("# nothing", "empty"),
        ("- 1", "not a mapping"),
    ],
)
def test_bad_yaml(text: str, what: str) -> None:
    with pytest.raises(SchemaError) as caught:
        Schema.parse(text)
    assert what in caught.value.what
    assert caught.value.remedy


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ('{"name": "x",\n,}', "line 2"),
        ('{"name": "x", "name": "y"}', "'name' is given twice"),
        ('{"name": NaN}', "NaN"),
        ("[" * 100_000, "not valid JSON"),
        ("null", "empty"),
    ],
)
def test_bad_json(text: str, what: str) -> None:
    with pytest.raises(SchemaError) as caught:
        Schema.parse(text, "json")
    assert what in caught.value.what


def test_yaml_is_loaded_only_when_needed() -> None:
    import subprocess
    import sys

    code = "import sys, tronie.schema.schema; assert 'yaml' not in sys.modules"
    source = str(ADULT.parents[2])
    subprocess.run([sys.executable, "-c", code], check=True, env={"PYTHONPATH": source})
