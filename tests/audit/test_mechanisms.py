"""Every kind of access keeps its claim, and its game comes near it."""

from __future__ import annotations

import numpy as np
import pytest

from tronie.audit.mechanisms import MECHANISMS, mechanism_game
from tronie.errors import InputError
from tronie.measure.curator import Curator
from tronie.measure.noise import InsecureNoise
from tronie.privacy.accounting import total_mu
from tronie.privacy.budget import Budget
from tronie.privacy.events import Event

DELTA = 1e-5


@pytest.mark.parametrize("name", MECHANISMS)
def test_no_access_breaks_its_claim(name: str) -> None:
    game = mechanism_game(name, 8.0, DELTA, noise=InsecureNoise(1))
    audit = game.play(150)
    assert audit.verdict == "consistent"
    assert audit.name == f"white-box game: {name}"
    assert game.leak() == ""
    if name != "unseen keys":
        assert audit.lower > 2.0


def test_an_unseen_key_is_hardly_ever_named() -> None:
    without, included = mechanism_game("unseen keys", 4.0, DELTA, noise=InsecureNoise(1)).observe(
        50
    )
    assert np.abs(np.concatenate([without.total(), included.total()])).max() < 1e-5


@pytest.mark.parametrize("name", MECHANISMS)
def test_each_uses_up_its_budget(name: str) -> None:
    game = mechanism_game(name, 4.0, DELTA)
    events: list[Event] = []

    class Listening(Curator):
        def __init__(self) -> None:
            self._rows_per_unit = 1

        def recode(self, codings: object) -> None:
            pass

        def ask(self, queries: object) -> None:
            events.extend(query.event(1) for query in queries)

        def select(self, query: object) -> None:
            self.ask([query])

        explore, keys, overlap = ask, select, select

    game.run(Listening())
    assert 0.98 < total_mu(events) / Budget(4.0, DELTA).mu <= 1.0


def test_every_way_to_ask_a_curator_is_played() -> None:
    """A new way to ask needs a mechanism here. Training is audited in one run; `tell` reads nothing."""
    ways = {
        name
        for name, member in vars(Curator).items()
        if callable(member) and not name.startswith("_")
    }
    played = {"ask", "select", "explore", "keys", "overlap"}
    assert ways - {"recode", "adopt", "train", "tell"} == played


def test_an_unknown_mechanism() -> None:
    with pytest.raises(InputError, match="no mechanism 'guess'"):
        mechanism_game("guess", 1.0, DELTA)
