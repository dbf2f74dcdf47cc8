"""What is said of a training while it goes."""

from __future__ import annotations

import pytest

from tronie.synth.pace import Pace, in_words


def test_speed_and_time_left_are_those_of_the_steps_so_far() -> None:
    times = iter([10.0, 10.0, 14.0, 18.0])
    pace = Pace(steps=9, tokens=300.0, clock=lambda: next(times))
    assert [pace(step) for step in (3, 4)] == ["", ""]
    assert pace(5) == ": 150 tokens a second, about 8 seconds left"
    assert pace(7) == ": 150 tokens a second, about 4 seconds left"


def test_it_has_a_clock_of_its_own() -> None:
    assert Pace(steps=2, tokens=1.0)(0) == ""


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.0, "1 second"), (89.0, "89 seconds"), (89.9, "1 minutes"), (5399.0, "90 minutes")],
)
def test_times_in_words(seconds: float, words: str) -> None:
    assert in_words(seconds).split()[1] == words.split()[1]
