"""The table of imitations on the cartpole: true returns beside learned ones, by what the reward compares."""

from __future__ import annotations

import sys
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from experiments.runs import command_line
from experiments.sweep.intervals import bootstrap_interval
from experiments.sweep.run_rows import check_comparable, completed_runs, publish_rows

COLUMNS = (
    "encoder",
    "learner",
    "reward",
    "starts",
    "agent_steps",
    "seed",
    "true_return",
    "learned_return",
    "demonstration_return",
)

TOLD = ("encoder", "encoder_settings", "learner", "reward", "starts", "steps", "seed")
"""What a row tells of a run's configuration."""


@dataclass(frozen=True)
class TableConfig:
    """Where the runs are and where the table goes.

    Attributes:
        runs: Folders that ``imitate_cartpole.py`` wrote into.
        publish: Folder that ``imitate_cartpole.csv``, one row a run, is written into, such as experiments/results.
    """

    runs: tuple[Path, ...] = (Path("runs/imitate_cartpole"),)
    publish: Path | None = None


def collect(runs: Sequence[Path]) -> list[dict[str, Any]]:
    """The completed runs below folders, one row each, in order.

    Raises:
        ValueError: If there are none, or they cannot be in one table.
    """
    found = completed_runs(runs, "imitate_cartpole.py")
    check_comparable(found, TOLD)
    rows = []
    for run in found:
        told = run.config | run.result
        label = " ".join([told["encoder"], *told["encoder_settings"]])
        rows.append({**{column: told[column] for column in COLUMNS}, "encoder": label})
    return sorted(rows, key=lambda row: [row[column] for column in COLUMNS[:6]])


def table(rows: list[dict[str, Any]]) -> str:
    """The table in Markdown, one row a reward and learner."""
    groups = defaultdict(list)
    for row in rows:
        groups[row["learner"], row["reward"], row["encoder"], float(row["starts"]), int(row["agent_steps"])].append(row)
    lines = [
        "| learner | reward | encoder | begun along the video | steps | seeds | true return | share of the video's "
        "| learned return |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for (learner, reward, encoder, starts, steps), members in sorted(groups.items()):
        true, learned = (
            bootstrap_interval([float(row[key]) for row in members]) for key in ("true_return", "learned_return")
        )
        share = bootstrap_interval([float(row["true_return"]) / float(row["demonstration_return"]) for row in members])
        lines.append(
            f"| `{learner}` | {reward} | {encoder} | {starts:.0%} | {steps:,} | {len(members)} "
            f"| {true.text('.0f')} | {share.text('.2f')} | {learned.text('.0f')} |"
        )
    return "\n".join(lines)


def print_table(config: TableConfig) -> None:
    """Collects the runs and prints their table.

    Raises:
        ValueError: If there are none, or they cannot be in one table.
    """
    rows = collect(config.runs)
    publish_rows(rows, COLUMNS, config.publish, "imitate_cartpole")
    sys.stdout.write(table(rows) + "\n")


def main() -> int:
    """Makes the table; 0 if it worked, 2 if the user has something to mend."""
    return command_line.run(TableConfig, print_table, __doc__)


if __name__ == "__main__":
    sys.exit(main())
