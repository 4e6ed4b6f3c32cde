"""The scores of a benchmark: one row a cell in a CSV file, and the rows of every method together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from agents.training import CURVE_FILE, read_curve
from encoders import files
from encoders.files import reading
from experiments.runs.folder import RESULT_FILE, read_result
from experiments.sweep.aggregates import (
    normalised,
)
from experiments.sweep.grid import Cell, Scoring
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


def scoring_of(rows: list[Row]) -> Scoring:
    """How the rows of one suite are scored."""
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
    method = scoring_of(rows).reference.method
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


def failed_runs(rows: list[Row]) -> int:
    """Number of runs without a result."""
    return sum(row["status"] != "completed" for row in rows)
