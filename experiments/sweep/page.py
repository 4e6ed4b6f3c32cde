"""The page of a benchmark: tables, curves, and the best and the median run of each method."""

from __future__ import annotations

from pathlib import Path

from encoders.files import read_object
from experiments.report.blocks import Block, Failure, FailureBlock, ImageBlock, Report, TextBlock, VideoBlock
from experiments.report.page import write_report
from experiments.sweep.grid import Cell
from experiments.sweep.score_curves import charts
from experiments.sweep.score_tables import differences, every_run, improvements, summary
from experiments.sweep.scores import Row, failed_runs
from experiments.sweep.suite import Suite

FILE = "report.html"


def write(folder: Path, suite: Suite, cells: list[Cell], out: Path, rows: list[Row], points: list[Row]) -> None:
    """Writes ``report.html`` into the folder of the results.

    Args:
        folder: It holds ``provenance.json``.
        suite: The suite.
        cells: The grid, in the order of the rows.
        out: Folder of all runs.
        rows: One a cell.
        points: Of the learning curves.
    """
    provenance = read_object(folder / "provenance.json", "provenance", "delete it and add --resume to go on")
    blocks: list[Block] = [summary(rows), *charts(rows, points), improvements(rows), differences(rows)]
    failures = [
        Failure(cell.name, row["reason"]) for cell, row in zip(cells, rows, strict=True) if row["status"] != "completed"
    ]
    if failures:
        blocks.append(FailureBlock("Failed runs", f"{len(failures)} of n = {len(rows)} runs.", failures))
    blocks += [TextBlock("How it looks"), *pictures(suite, cells, out, rows), TextBlock("Runs"), every_run(rows)]
    done = len(rows) - failed_runs(rows)
    title = f"Benchmark {folder.name}"
    write_report(Report(title, f"{done} of {len(rows)} runs completed.", provenance, blocks), folder / FILE)


def pictures(suite: Suite, cells: list[Cell], out: Path, rows: list[Row]) -> list[Block]:
    """Videos and figures of the best and the median run of every method."""
    blocks: list[Block] = []
    for method in dict.fromkeys(cell.method for cell in cells):
        runs = [
            (float(row["score"]), cell)
            for cell, row in zip(cells, rows, strict=True)
            if cell.method == method and row["status"] == "completed"
        ]
        runs.sort(key=lambda run: run[0], reverse=True)
        chosen = {len(runs) // 2: "median", 0: "best"} if runs else {}
        for index, rank in sorted(chosen.items()):
            cell = runs[index][1]
            about = (
                f"The {rank} of {len(runs)} runs of {method.label}, {method.algo}: task {cell.task}, seed {cell.seed}."
            )
            for path in suite.pictures(suite.folder(cell, out)):
                title = f"{method.label}, {method.algo}: {rank}"
                if path.suffix == ".mp4":
                    blocks.append(VideoBlock(title, about, path))
                else:
                    blocks.append(ImageBlock(title, about, path))
    return blocks
