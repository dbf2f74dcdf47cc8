"""All cells as Markdown: ours and theirs, and where we lose."""

from __future__ import annotations

import statistics
from typing import Any

OURS, DENSE = "tronie-glaze", "tronie-gibbs"
FAMILY = "tronie"
FACTOR = 50
"""How many times fewer CPU seconds than the most accurate peer we aim for."""

MEASURES = {
    "codes": "codes",
    "equal_mass": "32 equal-mass bins",
    "equal_width": "50 equal-width bins",
}

Row = dict[str, Any]


def markdown(files: list[dict[str, Any]]) -> str:
    """A section for each table and epsilon; a summary first."""
    sections: list[str] = []
    summary: list[list[str]] = []
    for file in files:
        for epsilon in sorted({c["epsilon"] for c in file["cells"]}):
            rows = merged([c for c in file["cells"] if c["epsilon"] == epsilon])
            sections.append(section(file, epsilon, rows))
            summary.append([file["table"], f"{epsilon:g}", *verdict(rows)])
    head = ["table", "epsilon", "most accurate peer", "its CPU s", "our CPU s", "times less"]
    head += ["pair and triple errors", "bar"]
    return "\n\n".join([grid(head, summary), *sections])


def merged(cells: list[Row]) -> list[Row]:
    """One row for each peer: means over its finished runs, or why there is none."""
    rows: list[Row] = []
    for peer in dict.fromkeys(c["peer"] for c in cells):
        of_peer = [c for c in cells if c["peer"] == peer]
        finished = [c for c in of_peer if c["status"] == "ok"]
        row: Row = {"peer": peer, "runs": len(finished), "status": of_peer[-1]["status"]}
        used = finished or of_peer
        row |= {k: statistics.mean(c[k] for c in used) for k in ("cpu_s", "peak_mib")}
        row["why"] = of_peer[-1].get("error") or of_peer[-1].get("limit", "")
        if finished:
            row["errors"] = {
                (cut, k): statistics.mean(c["errors"][cut][k] for c in finished)
                for cut in finished[0]["errors"]
                for k in ("tv1", "tv2", "tv3")
            }
        rows.append(row)
    return rows


def bars(rows: list[Row]) -> list[tuple[str, str]]:
    """The measures that the bar is about: pairs and triples, in every way of cutting."""
    found = next((r["errors"] for r in rows if "errors" in r), {})
    return [m for m in found if m[1] != "tv1"]


def most_accurate(rows: list[Row]) -> Row | None:
    """The peer with the least error over pairs and triples, each relative to the least of all."""
    theirs = [r for r in rows if "errors" in r and not r["peer"].startswith(FAMILY)]
    if not theirs:
        return None
    least = {m: min(r["errors"][m] for r in theirs) for m in bars(rows)}
    return min(theirs, key=lambda r: sum(r["errors"][m] / max(least[m], 1e-9) for m in least))


def losses(rows: list[Row]) -> list[str]:
    """Where a peer's error is below ours."""
    ours = next((r for r in rows if r["peer"] == OURS and "errors" in r), None)
    theirs = [r for r in rows if "errors" in r and not r["peer"].startswith(FAMILY)]
    if ours is None or not theirs:
        return []
    found: list[str] = []
    for measure in bars(rows):
        best = min(theirs, key=lambda r: r["errors"][measure])
        if best["errors"][measure] < ours["errors"][measure]:
            found.append(
                f"{measure[1].upper()} in {MEASURES[measure[0]]}: {ours['errors'][measure]:.4f} "
                f"against {best['errors'][measure]:.4f} of {best['peer']}"
            )
    return found


def verdict(rows: list[Row]) -> list[str]:
    """The most accurate peer, what it took, what we took, and whether the bar is met."""
    best = most_accurate(rows)
    ours = next((r for r in rows if r["peer"] == OURS and "errors" in r), None)
    if best is None or ours is None:
        return [best["peer"] if best else "none finished", "", "", "", "", ""]
    times = best["cpu_s"] / ours["cpu_s"]
    lost = losses(rows)
    return [
        best["peer"],
        f"{best['cpu_s']:.0f}",
        f"{ours['cpu_s']:.1f}",
        f"{times:.0f}",
        f"**lost** {len(lost)} of {len(bars(rows))}" if lost else "no worse",
        "met" if times >= FACTOR and not lost else "**lost**",
    ]


def section(file: dict[str, Any], epsilon: float, rows: list[Row]) -> str:
    """One table at one epsilon."""
    measures = list(next((r["errors"] for r in rows if "errors" in r), {}))
    cuts = list(dict.fromkeys(m[0] for m in measures))
    head = ["method", *(f"{k.upper()}, {MEASURES[c]}" for c in cuts for k in ("tv1", "tv2", "tv3"))]
    head += ["CPU s", "peak MiB", "runs"]
    lines = [line(row, measures) for row in rows]
    floor = file["bootstrap"]
    lines.append(
        ["*bootstrap of the rows*", *(f"{floor[c][k]:.4f}" for c, k in measures), "", "", ""]
    )
    lost = losses(rows)
    text = [
        f"### {file['table']}, epsilon {epsilon:g}",
        f"{file['rows']:,} rows, {file['columns']} columns, delta {file['delta']:g}.",
        grid(head, lines),
    ]
    if lost:
        text.append("Lost: " + "; ".join(lost) + ".")
    return "\n\n".join(text)


def line(row: Row, measures: list[tuple[str, str]]) -> list[str]:
    """One peer's numbers."""
    if "errors" in row:
        shown = [f"{row['errors'][m]:.4f}" for m in measures]
    else:
        shown = [row["status"], *("" for _ in measures[1:])]
    return [row["peer"], *shown, f"{row['cpu_s']:.1f}", f"{row['peak_mib']:.0f}", str(row["runs"])]


def grid(head: list[str], lines: list[list[str]]) -> str:
    """A Markdown table."""
    rows = [head, ["---"] * len(head), *lines]
    return "\n".join("| " + " | ".join(row) + " |" for row in rows)
