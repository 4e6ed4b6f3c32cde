"""The table of many imitation runs: interquartile means over demonstrations and seeds, with intervals."""

from __future__ import annotations

import csv
import json
import sys
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from encoders.files import write_csv
from experiments import command_line
from experiments.intervals import bootstrap_interval

COLUMNS = (
    "encoder",
    "algo",
    "reward",
    "demo_seed",
    "seed",
    "env_steps",
    "link_error_m",
    "final_link_error_m",
    "joint_error_rad",
    "final_joint_error_rad",
    "stay_still_link_error_m",
    "triplet_accuracy_margin",
    "triplet_accuracy",
    "reward_rank_correlation",
    "env_steps_per_second",
)


@dataclass(frozen=True)
class TableConfig:
    """Where the runs are and where the table goes.

    Attributes:
        runs: Folder that ``imitate_kuka.py`` wrote into.
        csv: File of one row a run; read if there are no runs, so that the table can be made from it again.
    """

    runs: Path = Path("runs/imitate_kuka")
    csv: Path = Path("experiments/results/imitate_kuka.csv")


def collect(runs: Path) -> list[dict[str, Any]]:
    """The completed runs below a folder, one row each, in order."""
    rows = []
    for path in sorted(runs.glob("*/seed_*/result.json")):
        result = json.loads(path.read_text())
        if result["status"] == "completed" and result["demo_seed"] is not None:
            label = " ".join([result["encoder"], *result.get("encoder_settings", [])])
            rows.append({**{column: result[column] for column in COLUMNS}, "encoder": label})
    return sorted(rows, key=lambda row: (row["encoder"], row["reward"], row["demo_seed"], row["seed"]))


def table(rows: list[dict[str, Any]]) -> str:
    """The table in Markdown, one row a reward."""
    groups = defaultdict(list)
    for row in rows:
        groups[row["encoder"], row["algo"], row["reward"]].append({k: row[k] for k in row})
    lines = [
        "| encoder | agent | reward | runs | link error, cm | share of standing still | joint error, rad | audit |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for (encoder, algo, reward), members in sorted(groups.items(), key=lambda item: item[0]):
        link = bootstrap_interval([100 * float(row["link_error_m"]) for row in members])
        share = bootstrap_interval(
            [float(row["link_error_m"]) / float(row["stay_still_link_error_m"]) for row in members]
        )
        joint = bootstrap_interval([float(row["joint_error_rad"]) for row in members])
        audit = np.mean([float(row["reward_rank_correlation"]) for row in members])
        demos = len({row["demo_seed"] for row in members})
        seeds = len({row["seed"] for row in members})
        lines.append(
            f"| {encoder} | {algo} | {reward} | {len(members)} ({demos} demonstrations x {seeds} seeds) "
            f"| {link[0]:.2f} [{link[1]:.2f}, {link[2]:.2f}] | {share[0]:.3f} [{share[1]:.3f}, {share[2]:.3f}] "
            f"| {joint[0]:.3f} [{joint[1]:.3f}, {joint[2]:.3f}] | {audit:.2f} |"
        )
    return "\n".join(lines)


def kept(rows: list[dict[str, Any]], file: Path, columns: Sequence[str], wanted: str) -> list[dict[str, Any]]:
    """Writes rows into a CSV file; without any, reads those that are in it.

    Args:
        rows: Of the runs that are there.
        file: The CSV file.
        columns: Its columns.
        wanted: What is missing where there are neither rows nor a file, and how to come by it.

    Raises:
        ValueError: If there are neither.
    """
    if not rows:
        if not file.exists():
            raise ValueError(f"There is no {file}, and there are no completed {wanted}")
        with file.open() as opened:
            return list(csv.DictReader(opened))
    file.parent.mkdir(parents=True, exist_ok=True)
    write_csv(file, rows, columns)
    return rows


def print_table(config: TableConfig) -> None:
    """Collects the runs into the CSV file, or reads it, and prints the table.

    Raises:
        ValueError: If there are neither runs nor a file.
    """
    rows = kept(collect(config.runs), config.csv, COLUMNS, f"runs in {config.runs}; run imitate_kuka.py first.")
    sys.stdout.write(table(rows) + "\n")


def main() -> int:
    """Makes the table; 0 if it worked, 2 if the user has something to mend."""
    return command_line.run(TableConfig, print_table, __doc__)


if __name__ == "__main__":
    sys.exit(main())
