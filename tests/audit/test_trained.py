"""What states of a training betray: its noisy sums, and how rows' gradients lie to them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from neighbours import CODINGS, LOOSE, SCHEMA, records

torch = pytest.importorskip("torch")

from tronie.audit.onerun import Listener  # noqa: E402
from tronie.audit.trained import Trained, _Slopes  # noqa: E402
from tronie.measure.clipping import ClippedGradients  # noqa: E402
from tronie.measure.curator import Meter  # noqa: E402
from tronie.measure.gradients import Descent  # noqa: E402
from tronie.measure.lattice import Lattice  # noqa: E402
from tronie.measure.noise import InsecureNoise  # noqa: E402
from tronie.models.nets.network import ColumnNetwork, initial  # noqa: E402
from tronie.models.nets.shape import Shape  # noqa: E402

COLUMNS = ("a", "b", "c")
ROWS = [{"a": "xyz"[i % 3], "b": i % 10, "c": i % 2 == 0} for i in range(12)]


def network() -> Any:
    shape = Shape("lstm", tuple(CODINGS[c].size for c in COLUMNS), 4, 1, 2)
    return ColumnNetwork(shape, initial(shape, {}, np.random.default_rng(0)))


def trained(descent: Descent, **options: Any) -> Trained:
    meter = options.pop("meter", Meter(LOOSE))
    curator = Listener(records(ROWS), meter, schema=SCHEMA, noise=InsecureNoise(0))
    curator.recode(CODINGS)
    curator.train(network(), COLUMNS, descent, **options)
    (found,) = curator.trained
    return found


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"weight_decay": 0.1},
        {"optimiser": "adamw", "weight_decay": 0.1},
        {"optimiser": "sgd", "momentum": 0.7, "weight_decay": 0.1},
    ],
)
def test_states_betray_noisy_sums(changes: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[np.ndarray] = []
    blur = Lattice.blur

    def heard(lattice: Lattice, vector: np.ndarray, noise: Any) -> np.ndarray:
        said.append(blur(lattice, vector, noise))
        return said[-1]

    monkeypatch.setattr(Lattice, "blur", heard)
    found = trained(Descent(0.5, 4, 1.0, divisor=6.0, **changes))
    assert len(found.states) == 5
    for step, noisy in enumerate(said):
        betrayed = found._noisy_sum(found.states[step], found.states[step + 1])
        assert np.linalg.norm(betrayed - noisy) < 1e-4 * np.linalg.norm(noisy)


def test_a_resumed_training_is_scored_from_where_it_was() -> None:
    descent, meter = Descent(0.5, 4, 1.0), Meter(LOOSE)
    whole = trained(descent, meter=meter)
    again = trained(descent, meter=meter, state=whole.states[-1])
    assert again.states[0].updates == 4


def test_slopes_are_inner_products_of_gradients() -> None:
    found = _Slopes(network(), Descent(0.5, 4, 1.0))
    codes = records(ROWS).codes(COLUMNS, CODINGS)
    weights = np.random.default_rng(1).normal(size=sum(found.sizes)) / 4
    direction = np.random.default_rng(2).normal(size=len(weights))
    found.move(weights)
    other = network().double()
    start = 0
    for parameter in other.parameters():
        part = weights[start : start + parameter.numel()].reshape(parameter.shape)
        parameter.data.copy_(torch.from_numpy(part))
        start += parameter.numel()
    rows = torch.from_numpy(codes.astype(np.int64))
    for row, along, norm in zip(
        rows, found.along(codes, direction), found.norms(codes), strict=True
    ):
        parts = torch.autograd.grad(other(row[None]).sum(), list(other.parameters()))
        gradient = torch.cat([part.reshape(-1) for part in parts]).numpy()
        assert along == pytest.approx(gradient @ direction, rel=1e-5, abs=1e-5)
        assert norm == pytest.approx(np.linalg.norm(gradient), rel=1e-4)
    expected = ClippedGradients(other).sum(rows, 1.0).numpy()
    assert np.linalg.norm(found.sum(codes) - expected) < 1e-4 * np.linalg.norm(expected)


def test_rows_that_were_in_score_higher() -> None:
    """Every second of 12 different rows took part, with next to no noise; few steps are weighed."""
    included = [row for i, row in enumerate(ROWS) if i % 2]
    curator = Listener(records(included), Meter(LOOSE), schema=SCHEMA, noise=InsecureNoise(0))
    curator.recode(CODINGS)
    curator.train(network(), COLUMNS, Descent(0.5, 30, 0.05, learning_rate=1e-3))
    (found,) = curator.trained
    for steps in (7, 30):
        scores = found.score(records([]), records(ROWS), steps)
        assert scores[1::2].min() > scores[::2].max()
