"""Free text in training: a row's loss is its own, and is the cost of its text among all texts."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import pytest

pytest.importorskip("transformers")
import torch
from language_models import SIZES, TEXTS, base_of, blurred, grammar_of, model_of, rows_of
from lm_tables import base_folder, field_of

from tronie.errors import BundleError, InputError
from tronie.measure.clipping import ClippedGradients
from tronie.measure.gradients import require_row_losses
from tronie.models.field import read_field, texts_of, write_texts
from tronie.models.lm.grammar import Grammar
from tronie.models.lm.lm_field import LanguageField
from tronie.models.lm.loading import open_base, pieces_of, rebuilt
from tronie.models.lm.network import LanguageNetwork
from tronie.models.lm.prose import END, FIRST, MISSING, Prose, ProseCoder
from tronie.models.lm.reading import Origin
from tronie.models.lm.timing import bytes_of_step, seconds_per_row
from tronie.models.lm.training import train_on_public
from tronie.models.nets.training import Course
from tronie.schema.columns import Text
from tronie.schema.domain import Domain

COLUMNS = {"notes": Text(max_length=4), "more": Text(max_length=2, nullable=False)}
DOMAIN = Domain({"a": 4, "b": 3})


def prose_of(serial: Any = "sentence") -> Prose:
    base = base_of()
    return Prose.of(COLUMNS, base, serial, alphabet=base.alphabet())


def network_of(kind: str = "gpt2", *, prose: Prose | None = None, **settings: Any) -> Any:
    base = base_of()
    grammar = grammar_of(base)
    prose = prose or prose_of()
    model = (
        blurred(base.model(grammar.longest + prose.longest))
        if kind == "gpt2"
        else model_of(kind, base, grammar)
    )
    rng = np.random.default_rng(0)
    network = LanguageNetwork(model, grammar, rng=rng, prose=prose, **settings)
    if network.rank:
        generator = torch.Generator().manual_seed(1)
        with torch.no_grad():
            for parameter in network.parameters():
                if parameter.requires_grad:
                    parameter += 0.2 * torch.randn(parameter.shape, generator=generator)
    return network


def with_texts(network: LanguageNetwork, rows: torch.Tensor, seed: int = 0) -> torch.Tensor:
    """Rows and random texts; the first is missing, the second empty."""
    assert network.prose is not None
    rng = np.random.default_rng(seed)
    numbers = rng.integers(0, len(network.prose.alphabet), (len(rows), network.prose.width))
    numbers[:1, 0], numbers[1:2, 0] = MISSING, END
    return torch.cat([rows, torch.tensor(numbers)], 1)


@pytest.mark.parametrize("loss", ["constrained", "weighted"])
@pytest.mark.parametrize(("kind", "rank"), [("gpt2", 0), ("llama", 2), ("tied llama", 0)])
def test_clipped_gradients_are_those_of_single_rows(kind: str, rank: int, loss: Any) -> None:
    network = network_of(kind, rank=rank, loss=loss)
    rows = with_texts(network, rows_of(5))
    trained = [p for p in network.parameters() if p.requires_grad]
    alone = []
    for row in rows:
        parts = torch.autograd.grad(network(row[None]).sum(), trained, allow_unused=True)
        whole = zip(parts, trained, strict=True)
        alone.append(
            torch.cat([(torch.zeros_like(p) if g is None else g).ravel() for g, p in whole])
        )
    most = float(torch.stack([gradient.norm() for gradient in alone]).median())
    expected = sum(g * (most / max(float(g.norm()), most)) for g in alone)
    found = ClippedGradients(network).sum(rows, most)
    assert (found - expected).norm() <= 1e-5 * expected.norm()
    if loss == "constrained":
        require_row_losses(network, [*SIZES, *[len(network.prose.alphabet)] * network.prose.width])


@pytest.mark.parametrize("loss", ["constrained", "weighted"])
def test_a_rows_text_does_not_change_another_rows_loss(loss: Any) -> None:
    network = network_of(loss=loss)
    rows = with_texts(network, rows_of(4))
    other = rows.clone()
    other[1:] = with_texts(network, rows_of(3), seed=7)
    with torch.no_grad():
        one, two, alone = network(rows), network(other), network(rows[:1])
    assert torch.allclose(one[0], two[0], atol=1e-5)
    assert torch.allclose(one[:1], alone, atol=1e-5)
    assert not torch.allclose(one[2], two[2], atol=1e-3)


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


@pytest.mark.parametrize("kind", ["gpt2", "phi"])
def test_losses_follow_from_the_scores_of_the_untouched_model(kind: str) -> None:
    base, prose = base_of(), prose_of()
    grammar = grammar_of(base)
    gpt2 = kind == "gpt2"
    model = blurred(base.model(grammar.longest + prose.longest) if gpt2 else rebuilt(PHI))
    rows = rows_of(5)
    network = LanguageNetwork(model, grammar, rng=np.random.default_rng(0), prose=prose)
    whole = with_texts(network, rows)
    texts = prose.append(grammar.rows(rows.numpy()), whole[:, len(SIZES) :].numpy())
    ids = torch.tensor(texts.rows.ids)
    untouched = blurred(base.model(grammar.longest + prose.longest) if gpt2 else rebuilt(PHI))
    letters = torch.tensor(prose.alphabet.ids)
    with torch.no_grad():
        logits = untouched(input_ids=ids).logits
        found = network(whole) - network(rows)
    for row in range(len(rows)):
        expected = 0.0
        for place, target, opening in zip(
            texts.places[row], texts.targets[row], texts.openings[row], strict=True
        ):
            if target >= 0:
                scores = logits[row, place - 1][letters]
                scores[MISSING] = scores[MISSING] if opening else -torch.inf
                expected += float(scores.logsumexp(0) - scores[target])
        assert float(found[row]) == pytest.approx(expected, rel=1e-4)


def test_rows_without_texts_cost_what_they_cost_without_such_columns() -> None:
    base, prose = base_of(), prose_of()
    grammar = grammar_of(base)
    losses = []
    for more in (None, prose):
        model = blurred(base.model(grammar.longest + prose.longest))
        network = LanguageNetwork(model, grammar, rng=np.random.default_rng(0), prose=more)
        with torch.no_grad():
            losses.append(network(rows_of(5)))
    assert torch.allclose(*losses, atol=1e-5)


def test_where_nothing_else_is_decided_texts_alone_are_learned() -> None:
    base, prose = base_of(), prose_of()
    grammar = Grammar.of(["same"], TEXTS, base.encode, start=base.start)
    model = base.model(grammar.longest + prose.longest)
    network = LanguageNetwork(model, grammar, rng=np.random.default_rng(0), prose=prose)
    coder = ProseCoder(prose, base)
    text = np.zeros((1, prose.width), np.int64)
    text[0, :2] = coder.encode("notes", "hi")
    rows = np.concatenate([np.zeros((1, 1), np.int64), text], axis=1)
    before = float(network(torch.tensor(rows)).detach())
    train_on_public(network, rows, Course(30, 8, 1e-2, promoted=0.5), np.random.default_rng(0))
    assert float(network(torch.tensor(rows)).detach()) < 0.5 * before


def test_time_and_memory_count_texts() -> None:
    long = Prose.of(
        {"a": Text(max_length=300)}, base_of(), "compact", alphabet=base_of().alphabet()
    )
    short, longer = (network_of(prose=prose) for prose in (prose_of(), long))
    assert bytes_of_step(longer, 8) > 2 * bytes_of_step(short, 8)
    assert seconds_per_row(longer) > seconds_per_row(short) > 0
    assert all(parameter.grad is None for parameter in longer.parameters())


# --- bases and files ----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return base_folder(tmp_path_factory.mktemp("base"))


def test_the_alphabet_of_a_base_is_its_printable_tokens(folder: Path) -> None:
    base = open_base(folder)
    alphabet = base.alphabet()
    texts = ["Ein Text, kurz.", "été ☃", ""]
    prose = Prose.of(
        {"t": Text(max_length=40, nullable=False)}, base, "sentence", alphabet=alphabet
    )
    coder = ProseCoder(prose, base)
    numbers = np.zeros((3, 40), np.int64)
    for row, text in enumerate(texts):
        found = coder.encode("t", text)
        numbers[row, : len(found)] = found
    assert prose.texts(numbers)["t"] == texts
    names = base.tokenizer.convert_ids_to_tokens(alphabet.ids[:FIRST].tolist())
    assert names == ["Ċ", "ĉ"]
    assert coder.encode("t", "a<s>b") == coder.encode("t", "ab")
    assert b"\n" not in alphabet.pieces


class Sentences:
    """A tokenizer of pieces of sentences."""

    all_special_ids = (0,)
    added_tokens_decoder = MappingProxyType({})
    eos_token_id = 0

    def __init__(self, mark: str = "\u2581") -> None:
        self._mark = mark
        letters = ["</s>", mark, "a", "9", ",", "<0x0A>", f"{mark}\x07"]
        self._names = [*letters, *(f"<0x{byte:02X}>" for byte in range(0x80, 0x100))]

    def get_vocab(self) -> dict[str, int]:
        return {name: number for number, name in enumerate(self._names)}

    def encode(self, text: str, *, add_special_tokens: bool) -> list[int]:
        ids = [1]
        for letter in text.replace(" ", self._mark):
            known = letter in self._names
            pieces = [letter] if known else [f"<0x{byte:02X}>" for byte in letter.encode()]
            ids += [self._names.index(piece) for piece in pieces]
        return ids


def test_sentence_pieces_are_known_and_what_is_not_is_refused() -> None:
    pieces = pieces_of(Sentences())
    assert (pieces[1], pieces[2], pieces[3]) == (b" ", b"a", b"9")
    assert not {0, 5, 6} & set(pieces)
    assert b"\xff" not in pieces.values()
    with pytest.raises(InputError, match="pieces of text"):
        pieces_of(Sentences("_"))


def test_a_tokenizer_without_anything_to_end_a_text_is_refused(folder: Path) -> None:
    base = open_base(folder)

    class Bare:
        all_special_ids: tuple[int, ...] = ()
        eos_token_id = None
        added_tokens_decoder = MappingProxyType({})

        def get_vocab(self) -> dict[str, int]:
            return base.tokenizer.get_vocab()

        def encode(self, text: str, *, add_special_tokens: bool) -> list[int]:
            return base.tokenizer.encode(text.strip() or "a", add_special_tokens=False)

    with pytest.raises(InputError, match="end a text"):
        replace(base, tokenizer=Bare()).alphabet()


def written_field() -> LanguageField:
    """A model with any weights that writes two columns of text."""
    field = field_of(DOMAIN)
    base, prose = base_of(), prose_of("compact")
    config = {**field.base["config"], "n_positions": 200, "vocab_size": 300}
    network = LanguageNetwork(
        blurred(rebuilt(config)), field.grammar, rng=np.random.default_rng(0), prose=prose
    )
    origin = Origin.of(base, network).model_dump(mode="json")
    return replace(field, base=origin, weights=network.parameters_now(), prose=prose, biases={})


def test_a_model_writes_texts_and_its_file_brings_it_back() -> None:
    field = written_field()
    codes = field.sample(50, np.random.default_rng(0))
    texts = field.write(codes, np.random.default_rng(1))
    assert {name: len(column) for name, column in texts.items()} == {"notes": 50, "more": 50}
    again = read_field("lm", field.structure(), field.to_arrays())
    assert texts_of(again) == ("notes", "more")
    assert write_texts(again, codes, np.random.default_rng(1)) == texts
    for name, column in texts.items():
        for text in column:
            assert text is not None or name == "notes"
            assert text is None or text == COLUMNS[name].line(text)
    nothing = {column: found[:0] for column, found in codes.items()}
    assert field.write(nothing, np.random.default_rng(1)) == {"notes": [], "more": []}
    assert field_of(DOMAIN).write(codes, np.random.default_rng(1)) == {}
    assert texts_of(field.tree) == ()
    assert write_texts(field.tree, codes, np.random.default_rng(1)) == {}


def test_a_file_that_is_damaged_is_refused() -> None:
    field = written_field()
    structure, arrays = field.structure(), field.to_arrays()
    one, two = structure["prose"]["columns"]
    for columns in ([one, one], [{**one, "name": "a"}, two], [], [{**one, "limit": 0}]):
        with pytest.raises(BundleError):
            read_field("lm", {**structure, "prose": {"columns": columns}}, arrays)
    with pytest.raises(BundleError):
        read_field("lm", structure, {k: v for k, v in arrays.items() if k != "alphabet.ids"})
