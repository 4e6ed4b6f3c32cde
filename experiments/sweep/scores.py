"""A benchmark's scores: one row a cell in a CSV file, and the tables and curves that follow from it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from agents.training import CURVE_FILE, read_curve
from encoders import files
from encoders.files import reading
from experiments.report.blocks import TableBlock
from experiments.report.charts import ChartBlock, Series
from experiments.runs.folder import RESULT_FILE, read_result
from experiments.sweep.aggregates import (
    Interval,
    band,
    difference,
    normalised,
    probability_of_improvement,
    stratified_iqm,
)
from experiments.sweep.grid import Cell, Measure, Scoring
from experiments.sweep.suite import Suite

COLUMNS = ("env", "method", "settings", "algo", "reward", "task", "seed", "steps", "status", "reason")
SCORES = ("score", "random_score", "random_return", "train_seconds", "seconds")
CURVE_COLUMNS = ("method", "algo", "task", "seed", "env_steps", "true_return", "learned_return")

GO_ON_AGAIN = "delete it, and the same command ends the run again from its last checkpoint"
"""What to do about a damaged result."""

Row = dict[str, str]
"""A line of a CSV file, as text, so that what is computed now and from the file later is the same."""


def columns(scoring: Scoring) -> tuple[str, ...]:
    """The columns of the scores' file."""
    return (*COLUMNS, *SCORES, *(measure.key for measure in scoring.measures))


def collect(cells: Sequence[Cell], suite: Suite, out: Path, failures: Mapping[str, str]) -> tuple[list[Row], list[Row]]:
    """Reads what the cells left on disk.

    Args:
        cells: The grid.
        suite: Its suite.
        out: Folder of all runs.
        failures: Why a cell's process died, by the cell's name; what ended in an orderly way has noted it itself.

    Returns:
        One row a cell, failed and missing ones too, and one row a point of a learning curve.

    Raises:
        ValueError: If a result is damaged; it names the file.
    """
    rows, points = [], []
    for cell in cells:
        folder = suite.folder(cell, out)
        missing = {"status": "missing", "reason": failures.get(cell.name, "it has not ended")}
        result: dict[str, Any] = read_result(folder) or missing
        random = suite.random_figures(cell.task, out)
        method = cell.method
        row = dict.fromkeys(columns(suite.scoring), "") | {
            "env": cell.env,
            "method": method.label,
            "settings": " ".join(method.settings),
            "algo": method.algo,
            "reward": method.reward,
            "task": str(cell.task),
            "seed": str(cell.seed),
            "steps": str(cell.steps),
            "status": str(result["status"]),
            "reason": str(result.get("reason", "")),
            "random_score": f"{random['score']:.6g}",
            "random_return": f"{random['true_return']:.6g}",
        }
        if result["status"] == "completed":
            with reading(folder / RESULT_FILE, "result", GO_ON_AGAIN):
                spent = result["wall_seconds"]
                row |= {
                    "score": f"{suite.score(result):.6g}",
                    "train_seconds": f"{spent['train']:.1f}",
                    "seconds": f"{sum(spent.values()):.1f}",
                }
                row |= {m.key: f"{result[m.key]:.6g}" for m in suite.scoring.measures if result[m.key] is not None}
            points += [
                {
                    "method": method.label,
                    "algo": method.algo,
                    "task": str(cell.task),
                    "seed": str(cell.seed),
                    "env_steps": f"{point['env_steps']:.0f}",
                    "true_return": f"{point['true_return']:.6g}",
                    "learned_return": f"{point['learned_return']:.6g}",
                }
                for point in read_curve(folder / CURVE_FILE)
            ]
        rows.append(row)
    return rows, points


def read_rows(path: Path) -> list[Row]:
    """Reads what ``write_csv`` wrote.

    Raises:
        ValueError: If there is no such file, or it is damaged.
    """
    if not path.exists():
        raise ValueError(f"{path} is missing; run the benchmark that writes it.")
    return files.read_rows(path, "table", "run the benchmark that writes it")[1]


def _scoring(rows: list[Row]) -> Scoring:
    """What the rows of one suite are judged by."""
    # The table of all suites needs what a suite is from this package.
    from experiments import suites

    return suites.scoring(rows[0]["env"])


@dataclass(frozen=True)
class Runs:
    """All runs of one method.

    Attributes:
        method: Its label.
        algo: The agent.
        rows: One a run.
        scores: Normalised scores, one array of seeds a task; a run without a result has the random policy's, 0. None
            without a reference to normalise with.
    """

    method: str
    algo: str
    rows: list[Row]
    scores: list[NDArray[np.float64]] | None

    @property
    def name(self) -> str:
        """Label and agent."""
        return f"{self.method}, {self.algo}"

    @property
    def failed(self) -> int:
        """How many have no result."""
        return failed_runs(self.rows)


def grouped(rows: list[Row]) -> list[Runs]:
    """The runs of every method, in the order of their first rows."""
    ones = reference_scores(rows, "score")
    names = dict.fromkeys((row["method"], row["algo"]) for row in rows)
    groups = []
    for method, algo in names:
        members = [row for row in rows if (row["method"], row["algo"]) == (method, algo)]
        scores = None
        if ones is not None:
            scores = [
                np.array([_normalised(row, ones[task]) for row in members if row["task"] == task])
                for task in dict.fromkeys(row["task"] for row in members)
            ]
        groups.append(Runs(method, algo, members, scores))
    return groups


def reference_scores(rows: list[Row], key: str) -> dict[str, float] | None:
    """The reference's mean score on every task, with the agent that does best there; None if a task has none."""
    method = _scoring(rows).reference.method
    best: dict[str, float] = {}
    for task in dict.fromkeys(row["task"] for row in rows):
        for algo in dict.fromkeys(row["algo"] for row in rows):
            found = [
                float(row[key])
                for row in rows
                if (row["method"], row["task"], row["algo"], row["status"]) == (method, task, algo, "completed")
            ]
            if found:
                best[task] = max(best.get(task, -np.inf), float(np.mean(found)))
        if task not in best:
            return None
    return best


def _normalised(row: Row, one: float) -> float:
    if row["status"] != "completed":
        return 0.0
    return float(normalised(float(row["score"]), float(row["random_score"]), one))


def summary(rows: list[Row]) -> TableBlock:
    """The table of a benchmark: interquartile means over tasks and seeds with 95% stratified bootstrap intervals."""
    measures = _scoring(rows).measures
    lines = []
    for runs in grouped(rows):
        tasks, seeds = (len({row[key] for row in runs.rows}) for key in ("task", "seed"))
        score = [] if runs.scores is None else [shown(stratified_iqm(runs.scores), 2)]
        raw = [shown(_raw(runs.rows, measure), measure.digits) for measure in measures]
        lines.append([runs.method, runs.algo, f"{tasks} x {seeds}", str(runs.failed), *score, *raw])
    # A grid without the reference has nothing to normalise with.
    score_column = [] if reference_scores(rows, "score") is None else ["normalised score"]
    columns = ["method", "agent", "tasks x seeds", "failed", *score_column, *(m.label for m in measures)]
    return TableBlock("Scores", caption(rows), columns, lines)


def every_run(rows: list[Row]) -> TableBlock:
    """The raw figures of every run."""
    measures = _scoring(rows).measures
    lines: list[list[object]] = []
    for row in rows:
        raw = [f"{m.factor * float(row[m.key]):.{m.digits}f}" if row[m.key] else None for m in measures]
        seconds = f"{float(row['seconds']):.0f}" if row["seconds"] else None
        name = f"{row['method']}, {row['algo']}"
        lines.append([name, row["task"], row["seed"], row["status"], row["score"] or None, *raw, seconds])
    columns = ["method", "task", "seed", "status", "score", *(m.label for m in measures), "seconds"]
    return TableBlock("Every run", f"n = {len(rows)} runs, raw; {failed_runs(rows)} failed.", columns, lines)


def failed_runs(rows: list[Row]) -> int:
    """How many of the runs have no result."""
    return sum(row["status"] != "completed" for row in rows)


def caption(rows: list[Row]) -> str:
    """What the numbers are, and of how many runs."""
    failed = failed_runs(rows)
    steps = sorted({int(row["steps"]) for row in rows})
    reference = (
        ""
        if reference_scores(rows, "score") is None
        else f" Normalised score: 0 is a random policy, 1 the mean of {_scoring(rows).reference.says} on the same task."
    )
    return (
        f"n = {len(rows)} runs of {' or '.join(f'{s:,}' for s in steps)} environment steps, {failed} failed (they "
        "count with the random policy's score, and not at all in raw figures). Interquartile mean [95% bootstrap "
        f"interval, seeds resampled within tasks].{reference}"
    )


def _strata(rows: list[Row], measure: Measure) -> list[NDArray[np.float64]]:
    """A raw figure of the runs that have it, one array of seeds a task."""
    strata = [
        np.array([measure.factor * float(row[measure.key]) for row in rows if row["task"] == task and row[measure.key]])
        for task in dict.fromkeys(row["task"] for row in rows)
    ]
    return [stratum for stratum in strata if len(stratum)]


def _raw(rows: list[Row], measure: Measure) -> Interval | None:
    present = _strata(rows, measure)
    return stratified_iqm(present) if present else None


def shown(interval: Interval | None, digits: int) -> str:
    """An interval as text; without ends where they are not known."""
    return "" if interval is None else interval.text(f".{digits}f")


def improvements(rows: list[Row]) -> TableBlock:
    """How likely a run of the method in the row beats one of the method in the column."""

    def compared(ours: Runs, theirs: Runs) -> str:
        if ours.scores is None or theirs.scores is None:
            return ""
        return shown(probability_of_improvement(ours.scores, theirs.scores), 2)

    columns, lines = _each_with_each([runs for runs in grouped(rows) if runs.scores is not None], compared)
    return TableBlock(
        "Probability of improvement",
        "Probability that a run of the method in the row scores higher than one of the method in the column on the "
        f"same task, with its 95% interval. {caption(rows)}",
        columns,
        lines,
    )


def differences(rows: list[Row]) -> TableBlock:
    """By how much the suite's first figure of the method in the row is above that of the method in the column."""
    measure = _scoring(rows).measures[0]

    def compared(ours: Runs, theirs: Runs) -> str:
        pair = _strata(ours.rows, measure), _strata(theirs.rows, measure)
        # A method that failed on a whole task has no figure there to compare.
        return shown(difference(*pair), measure.digits) if len(pair[0]) == len(pair[1]) else ""

    columns, lines = _each_with_each([runs for runs in grouped(rows) if _strata(runs.rows, measure)], compared)
    return TableBlock(
        "Differences",
        f"{measure.label} of the method in the row less that of the method in the column, with its 95% interval. "
        f"{caption(rows)}",
        columns,
        lines,
    )


def _each_with_each(groups: list[Runs], compared: Callable[[Runs, Runs], str]) -> tuple[list[str], list[list[object]]]:
    """Columns and lines of a table of pairs; empty where methods were not run on the same tasks."""
    lines: list[list[object]] = []
    for ours in groups:
        line: list[object] = [ours.name]
        for theirs in groups:
            same = {row["task"] for row in ours.rows} == {row["task"] for row in theirs.rows}
            line.append(compared(ours, theirs) if same and ours is not theirs else "")
        lines.append(line)
    return ["", *(runs.name for runs in groups)], lines


def markdown(table: TableBlock) -> str:
    """A table in Markdown."""
    lines = [table.columns, ["---"] * len(table.columns), *table.rows]
    return "\n".join("| " + " | ".join(str(value) for value in line) + " |" for line in lines)


def charts(rows: list[Row], points: list[Row]) -> list[ChartBlock]:
    """Sample efficiency by the true return, and the learned return, over environment steps."""
    scoring = _scoring(rows)
    series_true, series_learned = [], []
    ends = _final_returns(rows, points)
    ones = reference_scores(ends, "true_return")
    for runs in grouped(rows):
        steps, true, learned = _curves(runs, points)
        if not len(steps):
            continue
        if scoring.learned:
            value, low, high = band([1 - curve / curve[:, :1] for curve in learned])
            series_learned.append(Series(runs.name, steps, value, low, high))
        if ones is not None:
            tasks = dict.fromkeys(row["task"] for row in runs.rows if row["status"] == "completed")
            randoms = {row["task"]: float(row["random_return"]) for row in runs.rows}
            scaled = [normalised(curve, randoms[task], ones[task]) for curve, task in zip(true, tasks, strict=True)]
            value, low, high = band(scaled)
            series_true.append(Series(runs.name, steps, value, low, high))
    blocks = []
    about = f"Interquartile mean over tasks and seeds with 95% bootstrap bands, n = {len(rows)} runs."
    if series_true:
        blocks.append(
            ChartBlock(
                "Sample efficiency",
                "True return of an episode while training: 0 is a random policy, 1 the last of "
                f"{scoring.reference.says}. {about}",
                "environment steps",
                "normalised true return",
                tuple(series_true),
            )
        )
    if series_learned:
        blocks.append(
            ChartBlock(
                "Learned return",
                "Share of the first episodes' learned penalty that is gone: each method by the reward that it was "
                f"given, so heights compare within a method alone. {about}",
                "environment steps",
                "learned return, 1 - R / R(first)",
                tuple(series_learned),
            )
        )
    return blocks


def _final_returns(rows: list[Row], points: list[Row]) -> list[Row]:
    """The rows with the last true return of their curves beside them."""
    last = {(p["method"], p["algo"], p["task"], p["seed"]): p["true_return"] for p in points}
    return [
        {**row, "true_return": last[key]}
        if (key := (row["method"], row["algo"], row["task"], row["seed"])) in last
        else {**row, "status": "missing"}
        for row in rows
    ]


def _curves(
    runs: Runs, points: list[Row]
) -> tuple[NDArray[np.float64], list[NDArray[np.float64]], list[NDArray[np.float64]]]:
    """Steps, and the true and learned returns of every task, (seeds, points) each, on the steps that all runs have."""
    by_run: dict[tuple[str, str], list[Row]] = {}
    for point in points:
        if (point["method"], point["algo"]) == (runs.method, runs.algo):
            by_run.setdefault((point["task"], point["seed"]), []).append(point)
    if not by_run:
        return np.array([]), [], []
    common = sorted(set.intersection(*({int(p["env_steps"]) for p in curve} for curve in by_run.values())))
    true, learned = [], []
    for task in dict.fromkeys(task for task, _ in by_run):
        curves = [
            {int(p["env_steps"]): (float(p["true_return"]), float(p["learned_return"])) for p in curve}
            for (of, _), curve in by_run.items()
            if of == task
        ]
        values = np.array([[curve[step] for step in common] for curve in curves])
        true.append(values[:, :, 0])
        learned.append(values[:, :, 1])
    return np.array(common, np.float64), true, learned
