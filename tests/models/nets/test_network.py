"""Networks as they are trained: they agree with what draws from them, and each row has its own loss."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from nets_tables import SIZES, joint, parameters_of, shape_of

from tronie.models.nets.network import ColumnNetwork, initial
from tronie.models.nets.shape import BODIES, Body


def rows_of(count: int, seed: int = 0) -> torch.Tensor:
    rng = np.random.default_rng(seed)
    return torch.tensor(np.stack([rng.integers(size, size=count) for size in SIZES], axis=1))


@pytest.mark.parametrize("body", BODIES)
def test_parameters_are_those_of_the_shape(body: Body) -> None:
    shape = shape_of(body)
    parameters = parameters_of(shape)
    network = ColumnNetwork(shape, parameters)
    assert {n: tuple(p.shape) for n, p in network.named_parameters()} == dict(shape.parameters())
    assert all(parameter.requires_grad for parameter in network.parameters())
    again = network.parameters_now()
    assert set(again) == set(parameters)
    assert all(np.array_equal(again[name], parameters[name]) for name in parameters)


@pytest.mark.parametrize("body", BODIES)
@settings(max_examples=10)
@given(seed=st.integers(0, 2**16), order=st.permutations(range(3)))
def test_training_and_drawing_see_the_same_network(body: Body, seed: int, order: list[int]) -> None:
    shape = shape_of(body)
    parameters = parameters_of(shape, seed)
    probabilities = joint(shape, parameters, tuple(order))
    assert probabilities.sum() == pytest.approx(1, abs=1e-5)
    rows = rows_of(30, seed)
    losses = ColumnNetwork(shape, parameters)(rows, torch.tensor([order] * 30))
    expected = -np.log(probabilities[tuple(rows.numpy().T)])
    np.testing.assert_allclose(losses.detach().numpy(), expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("body", BODIES)
def test_a_rows_loss_is_its_own(body: Body) -> None:
    shape = shape_of(body)
    network = ColumnNetwork(shape, parameters_of(shape))
    rows = rows_of(20)
    orders = torch.tensor(np.random.default_rng(0).permuted([range(3)] * 20, axis=1))
    together = network(rows, orders)
    alone = torch.cat([network(rows[i : i + 1], orders[i : i + 1]) for i in range(20)])
    torch.testing.assert_close(together, alone, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("body", BODIES)
def test_a_column_is_predicted_from_those_before_it_only(body: Body) -> None:
    shape = shape_of(body)
    probabilities = joint(shape, parameters_of(shape))
    first = probabilities.sum(axis=(1, 2))
    rows = torch.tensor([[0, 0, 0], [0, 2, 3]])
    losses = ColumnNetwork(shape, parameters_of(shape))(rows)
    given_first = probabilities / first[:, None, None]
    rest = losses.detach().numpy() + np.log(first[0])
    np.testing.assert_allclose(
        rest, [-np.log(given_first[0, 0, 0]), -np.log(given_first[0, 2, 3])], rtol=1e-4
    )


@pytest.mark.parametrize("body", BODIES)
def test_it_begins_near_the_given_shares(body: Body) -> None:
    shape = shape_of(body)
    shares = {0: np.array([0.9, 0.1]), 2: np.array([0.0, 0.2, 0.3, 0.5])}
    parameters = initial(shape, shares, np.random.default_rng(0))
    assert {name: value.dtype for name, value in parameters.items()} == dict.fromkeys(
        parameters, np.dtype(np.float32)
    )
    found = joint(shape, parameters)
    np.testing.assert_allclose(found.sum(axis=(1, 2)), shares[0], atol=0.1)
    np.testing.assert_allclose(found.sum(axis=(0, 2)), 1 / 3, atol=0.15)
    np.testing.assert_allclose(found.sum(axis=(0, 1)), shares[2], atol=0.15)


def test_the_global_source_of_randomness_is_left_alone() -> None:
    shape = shape_of()
    torch.manual_seed(3)
    before = torch.random.get_rng_state()
    ColumnNetwork(shape, parameters_of(shape))
    assert torch.equal(torch.random.get_rng_state(), before)
