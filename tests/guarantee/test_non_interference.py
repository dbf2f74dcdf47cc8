"""Invariant 1: nothing that depends on private rows leaves, but by an answer of the curator.

A release of one table records what the curator answered; a release of another table, of other rows,
other size and other values, replays those answers. Were anything else taken from the rows (bins,
categories, a row count, types, an error, a stopping time), the two releases would differ somewhere.
They must be the same, byte for byte.
"""

from __future__ import annotations

import json
import logging
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from synth_tables import chain

import tronie
from tronie.evaluate import references
from tronie.evaluate.released import released_scores
from tronie.evaluate.tables import read_points
from tronie.measure import curator as curator_module
from tronie.measure.curator import Curator
from tronie.measure.noise import InsecureNoise
from tronie.models.histogram import Histogram, group_ordered
from tronie.privacy.ledger import Ledger
from tronie.schema.schema import Schema
from tronie.synth import methods
from tronie.synth import prepare as prepare_module

log = logging.getLogger(__name__)
"""Shown by ``pytest --log-cli-level INFO``."""

METHODS = tuple(methods.METHODS)

DECLARED = Schema.model_validate(
    {
        "name": "declared",
        "columns": {
            "key": {"kind": "identifier", "pattern": "K{n:05d}"},
            "age": {"kind": "integer", "min": 0, "max": 99},
            "pay": {"kind": "decimal", "min": 0, "max": 100_000, "resolution": 0.5},
            "job": {"kind": "category", "values": ["a", "b", "c", "d"], "outside": "missing"},
            "own": {"kind": "boolean"},
            "code": {"kind": "integer", "min": 0, "max": 9, "outside": "missing"},
        },
        "constraints": [{"kind": "function", "of": "job", "gives": "code"}],
    }
)

OPEN = Schema.model_validate(
    {
        "name": "open",
        "columns": {
            "key": {"kind": "identifier"},
            "age": {"kind": "integer"},
            "pay": {"kind": "decimal"},
            "job": {"kind": "open_category"},
            "own": {"kind": "boolean"},
            "code": {"kind": "open_category", "value_type": "integer"},
        },
    }
)


def table(rows: int, seed: int) -> pa.Table:
    """Rows of some shape; another seed gives another world."""
    rng = np.random.default_rng(seed)
    jobs = np.array([["a", "b", "c", "zz"], ["a", "d", f"secret-{seed}", "q"]][seed % 2])
    job = rng.choice(jobs, rows)
    metadata = {"pandas": f'{{"index_columns": [{{"stop": {rows}}}]}}'}
    return pa.table(
        {
            "key": [f"person-{seed}-{i}" for i in range(rows)],
            "age": pa.array(rng.integers(seed, 50 + 30 * seed, rows)),
            "pay": pa.array(np.round(rng.gamma(2, 500 * (1 + seed), rows), 1 + seed % 2)),
            "job": pa.array(job.tolist()),
            "own": pa.array(rng.random(rows) < 0.3 + 0.1 * seed, mask=rng.random(rows) < 0.1),
            "code": pa.array(np.unique(job, return_inverse=True)[1] + seed),
        }
    ).replace_schema_metadata(metadata)


class Tape:
    """Records the curator's answers, then replays them."""

    def __init__(self) -> None:
        self.answers: list[Any] = []
        self.replaying: Iterator[Any] | None = None

    def wrap(self, method: Any) -> Any:
        """The method, its answers recorded or replayed."""

        def asked(curator: Curator, *args: Any) -> Any:
            answer = method(curator, *args)
            if self.replaying is not None:
                return next(self.replaying)
            self.answers.append(answer)
            return answer

        return asked

    def wrap_training(self, train: Any) -> Any:
        """Training, whose answer is what it leaves in the network."""

        def trained(curator: Curator, network: Any, *args: Any, **options: Any) -> Any:
            state = train(curator, network, *args, **options)
            if self.replaying is not None:
                parameters, state = next(self.replaying)
                network.load_state_dict(parameters)
                return state
            parameters = {name: value.clone() for name, value in network.state_dict().items()}
            self.answers.append((parameters, state))
            return state

        return trained

    def attach(self, patch: pytest.MonkeyPatch) -> None:
        """Listen to every curator."""
        patch.setattr(Curator, "train", self.wrap_training(Curator.train))
        for name in ("ask", "select", "explore", "keys", "overlap"):
            patch.setattr(Curator, name, self.wrap(getattr(Curator, name)))


def release_twice(
    patch: pytest.MonkeyPatch, folder: Path, schema: Schema, method: str
) -> tuple[Path, Path]:
    """Two releases of different tables that got the same answers."""
    tape = Tape()
    tape.attach(patch)
    folders = []
    for number, rows in enumerate((900, 350)):
        if number:
            tape.replaying = iter(tape.answers)
        release = tronie.synthesize(
            table(rows, seed=number),
            schema,
            output=folder / str(number),
            epsilon=2.0,
            delta=1e-6,
            method=method,
            discover=schema is OPEN,
            seed=1,
            ledger=folder / f"ledger-{number}",
            noise=InsecureNoise(0),
            workload=chain(["age", "pay", "job", "own"]) if method == "direct" else None,
            effort="fast",
            training=tronie.Training(epochs=0.25),
            language=tronie.LanguageSettings(stage1_rows=1024, population=1024),
        )
        folders.append(release.folder)
    return folders[0], folders[1]


def contents(folder: Path) -> dict[str, bytes]:
    """Every file of a release, the model's members one by one."""
    found = {path.name: path.read_bytes() for path in folder.iterdir()}
    with zipfile.ZipFile(folder / "model.tronie") as archive:
        found |= {f"model/{name}": archive.read(name) for name in archive.namelist()}
    return found


def check_same(folders: tuple[Path, Path]) -> None:
    """Fail if two releases differ in any byte."""
    one, two = (contents(folder) for folder in folders)
    different = [name for name in one | two if one.get(name) != two.get(name)]
    assert not different, f"depends on private rows: {different}"


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("schema", [DECLARED, OPEN], ids=["declared", "open"])
def test_same_answers_same_release(
    schema: Schema, method: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    check_same(release_twice(monkeypatch, tmp_path, schema, method))


def test_the_tables_are_told_apart_without_the_tape(tmp_path: Path) -> None:
    """The comparison sees differences where there are some."""
    folders = []
    for number, rows in enumerate((900, 350)):
        release = tronie.synthesize(
            table(rows, seed=number),
            DECLARED,
            output=tmp_path / str(number),
            epsilon=2.0,
            seed=1,
            ledger=tmp_path / f"ledger-{number}",
            noise=InsecureNoise(0),
        )
        folders.append(release.folder)
    with pytest.raises(AssertionError, match="depends on private rows"):
        check_same((folders[0], folders[1]))


def test_bins_from_raw_data_are_caught(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A planted bug: codes of equal mass by the exact histogram in place of the noisy one."""
    exact: list[Any] = []
    blur = curator_module.Curator._blur

    def leak(curator: Curator, answer: Any, sigma: float) -> Any:
        exact.append(answer)
        return blur(curator, answer, sigma)

    def group_raw(histogram: Any, total: float, **options: Any) -> Any:
        same = [a for a in exact if a.shape == histogram.counts.shape]
        raw = Histogram.single(histogram.grid, same[-1], 1.0)
        return group_ordered(raw, total, **options)

    monkeypatch.setattr(Curator, "_blur", leak)
    monkeypatch.setattr(prepare_module, "group_ordered", group_raw)
    with pytest.raises(AssertionError, match="depends on private rows") as caught:
        check_same(release_twice(monkeypatch, tmp_path, DECLARED, "independent"))
    log.info("caught: %s", caught.value)


def report_twice(
    patch: pytest.MonkeyPatch, folder: Path, *, said: int | None, replay: bool = True
) -> list[str]:
    """Release reports of one synthetic table on two private ones that got the same answers."""
    tape, found = Tape(), []
    if replay:
        tape.attach(patch)
    for number, rows in enumerate((900, 350)):
        if number and replay:
            tape.replaying = iter(tape.answers)
        evaluation = released_scores(
            table(500, seed=5),
            table(rows, seed=number),
            DECLARED.model_copy(update={"columns": COMPARED}),
            epsilon=40.0,
            rows=said,
            ledger=folder / f"ledger-{number}",
            noise=InsecureNoise(0),
        )
        found.append(json.dumps(evaluation.to_dict()))
        (entry,) = Ledger(folder / f"ledger-{number}").entries()
        found[-1] += repr(replace(entry, created=""))
    return found


COMPARED = {name: DECLARED.columns[name] for name in ("age", "pay", "job", "own", "code")}
"""The columns that any table has a value of."""


@pytest.mark.parametrize("said", [None, 700])
def test_same_answers_same_report(
    said: int | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, two = report_twice(monkeypatch, tmp_path, said=said)
    assert one == two


def test_reports_are_told_apart_without_the_tape(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, two = report_twice(monkeypatch, tmp_path, said=700, replay=False)
    assert one != two


def test_report_codes_from_real_rows_are_caught(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A planted bug: bins at quantiles of the private table in place of the synthetic one."""
    real = iter((table(900, seed=0), table(350, seed=1)))
    honest = references.codings_of

    def leak(columns: Any, synthetic: Any) -> Any:
        return honest(columns, [read_points(next(real), columns)])

    monkeypatch.setattr(references, "codings_of", leak)
    one, two = report_twice(monkeypatch, tmp_path, said=700)
    assert one != two
