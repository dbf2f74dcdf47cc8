"""A training goes on from its last state; steps that may have been answered are never done again."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from journals import Killed, killed_after, opened

torch = pytest.importorskip("torch")

from tronie.errors import BundleError, InputError  # noqa: E402
from tronie.measure import gradients as gradients_module  # noqa: E402
from tronie.measure.curator import Curator  # noqa: E402
from tronie.measure.gradients import Descent, outline  # noqa: E402
from tronie.measure.journal import Journal  # noqa: E402
from tronie.measure.noise import InsecureNoise  # noqa: E402
from tronie.measure.queries import Total  # noqa: E402
from tronie.measure.training_state import Arrays, TrainingState  # noqa: E402

STEPS = 6

DESCENT = Descent(rate=0.5, steps=STEPS, noise_multiplier=50.0, warm_up=0)


class Tally(torch.nn.Module):
    """A weight for each code, and a buffer that grows with every step."""

    def __init__(self, start: float = 0.0, pull: float = 1.0) -> None:
        super().__init__()
        self.values = torch.nn.Embedding(5, 1, _weight=torch.full((5, 1), start))
        self.register_buffer("pull", torch.full((), pull))
        self.lessons = 0

    def forward(self, codes: Any) -> Any:
        return self.values(codes[:, 0])[:, 0] * self.pull

    def after(self, step: int) -> None:
        self.pull.add_(1.0)
        self.lessons += 1

    def beside(self) -> Arrays:
        return {"pull": self.pull.numpy().copy()}

    def put_beside(self, arrays: Arrays) -> None:
        self.pull.fill_(float(arrays["pull"]))


def train(curator: Curator, network: Tally | None = None, **more: Any) -> tuple[Tally, Any]:
    network = network or Tally()
    options = {"descent": DESCENT, "after_step": network.after, **more}
    return network, curator.train(network, ["a"], **options)


def stopping(step: int) -> Callable[[str], None]:
    def checkpoint(stage: str) -> None:
        if f"step {step + 1} of" in stage:
            raise Killed

    return checkpoint


@contextmanager
def dying(patch: pytest.MonkeyPatch) -> Iterator[None]:
    """A process that dies at once: what it would still do then is not done."""
    with patch.context() as planted:
        planted.setattr(Journal, "keep", lambda journal, state: None)
        with pytest.raises(Killed):
            yield


def left_alone(tmp_path: Path, noise: InsecureNoise) -> tuple[Tally, TrainingState]:
    (tmp_path / "alone").mkdir()
    with opened(tmp_path / "alone", noise=noise) as (curator, _, _):
        return train(curator)


def test_a_training_that_is_stopped_goes_on_where_it_was(tmp_path: Path) -> None:
    network, state = left_alone(tmp_path, InsecureNoise(3))
    noise = InsecureNoise(3)
    for step in range(STEPS):
        with (
            opened(tmp_path, noise=noise, checkpoint=stopping(step)) as (curator, meter, _),
            pytest.raises(Killed),
        ):
            train(curator)
        assert len(meter.events) == 1
    with opened(tmp_path, noise=noise) as (curator, meter, _):
        again, ended = train(curator)
        curator.ask([Total(9.0)])
        assert [event.query for event in meter.events] == ["train", "total"]
    assert np.array_equal(ended.weights, state.weights)
    assert np.array_equal(ended.second, state.second)
    assert (ended.updates, ended.next, float(again.pull)) == (STEPS, STEPS, float(network.pull))
    assert (again.lessons, network.lessons) == (1, STEPS)


def test_a_training_that_ended_reads_nothing(tmp_path: Path) -> None:
    with opened(tmp_path) as (curator, _, _):
        network, state = train(curator)
        (total,) = curator.ask([Total(9.0)])

    def never(stage: str) -> None:
        raise AssertionError(stage)

    with opened(tmp_path, checkpoint=never) as (curator, meter, _):
        again, ended = train(curator)
        assert curator.ask([Total(9.0)]) == [total]
        assert len(meter.events) == 2
    assert torch.equal(again.values.weight, network.values.weight)
    assert float(again.pull) == float(network.pull) == STEPS + 1
    assert (ended.next, ended.receipt) == (state.next, state.receipt)


def test_steps_of_a_process_that_was_killed_are_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[int] = []
    honest = gradients_module.coins
    monkeypatch.setattr(
        gradients_module, "coins", lambda *given: (done.append(1), honest(*given))[1]
    )
    with opened(tmp_path, checkpoint=stopping(3)) as (curator, _, _), dying(monkeypatch):
        train(curator)
    assert len(done) == 3
    with opened(tmp_path) as (curator, meter, _):
        network, state = train(curator)
    claimed = STEPS - network.lessons
    assert claimed >= 3
    assert len(done) == 3 + network.lessons
    assert (state.updates, state.next) == (network.lessons, STEPS)
    assert [event.steps for event in meter.events] == [STEPS]  # type: ignore[union-attr]


def test_all_steps_may_be_lost(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "tronie.measure.journal.Pace.claim",
        lambda pace, step, steps: setattr(pace, "claimed", 6) or 6,
    )
    with opened(tmp_path, checkpoint=stopping(2)) as (curator, _, _), dying(monkeypatch):
        train(curator)
    with opened(tmp_path) as (curator, _, _):
        network, state = train(curator, Tally(start=0.5))
    assert (state.updates, state.next, network.lessons) == (0, STEPS, 0)
    assert float(network.values.weight.detach()[0, 0]) == 0.5


def test_a_training_that_died_before_its_first_step_loses_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with opened(tmp_path) as (curator, _, _), monkeypatch.context() as patch:
        patch.setattr(Journal, "charge", killed_after(Journal.charge))
        with pytest.raises(Killed):
            train(curator)
    with opened(tmp_path) as (curator, meter, _):
        assert train(curator)[1].updates == STEPS
        assert len(meter.events) == 1


@pytest.mark.parametrize(
    "change",
    [
        {"network": Tally(pull=2.0)},
        {"descent": Descent(rate=0.5, steps=STEPS, noise_multiplier=60.0, warm_up=0)},
        {"columns": "b"},
    ],
    ids=lambda change: next(iter(change)),
)
def test_another_training_is_refused(change: dict[str, Any], tmp_path: Path) -> None:
    with opened(tmp_path, checkpoint=stopping(2)) as (curator, _, _), pytest.raises(Killed):
        train(curator)
    given = {"network": Tally(), "descent": DESCENT, "columns": "a", **change}
    with opened(tmp_path) as (curator, meter, _), pytest.raises(BundleError, match="another one"):
        curator.train(given["network"], [given["columns"]], given["descent"])
    assert meter.events == ()


def test_where_it_starts_is_not_part_of_the_question(tmp_path: Path) -> None:
    """Weights that are trained come from the state."""
    with opened(tmp_path) as (curator, _, _):
        _, state = train(curator)
    with opened(tmp_path) as (curator, _, _):
        network, _ = train(curator, Tally(start=3.0))
    assert np.array_equal(network.values.weight.detach().numpy()[:, 0], state.weights)


def test_an_outline_tells_all_but_trained_weights_apart() -> None:
    frozen = Tally()
    frozen.values.weight.requires_grad_(requires_grad=False)
    one, two, three = (repr(outline(n)) for n in (Tally(), Tally(start=1.0), frozen))
    assert one == two != three


@pytest.mark.parametrize("damage", ["changed", "missing"])
def test_a_state_that_is_not_as_it_was_written_is_refused(damage: str, tmp_path: Path) -> None:
    with opened(tmp_path, checkpoint=stopping(2)) as (curator, _, _), pytest.raises(Killed):
        train(curator)
    (path,) = (tmp_path / "journal").glob("*.safetensors")
    content = path.read_bytes()
    path.unlink()
    if damage == "changed":
        path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    with opened(tmp_path) as (curator, _, _), pytest.raises(BundleError, match="safetensors"):
        train(curator)


def test_one_state_is_kept_and_what_a_dead_process_left_is_removed(tmp_path: Path) -> None:
    folder = tmp_path / "journal"
    with opened(tmp_path, checkpoint=stopping(2)) as (curator, _, _), pytest.raises(Killed):
        train(curator)
    (path,) = folder.glob("*.safetensors")
    (folder / "training-99.safetensors").write_bytes(b"half")
    (folder / ".training-99.abc.safetensors").write_bytes(b"half")
    with opened(tmp_path) as (curator, _, _):
        assert [p for p in folder.iterdir() if p.suffix == ".safetensors"] == [path]
        train(curator)
    assert len([p for p in folder.iterdir() if p.suffix == ".safetensors"]) == 1
    assert not path.exists()


def test_a_second_training_keeps_the_state_of_the_first(tmp_path: Path) -> None:
    for _ in range(2):
        with opened(tmp_path) as (curator, meter, _):
            first, second = train(curator)[1], train(curator)[1]
            assert len(meter.events) == 2
        assert len(list((tmp_path / "journal").glob("*.safetensors"))) == 2
        assert not np.array_equal(first.weights, second.weights)


def test_states_are_the_journals_own(tmp_path: Path) -> None:
    with opened(tmp_path) as (curator, _, _), pytest.raises(TypeError, match="the journal's"):
        train(curator, keep_every=3)


def test_options_are_described_by_what_is_public_of_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Coder:
        columns, sizes = ("note",), ((3,),)

    monkeypatch.setattr(Curator, "train", lambda self, network, columns, descent, **more: more)
    questions: list[str] = []
    honest = Journal.recorded
    monkeypatch.setattr(
        Journal, "recorded", lambda *given: (questions.append(given[2]), honest(*given))[1]
    )
    with opened(tmp_path) as (curator, _, _):
        for coder, number in ((Coder(), 1), (Coder(), 1), (Coder(), 2)):
            train(curator, texts=coder, number=number)
    assert questions[0] == questions[1] != questions[2]


def test_a_state_of_another_network_is_refused() -> None:
    with pytest.raises(InputError, match="another network"):
        gradients_module.put_state(
            Tally(), gradients_module.first_state(torch.nn.Embedding(3, 2), 0)
        )


def test_what_is_beside_the_weights_comes_back_from_a_file(tmp_path: Path) -> None:
    arrays = {"pull": np.array(3.5, np.float32), "pool": np.arange(6).reshape(2, 3)}
    state = gradients_module.first_state(Tally(), 2)
    state = TrainingState(1, 2, state.weights, state.first, state.second, state.receipt, arrays)
    state.save(tmp_path / "state")
    found = TrainingState.load(tmp_path / "state").beside
    assert found.keys() == arrays.keys()
    for name, array in arrays.items():
        assert (found[name].shape, found[name].dtype) == (array.shape, array.dtype)
        assert np.array_equal(found[name], array)
