"""Measurements go into a model's file and come back, or are refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tronie.errors import SchemaError
from tronie.models.marginal import Marginal
from tronie.models.uncertainty import Measurements, Misfit
from tronie.release.basis import basis_arrays, basis_structure, read_basis
from tronie.schema.domain import Domain

DOMAIN = Domain({"a": 2, "b": 3})
BASIS = Measurements(
    (
        Marginal(("a",), np.array([1.0, 2.0]), np.array([1.0, 2.0])),
        Marginal(("a", "b"), np.arange(6.0).reshape(2, 3), np.array(5.0)),
    ),
    2.5,
    (Misfit(("a", "b"), 10.0, 3.0, 1.5, 2),),
)


def test_a_basis_comes_back() -> None:
    again = read_basis(basis_structure(BASIS), basis_arrays(BASIS), DOMAIN)
    assert again.total_sd == BASIS.total_sd
    assert again.misfits == BASIS.misfits
    for one, other in zip(again.marginals, BASIS.marginals, strict=True):
        assert one.clique == other.clique
        np.testing.assert_array_equal(one.values, other.values)
        np.testing.assert_array_equal(one.sd, other.sd)


def test_an_empty_basis_comes_back() -> None:
    empty = Measurements()
    again = read_basis(basis_structure(empty), basis_arrays(empty), DOMAIN)
    assert (again.marginals, again.total_sd, again.misfits) == ((), 0.0, ())
    assert not empty.supports(["a"])


def test_a_basis_supports_what_one_measurement_holds() -> None:
    assert BASIS.supports(["b", "a"])
    assert not BASIS.supports(["a", "c"])


@pytest.mark.parametrize(
    ("structure", "arrays"),
    [
        ({"cliques": [["a"], ["a", "c"]]}, {}),
        ({"misfits": []}, {}),
        ({"total_sd": -1.0}, {}),
        ({"total_sd": float("nan")}, {}),
        ({}, {"measured.0.values": np.array([1.0])}),
        ({}, {"measured.0.values": np.array([1.0, np.nan])}),
        ({}, {"measured.misfits": np.full((1, 4), np.inf)}),
        ({}, {"measured.1.sd": np.array(0.0)}),
    ],
)
def test_what_is_no_basis_is_refused(structure: dict[str, Any], arrays: dict[str, Any]) -> None:
    with pytest.raises((ValueError, SchemaError)):
        read_basis(basis_structure(BASIS) | structure, basis_arrays(BASIS) | arrays, DOMAIN)
