"""Curves of a benchmark's returns over environment steps, with bands over seeds and tasks."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from experiments.report.charts import ChartBlock, Series
from experiments.sweep.aggregates import band, normalised
from experiments.sweep.scores import Row, Runs, grouped, reference_scores, scoring_of


def charts(rows: list[Row], points: list[Row]) -> list[ChartBlock]:
    """Sample efficiency by the true return, and the learned return, over environment steps."""
    scoring = scoring_of(rows)
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
    """The rows, each with the last true return of its curve."""
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
