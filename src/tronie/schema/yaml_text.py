"""YAML that means the same to every reader.

Reading follows the core schema of YAML 1.2, a little stricter: ``yes`` and ``on`` are text, so are
dates (each column reads its own) and numbers with leading zeros (they are codes). Keys are always
text, and none may be given twice. Writing quotes whatever any version of YAML would take for
something else than text.
"""

# pyright: reportUnknownMemberType=false
# PyYAML's stubs leave out many types.

from __future__ import annotations

import re
import sys
from typing import Any

import yaml
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode
from yaml.representer import SafeRepresenter

from tronie.errors import SchemaError

WIDTH = 90
"""Where a line ends at the next space; a part goes on one line if it ends before."""

_TAG = "tag:yaml.org,2002:"

_PLAIN: tuple[tuple[str, str, str], ...] = (
    ("null", r"~|null|Null|NULL|", "~nN"),
    ("bool", r"true|True|TRUE|false|False|FALSE", "tTfF"),
    ("int", r"[-+]?(0|[1-9][0-9]*)", "-+0123456789"),
    (
        "float",
        r"[-+]?(((0|[1-9][0-9]*)(\.[0-9]*)?|\.[0-9]+)([eE][-+]?[0-9]+)?)",
        "-+.0123456789",
    ),
)
"""Unquoted words that are not text: type, pattern, first characters."""

_NUMBER_ELSEWHERE = r"[-+]?[0-9][0-9_.:]*([eE][-+]?[0-9]*)?|0[box][0-9a-fA-F_]+"
"""What some reader takes for a number."""


class _Loader(yaml.SafeLoader):
    """Safe loader with fewer surprises."""

    yaml_implicit_resolvers: dict[str, Any] = {}  # noqa: RUF012 - the base class's, emptied

    def construct_mapping(self, node: Node, deep: bool = False) -> dict[Any, Any]:
        """A mapping with text for keys."""
        if not isinstance(node, MappingNode):
            raise _problem("a mapping is expected", node)
        mapping: dict[Any, Any] = {}
        for key, value in node.value:
            if not isinstance(key, ScalarNode):
                raise _problem("a key is a single word", key)
            if key.value in mapping:
                raise _problem(f"{key.value!r} is given twice", key)
            mapping[key.value] = self.construct_object(value, deep=deep)
        return mapping

    def construct_whole(self, node: ScalarNode) -> int:
        """A whole number, in digits."""
        return int(node.value)

    def construct_real(self, node: ScalarNode) -> float:
        """A number with a point or an exponent."""
        return float(node.value)


class _Dumper(yaml.SafeDumper):
    """Safe dumper that quotes what some reader would not take for text."""

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        """Indent lists below their key."""
        super().increase_indent(flow, False)


class _Representer(SafeRepresenter):
    """Plain data as nodes, in its own order, equal parts written out."""

    def __init__(self) -> None:
        super().__init__(sort_keys=False)

    def ignore_aliases(self, data: Any) -> bool:
        """Write everything out."""
        return True

    def represent_words(self, text: str) -> ScalarNode:
        """Text; in double quotes, which alone keep odd spaces and line ends, where it has any."""
        style = None if text.isprintable() else '"'
        return self.represent_scalar(_TAG + "str", text, style=style)


def _problem(what: str, node: Node) -> yaml.MarkedYAMLError:
    return yaml.MarkedYAMLError(problem=what, problem_mark=node.start_mark)


def _set_up() -> None:
    for name, pattern, first in _PLAIN:
        starts = [*first, ""] if name == "null" else list(first)
        regexp = re.compile(rf"^(?:{pattern})$")
        _Loader.add_implicit_resolver(_TAG + name, regexp, starts)
        _Dumper.add_implicit_resolver(_TAG + name, regexp, starts)
    elsewhere = re.compile(rf"^(?:{_NUMBER_ELSEWHERE})$")
    _Dumper.add_implicit_resolver(_TAG + "float", elsewhere, list("-+0123456789"))
    _Representer.add_representer(str, _Representer.represent_words)
    _Loader.add_constructor(_TAG + "int", _Loader.construct_whole)
    _Loader.add_constructor(_TAG + "float", _Loader.construct_real)


_set_up()


def load(text: str) -> object:
    """Plain data from YAML.

    Raises:
        SchemaError: If the text is not YAML, with the line.
    """
    try:
        return yaml.load(text, _Loader)  # noqa: S506 - a safe loader
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = f", line {mark.line + 1}" if mark else ""
        raise SchemaError(
            f"not valid YAML{line}: {error.problem or error.context}.", "Correct the line."
        ) from None
    except yaml.YAMLError as error:
        raise SchemaError(f"not valid YAML: {error}.", "Save the file as UTF-8 text.") from None
    except (ValueError, RecursionError) as error:
        raise SchemaError(f"not valid YAML: {error}.", "Correct the text.") from None


def dump(data: dict[str, Any]) -> str:
    """YAML of plain data: each entry of a part that does not fit on a line gets lines of its own."""
    root = _Representer().represent_data(data)
    assert isinstance(root, MappingNode)
    root.flow_style = False
    for key, value in root.value:
        opened = key.value in {"columns", "constraints"}
        _lay_out(value, len(key.value) + 2, indent=0, opened=opened)
    return yaml.serialize(root, Dumper=_Dumper, width=WIDTH, allow_unicode=True)


def _lay_out(node: Node, start: int, *, indent: int, opened: bool = False) -> None:
    """Choose between one line and several for a part and all below it.

    Args:
        node: The part.
        start: Where its text starts on its line.
        indent: Where that line starts.
        opened: Whether it gets several lines in any case.
    """
    if not isinstance(node, MappingNode | SequenceNode):
        return
    entries = node.value if isinstance(node, MappingNode) else [(None, v) for v in node.value]
    wrapped = isinstance(node, SequenceNode) and not any(
        isinstance(value, MappingNode) for value in node.value
    )
    node.flow_style = not opened and (wrapped or start + _width(node) <= WIDTH)
    if not node.flow_style:
        inner = indent + 2
        for key, value in entries:
            used = len(key.value) if key else 0
            _lay_out(value, inner + used + 2, indent=inner)


def _width(node: MappingNode | SequenceNode) -> int:
    """Characters that a part takes on one line."""
    node.flow_style = True
    text = yaml.serialize(node, Dumper=_Dumper, width=sys.maxsize, allow_unicode=True)
    return len(text.rstrip("\n"))
