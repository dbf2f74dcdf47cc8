"""The tables and plots of docs/how-good.md, from the committed JSON under benchmarks/results.

Usage:
    python benchmarks/plots.py [--no-images]

The page's text is written by hand, except what stands between ``<!-- begin: NAME -->`` and
``<!-- end: NAME -->``, which this script writes anew. Plots need matplotlib (``pip install
matplotlib==3.11.2`` in an environment of its own; tronie does not depend on it), and ``--no-images`` does
without. Nothing is measured here.
"""

from __future__ import annotations

import argparse
import json
import re
import textwrap
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from peers import report

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "how-good.md"
IMAGES = ROOT / "docs" / "images"
RESULTS = ROOT / "benchmarks" / "results"

Numbers = Mapping[str, float]
Results = Mapping[str, Any]
"""File stem -> what the file holds; ``peers`` -> table -> what its file holds."""

OURS = "tronie, `glaze`"

DP2STAGE = {
    "efficacy_adult": {
        "AIM (SmartNoise)": (59.6, 86.8, 88.4, 77.1),
        "MST (SmartNoise)": (39.6, 76.8, 87.0, 74.6),
        "DP-CTGAN (SmartNoise)": (42.2, 78.0, 75.7, 59.2),
        "DP-GAN": (33.5, 67.7, 63.7, 41.2),
        "DP-VAE": (0.0, 50.0, 61.8, 40.3),
        "GPT-2, DP fine-tuning": (27.8, 58.5, 85.7, 68.4),
        "DP-2Stage-U": (21.2, 48.9, 86.7, 76.1),
        "DP-2Stage-O": (30.4, 61.6, 88.5, 72.3),
        "GPT-2, no privacy": (68.9, 90.7, 90.7, 83.7),
    },
    "efficacy_airline": {
        "AIM (SmartNoise)": (77.3, 88.9, 68.1, 46.7),
        "MST (SmartNoise)": (72.2, 83.4, 68.2, 46.3),
        "DP-CTGAN (SmartNoise)": (67.1, 76.7, 78.7, 62.2),
        "DP-GAN": (40.2, 63.9, 44.7, 22.2),
        "DP-VAE": (26.5, 57.9, 41.8, 20.6),
        "GPT-2, DP fine-tuning": (60.5, 65.3, 90.3, 77.0),
        "DP-2Stage-U": (68.5, 77.8, 90.7, 80.8),
        "DP-2Stage-O": (55.2, 62.5, 92.5, 80.1),
        "GPT-2, no privacy": (89.6, 95.9, 90.8, 85.5),
    },
}
"""F1, AUC, Hist and Pair that DP-2Stage publishes (arXiv 2412.02467, tables 2 to 5), at epsilon 1."""

GOALS: dict[str, Numbers] = {
    "efficacy_adult": {"f1": 66, "auc": 89.5, "hist": 97, "pair": 90},
    "efficacy_airline": {"f1": 84, "auc": 92, "hist": 97, "pair": 90},
    "commercial_adult": {"overall": 0.950, "f1": 66.5, "auc": 89.8, "hist": 98.5, "pair": 95.5},
    "commercial_bank_marketing": {"overall": 0.955},
}
"""What we set out to reach before we measured."""

STUDIES = {
    "efficacy_adult": "Adult, DP-2Stage's setting",
    "efficacy_airline": "Airline, DP-2Stage's setting",
    "commercial_adult": "Adult, beside commercial peers",
    "commercial_bank_marketing": "Bank marketing, beside commercial peers",
}
SCORES = {
    "f1": "F1",
    "auc": "AUC",
    "hist": "Hist",
    "pair": "Pair",
    "overall": "mostlyai-qa accuracy",
}
FILES = {
    "2024_adult_mostlyai_DP_eps1.6_noise1.5.parquet": "MOSTLY AI, epsilon 1.6",
    "2024_adult_gretel-TabularDP-e100.parquet": "Gretel TabularDP",
    "2024_adult_mostlyai.parquet": "MOSTLY AI, no privacy",
    "2024_bank-marketing_mostlyai_DP_eps2.9_noise1.5.parquet": "MOSTLY AI, epsilon 2.9",
    "2024_bank-marketing_mostlyai.parquet": "MOSTLY AI, no privacy",
}
PLACES = {"ma": "Massachusetts", "tx": "Texas"}
NIST = {"AIM (SmartNoise)": (976, 20), "MST (SmartNoise)": (958, 5)}
"""Score and equal sub-sample in percent that SDNist's sample reports give on the national table."""

CUTS = ("codes", "equal_mass", "equal_width")


def read(folder: Path = RESULTS) -> Results:
    """All results."""
    found: dict[str, Any] = {p.stem: json.loads(p.read_text()) for p in folder.glob("*.json")}
    peers = sorted((folder / "peers").glob("*.json"))
    return found | {"peers": {p.stem: json.loads(p.read_text()) for p in peers}}


# --- text --------------------------------------------------------------------------------------------


def shown(name: str, value: float) -> str:
    """A score with as many digits as its measure is given with."""
    return f"{value:.3f}" if name == "overall" else f"{value:.1f}"


def goals(results: Results) -> str:
    """Every goal, what was reached, and whether that is enough."""
    lines: list[list[str]] = []
    for study, wanted in GOALS.items():
        means = results[study]["means"]
        for name, goal in wanted.items():
            missed = goal - means[name]
            verdict = "met" if missed <= 0 else f"**missed by {shown(name, missed)}**"
            where = f"{STUDIES[study]}, epsilon {results[study]['epsilon']:g}"
            row = [where, SCORES[name], shown(name, goal), shown(name, means[name]), verdict]
            lines.append(row)
    return report.grid(["study", "score", "goal", "reached", ""], lines)


def efficacy(study: str) -> Callable[[Results], str]:
    """One table in the setting of DP-2Stage."""

    def section(results: Results) -> str:
        found = results[study]
        names = ("f1", "auc", "hist", "pair")
        rows = {"*the training rows themselves*": found["means_of_real_rows"]}
        rows[f"**{OURS}**"] = found["means"]
        lines = [[label, *(f"{row[n]:.1f}" for n in names)] for label, row in rows.items()]
        for label, row in DP2STAGE[study].items():
            lines.append([label, *(f"{value:.1f}" for value in row)])
        splits = len(found["real_rows"])
        samples = len(found["runs"]) // splits
        note = (
            f"Ours: mean of {counted(splits, 'split')} with {counted(samples, 'sample')} each, epsilon "
            f"{found['epsilon']:g}, delta 1e-5{told(found)}; a fit took "
            f"{found['means']['fit_cpu_s']:.1f} CPU seconds {source(study)}."
        )
        return (
            report.grid(["rows to learn from", *(SCORES[n] for n in names)], lines)
            + "\n\n"
            + prose(note)
        )

    return section


def commercial(study: str) -> Callable[[Results], str]:
    """One table beside the published outputs."""

    def section(results: Results) -> str:
        found = results[study]
        names = ("overall", "univariate", "bivariate", "f1", "auc", "hist", "pair")
        rows = {f"**{OURS}, epsilon {found['epsilon']:g}**": found["means"]}
        rows |= {FILES[peer["file"]]: peer for peer in found["peers"]}
        lines = [
            [label, *(f"{row[n]:.{3 if n in names[:3] else 1}f}" for n in names), published(row)]
            for label, row in rows.items()
        ]
        head = ["rows", "accuracy", "of columns", "of pairs", "F1", "AUC", "Hist", "Pair"]
        note = (
            f"Ours: mean of {counted(len(found['runs']), 'run')}, delta 1e-5{told(found)}; a fit took "
            f"{found['means']['fit_cpu_s']:.1f} CPU seconds. Two samples of one population would have an "
            f"accuracy of {found['means']['overall_max']:.3f} {source(study)}."
        )
        return report.grid([*head, "accuracy as published"], lines) + "\n\n" + prose(note)

    return section


def published(row: Mapping[str, Any]) -> str:
    """The accuracy that a peer's makers published."""
    return f"{row['published']['overall']:.3f}" if row.get("published") else ""


def nist(results: Results) -> str:
    """Scores on NIST's tables."""
    lines: list[list[str]] = []
    for place, label in PLACES.items():
        found = results[f"nist_{place}"]
        means = found["means"]
        row = [f"**{OURS}**", label, f"{found['rows']:,}", f"{means['score']:.0f}"]
        row.append(f"{means['equals_percent']:.0f} %")
        lines.append(row)
    lines += [[n, "national", "27,253", str(s), f"{p} %"] for n, (s, p) in NIST.items()]
    head = ["method", "table", "rows", "score", "equals a sub-sample of"]
    sizes = ("1", "5", "10", "20", "40", "80")
    of = {k: results[f"nist_{k}"]["subsamples"] for k in ("ma", "tx")}
    samples = [[label, *(f"{of[k][s]:.0f}" for s in sizes)] for k, label in PLACES.items()]
    note = (
        f"Ours: mean of {counted(len(results['nist_ma']['runs']), 'run')}, epsilon "
        f"{results['nist_ma']['epsilon']:g}, delta 1e-5 {source('nist_ma', 'nist_tx')}. "
        "Scores of sub-samples of the real rows:"
    )
    below = report.grid(["table", *(f"{size} %" for size in sizes)], samples)
    return "\n\n".join([report.grid(head, lines), prose(note), below])


def told(found: Mapping[str, Any]) -> str:
    """Whether the fit knew what would be predicted."""
    return f", told that `{found['label']}` will be predicted" if found["target"] else ""


def source(*studies: str) -> str:
    """Links to the files that numbers are from."""
    return "(" + ", ".join(f"[{s}.json](../benchmarks/results/{s}.json)" for s in studies) + ")"


def prose(text: str) -> str:
    """Lines as long as those of the other documents."""
    return textwrap.fill(text, 128, break_long_words=False, break_on_hyphens=False)


def counted(number: int, noun: str) -> str:
    """A number of things.

    >>> counted(1, "run"), counted(3, "run")
    ('1 run', '3 runs')
    """
    return f"{number} {noun}" + ("" if number == 1 else "s")


def losses(results: Results) -> str:
    """Every published number of the tables of studies that is better than ours."""
    found: list[str] = []
    for study, label in STUDIES.items():
        means = results[study]["means"]
        for peer, theirs in competitors(study, results).items():
            better = [
                f"{SCORES[name]} {shown(name, theirs[name])} against {shown(name, means[name])}"
                for name in SCORES
                if name in theirs and theirs[name] > means[name]
            ]
            if better:
                found.append(f"* {label}: {peer} has {', '.join(better)}.")
    return "\n".join(found) or "None."


def competitors(study: str, results: Results) -> dict[str, Numbers]:
    """The peers of a study and their scores."""
    if study in DP2STAGE:
        names = ("f1", "auc", "hist", "pair")
        rows = DP2STAGE[study].items()
        return {peer: dict(zip(names, row, strict=True)) for peer, row in rows}
    return {FILES[peer["file"]]: peer for peer in results[study]["peers"]}


def peers(results: Results) -> str:
    """Errors and CPU seconds beside the most accurate peer, and all losses."""
    files = results["peers"].values()
    if not files:
        return "No table was measured yet."
    lines: list[list[str]] = []
    lost: list[str] = []
    for file, epsilon, rows in cells(files):
        if numbers := beside(rows):
            lines.append([file["table"], f"{epsilon:g}", *numbers])
            lost += [f"* {file['table']} at epsilon {epsilon:g}, {x}" for x in report.losses(rows)]
    head = ["table", "epsilon", "error of pairs", "CPU s", "with `gibbs`", "CPU s"]
    head += ["most accurate peer", "its error"]
    text = [report.grid([*head, "its CPU s", "times ours"], lines)]
    if lost:
        text.append(
            "Where a peer's error is below ours (TV2: pairs, TV3: triples):\n\n" + "\n".join(lost)
        )
    elif any(line[7] for line in lines):
        text.append("Where a peer finished, no peer's error of pairs or triples is below ours.")
    if ran := finished(files):
        text.append(prose("Peers that finished somewhere: " + ", ".join(ran) + "."))
    if failed := unfinished(files):
        text.append(prose("Runs of peers that did not end well: " + "; ".join(failed) + "."))
    text.append("![Error of pairs against epsilon](images/error-epsilon.svg)")
    text.append("![Error of pairs against CPU seconds](images/error-cpu.svg)")
    return "\n\n".join(text)


def beside(rows: list[dict[str, Any]]) -> list[str]:
    """Our error of pairs and CPU seconds, those of our slower method, and of the most accurate peer."""
    ours = next((r for r in rows if r["peer"] == report.OURS and "errors" in r), None)
    if ours is None:
        return []
    numbers = [f"{pairs_error(ours):.4f}", f"{ours['cpu_s']:.1f}"]
    dense = next((r for r in rows if r["peer"] == report.DENSE and "errors" in r), None)
    numbers += [f"{pairs_error(dense):.4f}", f"{dense['cpu_s']:.0f}"] if dense else ["", ""]
    best = report.most_accurate(rows)
    if best is None:
        tried = any(not row["peer"].startswith(report.FAMILY) for row in rows)
        return [*numbers, "none finished" if tried else "none was run", "", "", ""]
    times = best["cpu_s"] / ours["cpu_s"]
    theirs = [best["peer"], f"{pairs_error(best):.4f}", f"{best['cpu_s']:.0f}", f"{times:.0f}"]
    return numbers + theirs


def cells(
    files: Iterable[Mapping[str, Any]],
) -> Iterable[tuple[Mapping[str, Any], float, list[dict[str, Any]]]]:
    """File, epsilon, and one row for each peer."""
    for file in files:
        for epsilon in sorted({c["epsilon"] for c in file["cells"]}):
            yield (
                file,
                epsilon,
                report.merged([c for c in file["cells"] if c["epsilon"] == epsilon]),
            )


def first_cut(row: Mapping[str, Any]) -> str:
    """How a table's numbers are cut for the comparison: in bins of equal mass, where there is a choice."""
    return next(cut for cut in CUTS if (cut, "tv2") in row["errors"])


def pairs_error(row: Mapping[str, Any]) -> float:
    """The error of pairs, in the first cut."""
    return row["errors"][first_cut(row), "tv2"]


def finished(files: Iterable[Mapping[str, Any]]) -> list[str]:
    """Peers that finished on some table."""
    rows = [row for _, _, some in cells(files) for row in some if "errors" in row]
    return sorted({r["peer"] for r in rows if not r["peer"].startswith(report.FAMILY)})


def unfinished(files: Iterable[Mapping[str, Any]]) -> list[str]:
    """Peers that failed or took too long, and where."""
    found: dict[tuple[str, str], list[str]] = {}
    for file, epsilon, rows in cells(files):
        for row in rows:
            if "errors" not in row:
                places = found.setdefault((row["peer"], row["status"]), [])
                places.append(f"{file['table']} at {epsilon:g}")
    return [f"{peer} ({status}): {', '.join(places)}" for (peer, status), places in found.items()]


SECTIONS: dict[str, Callable[[Results], str]] = {
    "goals": goals,
    "peers": peers,
    **{study: efficacy(study) for study in DP2STAGE},
    **{study: commercial(study) for study in GOALS if study.startswith("commercial")},
    "nist": nist,
    "losses": losses,
}


def filled(text: str, results: Results) -> str:
    """The page with every section written anew.

    Raises:
        ValueError: If the page lacks a section.
    """
    for name, section in SECTIONS.items():
        begin, end = f"<!-- begin: {name} -->", f"<!-- end: {name} -->"
        if text.count(begin) != 1 or text.count(end) != 1:
            raise ValueError(f"the page must have {begin} and {end} once")
        pattern = re.escape(begin) + ".*?" + re.escape(end)
        body = f"{begin}\n{section(results)}\n{end}"
        text = re.sub(pattern, lambda _, body=body: body, text, flags=re.DOTALL)
    return text


# --- images ------------------------------------------------------------------------------------------

COLOURS = {
    "tronie": "#1b6ca8",
    "mbi": "#d1495b",
    "dpmm": "#e8a33d",
    "smartnoise": "#66a182",
    "opendp": "#8d6a9f",
}
MARKS = {
    "glaze": "o",
    "gibbs": "P",
    "aim": "s",
    "aim-16": "X",
    "mst": "^",
    "independent": "v",
    "privbayes": "D",
}


def style(peer: str) -> dict[str, Any]:
    """Colour by package, mark by method."""
    package, _, method = peer.partition("-")
    return {"color": COLOURS[package], "marker": MARKS[method], "label": peer}


def panels(figures: Any, count: int, across: int) -> tuple[Any, list[Any]]:
    """A figure with some panels, three inches each."""
    down = -(-count // across)
    size = (3.1 * across + 0.6, 2.7 * down + 0.9)
    figure, axes = figures.subplots(down, across, figsize=size, squeeze=False)
    flat = list(axes.flat)
    for spare in flat[count:]:
        spare.axis("off")
    return figure, flat[:count]


def logarithmic(axis: Any, label: str, low: float, high: float) -> None:
    """Both axes in logarithms: plain numbers, 1, 2 and 5 of each power of ten for the error."""
    axis.set(xscale="log", yscale="log", xlabel=label, ylabel="error of pairs", xlim=(low, high))
    bottom, top = axis.get_ylim()
    axis.set(ylim=(bottom / 1.3, top * 1.3))
    for each, digits in ((axis.xaxis, (1,)), (axis.yaxis, (1, 2, 5))):
        ticks = [d * 10.0**power for power in range(-5, 5) for d in digits]
        low, high = each.get_view_interval()
        each.set_ticks([t for t in ticks if low <= t <= high])
        each.set_ticks([], minor=True)
        each.set_major_formatter("{x:g}")


def legend(figure: Any, axes: Sequence[Any]) -> None:
    """One legend for all panels, below them."""
    entries: dict[str, Any] = {}
    for axis in axes:
        handles, labels = axis.get_legend_handles_labels()
        entries |= dict(zip(labels, handles, strict=True))
    names = sorted(entries, key=lambda name: (not name.startswith("tronie"), name))
    figure.legend(
        [entries[n] for n in names], names, loc="outside lower center", ncols=4, frameon=False
    )


def error_epsilon(figures: Any, results: Results) -> Any:
    """Error of pairs against epsilon, a panel for each table with more than one epsilon."""
    by_table: dict[str, list[tuple[float, dict[str, Any]]]] = {}
    for file, epsilon, rows in cells(results["peers"].values()):
        finished = [(epsilon, row) for row in rows if "errors" in row]
        by_table.setdefault(file["table"], []).extend(finished)
    tables = [t for t, found in by_table.items() if len({e for e, _ in found}) > 1] or list(
        by_table
    )
    figure, axes = panels(figures, len(tables), 3)
    for axis, table in zip(axes, tables, strict=True):
        lines: dict[str, list[tuple[float, float]]] = {}
        for epsilon, row in by_table[table]:
            lines.setdefault(row["peer"], []).append((epsilon, pairs_error(row)))
        for peer, points in lines.items():
            axis.plot(*zip(*sorted(points), strict=True), markersize=4, linewidth=1, **style(peer))
        axis.set_title(table)
        logarithmic(axis, "epsilon", 0.08, 12.5)
    legend(figure, axes)
    return figure


def error_cpu(figures: Any, results: Results) -> Any:
    """Error of pairs against CPU seconds at epsilon 1, a panel for each table."""
    wanted = [c for c in cells(results["peers"].values()) if c[1] == 1.0]
    figure, axes = panels(figures, len(wanted), 3)
    for axis, (file, _, rows) in zip(axes, wanted, strict=True):
        for row in rows:
            if "errors" in row:
                axis.plot(row["cpu_s"], pairs_error(row), linestyle="", **style(row["peer"]))
        axis.set_title(file["table"])
        logarithmic(axis, "CPU seconds", 0.5, 2000)
    legend(figure, axes)
    return figure


def efficacies(figures: Any, results: Results) -> Any:
    """F1 and AUC beside DP-2Stage's table."""
    figure, axes = figures.subplots(2, 2, figsize=(9.6, 6.4), squeeze=False)
    for down, (study, table) in enumerate(
        (("efficacy_adult", "Adult"), ("efficacy_airline", "Airline"))
    ):
        found = results[study]
        for across, name in enumerate(("f1", "auc")):
            bars = {"real rows": found["means_of_real_rows"][name], "tronie": found["means"][name]}
            bars |= {label: row[across] for label, row in DP2STAGE[study].items()}
            labels = sorted(bars, key=bars.__getitem__)
            known = {"tronie": COLOURS["tronie"], "real rows": "#222222"}
            axis = axes[down][across]
            axis.barh(
                labels, [bars[n] for n in labels], color=[known.get(n, "#b8b8b8") for n in labels]
            )
            axis.set(title=f"{table}, {SCORES[name]}", xlim=(0, 100))
    return figure


def draw(results: Results, folder: Path) -> list[Path]:
    """Write the plots; the same results give the same bytes."""
    import matplotlib as mpl  # noqa: PLC0415 - the text needs no matplotlib

    mpl.use("svg")
    import matplotlib.pyplot as plt  # noqa: PLC0415

    settings = {
        "svg.hashsalt": "tronie",
        "svg.fonttype": "none",
        "font.size": 8,
        "figure.constrained_layout.use": True,
    }
    folder.mkdir(exist_ok=True)
    wanted = {"efficacy": efficacies}
    if results["peers"]:
        wanted |= {"error-epsilon": error_epsilon, "error-cpu": error_cpu}
    paths: list[Path] = []
    with mpl.rc_context(settings):
        for name, plot in wanted.items():
            figure = plot(plt, results)
            paths.append(folder / f"{name}.svg")
            figure.savefig(paths[-1], metadata={"Date": None, "Creator": None})
            plt.close(figure)
            lines = paths[-1].read_text(encoding="utf-8").splitlines()
            paths[-1].write_text("\n".join(x.rstrip() for x in lines) + "\n", encoding="utf-8")
    return paths


def main() -> None:
    """Write the page's sections, then its plots."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--no-images", action="store_true", help="do without matplotlib")
    options = parser.parse_args()
    results = read()
    PAGE.write_text(filled(PAGE.read_text(encoding="utf-8"), results), encoding="utf-8")
    if not options.no_images:
        for path in draw(results, IMAGES):
            print(path.relative_to(ROOT))


if __name__ == "__main__":
    main()
