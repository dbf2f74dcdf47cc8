"""Sizes of networks, and the parameters that follow from them."""

from __future__ import annotations

import pytest

from tronie.models.nets.shape import BODIES, Body, Shape


@pytest.mark.parametrize("body", BODIES)
def test_parameters_are_named_once_and_counted(body: Body) -> None:
    shape = Shape(body, (2, 3), width=8, depth=2, heads=2)
    names = [name for name, _ in shape.parameters()]
    assert len(names) == len(set(names))
    assert {"values.weight", "targets.weight", "heads.1.bias"} <= set(names)
    sizes = dict(shape.parameters())
    assert sizes["values.weight"] == (6, 8)
    assert sizes["heads.1.weight"] == (3, 8)
    deeper = Shape(body, (2, 3), width=8, depth=3, heads=2)
    assert deeper.count > shape.count
