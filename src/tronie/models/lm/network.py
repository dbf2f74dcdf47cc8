"""A language model as it is trained on rows: each row's own loss.

Attention looks back only, and rows of a batch are padded at their ends, so neither padding nor any other
row enters a row's loss.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, TypeAlias, cast, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from tronie.errors import BundleError, InputError
from tronie.models.lm.grammar import KEY, OTHER, VALUE, Grammar, TokenRows, spread
from tronie.models.lm.lora import Targets, add_low_rank, merge_low_rank
from tronie.models.lm.prose import MISSING, Prose, TextRows, require_trainable
from tronie.schema.grid import Ints

Loss: TypeAlias = Literal["constrained", "weighted"]
"""What a row costs.

``constrained``: the negative log likelihood of the row among all rows; tokens that are forced cost nothing.
``weighted``: a weighted sum of the mean costs of its values' tokens, its names' and all others, each token
among all tokens, as DP-2Stage has it, but of each row by itself.
"""

LOSSES: tuple[Loss, ...] = get_args(Loss)

VALUE_WEIGHT = 0.65
"""Weight of values' tokens in a weighted loss; names and others have the rest.

Source: Afonja et al. 2024, arXiv 2412.02467.
"""

_AGREEMENT = 0.05


class LanguageNetwork(nn.Module):
    """A causal language model that reads rows by a grammar, and gives each row a loss of its own.

    Tokens that occur in no row are left out, so that the model neither spends probability nor, where its
    vectors of tokens are trained, noise on them.

    It is trained in single precision, whatever the model came in. In half precision a row's loss changes,
    by rounding, with the number of rows that are computed together (by 0.4 % for a model of 135 million
    parameters), and then it is not known how much one row can change.

    Args:
        model: A causal language model of transformers, as `Base.model` makes it; it is taken apart.
        grammar: How rows are written.
        rank: Rank of the changes that are trained; 0 to train all parameters.
        rng: Source of randomness for the changes.
        targets: Which layers get changes.
        loss: What a row costs.
        prose: How free text is written, if there is any.
        whole_vocabulary: Keep all tokens, for losses among all of them; only where the vectors of tokens
            are not trained.
        also: Tokens that are kept besides, until `forget`: those of a grammar that is learned before.

    Raises:
        InputError: If the grammar leaves nothing to learn, the settings contradict each other, or the
            model does more than multiply its last state with a vector for each token.
    """

    def __init__(
        self,
        model: nn.Module,
        grammar: Grammar,
        *,
        rng: np.random.Generator,
        rank: int = 0,
        targets: Targets = "all",
        loss: Loss = "constrained",
        prose: Prose | None = None,
        whole_vocabulary: bool = False,
        also: Ints | None = None,
    ) -> None:
        super().__init__()
        self.grammar = grammar
        self.prose = prose
        self.loss: Loss = loss
        self.rank = rank
        self._check(whole_vocabulary=whole_vocabulary)
        self._drawn_in = next(model.parameters()).dtype
        nn.Module.float(model)  # of its own, the class refuses what was read from a GGUF file
        self._whole = whole_vocabulary
        used = self._used()
        self._tie(cast("Any", model), used if also is None else np.union1d(used, also))
        self.config: dict[str, Any] = _plain(cast("Any", model).config)
        self.body = cast("nn.Module", cast("Any", model).base_model)
        cast("Any", self.body).set_input_embeddings(nn.Identity())
        self.requires_grad_(requires_grad=not rank)
        if rank:
            add_low_rank(self.body, rank, rng, targets)
        self._agree()

    def forward(self, codes: Tensor, orders: Tensor | None = None) -> Tensor:
        """Each row's loss, in nats.

        Args:
            codes: Shape (rows, columns), columns in the grammar's order; numbers of free text may follow,
                as `Prose` has them. Without them texts are no part of the rows.
            orders: Numbers of the columns in the order in which each row is written, shape (rows,
                columns); the grammar's when not given.

        Returns:
            Shape (rows,).
        """
        rows, texts = self._rows(codes, orders)
        if self.loss == "constrained":
            if texts is None:
                return self.decision_losses(rows).sum(1)
            states = self.states(self._tensor(rows.ids[:, :-1]))
            costs = self.text_losses(texts, states).sum(1)
            return (
                costs + self.decision_losses(rows, states).sum(1) if self.grammar.decides else costs
            )
        losses = self.token_losses(rows)
        kinds = self._tensor(rows.kinds)
        parts = {kind: _mean_over(losses, kinds == kind) for kind in (KEY, VALUE, OTHER)}
        rest = (1 - VALUE_WEIGHT) * (parts[KEY] + parts[OTHER])
        return VALUE_WEIGHT * parts[VALUE] + rest

    def decision_losses(self, rows: TokenRows, states: Tensor | None = None) -> Tensor:
        """Cost of each decision among the tokens that the grammar allows.

        Args:
            rows: Rows as tokens.
            states: What is known after each of their tokens, if it was worked out before.

        Returns:
            Shape (rows, decisions); 0 where there is none.
        """
        allowed, there = self.grammar.allowed.take(rows.nodes)
        decided = rows.nodes >= 0
        counts = np.where(decided, self.grammar.allowed.lengths[rows.nodes], 0)
        numbers = np.zeros_like(counts) + np.arange(counts.shape[1], dtype=np.int64)
        groups = self._tensor(spread(numbers, counts))
        chosen = self._tensor(np.cumsum(counts, axis=1) - counts + rows.choices)
        if states is None:
            states = self.states(self._tensor(rows.ids[:, : max(int(rows.places.max()), 1)]))
        before = self._tensor(np.maximum(rows.places - 1, 0))
        states = states.gather(1, before[:, :, None].expand(-1, -1, states.shape[2]))
        states = states.gather(1, groups[:, :, None].expand(-1, -1, states.shape[2]))
        scores = self._scores(states, self._tensor(allowed))
        scores = torch.where(self._tensor(there), scores, -torch.inf)
        totals = _group_totals(scores, groups, counts.shape[1])
        scores = torch.where(self._tensor(there), scores, 0.0)
        costs = totals - scores.gather(1, chosen.clamp_max(scores.shape[1] - 1))
        return torch.where(self._tensor(decided), costs, 0.0)

    def text_losses(self, texts: TextRows, states: Tensor) -> Tensor:
        """Cost of each token of a text, its end included, among those of the alphabet.

        Args:
            texts: Rows as tokens.
            states: What the model knows after each token.

        Returns:
            Shape (rows, tokens); 0 where there is none.
        """
        before = self._tensor(np.maximum(texts.places - 1, 0))
        states = states.gather(1, before[:, :, None].expand(-1, -1, states.shape[2]))
        if self.rank:
            scores = states @ self._head.weight[self._letters].to(states.dtype).T
        else:
            # The vectors are looked up for every row, so that each row's gradient is known.
            every = self._letters.expand(len(states), -1)
            scores = states @ self._head(every).to(states.dtype).mT
        if self._shifts is not None:
            scores = scores + self._shifts[self._letters]
        no_missing = self._tensor(~texts.openings)
        scores[:, :, MISSING].masked_fill_(no_missing, -torch.inf)
        targets = self._tensor(np.maximum(texts.targets, 0))
        costs = functional.cross_entropy(
            scores.flatten(0, 1), targets.flatten(), reduction="none"
        ).view_as(targets)
        return torch.where(self._tensor(texts.targets >= 0), costs, 0.0)

    def token_losses(
        self, rows: TokenRows, among: Ints | None = None, states: Tensor | None = None
    ) -> Tensor:
        """Cost of each token among all tokens of the vocabulary, or some of them.

        Args:
            rows: Rows as tokens.
            among: Ids of the tokens, ascending; all that are kept when not given.
            states: What is known after each of their tokens but the last, if it was worked out before.

        Returns:
            Shape (rows, length); 0 for the start and where there is no token.
        """
        if states is None:
            states = self.states(self._tensor(rows.ids[:, :-1]))
        places = self._places[self._tensor(self._tokens if among is None else among)]
        if self.rank:
            weight = self._head.weight
            scores = states @ (weight if among is None else weight[places]).to(states.dtype).T
        else:
            # The vectors are looked up for every row, so that each row's gradient is known.
            scores = states @ self._head(places.expand(len(states), -1)).to(states.dtype).mT
        if self._shifts is not None:
            scores = scores + self._shifts[places]
        targets = torch.searchsorted(places, self._places[self._tensor(rows.ids[:, 1:])])
        costs = functional.cross_entropy(scores.mT, targets, reduction="none")
        told = self._tensor(rows.kinds[:, 1:] >= 0)
        return functional.pad(torch.where(told, costs, 0.0), (1, 0))

    def states(self, ids: Tensor, *, begin: int = 0, cache: Any = None) -> Tensor:
        """What the model knows after each token, in single precision.

        Args:
            ids: Tokens of the base, shape (rows, length); they occur in the grammar.
            begin: Position of the first of them.
            cache: Keys and values of what came before, as transformers keeps them; it is extended.

        Returns:
            Shape (rows, length, width).
        """
        vectors = self.values(self._places[ids])
        positions = torch.arange(begin, begin + ids.shape[1], device=ids.device).expand_as(ids)
        output = cast("Any", self.body)(
            inputs_embeds=vectors,
            position_ids=positions,
            past_key_values=cache,
            use_cache=cache is not None,
        )
        return cast("Tensor", output.last_hidden_state).float()

    def scores(self, states: Tensor, tokens: Tensor) -> Tensor:
        """Log probabilities of tokens, up to a constant in each row.

        Args:
            states: Shape (rows, width).
            tokens: Tokens of the base, shape (tokens,).

        Returns:
            Shape (rows, tokens).
        """
        places = self._places[tokens]
        scores = states @ self._head.weight[places].float().T
        return scores if self._shifts is None else scores + self._shifts[places]

    def head_now(self) -> tuple[NDArray[np.float32], Ints]:
        """Vectors by which states become scores, shape (tokens, width), and the ids of the tokens.

        A shift of the scores, which few models have, is the last column; it wants a 1 after the states.
        """
        weight = self._head.weight.detach().float()
        if self._shifts is not None:
            weight = torch.cat([weight, self._shifts[:, None]], 1)
        return weight.cpu().numpy(), self._tokens.copy()

    def parameters_now(self) -> dict[str, NDArray[np.float32]]:
        """A copy of the trained parameters, by name."""
        return {
            name: parameter.detach().cpu().numpy().astype(np.float32)
            for name, parameter in self._trained().items()
        }

    def put(self, parameters: Mapping[str, NDArray[np.float32]]) -> None:
        """Overwrite the trained parameters, as `parameters_now` gives them.

        Raises:
            BundleError: If they are of another network.
        """
        trained = self._trained()
        shapes = {name: tuple(parameter.shape) for name, parameter in trained.items()}
        if shapes != {name: value.shape for name, value in parameters.items()}:
            raise BundleError("the weights do not fit the language model.", "Take the same base.")
        with torch.no_grad():
            for name, parameter in trained.items():
                parameter.copy_(torch.tensor(parameters[name]))

    def read(self, grammar: Grammar) -> None:
        """Read rows of another grammar from now on; its tokens were kept."""
        self.grammar = grammar

    def costs_of(self, rows: TokenRows) -> tuple[Tensor, Tensor]:
        """Costs of all tokens among those that the grammar has, and of decisions; read once."""
        states = self.states(self._tensor(rows.ids[:, :-1]))
        tokens = self.token_losses(rows, self.grammar.tokens, states)
        return tokens, self.decision_losses(rows, states)

    def forget(self) -> None:
        """Drop the tokens that do not occur in rows of the grammar, unless all are kept.

        Nothing else changes: neither what was learned of the others, nor of whole rows.
        """
        if self._whole:
            return
        kept = self._used()
        places = self._places[self._tensor(kept)]
        self.values = _some_of(self.values, places)
        if self.outputs is not None:
            self.outputs = _some_of(self.outputs, places)
        if self._shifts is not None:
            self._shifts = self._shifts[places]
        self._places = torch.zeros_like(self._places)
        self._places[self._tensor(kept)] = torch.arange(len(kept), device=places.device)
        self._tokens = kept
        self._letters = self._places[self._tensor(self._alphabet())]

    def merge(self) -> None:
        """Make it faster to draw with; it cannot be trained any more.

        Changes are worked into the layers. If the model came in half precision, it goes back to it
        instead, and changes, too small for it, stay beside the layers in single precision.
        """
        if self._drawn_in == torch.float32:
            merge_low_rank(self.body)
        for parameter in self.parameters():
            if not parameter.requires_grad:
                parameter.data = parameter.data.to(self._drawn_in)
        self.requires_grad_(requires_grad=False)

    def _trained(self) -> dict[str, nn.Parameter]:
        return {name: value for name, value in self.named_parameters() if value.requires_grad}

    def _rows(self, codes: Tensor, orders: Tensor | None) -> tuple[TokenRows, TextRows | None]:
        """Rows as tokens; and where their texts are, if they have any."""
        written = None if orders is None else orders.cpu().numpy()
        columns = len(self.grammar.columns)
        whole = codes.cpu().numpy()
        rows = self.grammar.rows(whole[:, :columns], written)
        if self.prose is None or whole.shape[1] == columns:
            return rows, None
        texts = self.prose.append(rows, whole[:, columns:])
        return texts.rows, texts

    def _tensor(self, array: NDArray[Any]) -> Tensor:
        return torch.as_tensor(np.ascontiguousarray(array), device=self._places.device)

    @property
    def _head(self) -> nn.Embedding:
        return self.values if self.outputs is None else self.outputs

    def _scores(self, states: Tensor, tokens: Tensor) -> Tensor:
        """Scores of a token for each state; shapes (rows, entries, width) and (rows, entries)."""
        places = self._places[tokens]
        scores = (self._head(places).to(states.dtype) * states).sum(2)
        return scores if self._shifts is None else scores + self._shifts[places]

    def _check(self, *, whole_vocabulary: bool) -> None:
        if self.prose is not None:
            require_trainable(self.prose.alphabet, trained=not self.rank)
        elif not self.grammar.decides:
            raise InputError("every column has one value.", "There is nothing to learn.")
        if whole_vocabulary and not self.rank:
            raise InputError(
                "all tokens are kept, and their vectors would be trained.",
                "Set a rank, or leave out tokens that occur in no row.",
            )

    def _tie(self, model: Any, used: Ints) -> None:
        """Take the vectors of the tokens that occur, once where the model has them once."""
        entry, leave = model.get_input_embeddings(), model.get_output_embeddings()
        vocabulary = len(entry.weight)
        used = np.arange(vocabulary) if self._whole else used
        if used[-1] >= vocabulary:
            raise InputError("the grammar is not of this model's tokens.", "Make it anew.")
        where = torch.tensor(used, device=entry.weight.device)
        with torch.no_grad():
            first, last = entry(where), leave.weight[where].clone()
            sample = model(input_ids=torch.tensor([self._first_ids()], device=where.device))
        tied = entry.weight is leave.weight and torch.equal(first, last)
        self.values = nn.Embedding.from_pretrained(first.clone(), freeze=False)  # pyright: ignore[reportUnknownMemberType]
        self.outputs = None if tied else nn.Embedding.from_pretrained(last, freeze=False)  # pyright: ignore[reportUnknownMemberType]
        bias = getattr(leave, "bias", None)
        places = torch.zeros(vocabulary, dtype=torch.int64, device=where.device)
        places[where] = torch.arange(len(used), device=where.device)
        self._tokens: Ints = used
        self._expected = cast("Tensor", sample.logits)[0][:, where].detach().float()
        self._places: Tensor
        self._shifts: Tensor | None
        self.register_buffer("_places", places, persistent=False)
        shifts = None if bias is None else bias.detach()[where].float()
        self.register_buffer("_shifts", shifts, persistent=False)
        self._letters: Tensor
        self.register_buffer("_letters", places[torch.tensor(self._alphabet())], persistent=False)

    def _alphabet(self) -> Ints:
        """Tokens of free text, in the order of their numbers."""
        return np.zeros(0, np.int64) if self.prose is None else self.prose.alphabet.ids

    def _used(self) -> Ints:
        """All tokens that occur in rows, ascending."""
        if self.prose is None:
            return self.grammar.tokens
        return np.union1d(self.grammar.tokens, self.prose.tokens)

    def _first_ids(self) -> list[int]:
        """The beginning of some row."""
        return (
            self.grammar.rows(np.zeros((1, len(self.grammar.columns)), np.int64))
            .ids[0, :8]
            .tolist()
        )

    def _agree(self) -> None:
        """Refuse a model whose scores are not what is computed here."""
        expected, self._expected = self._expected, torch.zeros(0)
        with torch.no_grad():
            ids = self._tensor(np.array([self._first_ids()]))
            found = self.scores(self.states(ids)[0], self._tensor(self._tokens))
        far = (found - expected).abs().max()
        if not bool(far <= _AGREEMENT * expected.abs().max()):
            raise InputError(
                "the model changes its scores in a way that is not known here.",
                "Take a model of another family, such as GPT-2 or Llama.",
            )


def _some_of(table: nn.Embedding, places: Tensor) -> nn.Embedding:
    """Some of the vectors, trained if they were."""
    with torch.no_grad():
        vectors = table.weight[places].clone()
    return nn.Embedding.from_pretrained(vectors, freeze=not table.weight.requires_grad)  # pyright: ignore[reportUnknownMemberType]


def _plain(config: Any) -> dict[str, Any]:
    """A model's sizes, as plain data, without where they came from."""
    known = config.to_diff_dict()
    leave = ("quantization_config", "_name_or_path", "transformers_version", "dtype")
    return {name: value for name, value in known.items() if name not in leave}


def _mean_over(values: Tensor, chosen: Tensor) -> Tensor:
    """Mean of the chosen values of each row, 0 where none is chosen."""
    return (values * chosen).sum(1) / chosen.sum(1).clamp_min(1)


def _group_totals(scores: Tensor, groups: Tensor, count: int) -> Tensor:
    """Logarithm of the sum of exponentials of each row's scores, group by group.

    Args:
        scores: Shape (rows, entries); minus infinity for what does not count.
        groups: Number of each entry's group, shape (rows, entries).
        count: Number of groups.

    Returns:
        Shape (rows, groups); meaningless for a group that is empty.
    """
    empty = scores.new_zeros(len(scores), count)
    most = empty.scatter_reduce(1, groups, scores.detach(), "amax", include_self=False)
    most = torch.where(most.isfinite(), most, 0.0)
    sums = empty.scatter_add(1, groups, (scores - most.gather(1, groups)).exp())
    return torch.where(sums > 0, sums, 1.0).log() + most
