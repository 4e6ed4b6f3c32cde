"""The table of many imitation runs: interquartile means over demonstrations and seeds, with intervals."""

from __future__ import annotations

import sys
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from experiments.runs import command_line
from experiments.sweep.intervals import bootstrap_interval
from experiments.sweep.run_rows import check_comparable, completed_runs, publish_rows

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

TOLD = ("encoder", "encoder_settings", "encoder_mode", "auxiliary", "algo", "reward", "demo_seed", "seed")
"""What a row tells of a run's configuration; the auxiliary loss is that of a joint encoder."""


@dataclass(frozen=True)
class TableConfig:
    """Where the runs are and where the table goes.

    Attributes:
        runs: Folders that ``imitate_kuka.py`` wrote into.
        publish: Folder that ``imitate_kuka.csv``, one row a run, is written into, such as experiments/results.
    """

    runs: tuple[Path, ...] = (Path("runs/imitate_kuka"),)
    publish: Path | None = None


def collect(runs: Sequence[Path]) -> list[dict[str, Any]]:
    """The completed runs below folders that imitate recorded demonstrations, one row each, in order.

    Raises:
        ValueError: If there are none, or they cannot be in one table.
    """
    found = [run for run in completed_runs(runs, "imitate_kuka.py") if run.result["demo_seed"] is not None]
    check_comparable(found, TOLD)
    rows = []
    for run in found:
        joint = ["(joint)"] * (run.result["encoder_mode"] == "joint")
        label = " ".join([run.result["encoder"], *run.result["encoder_settings"], *joint])
        rows.append({**{column: run.result[column] for column in COLUMNS}, "encoder": label})
    return sorted(rows, key=lambda row: (row["encoder"], row["reward"], row["demo_seed"], row["seed"]))


def table(rows: list[dict[str, Any]]) -> str:
    """The table in Markdown, one row a reward."""
    groups = defaultdict(list)
    for row in rows:
        groups[row["encoder"], row["algo"], row["reward"]].append(row)
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
            f"| {link.text('.2f')} | {share.text('.3f')} | {joint.text('.3f')} | {audit:.2f} |"
        )
    return "\n".join(lines)


def print_table(config: TableConfig) -> None:
    """Collects the runs and prints their table.

    Raises:
        ValueError: If there are none, or they cannot be in one table.
    """
    rows = collect(config.runs)
    publish_rows(rows, COLUMNS, config.publish, "imitate_kuka")
    sys.stdout.write(table(rows) + "\n")


def main() -> int:
    """Makes the table; 0 if it worked, 2 if the user has something to mend."""
    return command_line.run(TableConfig, print_table, __doc__)


if __name__ == "__main__":
    sys.exit(main())
