"""The table of imitations on the cartpole: true returns beside learned ones, by what the reward compares."""

from __future__ import annotations

import json
import sys
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from experiments import command_line
from experiments.imitation_table import kept
from experiments.intervals import bootstrap_interval

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


@dataclass(frozen=True)
class TableConfig:
    """Where the runs are and where the table goes.

    Attributes:
        runs: Folders that ``imitate_cartpole.py`` wrote into.
        csv: File of one row a run; read if there are no runs, so that the table can be made from it again.
    """

    runs: tuple[Path, ...] = (Path("runs/imitate_cartpole"),)
    csv: Path = Path("experiments/results/imitate_cartpole.csv")


def collect(runs: tuple[Path, ...]) -> list[dict[str, Any]]:
    """The completed runs below folders, one row each, in order."""
    rows = []
    for path in (path for folder in runs for path in folder.glob("*/seed_*/result.json")):
        result = json.loads((path.parent / "config.json").read_text()) | json.loads(path.read_text())
        if result["status"] == "completed":
            label = " ".join([result["encoder"], *result["encoder_settings"]])
            rows.append({**{column: result[column] for column in COLUMNS}, "encoder": label})
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
            f"| {true[0]:.0f} [{true[1]:.0f}, {true[2]:.0f}] | {share[0]:.2f} [{share[1]:.2f}, {share[2]:.2f}] "
            f"| {learned[0]:.0f} [{learned[1]:.0f}, {learned[2]:.0f}] |"
        )
    return "\n".join(lines)


def print_table(config: TableConfig) -> None:
    """Collects the runs into the CSV file, or reads it, and prints the table.

    Raises:
        ValueError: If there are neither runs nor a file.
    """
    rows = kept(
        collect(config.runs),
        config.csv,
        COLUMNS,
        f"runs in {', '.join(map(str, config.runs))}; run imitate_cartpole.py first.",
    )
    sys.stdout.write(table(rows) + "\n")


def main() -> int:
    """Makes the table; 0 if it worked, 2 if the user has something to mend."""
    return command_line.run(TableConfig, print_table, __doc__)


if __name__ == "__main__":
    sys.exit(main())
