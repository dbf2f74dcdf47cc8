"""Everything that the internal report says about a synthetic table. INTERNAL: it reads real rows."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from tronie.evaluate.distances import DistanceReference, Distributions, compared, distributions
from tronie.evaluate.headline import Headline, headline
from tronie.evaluate.kmarginal import KMarginal, Subsamples, kmarginal
from tronie.evaluate.tables import Tables

if TYPE_CHECKING:
    from tronie.evaluate.dependence import Dependence, DependenceReference
    from tronie.evaluate.gretel import GretelScore
    from tronie.evaluate.likelihood import Likelihood
    from tronie.evaluate.range_queries import RangeQueries, Workload
    from tronie.evaluate.structure import Structure, StructureReference
    from tronie.evaluate.use import Use, UseReference


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Everything about one synthetic table. INTERNAL.

    Attributes:
        name: What the table is called.
        rows: Number of its rows.
        real_rows: Number of real rows.
        headline: The one score.
        distributions: Distances of columns, pairs and triples, worst first; rare groups.
        kmarginal: NIST's score.
        dependence: Associations between columns.
        structure: Principal components; the classifier's two-sample test.
        use: Training on synthetic rows; None where nothing was to be learned.
        gretel: Gretel's score, for comparison.
        likelihood: Of real rows under the model that made the table; None without a model.
        queries: Random range counts.
        skipped: What was left out and why, one sentence each.
        invalid: Column -> share of rows whose value is outside the domain, for columns with such.
        holdout: The score of the holdout, in the same codes; None without a holdout.
    """

    name: str
    rows: int
    real_rows: int
    headline: Headline
    distributions: Distributions
    kmarginal: KMarginal
    dependence: Dependence
    structure: Structure
    use: Use | None
    gretel: GretelScore
    likelihood: Likelihood | None
    queries: RangeQueries
    skipped: tuple[str, ...]
    invalid: Mapping[str, float] = field(default_factory=dict[str, float])
    holdout: Headline | None = None

    def to_dict(self) -> dict[str, Any]:
        """As plain data."""
        return asdict(self)


def evaluate(
    tables: Tables,
    *,
    learn: bool = True,
    target: str | None = None,
    seed: int = 0,
    watch: Callable[[str], None] | None = None,
) -> tuple[Evaluation, ...]:
    """Evaluate each synthetic table; what rests on the real rows only is worked out once.

    Args:
        tables: The tables, as `tronie.evaluate.tables.read_tables` reads them.
        learn: Whether to train classifiers, which needs scikit-learn and takes most of the time.
        target: A column to predict from the others; chosen when not given.
        seed: Of samples, folds and learners. The headline score does not depend on it.
        watch: Called with the name of each stage.

    Raises:
        InputError: If the target cannot be predicted, or something is to be learned and scikit-learn is
            not installed.
    """
    watch = watch or _unwatched
    watch("reading the real rows")
    shared = _Shared.of(tables, learn=learn, target=target, seed=seed)
    found: list[Evaluation] = []
    for name in tables.synthetic:
        watch(f"comparing {name}")
        found.append(_evaluated(tables, name, shared, learn=learn, seed=seed))
    return tuple(found)


@dataclass(frozen=True, slots=True, eq=False)
class _Shared:
    """What rests on the real rows only."""

    distances: DistanceReference
    subsamples: Subsamples
    dependence: DependenceReference
    structure: StructureReference
    use: UseReference | None
    workload: Workload
    holdout: Headline | None

    @classmethod
    def of(cls, tables: Tables, *, learn: bool, target: str | None, seed: int) -> _Shared:
        from tronie.evaluate.dependence import DependenceReference
        from tronie.evaluate.range_queries import Workload
        from tronie.evaluate.structure import StructureReference
        from tronie.evaluate.use import UseReference

        use = UseReference.of(tables, target=target, seed=seed) if learn else None
        distances = DistanceReference.of(tables)
        holdout = None
        if tables.holdout is not None:
            holdout = headline(compared(tables, tables.holdout, distances))
        return cls(
            distances,
            Subsamples.of(distances, tables.real.rows),
            DependenceReference.of(tables, seed=seed),
            StructureReference.of(tables, learn=learn, seed=seed),
            use,
            Workload.of(tables, seed=seed) if use is None else use.workload,
            holdout,
        )


def _evaluated(tables: Tables, name: str, shared: _Shared, *, learn: bool, seed: int) -> Evaluation:
    from tronie.evaluate.dependence import dependence
    from tronie.evaluate.gretel import gretel
    from tronie.evaluate.range_queries import range_queries
    from tronie.evaluate.structure import structure
    from tronie.evaluate.use import use

    distances = distributions(tables, name, shared.distances)
    shape = structure(tables, name, shared.structure, learn=learn, seed=seed)
    worth = None if shared.use is None else use(tables, name, shared.use, seed=seed)
    if worth is None:
        queries = range_queries(tables, name, shared.workload, seed=seed)
    else:
        queries = worth.range_queries
    return Evaluation(
        name,
        tables.synthetic[name].rows,
        tables.real.rows,
        headline(distances),
        distances,
        kmarginal(distances, shared.subsamples),
        dependence(tables, name, shared.dependence, seed=seed),
        shape,
        worth,
        gretel(tables, name),
        None,
        queries,
        tuple(_skipped(name, shape, worth, learn=learn)),
        tables.synthetic[name].invalid,
        shared.holdout,
    )


def _skipped(name: str, shape: Structure, worth: Use | None, *, learn: bool) -> list[str]:
    """What should have been done, and was not."""
    reasons: list[str] = []
    if learn and shape.test is None:
        reasons.append(f"{name}: there are too few rows for the classifier two-sample test.")
    if worth is not None and worth.skipped is not None:
        reasons.append(f"{name}: nothing was predicted: {worth.skipped}")
    return reasons


def _unwatched(stage: str) -> None:
    """Nobody is told."""
