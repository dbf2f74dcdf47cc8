"""A language model of PyTorch, read on token by token with a memory of what came before."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, NonNegativeInt, ValidationError
from torch import Tensor

from tronie.errors import BundleError, InputError
from tronie.models.lm.drawing import Memory, Reader, Silent
from tronie.models.lm.grammar import Grammar
from tronie.models.lm.loading import Precision, StoredBase, TinyBase, open_base, rebuilt
from tronie.models.lm.network import LanguageNetwork
from tronie.models.lm.prose import Prose
from tronie.models.lm.training import SMALL
from tronie.models.nets.decoding import Parameters, Singles
from tronie.models.nets.training import one_thread
from tronie.schema.grid import Ints


class Origin(BaseModel):
    """What a language model began as, and what of it was trained; plain data of a model's file.

    Attributes:
        config: Sizes, as transformers has them, if all parameters were trained: the base is not needed.
        rank: Rank of the changes; 0 if all parameters were trained.
        path: Where the base was.
        digest: SHA-256 of the base's weights.
        precision: What it computes with.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    config: dict[str, Any] | None = None
    rank: NonNegativeInt = 0
    path: str = ""
    digest: str = ""
    precision: Precision = "float32"

    @classmethod
    def of(cls, base: StoredBase | TinyBase, network: LanguageNetwork) -> Self:
        """What is to be remembered of a network's base."""
        if not network.rank:
            return cls(config=network.config)
        assert isinstance(base, StoredBase)
        return cls(
            rank=network.rank,
            path=str(base.path),
            digest=base.digest(),
            precision=base.precision,
        )


def open_reader(
    origin: Mapping[str, Any],
    weights: Parameters,
    grammar: Grammar,
    prose: Prose | None = None,
) -> Reader:
    """A trained language model, ready to write rows.

    Args:
        origin: An `Origin`, as plain data.
        weights: What was trained.
        grammar: How rows are written.
        prose: How their free text is written, if there is any.

    Raises:
        InputError: If its base is not found, or is another one.
        BundleError: If the weights do not fit it.
    """
    if not grammar.decides and prose is None:
        return Silent()
    network = open_network(origin, weights, grammar, prose)
    network.merge()
    return CausalReader(network)


def open_network(
    origin: Mapping[str, Any],
    weights: Parameters,
    grammar: Grammar,
    prose: Prose | None = None,
) -> LanguageNetwork:
    """A trained language model as it was trained; see `open_reader`.

    Raises:
        InputError: If its base is not found, or is another one.
        BundleError: If the weights do not fit it.
    """
    try:
        known = Origin.model_validate(origin)
    except ValidationError as error:
        raise BundleError("the base of the stored model is damaged.", "Fit it again.") from error
    rng = np.random.default_rng(0)
    positions = grammar.longest + (prose.longest if prose else 0)
    model = rebuilt(known.config) if known.config is not None else _model(known, positions)
    network = LanguageNetwork(model, grammar, rng=rng, rank=known.rank, prose=prose)
    network.put(weights)
    return network


def _model(origin: Origin, positions: int) -> Any:
    """The base that changes were trained for."""
    remedy = "Put it back where it was, or take a model that was trained whole (rank 0)."
    try:
        base = open_base(Path(origin.path), origin.precision)
    except InputError as error:
        raise InputError(
            f"this model is a change of the language model at {origin.path}, which is not there.",
            remedy,
        ) from error
    if base.digest() != origin.digest:
        raise InputError(
            f"this model is a change of another language model than the one at {origin.path}.",
            remedy,
        )
    return base.model(positions)


@dataclass(slots=True, eq=False)
class Cached:
    """Keys and values of the tokens so far, one entry for each beginning of rows.

    Attributes:
        cache: Of all layers, as transformers keeps them.
        seen: Which of the cached places hold tokens, shape (entries, places).
        lengths: Number of tokens, shape (entries, 1).
    """

    cache: Any
    seen: Tensor
    lengths: Tensor

    def take(self, rows: Ints) -> Cached:
        """Some of the entries, each any number of times; this memory is used up."""
        chosen = torch.tensor(rows, device=self.seen.device)
        if self.seen.shape[1]:
            self.cache.batch_select_indices(chosen)
        return Cached(self.cache, self.seen[chosen], self.lengths[chosen])


class CausalReader:
    """A language model that is read on, many rows at a time. See `tronie.models.lm.drawing.Reader`.

    Rows have read different numbers of tokens: shorter ones are padded, and what is padded is not seen.

    Args:
        network: The model.
    """

    def __init__(self, network: LanguageNetwork) -> None:
        self._network = network
        self._body: Any = network.body
        self._config: Any = self._body.config
        self._device = network.values.weight.device
        self._heads, tokens = network.head_now()
        self._places = np.zeros(int(tokens.max()) + 1, np.int64)
        self._places[tokens] = np.arange(len(tokens))
        self._small = sum(parameter.numel() for parameter in network.parameters()) < SMALL

    @property
    def width(self) -> int:
        """Units of what it knows."""
        return self._heads.shape[1]

    def head(self, tokens: Ints) -> Singles:
        """A vector for each of some tokens, shape (tokens, width)."""
        return self._heads[self._places[tokens]]

    def start(self) -> Cached:
        """The memory of one row of which nothing was read."""
        from transformers import DynamicCache

        none = torch.zeros((1, 0), dtype=torch.int64, device=self._device)
        first = torch.zeros((1, 1), dtype=torch.int64, device=self._device)
        return Cached(DynamicCache(config=self._config), none, first)

    def read(self, memory: Memory, ids: Ints, there: NDArray[np.bool_]) -> Singles:
        """Read on; the memory is extended."""
        assert isinstance(memory, Cached)
        tokens = torch.tensor(self._places[ids], device=self._device)
        mask = torch.tensor(there, dtype=torch.int64, device=self._device)
        memory.seen = torch.cat([memory.seen, mask], dim=1)
        steps = torch.arange(ids.shape[1], device=self._device)
        with torch.inference_mode(), one_thread() if self._small else nullcontext():
            states: Tensor = self._body(
                inputs_embeds=self._network.values(tokens),
                attention_mask=memory.seen,
                position_ids=(memory.lengths + steps) * mask,
                past_key_values=memory.cache,
                use_cache=True,
            ).last_hidden_state
        counts = mask.sum(dim=1, keepdim=True)
        memory.lengths = memory.lengths + counts
        last = (counts - 1).clamp(min=0)[:, :, None].expand(-1, 1, states.shape[2])
        known: Singles = states.gather(1, last)[:, 0].float().cpu().numpy()
        if known.shape[1] < self.width:
            known = np.concatenate([known, np.ones((len(known), 1), np.float32)], axis=1)
        return known

    def bytes_of(self, length: int) -> int:
        """Bytes of the memory of one row of so many tokens."""
        config = self._config
        heads = config.num_attention_heads
        width = getattr(config, "head_dim", None) or config.hidden_size // heads
        kept = getattr(config, "num_key_value_heads", None) or heads
        size = next(self._body.parameters()).element_size()
        return int(2 * length * config.num_hidden_layers * kept * width * size)
