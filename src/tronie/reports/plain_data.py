"""A report as plain data, for JSON: compact, with nothing that JSON cannot hold."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast

import numpy as np

if TYPE_CHECKING:
    from tronie.reports.result import Report

DIGITS, LISTED_DIGITS = 6, 4
"""Significant digits of a number, and of one in a long list."""

RECORDS = ("pairs", "triples")
"""Long lists of like things, which are written as a header and rows."""

SHARED = ("columns", "real", "labels", "x_edges", "y_edges", "explained")
"""What rests on the real rows and the codes only."""

LEFT_OUT = ("profiles",)
"""What is for drawing only."""


def plain_data(report: Report) -> dict[str, Any]:
    """A report as plain data.

    Pairs and triples are ``{"fields": [...], "rows": [[...], ...], "left_out": 0}``; all else is named by
    the attributes of the results. What later evaluations share with the first, because it rests on the
    real rows only, stands in the first one.
    """
    from tronie.reports.result import FORMAT

    found = {name: plain(part) for name, part in _fields(report).items() if name not in LEFT_OUT}
    if report.released is not None:
        found["released"] = plain(report.released.to_dict())
    evaluations: list[dict[str, Any]] = found["evaluations"]
    for evaluation in evaluations[1:]:
        _leave_out_shared(evaluation, evaluations[0])
    return {
        "tronie_report": FORMAT,
        "tier": report.tier,
        "publishable": report.tier == "release",
        "banner": report.banner,
        **found,
    }


def cut(data: dict[str, Any], most: int) -> dict[str, Any]:
    """The same data with at most so many pairs and triples of each evaluation, the worst.

    Args:
        data: As `plain_data` makes it; it is changed.
        most: Rows that are kept; ``left_out`` says how many are not.
    """
    for evaluation in data["evaluations"]:
        for name in RECORDS:
            records = evaluation["distributions"][name]
            records["left_out"] = max(len(records["rows"]) - most, 0)
            records["rows"] = records["rows"][:most]
    return data


def _leave_out_shared(other: dict[str, Any], first: dict[str, Any]) -> None:
    """Leave out of another evaluation what stands in the first one."""
    _without(other["dependence"], first["dependence"])
    _without(other["structure"]["projection"], first["structure"]["projection"])
    columns: dict[str, dict[str, Any]] = {
        column["name"]: column for column in first["distributions"]["columns"]
    }
    others: list[dict[str, Any]] = other["distributions"]["columns"]
    for column in others:
        _without(column, columns.get(column["name"], {}))


def _without(other: dict[str, Any], first: dict[str, Any]) -> None:
    for name in SHARED:
        if name in other and other[name] == first.get(name):
            del other[name]


def plain(value: Any, digits: int = DIGITS) -> Any:
    """A value as JSON can hold it; what is not finite is None.

    >>> plain({"a": 0.1234567891, "b": (1, 0.1234567891, float("nan"), None)})
    {'a': 0.123457, 'b': [1, 0.1235, None, None]}
    """
    if value is None or isinstance(value, str | int | float):
        return _rounded(value, digits) if isinstance(value, float) else value
    if isinstance(value, list | tuple):
        return [plain(part, LISTED_DIGITS) for part in cast("Sequence[Any]", value)]
    if isinstance(value, Mapping):
        items = cast("Mapping[Any, Any]", value).items()
        return {str(key): plain(part) for key, part in items}
    if isinstance(value, np.ndarray | np.generic):
        return plain(cast("Any", value).tolist())
    if dataclasses.is_dataclass(value):
        fields = _fields(value).items()
        return {name: _records(part) if name in RECORDS else plain(part) for name, part in fields}
    return str(value)


def _records(values: Sequence[Any]) -> dict[str, Any]:
    names = list(_fields(values[0])) if values else []
    rows = [plain([getattr(value, name) for name in names]) for value in values]
    return {"fields": names, "rows": rows, "left_out": 0}


def _fields(value: Any) -> dict[str, Any]:
    return {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}


def _rounded(value: float, digits: int) -> float | int | None:
    if not math.isfinite(value):
        return None
    short = float(f"{value:.{digits}g}")
    return int(short) if short == int(short) and abs(short) < 2**53 else short
