"""Language models as they are trained: a row's loss is its own, and nothing is paid for what is forced."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest

pytest.importorskip("transformers")
import torch
from language_models import (
    SIZES,
    TEXTS,
    base_of,
    blurred,
    grammar_of,
    model_of,
    network_of,
    rows_of,
)

from tronie.errors import BundleError, InputError
from tronie.measure.clipping import ClippedGradients
from tronie.measure.gradients import require_row_losses
from tronie.models.lm.grammar import KEY, OTHER, VALUE, Grammar
from tronie.models.lm.loading import rebuilt
from tronie.models.lm.network import LanguageNetwork

KINDS = ("gpt2", "llama", "tied llama")
ALL_ROWS = torch.tensor(list(itertools.product(*(range(size) for size in SIZES))))


def clipped_row_by_row(network: LanguageNetwork, rows: torch.Tensor) -> tuple[float, torch.Tensor]:
    """Median norm of the rows' gradients, and their clipped sum, by plain autograd."""
    trained = [p for p in network.parameters() if p.requires_grad]
    gradients = []
    for row in rows:
        parts = torch.autograd.grad(network(row[None]).sum(), trained, allow_unused=True)
        whole = zip(parts, trained, strict=True)
        gradients.append(
            torch.cat([(torch.zeros_like(p) if g is None else g).ravel() for g, p in whole])
        )
    norms = torch.stack([gradient.norm() for gradient in gradients])
    most = float(norms.median())
    return most, sum(g * (most / max(float(g.norm()), most)) for g in gradients)


@pytest.mark.parametrize("loss", ["constrained", "weighted"])
@pytest.mark.parametrize("rank", [0, 2])
@pytest.mark.parametrize("kind", KINDS)
def test_clipped_gradients_are_those_of_single_rows(kind: str, rank: int, loss: Any) -> None:
    network = network_of(kind, rank=rank, loss=loss)
    rows = rows_of(5)
    most, expected = clipped_row_by_row(network, rows)
    found = ClippedGradients(network).sum(rows, most)
    assert (found - expected).norm() <= 1e-5 * expected.norm()
    if loss == "constrained":
        require_row_losses(network, SIZES)


def test_a_model_in_half_precision_is_trained_in_single_and_drawn_from_in_half() -> None:
    base = base_of()
    grammar = grammar_of(base)
    model = blurred(base.model(grammar.longest)).to(torch.bfloat16)
    network = LanguageNetwork(model, grammar, rng=np.random.default_rng(0), rank=2)
    assert {parameter.dtype for parameter in network.parameters()} == {torch.float32}
    require_row_losses(network, SIZES)
    small = {name: value * 0 + 1e-3 for name, value in network.parameters_now().items()}
    network.put(small)
    before = network(rows_of(5)).detach()
    network.merge()
    kinds = {name.split(".")[-2]: value.dtype for name, value in network.named_parameters()}
    assert kinds["down"] == kinds["up"] == torch.float32
    assert kinds["frozen"] == kinds["values"] == torch.bfloat16
    assert torch.allclose(network(rows_of(5)), before, rtol=0.05)


@pytest.mark.parametrize("serial", ["sentence", "compact"])
@pytest.mark.parametrize("kind", KINDS)
def test_probabilities_of_all_rows_sum_to_one(kind: str, serial: str) -> None:
    network = network_of(kind, serial, rank=2)
    with torch.no_grad():
        assert float((-network(ALL_ROWS)).exp().sum()) == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize("kind", [*KINDS, "phi"])
@pytest.mark.parametrize("order", [(0, 1, 2, 3), (3, 0, 2, 1)])
def test_losses_follow_from_the_scores_of_the_untouched_model(
    kind: str, order: tuple[int, ...]
) -> None:
    base = base_of()
    grammar = grammar_of(base)
    model = blurred(rebuilt(PHI)) if kind == "phi" else model_of(kind, base, grammar)
    rows = rows_of(5)
    orders = torch.tensor([order] * len(rows))
    written = grammar.rows(rows.numpy(), orders.numpy())
    ids = torch.tensor(written.ids)
    with torch.no_grad():
        logits = model(input_ids=ids).logits
        network = LanguageNetwork(model, grammar, rng=np.random.default_rng(0))
        found = network(rows, orders)
        tokens = network.token_losses(written)
    for row in range(len(rows)):
        expected = 0.0
        for place, node in zip(written.places[row], written.nodes[row], strict=True):
            start = grammar.allowed.starts[node]
            allowed = grammar.allowed.values[start : start + grammar.allowed.lengths[node]]
            if node >= 0:
                scores = logits[row, place - 1]
                expected += float(scores[allowed].logsumexp(0) - scores[ids[row, place]])
        assert float(found[row]) == pytest.approx(expected, rel=1e-4)
        for place in range(1, ids.shape[1]):
            if written.kinds[row, place] >= 0:
                scores = logits[row, place - 1]
                cost = scores[grammar.tokens].logsumexp(0) - scores[ids[row, place]]
                assert float(tokens[row, place]) == pytest.approx(float(cost), abs=1e-4)
            else:
                assert tokens[row, place] == 0


PHI = {
    "model_type": "phi",
    "vocab_size": 300,
    "hidden_size": 16,
    "intermediate_size": 24,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "max_position_embeddings": 128,
}
"""A model whose scores have shifts."""


def test_forced_tokens_get_no_gradient() -> None:
    network = network_of("llama")
    rows = network.grammar.rows(ALL_ROWS.numpy())
    network(ALL_ROWS).sum().backward()
    allowed = set(network.grammar.allowed.values.tolist())
    assert network.outputs is not None
    moved = network.outputs.weight.grad.abs().sum(1) > 0
    tokens = network.grammar.tokens
    assert {int(token) for token in tokens[moved.numpy()]} == allowed
    assert len(allowed) < len(tokens)
    assert not rows.decisions[:, 0].any()


def test_a_row_without_a_choice_costs_nothing() -> None:
    base = base_of()
    texts = {**TEXTS, "first": ("a", "b")}
    alone = Grammar.of(["same", "first"], texts, base.encode, start=base.start)
    longer = Grammar.of(["same", "first", "same"], texts, base.encode, start=base.start)
    losses = []
    for grammar, rows in ((alone, [[0, 0], [0, 1]]), (longer, [[0, 0, 0], [0, 1, 0]])):
        model = blurred(base.model(longer.longest))
        network = LanguageNetwork(model, grammar, rng=np.random.default_rng(0))
        with torch.no_grad():
            losses.append(network(torch.tensor(rows)))
    assert torch.allclose(losses[0], losses[1], atol=1e-6)


@pytest.mark.parametrize("loss", ["constrained", "weighted"])
def test_a_loss_does_not_depend_on_the_batch_or_on_padding(loss: Any) -> None:
    network = network_of(loss=loss)
    short, long = torch.tensor([[0, 0, 0, 3]]), torch.tensor([[3, 1, 0, 2]])
    lengths = [network.grammar.rows(row.numpy()).ids.shape[1] for row in (short, long)]
    assert lengths[0] < lengths[1]
    with torch.no_grad():
        alone = network(short)
        among = network(torch.cat([long, short, long, *[long] * 5]))[1:2]
    assert torch.allclose(alone, among, atol=1e-5)


def test_a_weighted_loss_is_made_of_each_rows_own_means() -> None:
    network = network_of(loss="weighted")
    rows = network.grammar.rows(rows_of(3).numpy())
    with torch.no_grad():
        losses, tokens = network(rows_of(3)), network.token_losses(rows).numpy()
    for row in range(3):
        value, key, other = (tokens[row][rows.kinds[row] == k].mean() for k in (VALUE, KEY, OTHER))
        assert float(losses[row]) == pytest.approx(0.65 * value + 0.35 * (key + other), rel=1e-5)


def test_a_compact_row_has_no_names_to_weigh() -> None:
    network = network_of(serial="compact", loss="weighted")
    with torch.no_grad():
        assert bool(torch.isfinite(network(rows_of(3))).all())


def test_all_tokens_are_kept_on_demand() -> None:
    base = base_of()
    grammar = grammar_of(base)
    model = model_of("gpt2", base, grammar)
    rows = grammar.rows(rows_of(2).numpy())
    with torch.no_grad():
        logits = model(input_ids=torch.tensor(rows.ids)).logits
        rng = np.random.default_rng(0)
        network = LanguageNetwork(model, grammar, rng=rng, rank=1, whole_vocabulary=True)
        found = network.token_losses(rows)
    cost = logits[0, 0].logsumexp(0) - logits[0, 0, rows.ids[0, 1]]
    assert float(found[0, 1]) == pytest.approx(float(cost), rel=1e-5)


OTHER_TEXTS = {"income": ("4", "none", "7000 crowns"), "town": ("Delft", "Gouda")}


@pytest.mark.parametrize("rank", [0, 2])
@pytest.mark.parametrize("kind", KINDS)
def test_tokens_of_another_table_are_learned_and_dropped(kind: str, rank: int) -> None:
    """What is kept, and all losses of rows, are as they were; what only the other has is gone."""
    base = base_of()
    own, other = (
        Grammar.of(list(texts), texts, base.encode, "sentence", start=base.start)
        for texts in (TEXTS, OTHER_TEXTS)
    )
    rng = np.random.default_rng(0)
    assert own.longest >= other.longest
    model = model_of(kind, base, own)
    network = LanguageNetwork(model, own, rng=rng, rank=rank, also=other.tokens, loss="weighted")
    assert set(network.head_now()[1]) == {*own.tokens, *other.tokens} > {*own.tokens}
    alone = network_of(kind, rank=0)
    rows = rows_of(6)
    written = own.rows(rows.numpy())
    with torch.no_grad():
        network.read(other)
        assert network(torch.tensor([[0, 1], [2, 0]])).isfinite().all()
        assert network.decision_losses(other.rows(np.array([[2, 0]]))).shape == (1, 2)
        network.read(own)
        decisions = network.decision_losses(written)
        among = network.token_losses(written, own.tokens)
        more = network.token_losses(written)
        torch.testing.assert_close(among, alone.token_losses(written), rtol=1e-4, atol=1e-4)
        network.forget()
        assert network.head_now()[1].tolist() == own.tokens.tolist()
        torch.testing.assert_close(network.decision_losses(written), decisions)
        torch.testing.assert_close(network.token_losses(written), among)
        assert (more >= among).all()
        assert (more > among).any()
    assert ClippedGradients(network).size == ClippedGradients(network_of(kind, rank=rank)).size
    if rank:
        return
    most, expected = clipped_row_by_row(network, rows)
    found = ClippedGradients(network).sum(rows, most)
    assert (found - expected).norm() <= 1e-5 * expected.norm()


def test_a_whole_vocabulary_is_not_forgotten() -> None:
    network = network_of(rank=2, whole_vocabulary=True)
    before = len(network.head_now()[1])
    network.forget()
    assert len(network.head_now()[1]) == before


def test_shifts_of_scores_are_dropped_with_their_tokens() -> None:
    network = network_of()
    network._shifts = torch.arange(len(network.head_now()[1]), dtype=torch.float32)
    known = dict(zip(network.head_now()[1].tolist(), network._shifts.tolist(), strict=True))
    few = {name: texts[:2] for name, texts in TEXTS.items()}
    base = base_of()
    network.read(Grammar.of(list(few), few, base.encode, "sentence", start=base.start))
    network.forget()
    heads, tokens = network.head_now()
    assert len(tokens) < len(known)
    assert heads[:, -1].tolist() == [known[token] for token in tokens.tolist()]


def test_states_are_the_same_in_pieces() -> None:
    from transformers import DynamicCache

    network = network_of("llama", rank=2)
    ids = torch.tensor(network.grammar.rows(rows_of(3).numpy()).ids)
    cache = DynamicCache()
    with torch.no_grad():
        whole = network.states(ids)
        first = network.states(ids[:, :5], cache=cache)
        second = network.states(ids[:, 5:], begin=5, cache=cache)
        scores = network.scores(whole[:, 3], torch.tensor([1, 33]))
    assert torch.allclose(torch.cat([first, second], 1), whole, atol=1e-5)
    weight, tokens = network.head_now()
    chosen = weight[[int(np.searchsorted(tokens, token)) for token in (33,)]]
    assert np.allclose(whole[:, 3].numpy() @ chosen.T, scores[:, 1:].numpy(), atol=1e-5)


def test_the_head_of_a_model_with_shifts_has_them_as_a_column() -> None:
    base = base_of()
    grammar = grammar_of(base)
    network = LanguageNetwork(blurred(rebuilt(PHI)), grammar, rng=np.random.default_rng(0))
    states = torch.ones(1, 16)
    weight, tokens = network.head_now()
    with torch.no_grad():
        scores = network.scores(states, torch.tensor(tokens))
    assert np.allclose(np.ones((1, 17)) @ weight.T, scores.numpy(), atol=1e-4)


@pytest.mark.parametrize("rank", [0, 2])
def test_parameters_can_be_taken_out_and_put_back(rank: int) -> None:
    network, other = network_of(rank=rank), network_of(rank=rank)
    parameters = network.parameters_now()
    assert sum(value.size for value in parameters.values()) == ClippedGradients(network).size
    blurred(other)
    assert not torch.allclose(network(rows_of(3)), other(rows_of(3)))
    if rank:
        other = network_of(rank=rank)
        other.put({name: value + 1 for name, value in parameters.items()})
    other.put(parameters)
    assert rank == 0 or torch.equal(network(rows_of(3)), other(rows_of(3)))
    if not rank:
        with pytest.raises(BundleError, match="weights"):
            other.put({**parameters, "more": np.zeros(1, np.float32)})


def test_a_model_comes_back_from_its_sizes_and_parameters() -> None:
    network = network_of()
    again = LanguageNetwork(rebuilt(network.config), network.grammar, rng=np.random.default_rng(1))
    again.put(network.parameters_now())
    assert torch.equal(network(rows_of(3)), again(rows_of(3)))


def test_merged_changes_are_the_changes() -> None:
    network = network_of("llama", rank=2)
    before = network(rows_of(5)).detach()
    network.merge()
    assert torch.allclose(network(rows_of(5)), before, atol=1e-4)
    assert not any(parameter.requires_grad for parameter in network.parameters())
    assert "down" not in {name.split(".")[-2] for name, _ in network.named_parameters()}


def test_changes_of_attention_alone() -> None:
    names = set(network_of("llama", rank=2, targets="attention").parameters_now())
    assert len(names) == 2 * 4 * 2
    assert all("self_attn" in name for name in names)
    assert len(network_of("llama", rank=2).parameters_now()) == 2 * 7 * 2


def test_the_same_seed_gives_the_same_network() -> None:
    one, two = network_of(rank=2).parameters_now(), network_of(rank=2).parameters_now()
    assert all(np.array_equal(one[name], two[name]) for name in one)


def test_settings_that_cannot_be_are_refused() -> None:
    base = base_of()
    grammar = grammar_of(base)
    rng = np.random.default_rng(0)
    with pytest.raises(InputError, match="all tokens"):
        LanguageNetwork(base.model(99), grammar, rng=rng, whole_vocabulary=True)
    one = Grammar.of(["same"], TEXTS, base.encode)
    with pytest.raises(InputError, match="one value"):
        LanguageNetwork(base.model(99), one, rng=rng)
    far = Grammar.of(["sex"], TEXTS, lambda text: [9000 + ord(letter) for letter in text])
    with pytest.raises(InputError, match="not of this model"):
        LanguageNetwork(base.model(99), far, rng=rng)


def test_a_model_that_changes_its_scores_is_refused() -> None:
    sizes = {**PHI, "model_type": "granite", "logits_scaling": 8.0}
    base = base_of()
    with pytest.raises(InputError, match="changes its scores"):
        LanguageNetwork(blurred(rebuilt(sizes)), grammar_of(base), rng=np.random.default_rng(0))
