"""Reports on real tables, from end to end."""

from __future__ import annotations

import importlib.util
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from lm_tables import field_of
from report_examples import audit

import tronie
from tronie.errors import BudgetExceeded, InputError
from tronie.evaluate import learners
from tronie.evaluate.tables import read_tables
from tronie.measure.noise import InsecureNoise
from tronie.models.lm.lessons import Lessons
from tronie.release.synthesize import Release
from tronie.reports import build
from tronie.reports.build import NOT_ASKED, UNTRAINED, release_report, report
from tronie.reports.claims import NOTHING, THIS_REPORT, TOGETHER
from tronie.reports.result import Report
from tronie.schema.domain import Domain


@pytest.fixture(scope="module")
def found(release: Release, real: pa.Table) -> Report:
    return report(release, real=real, learn=False, audits=[audit("consistent")])


def test_a_release_brings_its_schema_claim_and_budget(found: Report) -> None:
    assert found.tier == "internal"
    assert found.title == "visits: what the synthetic rows are worth"
    (claim,) = found.claims
    assert (claim.epsilon, claim.verified) == (10, True)
    assert sum(step.part for step in found.budget) == pytest.approx(1)
    (evaluation,) = found.evaluations
    assert evaluation.name == found.tables[0] == "release"
    assert {c.name for c in evaluation.distributions.columns} == {"age", "sex", "cost", "seen"}
    assert set(found.profiles) == {"age", "cost", "seen"}
    assert evaluation.likelihood is not None
    assert [a.verdict for a in found.audits] == ["consistent"]


def test_all_formats_of_a_real_report(found: Report) -> None:
    assert found.html().count("<article") == 4
    assert json.loads(found.to_json())["tier"] == "internal"
    for text in (found.text(), found.markdown()):
        assert "epsilon 10 at delta 1e-09" in text
        assert "nothing is claimed" not in text


def test_nothing_is_trained_unless_asked_for(found: Report) -> None:
    assert NOT_ASKED in found.omitted
    assert found.evaluations[0].structure.test is None
    assert NOT_ASKED in " ".join(found.text().split())


def test_with_learning_and_a_holdout(release: Release, real: pa.Table, holdout: pa.Table) -> None:
    pytest.importorskip("sklearn")
    stages: list[str] = []
    found = report(
        release, real=real, holdout=holdout, target="sex", title="mine", watch=stages.append
    )
    (evaluation,) = found.evaluations
    assert evaluation.structure.test is not None
    assert evaluation.use is not None
    assert {task.target for task in evaluation.use.tasks} == {"sex"}
    assert found.title == "mine"
    assert not {NOT_ASKED, UNTRAINED} & set(found.omitted)
    assert stages[0] == "reading the tables"
    assert "comparing release" in stages
    assert "holdout (real rows)" in found.text()
    assert "Can a classifier tell" in found.text()


def test_without_scikit_learn_the_report_says_what_it_lacks(
    release: Release, real: pa.Table, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing() -> None:
        raise InputError("scikit-learn is not installed.", "Install it.")

    monkeypatch.setattr(learners, "require", missing)
    found = report(release, real=real)
    assert found.omitted[0] == UNTRAINED
    assert "tronie[evaluate]" in found.html()


def test_several_tables_of_all_kinds(
    folder: Path, real: pa.Table, holdout: pa.Table, tmp_path: Path
) -> None:
    path = tmp_path / "other.parquet"
    pq.write_table(holdout, path)
    tables = [folder, folder / "model.tronie", path, holdout]
    found = report(tables, real=real, learn=False)
    assert found.tables == ("release", "model", "other", "synthetic")
    assert [claim.guarantee == NOTHING for claim in found.claims] == [False, False, True, True]
    assert found.evaluations[2].headline.score.value == found.evaluations[3].headline.score.value


def test_a_copy_of_the_real_rows_gets_the_best_score(real: pa.Table, schema: tronie.Schema) -> None:
    found = report({"copy": real}, real=real, schema=schema, learn=False)
    assert found.evaluations[0].headline.score.value > 99
    assert found.claims[0].guarantee == NOTHING


def test_the_schema_may_be_a_file_or_be_worked_out(
    real: pa.Table, holdout: pa.Table, schema: tronie.Schema, tmp_path: Path
) -> None:
    schema.write(tmp_path / "s.yaml")
    by_file = report(holdout, real=real, schema=tmp_path / "s.yaml", learn=False)
    assert by_file.title.startswith("visits")
    worked_out = report(holdout, real=real, learn=False)
    assert {c.name for c in worked_out.evaluations[0].distributions.columns} >= {"age", "sex"}


def test_a_model_without_a_likelihood_is_said_so(
    release: Release, real: pa.Table, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any) -> None:
        raise InputError("its distribution is known by samples only.")

    monkeypatch.setattr("tronie.evaluate.likelihood.likelihood", refuse)
    found = report(release, real=real, learn=False)
    assert found.evaluations[0].likelihood is None
    assert any("known by samples only" in sentence for sentence in found.omitted)


def test_what_evaluations_left_out_is_said_once(found: Report) -> None:
    twice = [replace(e, skipped=("x", "y")) for e in (*found.evaluations, *found.evaluations)]
    assert build._skipped(twice) == ("x", "y")


@pytest.fixture(scope="module")
def written(release: Release) -> tronie.Model:
    """A language model in the place of the release's, with any weights."""
    pytest.importorskip("transformers")
    sizes = {name: coding.size for name, coding in release.model.codings.items()}
    stages = {
        "before": {"key": 50.0, "value": 40.0, "decision": 9.0},
        "first stage": {"key": 1.5, "value": 20.0, "decision": 5.0},
        "training": {"value": 10.0, "decision": 4.75},
    }
    lessons = Lessons(256, "the released marginal model", stages)
    field = replace(field_of(Domain(sizes), total=4000.0), lessons=lessons)
    return replace(release.model, field=field)


def test_a_language_model_brings_its_stages_and_what_real_rows_are_to_it(
    written: tronie.Model, release: Release, real: pa.Table
) -> None:
    found = report(
        {"llm": written, "glaze": release}, real=real.slice(0, 200), learn=False, title="both"
    )
    first, second = found.evaluations
    assert first.likelihood is not None
    assert second.likelihood is not None
    assert first.likelihood.row > second.likelihood.row
    assert set(first.likelihood.perplexity) == {"value", "decision"}
    assert found.lessons == {"llm": written.field.lessons}  # type: ignore[attr-defined]
    data = json.loads(found.to_json())
    assert data["lessons"]["llm"]["stages"]["training"] == {"value": 10, "decision": 4.75}
    text = " ".join(found.text().split())
    for words in (
        "Stages of learning",
        "after the first stage, on public rows",
        "4.75",
        "256 rows of the released marginal model",
        "Perplexity of real rows' tokens",
    ):
        assert words in text
    assert "Stages of learning" in found.html()
    assert "Stages of learning" in found.markdown()
    assert "of each table were read" not in text


def test_how_many_rows_were_read_is_said(
    found: Report, written: tronie.Model, real: pa.Table
) -> None:
    (evaluation,) = found.evaluations
    assert evaluation.likelihood is not None
    few = replace(evaluation, likelihood=replace(evaluation.likelihood, rows=64))
    text = " ".join(replace(found, evaluations=(few,)).text().split())
    assert "Only 64 rows of each table were read by release." in text


def test_without_torch_a_language_models_likelihood_is_left_out(
    written: tronie.Model, real: pa.Table, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = written.sample(100, seed=0)
    given = build.Given("llm", rows, None, written)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    tables = read_tables(real.slice(0, 50), {"llm": rows}, written.schema)
    evaluation: Any = object()
    complete, omitted = build._with_likelihood(tables, (evaluation,), (given,))
    assert complete == (evaluation,)
    assert "what runs it is not installed" in omitted[0]


def test_a_report_for_release_says_what_each_stage_taught(
    written: tronie.Model, real: pa.Table, tmp_path: Path
) -> None:
    book = tmp_path / "ledger.sqlite"
    found = release_report(written, real=real, epsilon=20, ledger=book, noise=InsecureNoise(3))
    assert "after training on private rows" in " ".join(found.text().split())
    assert json.loads(found.to_json())["publishable"] is True


# --- for release ---------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def released(release: Release, real: pa.Table, tmp_path_factory: pytest.TempPathFactory) -> Report:
    book = tmp_path_factory.mktemp("book") / "ledger.sqlite"
    return release_report(release, real=real, epsilon=20, ledger=book, noise=InsecureNoise(3))


def test_a_report_for_release_is_about_noised_numbers_only(released: Report) -> None:
    assert released.tier == "release"
    assert released.evaluations == ()
    assert released.released is not None
    assert released.tables == ("release",)
    data = json.loads(released.to_json())
    assert data["publishable"] is True
    assert data["released"]["certificate"]["method"] == "report"
    page = released.html()
    assert 'data-tier="release"' in page
    assert 'class="stamp"' not in page
    assert "not for publication" not in page
    assert "noindex" not in page


def test_its_price_stands_beside_that_of_the_table(released: Report) -> None:
    assert [claim.table for claim in released.claims] == ["release", THIS_REPORT, TOGETHER]
    assert released.claims[1].epsilon == 20
    assert sum(s.part for s in released.budget if s.table == THIS_REPORT) == pytest.approx(1)
    text = released.text()
    assert "noise: INSECURE" in text
    assert " ± " in text


def test_its_numbers_are_near_the_exact_ones(released: Report, found: Report) -> None:
    assert released.released is not None
    score = released.released.headline.score
    exact = found.evaluations[0].headline.score.value
    assert abs(score.value - exact) < 4 * score.error + 0.01


def test_every_format_of_it_says_that_it_may_be_published(released: Report) -> None:
    for text in (released.html(), released.markdown(), released.text(), released.to_json()):
        assert "may be published" in text


def test_a_report_for_release_needs_one_table_and_its_schema(
    release: Release, real: pa.Table, holdout: pa.Table
) -> None:
    with pytest.raises(InputError, match="one synthetic table, not 2"):
        release_report([release, release], real=real, epsilon=1)
    with pytest.raises(InputError, match="what the columns are"):
        release_report(holdout, real=real, epsilon=1)


def test_a_table_of_unknown_origin_with_a_schema(
    real: pa.Table, holdout: pa.Table, schema: tronie.Schema, tmp_path: Path
) -> None:
    found = release_report(
        holdout,
        real=real,
        schema=schema,
        epsilon=20,
        rows=len(real),
        name="other",
        title="mine",
        ledger=tmp_path / "l.sqlite",
        noise=InsecureNoise(3),
    )
    assert found.tables == ("other",)
    assert [claim.guarantee == NOTHING for claim in found.claims] == [True, False]
    assert found.title == "mine"
    assert tronie.Ledger(tmp_path / "l.sqlite").spent("visits").epsilon == pytest.approx(20)


def test_the_ledger_s_cap_forbids_it(release: Release, real: pa.Table, tmp_path: Path) -> None:
    with pytest.raises(BudgetExceeded):  # nothing is read, nothing is spent
        release_report(release, real=real, epsilon=20, max_epsilon=5, ledger=tmp_path / "l.sqlite")
