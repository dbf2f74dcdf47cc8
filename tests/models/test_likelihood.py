"""How likely rows are under models of every kind: against brute force, and against drawn rows."""

from __future__ import annotations

import importlib.util
import itertools
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import latent_tables
import lm_tables
import nets_tables
import numpy as np
import pytest

from tronie.errors import InputError
from tronie.models.factor import Factor
from tronie.models.field import Field, draw, log_likelihoods
from tronie.models.lm.drawing import Writer, written_logs
from tronie.models.lm.lm_field import LanguageField
from tronie.models.nets.decoding import Decoder
from tronie.models.nets.drawing import Predictor, Step, row_logs
from tronie.models.nets.frame import drawing_steps
from tronie.models.nets.latent import Mixture
from tronie.models.nets.mixing import mixture_logs
from tronie.schema.domain import Domain

DOMAIN = Domain({"a": 4, "b": 3, "c": 3})

ROWS = np.array(list(itertools.product(*map(range, DOMAIN.sizes.values()))))

CODES = {name: ROWS[:, place] for place, name in enumerate(DOMAIN)}


def rising(low: str, high: str) -> Factor:
    """Only rows in which one column is below another."""
    sizes = DOMAIN[low], DOMAIN[high]
    return Factor(Domain({low: sizes[0], high: sizes[1]}), np.triu(np.ones(sizes), 1))


def language(domain: Domain, zeros: tuple[Factor, ...] = ()) -> LanguageField:
    pytest.importorskip("transformers")
    return replace(lm_tables.field_of(domain, zeros), temperature=0.7)


def lstm(domain: Domain, zeros: tuple[Factor, ...] = ()) -> Field:
    return nets_tables.field_of(domain, zeros, body="lstm")


KINDS: dict[str, Callable[..., Field]] = {
    "transformer": nets_tables.field_of,
    "lstm": lstm,
    "latent": latent_tables.latent_field,
    "language": language,
}


def total(field: Field, codes: dict[str, np.ndarray]) -> np.ndarray:
    found = log_likelihoods(field, codes)
    assert sorted(found) == sorted(DOMAIN)
    return np.sum(list(found.values()), axis=0)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("ruled", [False, True])
def test_all_rows_add_up_to_one_and_impossible_ones_have_none(kind: str, ruled: bool) -> None:
    rules = (rising("b", "c"), rising("c", "a")) if ruled else ()
    found = np.exp(total(KINDS[kind](DOMAIN, rules), CODES))
    assert found.sum() == pytest.approx(1, abs=1e-4)
    if ruled:
        below = (CODES["b"] < CODES["c"]) & (CODES["c"] < CODES["a"])
        assert np.array_equal(found > 0, below)
        assert 1 < below.sum() < len(below)
    else:
        assert (found > 0).all()


@pytest.mark.parametrize("kind", KINDS)
def test_drawn_rows_are_as_frequent_as_they_are_likely(kind: str) -> None:
    """Total variation below 0.02 of 20,000 rows in 36 cells; evenly likely rows would be 0.1 off."""
    field = KINDS[kind](DOMAIN, (rising("b", "a"),))
    drawn = draw(field, 20_000, np.random.default_rng(0))
    places = np.ravel_multi_index(
        [drawn[name].astype(np.int64) for name in DOMAIN], tuple(DOMAIN.sizes.values())
    )
    shares = np.bincount(places, minlength=len(ROWS)) / 20_000
    likely = np.exp(total(field, CODES))
    assert np.abs(shares - likely).sum() / 2 < 0.02
    assert np.abs(likely[likely > 0] - 1 / (likely > 0).sum()).sum() / 2 > 0.1


def test_ties_of_a_network_count() -> None:
    field = nets_tables.field_of(DOMAIN)
    wanted = nets_tables.joint(field.shape, field.parameters, ties=field.ties)
    names = list(field.order)
    asked = [names.index(name) for name in DOMAIN]
    likely = np.exp(total(field, CODES))
    np.testing.assert_allclose(likely, np.transpose(wanted, asked).ravel(), atol=1e-6)
    without = replace(field, ties={})
    assert np.abs(np.exp(total(without, CODES)) - likely).max() > 0.01


def test_mixtures_add_up_their_components() -> None:
    field = latent_tables.latent_field(DOMAIN)
    wanted = latent_tables.latent_joint(field.shape, field.parameters, field.points)
    asked = [list(field.order).index(name) for name in DOMAIN]
    found = np.exp(total(field, CODES))
    np.testing.assert_allclose(found, np.transpose(wanted, asked).ravel(), atol=1e-6)


def test_values_of_several_tokens_and_biases_count() -> None:
    """Against a recurrent network over bytes that reads each whole text."""
    grammar = lm_tables.grammar_of("compact")
    column = grammar.columns[0]
    biases = {
        (0, node): np.linspace(-1, 1, len(column.nodes[node].tokens), dtype="f4")
        for node in range(len(column.nodes))
    }
    writer = Writer(lm_tables.Recurrent(), grammar, biases, 1.3)
    steps = [
        Step(place, (), np.zeros((1, size), np.float32)) for place, size in enumerate(grammar.sizes)
    ]
    rows = np.array(list(itertools.product(*map(range, grammar.sizes))))
    found = written_logs(writer, steps, rows, block=7)
    np.testing.assert_allclose(
        np.exp(found.sum(1)).reshape(grammar.sizes), lm_tables.joint(writer), rtol=1e-3
    )


def test_blocks_make_no_difference() -> None:
    field = nets_tables.field_of(DOMAIN)
    predictor = Predictor(Decoder(field.shape, field.parameters), field.ties)
    steps = drawing_steps(field.tree, field.order, {})
    rows = np.stack([CODES[name] for name in field.order], axis=1)
    whole, parts = (row_logs(predictor, steps, rows, block=n) for n in (100, 5))
    np.testing.assert_allclose(whole, parts, atol=1e-5)
    assert row_logs(predictor, steps, rows[:0]).shape == (0, 3)


def test_many_rows_are_taken_in_portions() -> None:
    field = latent_tables.latent_field(DOMAIN, (rising("b", "a"),))
    mixture = Mixture(field.shape, field.parameters, field.points)
    steps = drawing_steps(field.tree, field.order, {})
    rows = np.tile(np.stack([CODES[name] for name in field.order], axis=1), (50, 1))
    found = mixture_logs(mixture, steps, rows)
    assert np.array_equal(np.isinf(found[: len(ROWS)]), np.isinf(found[-len(ROWS) :]))
    finite = np.isfinite(found[: len(ROWS)])
    np.testing.assert_allclose(found[: len(ROWS)][finite], found[-len(ROWS) :][finite], atol=1e-5)


def test_kinds_of_tokens_of_rows_that_a_model_is_given() -> None:
    field = language(DOMAIN)
    found = field.perplexities(CODES)
    assert set(found) == {"value", "decision"}
    assert found["decision"] > 1
    assert not field.slow
    assert replace(field, base={"rank": 2}).slow
    grammar = lm_tables.grammar_of(texts={"same": ("only",)})
    assert replace(field, grammar=grammar).perplexities({"same": np.zeros(3, np.int64)}) == {}


def test_a_base_that_is_gone_is_missed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    field = language(DOMAIN)
    moved = replace(field, base={"rank": 2, "path": str(tmp_path), "digest": "x"})
    for ask in (moved.log_likelihoods, moved.perplexities):
        with pytest.raises(InputError, match="is not there"):
            ask(CODES)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    for ask in (field.log_likelihoods, field.perplexities):
        with pytest.raises(InputError, match="not installed"):
            ask(CODES)
