"""Small language models for tests, in numpy: they read token by token."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from tronie.models.estimation import estimate
from tronie.models.factor import Factor
from tronie.models.lm.drawing import Writer
from tronie.models.lm.grammar import Grammar
from tronie.models.lm.lm_field import LanguageField
from tronie.models.nets.decoding import Singles
from tronie.models.nets.frame import drawing_order
from tronie.schema.domain import Domain

TEXTS = {
    "size": ("small", "smile", "large", "lard", "large one"),
    "sex": ("F", "M"),
    "same": ("only",),
    "age": ("1", "12", "123", "2", "missing"),
}
"""Values that share beginnings, and a column with one value."""

SIZES = {name: len(texts) for name, texts in TEXTS.items()}


def grammar_of(serial: str = "sentence", texts: dict[str, tuple[str, ...]] = TEXTS) -> Grammar:
    """A grammar over bytes."""
    return Grammar.of(list(texts), texts, lambda text: list(text.encode()), serial, start=[0])


@dataclass(slots=True, eq=False)
class States:
    """What a recurrent network knows of each beginning."""

    states: Singles

    def take(self, rows: np.ndarray) -> States:
        return States(self.states[rows])


class Recurrent:
    """A recurrent network over bytes, with any parameters."""

    def __init__(self, seed: int = 0, width: int = 6, spread: float = 1.5) -> None:
        rng = np.random.default_rng(seed)
        self.width = width
        self._head = (spread * rng.standard_normal((128, width))).astype(np.float32)
        self._vectors = rng.standard_normal((128, width)).astype(np.float32)
        self._mix = rng.standard_normal((width, width)).astype(np.float32)
        self.tokens_read = 0

    def head(self, tokens: np.ndarray) -> Singles:
        return self._head[tokens]

    def start(self) -> States:
        return States(np.zeros((1, self.width), np.float32))

    def read(self, memory: States, ids: np.ndarray, there: np.ndarray) -> Singles:
        self.tokens_read += int(there.sum())
        for place in range(ids.shape[1]):
            after = np.tanh(memory.states @ self._mix + self._vectors[ids[:, place]])
            memory.states = np.where(there[:, place, None], after, memory.states)
        return memory.states.copy()

    def bytes_of(self, length: int) -> int:
        return 1000 * length


def joint(writer: Writer) -> np.ndarray:
    """Probability of every row of a grammar, by reading each whole text."""
    grammar = writer.grammar
    rows = np.array(list(itertools.product(*map(range, grammar.sizes))))
    logs = np.zeros(len(rows))
    for number, row in enumerate(rows):
        memory = writer.reader.start()
        known = _read(writer, memory, grammar.start)
        for place, (column, code) in enumerate(zip(grammar.columns, row, strict=True)):
            if column.forced:
                known = _read(writer, memory, column.forced)
            node = 0 if column.nodes else -1
            while node >= 0:
                here = column.nodes[node]
                scores = (writer.reader.head(here.tokens) @ known).astype(np.float64)
                scores = scores / writer.temperature + writer.biases.get((place, node), 0.0)
                scores -= np.log(np.exp(scores).sum())
                wanted = (np.arange(column.size) == code).astype(np.int64)
                choice = int(np.argmax(column.below(node, wanted)))
                logs[number] += scores[choice]
                known = _read(writer, memory, here.chunks[choice])
                node = int(here.children[choice])
    return np.exp(logs).reshape(grammar.sizes)


def _read(writer: Writer, memory: States, ids: tuple[int, ...]) -> Singles:
    tokens = np.array([ids])
    return writer.reader.read(memory, tokens, np.ones(tokens.shape, bool))[0]


def field_of(
    domain: Domain,
    zeros: tuple[Factor, ...] = (),
    *,
    seed: int = 0,
    total: float = 100.0,
    rank: int = 0,
    folder: Path | None = None,
) -> LanguageField:
    """A model with any weights, and a population of 50 rows; values are written as numbers.

    Args:
        domain: The columns.
        zeros: What is impossible.
        seed: Of the weights.
        total: Number of rows.
        rank: Rank of changes of the base.
        folder: The base, if it is not a tiny one.
    """
    from tronie.models.lm.loading import TinyBase, open_base
    from tronie.models.lm.network import LanguageNetwork
    from tronie.models.lm.reading import Origin

    tree = estimate(domain, [], total, zeros=zeros)
    order = drawing_order(tree)
    texts = {name: tuple(str(code * 7) for code in range(domain[name])) for name in order}
    words = [f" {name} is {text}," for name in order for text in texts[name]]
    base = open_base(folder) if folder else TinyBase.of(words, width=8, depth=2, heads=2)
    grammar = Grammar.of(order, texts, base.encode, "compact", start=base.start)
    rng = np.random.default_rng(seed)
    network = LanguageNetwork(base.model(grammar.longest), grammar, rng=rng, rank=rank)
    spread = {
        name: (0.5 * rng.standard_normal(value.shape)).astype(np.float32)
        for name, value in network.parameters_now().items()
    }
    network.put(spread)
    origin = Origin.of(base, network).model_dump(mode="json")
    biases = {(0, 0): np.linspace(-0.5, 0.5, len(grammar.columns[0].nodes[0].tokens), dtype="f4")}
    field = LanguageField(tree, grammar, origin, network.parameters_now(), biases, 1.0, {})
    return replace(field, population=field.sample(50, rng))


def base_folder(folder: Path, seed: int = 0) -> Path:
    """A small Llama with random weights, and a tokenizer of bytes, as transformers writes them."""
    import torch
    from tokenizers import Tokenizer, decoders, pre_tokenizers
    from tokenizers.models import BPE
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    alphabet = ["<s>", *sorted(pre_tokenizers.ByteLevel.alphabet())]
    tokenizer = Tokenizer(BPE({letter: number for number, letter in enumerate(alphabet)}, []))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, bos_token="<s>").save_pretrained(folder)
    config = LlamaConfig(
        vocab_size=len(alphabet),
        hidden_size=16,
        intermediate_size=24,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=128,
        bos_token_id=0,
        eos_token_id=0,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        LlamaForCausalLM(config).save_pretrained(folder)
    return folder
