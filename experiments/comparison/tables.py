"""The tables of a comparison: one row a variant, over its seeds."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from encoders.files import write_atomically, write_csv
from experiments.report.figures import save_figure
from experiments.sweep.aggregates import bootstrap_interval

FIGURES = (
    ("alignment_error", "alignment error"),
    ("classification_error", "classification error"),
    ("alignment_accuracy_l2", "alignment accuracy (L2, 1 frame)"),
    ("alignment_accuracy_cosine", "alignment accuracy (cosine, 1 frame)"),
    ("kendalls_tau", "Kendall's tau"),
    ("rank_correlation", "rank correlation with the state"),
)
"""Columns of the table: key, title."""


def markdown(results: Sequence[dict[str, Any]]) -> str:
    """The table: one row a variant, mean over seeds [95% interval]; a single seed has no interval."""
    columns = [(key, title) for key, title in FIGURES if key in results[0]]
    lines = [
        "| encoder | steps | parameters | seeds | " + " | ".join(title for _, title in columns) + " |",
        "|---" * (4 + len(columns)) + "|",
    ]
    for name in dict.fromkeys(result["variant"] for result in results):
        rows = [result for result in results if result["variant"] == name]
        cells = []
        for key, _ in columns:
            form = ".1%" if key.endswith("error") or "accuracy" in key else ".3f"
            cells.append(bootstrap_interval([row[key] for row in rows], np.mean).text(form))
        head = f"| {name} | {rows[0]['steps']:,} | {rows[0]['parameters']:,} | {len(rows)} | "
        lines.append(head + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def write_tables(results: Sequence[dict[str, Any]], folder: Path) -> None:
    """Writes the results as CSV, one row a seed, and as Markdown and a figure, one row a variant."""
    write_csv(folder / "table.csv", results, list(results[0]))
    write_atomically(folder / "table.md", markdown(results).encode())
    names = list(dict.fromkeys(result["variant"] for result in results))
    keys = [(key, title) for key, title in FIGURES[:2] if key in results[0]]
    figure = Figure(figsize=(4.5 * len(keys) + 1.5, 0.34 * len(names) + 1.3), layout="constrained")
    panels = figure.subplots(1, len(keys), sharey=True, squeeze=False)[0]
    for panel, (key, title) in zip(panels, keys, strict=True):
        for row, name in enumerate(names):
            values = [100 * result[key] for result in results if result["variant"] == name]
            panel.plot(values, [row] * len(values), "o", color="#0072B2", alpha=0.5)
            panel.plot(np.mean(values), row, "|", color="#D55E00", markersize=16, markeredgewidth=2)
        panel.set(xlabel=f"{title}, %", xlim=(0, None))
        panel.grid(alpha=0.3, axis="x")
    panels[0].set_yticks(range(len(names)), names)
    panels[0].invert_yaxis()
    save_figure(figure, folder / "table.png")
