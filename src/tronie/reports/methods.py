"""How each number of a report is made, in a paragraph each."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tronie.reports.result import Method

if TYPE_CHECKING:
    from tronie.evaluate.evaluation import Evaluation

COMMON = (
    Method(
        "Codes",
        "All distances are between counts of codes. A code of an ordered column is an interval that holds "
        "about a sixteenth of the synthetic rows, or a single value that many of them share; a code of a "
        "nominal column is a frequent value, or several rare ones together. Missing values have a code of "
        "their own, and so have values outside the column's domain. Codes rest on the schema and on "
        "synthetic rows only, never on quantiles of the real rows.",
    ),
    Method(
        "Total variation and histogram intersection",
        "The share of rows that would have to change for two tables to have the same counts: half the "
        "sum of the absolute differences of shares. 100% minus it is the histogram intersection, the "
        "same number under its other name. By chance: the mean for two samples of these sizes from one "
        "population, estimated from the synthetic counts.",
    ),
    Method(
        "KS and Wasserstein",
        "KS is the largest difference between the cumulative shares of an ordered column, Wasserstein the "
        "area between them: how far the average row would have to be moved, in the column's own unit.",
    ),
    Method(
        "k-marginal and sub-sample",
        "NIST's k-marginal score is 1000 times one minus half the mean absolute difference of shares over "
        "pairs of columns. The equivalent sub-sample is the share of real rows of which a random sample "
        "scores the same.",
    ),
    Method(
        "Rare groups",
        "All combinations of values of all pairs of columns, sorted by how many real rows have them; the "
        "synthetic counts are scaled to the number of real rows.",
    ),
    Method(
        "Associations",
        "Pearson's correlation for two ordered columns, Cramér's V corrected for bias for two nominal "
        "ones, the correlation ratio for one of each.",
    ),
    Method(
        "Principal components",
        "Fitted to the real rows and applied to both. The picture shows densities, no single rows.",
    ),
    Method(
        "Range counts",
        "Random ranges over two or three columns. The relative error is taken of the true count, or of "
        "0.1% of the rows where that is larger.",
    ),
    Method(
        "Drawn distributions",
        "Curves have bins of equal width over the middle 99% of the synthetic rows; they are for the eye. "
        "The distances beside them are those of the codes.",
    ),
)

LEARNED = (
    Method(
        "Classifier two-sample test",
        "Gradient-boosted trees learn to tell synthetic rows from real ones; the AUC is measured on rows "
        "that they were not trained on. Below 0.5 the synthetic table repeats real rows.",
    ),
    Method(
        "Train on synthetic, test on real",
        "The same learners are trained once on synthetic and once on real rows, and tested on real rows "
        "that neither has seen. The floor is a constant guess.",
    ),
)

GRETEL = Method(
    "Gretel-compatible score",
    "The published formulas of Gretel's (NeMo Safe Synthesizer's) three components, on samples of at most "
    "5,000 rows as there; reported for comparison only.",
)


RELEASED = (
    Method(
        "Noise",
        "Each total variation is half the distance between the private table's counts and fixed public "
        "counts. One unit moves it by little, so that noise of the stated size hides its presence. The "
        "questions, their noise and what they cost are listed in the report's certificate; `tronie "
        "verify` adds them up again.",
    ),
    Method(
        "±",
        "Half of a 95% interval of the noise: 1.96 times its standard deviation. Noise may carry a number "
        "outside the range of exact ones.",
    ),
    COMMON[0],
    Method(
        "Farthest off",
        "Columns and pairs are sorted by noisy numbers: the order of those that lie within each other's ± "
        "is chance.",
    ),
)
"""Paragraphs on a report for release."""


def methods_of(found: tuple[Evaluation, ...]) -> tuple[Method, ...]:
    """Paragraphs on all the numbers of some evaluations, the score's first."""
    learned = any(e.structure.test is not None or (e.use and e.use.tasks) for e in found)
    return (
        Method("Score", found[0].headline.method),
        *COMMON,
        *(LEARNED if learned else ()),
        GRETEL,
    )
