"""Tables of a benchmark's scores: methods with intervals, compared in pairs, and every run."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from experiments.report.blocks import TableBlock
from experiments.sweep.aggregates import Interval, difference, probability_of_improvement, stratified_iqm
from experiments.sweep.grid import Measure
from experiments.sweep.scores import Row, Runs, failed_runs, grouped, reference_scores, scoring_of


def summary(rows: list[Row]) -> TableBlock:
    """The table of a benchmark: interquartile means over tasks and seeds with 95% stratified bootstrap intervals."""
    measures = scoring_of(rows).measures
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
    measures = scoring_of(rows).measures
    lines: list[list[object]] = []
    for row in rows:
        raw = [f"{m.factor * float(row[m.key]):.{m.digits}f}" if row[m.key] else None for m in measures]
        seconds = f"{float(row['seconds']):.0f}" if row["seconds"] else None
        name = f"{row['method']}, {row['algo']}"
        lines.append([name, row["task"], row["seed"], row["status"], row["score"] or None, *raw, seconds])
    columns = ["method", "task", "seed", "status", "score", *(m.label for m in measures), "seconds"]
    return TableBlock("Every run", f"n = {len(rows)} runs, raw; {failed_runs(rows)} failed.", columns, lines)


def caption(rows: list[Row]) -> str:
    """The caption: what the numbers are, and of how many runs."""
    failed = failed_runs(rows)
    steps = sorted({int(row["steps"]) for row in rows})
    reference = ""
    if reference_scores(rows, "score") is not None:
        ones = scoring_of(rows).reference.says
        reference = f" Normalised score: 0 is a random policy, 1 the mean of {ones} on the same task."
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
    """Probability that a run of the method in the row beats one of the method in the column."""

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
    """Difference of the suite's first figure between the method in the row and that in the column."""
    measure = scoring_of(rows).measures[0]

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
