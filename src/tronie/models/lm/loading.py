"""Where a language model comes from: a folder or a file on this machine, or nothing but sizes.

Nothing is ever fetched, and no code of a model is run: only the classes of the package transformers, with
weights in the safetensors or GGUF format.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Generator, Iterable, Mapping
from contextlib import contextmanager, redirect_stderr
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Any, Literal, Protocol, Self, TypeAlias, cast

import numpy as np
import torch
from safetensors import SafetensorError
from torch import nn

from tronie.errors import InputError
from tronie.models.lm.grammar import Ids
from tronie.models.lm.prose import Alphabet

Precision: TypeAlias = Literal["float32", "bfloat16"]
"""Numbers that a base is kept in, and computes with when rows are drawn; it is trained in single ones."""

INSTALL = "Run: pip install 'tronie[llm]'."


class Base(Protocol):
    """A language model before it has seen any row."""

    @property
    def start(self) -> Ids:
        """Ids before the first column of a row."""
        ...

    def encode(self, text: str) -> Ids:
        """Ids of a text, without any special ones."""
        ...

    def spell(self, text: str) -> Ids:
        """Ids of a free text; of an empty one, none."""
        ...

    def alphabet(self) -> Alphabet:
        """The tokens that free text is made of.

        Raises:
            InputError: If the tokenizer cannot be taken apart.
        """
        ...

    def digest(self) -> str:
        """SHA-256 of its weights, hexadecimal; empty if they are drawn at random."""
        ...

    def model(self, positions: int) -> nn.Module:
        """A causal language model of transformers, of its own at each call.

        It drops nothing out, and its projections are `nn.Linear`.

        Args:
            positions: Tokens of the longest row.

        Raises:
            InputError: If it cannot be loaded, or is too short for such rows.
        """
        ...


@dataclass(frozen=True, slots=True, eq=False)
class StoredBase:
    """A model on this machine; see `open_base`.

    Attributes:
        path: The folder, or the GGUF file.
        precision: What it is kept in.
        tokenizer: As of transformers.
        start: Ids before the first column of a row: the token with which texts begin.
    """

    path: Path
    precision: Precision
    tokenizer: Any
    start: Ids

    def encode(self, text: str) -> Ids:
        """Ids of a text, without any special ones."""
        return tuple(self.tokenizer.encode(text, add_special_tokens=False))

    def spell(self, text: str) -> Ids:
        """Ids of a free text, as it stands after a word; of an empty one, none."""
        return self.encode(f" {text}") if text else ()

    def alphabet(self) -> Alphabet:
        """All tokens that stand for printable characters, or for parts of some.

        A text ends with the token that ends texts, or with a line break; a missing one is a tab.

        Raises:
            InputError: If the tokenizer cannot be taken apart.
        """
        pieces = pieces_of(self.tokenizer)
        end = self.tokenizer.eos_token_id
        wanted = [*self.encode("\n")[-1:], *self.encode("\t")[-1:], *self.tokenizer.all_special_ids]
        marks = [int(one) for one in dict.fromkeys([end, *wanted]) if one is not None]
        marks = [one for one in marks if one not in pieces]
        if len(marks) < 2:
            raise InputError(
                f"the tokenizer in {self.path} has no tokens that can end a text.",
                "Take a model whose tokenizer knows line breaks.",
            )
        return Alphabet(np.array([*marks[:2], *pieces], np.int64), tuple(pieces.values()))

    def digest(self) -> str:
        """SHA-256 of the files that hold the weights, hexadecimal."""
        total = hashlib.sha256()
        for file in _weight_files(self.path):
            with file.open("rb") as opened:
                total.update(hashlib.file_digest(opened, "sha256").digest())
        return total.hexdigest()

    def model(self, positions: int) -> nn.Module:
        """A causal language model of transformers, of its own at each call.

        Raises:
            InputError: If it cannot be loaded, or is too short for such rows.
        """
        kind = transformers().AutoModelForCausalLM
        with _refusals(self.path), _quiet():
            model, report = kind.from_pretrained(
                **_where(self.path),
                dtype=getattr(torch, self.precision),
                use_safetensors=True,
                output_loading_info=True,
            )
        if report["missing_keys"] or report["mismatched_keys"]:
            raise InputError(f"weights are missing in {self.path}.", "Take a complete model.")
        longest = getattr(model.config, "max_position_embeddings", positions)
        if longest < positions:
            raise InputError(
                f"rows have up to {positions} tokens; the model in {self.path} reads {longest}.",
                "Take fewer columns, the compact form of rows, or a model for longer texts.",
            )
        return prepared(model)


def open_base(path: Path, precision: Precision = "float32") -> StoredBase:
    """Find a language model on this machine; its weights are loaded later.

    Args:
        path: A folder as transformers writes it, with weights as safetensors, or a GGUF file.
        precision: What it is kept in; see `fastest_precision`.

    Raises:
        InputError: If there is no such model, or the packages that read it are missing.
    """
    if not _weight_files(path):
        raise InputError(
            f"there is no language model at {path}.",
            "Name a folder with config.json and *.safetensors, or a file *.gguf.",
        )
    with _refusals(path), _quiet():
        tokenizer = transformers().AutoTokenizer.from_pretrained(**_where(path))
    begins = (tokenizer.bos_token_id, tokenizer.eos_token_id)
    known = tuple(int(one) for one in begins if one is not None)[:1]
    start = known or tuple(tokenizer.encode("\n", add_special_tokens=False))
    return StoredBase(path, precision, tokenizer, start)


@dataclass(frozen=True, slots=True)
class TinyBase:
    """A small GPT-2 with random weights, whose tokens are words of public texts.

    Attributes:
        pieces: Its vocabulary, after the start and the 256 bytes: texts with a token of their own.
        width: Units of a token's vector.
        depth: Layers.
        heads: Attention heads; they divide the width.
        seed: Of the weights.

    >>> base = TinyBase.of([" age is 39,", " age is 40,"])
    >>> base.pieces
    (' 39', ' 40', ' age', ' is', ',')
    >>> base.encode(" age 9")
    (259, 33, 58)
    """

    pieces: tuple[str, ...]
    width: int = 64
    depth: int = 2
    heads: int = 4
    seed: int = 0

    @classmethod
    def of(
        cls,
        texts: Iterable[str],
        *,
        width: int = 64,
        depth: int = 2,
        heads: int = 4,
        seed: int = 0,
    ) -> Self:
        """A base that knows all words of some texts.

        Args:
            texts: Public texts: names of columns and values, as rows have them.
            width: Units of a token's vector.
            depth: Layers.
            heads: Attention heads; they divide the width.
            seed: Of the weights.
        """
        pieces = sorted({piece for text in texts for piece in _WORDS.findall(text)})
        return cls(tuple(pieces), width, depth, heads, seed)

    @property
    def start(self) -> Ids:
        """Ids before the first column of a row."""
        return (0,)

    def encode(self, text: str) -> Ids:
        """Ids of a text: those of its words; a word without one is spelt out in bytes."""
        numbers = {piece: 257 + number for number, piece in enumerate(self.pieces)}
        ids: list[int] = []
        for piece in _WORDS.findall(text):
            known = numbers.get(piece)
            ids += [1 + byte for byte in piece.encode()] if known is None else [known]
        return tuple(ids)

    def spell(self, text: str) -> Ids:
        """Ids of a free text: its bytes."""
        return tuple(1 + byte for byte in text.encode())

    def alphabet(self) -> Alphabet:
        """The bytes of printable characters. A text ends with a line break; a missing one is a zero."""
        letters = [*range(0x20, 0x7F), *range(0x80, 0xC0), *range(0xC2, 0xF5)]
        ids = np.array([ord("\n"), 0, *letters], np.int64) + 1
        return Alphabet(ids, tuple(bytes([one]) for one in letters))

    def digest(self) -> str:
        """Empty: the weights are drawn at random."""
        return ""

    def model(self, positions: int) -> nn.Module:
        """A GPT-2 for rows of some length, with random weights.

        Source: Radford et al. 2019, "Language models are unsupervised multitask learners".
        """
        config = {
            "model_type": "gpt2",
            "vocab_size": 257 + len(self.pieces),
            "n_positions": positions,
            "n_embd": self.width,
            "n_layer": self.depth,
            "n_head": self.heads,
            "bos_token_id": 0,
            "eos_token_id": 0,
        }
        return rebuilt(config, self.seed)


_WORDS = re.compile(r"\s?\w+|\s?[^\w\s]|\s")


PROBES = ("a", " é, 9", "  \u2192 \u6c34 ")
"""Texts by which it is checked that tokens stand for what they seem to."""


def pieces_of(tokenizer: Any) -> dict[int, bytes]:
    """Tokens of printable text, and what each of them stands for, in UTF-8.

    Args:
        tokenizer: Of transformers, of bytes (as of GPT-2 and Llama 3) or of pieces of sentences.

    Raises:
        InputError: If tokens are not of a kind that is known.
    """
    special = {*tokenizer.all_special_ids, *tokenizer.added_tokens_decoder}
    names = {number: name for name, number in tokenizer.get_vocab().items()}
    for read in (_bytes_of_letters, _bytes_of_sentences):
        pieces = {number: read(name) for number, name in names.items() if number not in special}
        known = [_spelt(tokenizer, text, pieces) for text in PROBES]
        if all(
            found is not None and found.strip() == text.encode().strip()
            for text, found in zip(PROBES, known, strict=True)
        ):
            usable = {number: piece for number, piece in sorted(pieces.items()) if piece}
            return {number: piece for number, piece in usable.items() if _is_printable(piece)}
    raise InputError(
        "the tokens of this language model cannot be taken for pieces of text.",
        "Leave free text out, or take a model of another family, such as GPT-2 or Llama.",
    )


def _spelt(tokenizer: Any, text: str, pieces: Mapping[int, bytes | None]) -> bytes | None:
    """The bytes of a text, token by token; None if a token is not known."""
    found = [pieces.get(number) for number in tokenizer.encode(text, add_special_tokens=False)]
    return None if None in found else b"".join(piece for piece in found if piece)


def _bytes_of_letters(name: str) -> bytes | None:
    """What a token stands for that is written with a letter for each byte.

    Source: the vocabulary of GPT-2, Radford et al. 2019: printable bytes are themselves in Latin-1, and the
    others letters from U+0100 on, in order.
    """
    found = [_LETTERS.get(letter) for letter in name]
    return None if None in found else bytes(byte for byte in found if byte is not None)


def _letters() -> dict[str, int]:
    plain = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(0x100) if byte not in plain]
    shifted = {chr(0x100 + number): byte for number, byte in enumerate(others)}
    return {chr(byte): byte for byte in plain} | shifted


_LETTERS = _letters()

_BYTE = re.compile(r"<0x([0-9A-F]{2})>")


def _bytes_of_sentences(name: str) -> bytes:
    """What a token stands for in a vocabulary of sentence pieces: U+2581 is a space, <0x41> a byte."""
    byte = _BYTE.fullmatch(name)
    return bytes([int(byte[1], 16)]) if byte else name.replace("\u2581", " ").encode()


def _is_printable(piece: bytes) -> bool:
    """Whether all whole characters of a piece are printable, and the rest may be a part of one."""
    return piece.decode("utf-8", "ignore").isprintable() and not set(piece) & _NO_UTF8


_NO_UTF8 = {0xC0, 0xC1, *range(0xF5, 0x100)}
"""Bytes that no text holds."""


def rebuilt(config: Mapping[str, Any], seed: int = 0) -> nn.Module:
    """A model of given sizes, with random weights; a model's file may hold them.

    Args:
        config: As `LanguageNetwork.config` has it.
        seed: Of the weights.

    Raises:
        InputError: If transformers does not know such a model.
    """
    package = transformers()
    own_randomness = cast("Any", torch.random).fork_rng(devices=[])
    with _refusals(Path(str(config.get("model_type", "")))), own_randomness:
        torch.manual_seed(seed)  # pyright: ignore[reportUnknownMemberType]
        made = package.AutoConfig.for_model(**config)
        return prepared(package.AutoModelForCausalLM.from_config(made, dtype=torch.float32))


def prepared(model: nn.Module) -> nn.Module:
    """Make a model drop nothing out, and of `nn.Linear` where it has layers of its own kind for that.

    Args:
        model: Of transformers; it is changed.
    """
    from transformers.pytorch_utils import Conv1D

    for module in list(model.modules()):
        for name, value in list(vars(module).items()):
            if "drop" in name and isinstance(value, float):
                setattr(module, name, 0.0)
        if isinstance(module, nn.Dropout):
            module.p = 0.0
        for name, child in module.named_children():
            if isinstance(child, Conv1D):
                setattr(module, name, _linear(child))
    return model.eval()


def fastest_precision() -> Precision:
    """To draw rows with: half precision where this machine computes with it directly, else single."""
    if torch.cuda.is_available():
        return "bfloat16" if torch.cuda.is_bf16_supported() else "float32"
    known = cast("Any", torch.cpu)
    direct = getattr(known, "_is_avx512_bf16_supported", bool)()
    return "bfloat16" if direct else "float32"


def transformers() -> Any:
    """The package.

    Raises:
        InputError: If it is not installed.
    """
    try:
        import transformers
    except ImportError as error:
        raise InputError("language models need the package transformers.", INSTALL) from error
    return transformers


def _linear(layer: Any) -> nn.Linear:
    """The same layer, with its weight the other way round."""
    inputs, outputs = layer.weight.shape
    linear = nn.Linear(inputs, outputs, device="meta")
    linear.weight = nn.Parameter(layer.weight.detach().T.contiguous())
    linear.bias = nn.Parameter(layer.bias.detach())
    return linear


def _weight_files(path: Path) -> list[Path]:
    if path.is_file() and path.suffix == ".gguf":
        return [path]
    return sorted(path.glob("*.safetensors")) if (path / "config.json").is_file() else []


def _where(path: Path) -> dict[str, Any]:
    """What tells transformers to read these files, and nothing else."""
    place: dict[str, Any] = {"local_files_only": True, "trust_remote_code": False}
    if path.is_file():
        return place | {
            "pretrained_model_name_or_path": str(path.parent),
            "gguf_file": path.name,
        }
    return place | {"pretrained_model_name_or_path": str(path)}


_FAILURES = (OSError, ValueError, KeyError, TypeError, RuntimeError)


@contextmanager
def _refusals(path: Path) -> Generator[None]:
    """Say in one way what transformers says in many."""
    try:
        yield
    except (ImportError, SafetensorError, *_FAILURES) as error:
        remedy = INSTALL if isinstance(error, ImportError) else "Check the model's files."
        reason = str(error).strip().split("\n")[0]
        raise InputError(f"the language model {path} cannot be read: {reason}", remedy) from error


@contextmanager
def _quiet() -> Generator[None]:
    """Keep transformers from writing to the terminal."""
    log = transformers().utils.logging
    level, bars = log.get_verbosity(), log.is_progress_bar_enabled()
    log.set_verbosity_error()
    log.disable_progress_bar()
    try:
        with redirect_stderr(StringIO()):  # where one of its bars goes in any case
            yield
    finally:
        log.set_verbosity(level)
        if bars:
            log.enable_progress_bar()
