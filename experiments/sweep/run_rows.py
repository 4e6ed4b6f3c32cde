"""Tables of imitation runs, read from their folders: one row a completed run, one line a group of seeds."""

from __future__ import annotations

import json
import sys
from collections import defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from encoders.errors import check_choice
from encoders.files import read_object, write_csv
from experiments.runs import command_line
from experiments.runs.folder import CONFIG_FILE, make_folder, read_result
from experiments.sweep.aggregates import Interval, bootstrap_interval

Row = Mapping[str, Any]
"""A run: values, or texts once they have been in a file, by the names of the columns."""


class Run(NamedTuple):
    """A complete run.

    Attributes:
        folder: Where it is.
        config: What it was configured with.
        result: What came of it.
    """

    folder: Path
    config: dict[str, Any]
    result: dict[str, Any]


def completed_runs(folders: Sequence[Path], program: str) -> list[Run]:
    """The completed runs below folders.

    Args:
        folders: That the program wrote into.
        program: What makes such runs.

    Raises:
        ValueError: If there are none below one of the folders, or a file of one is damaged.
    """
    runs = []
    for folder in folders:
        found = []
        for path in sorted(folder.glob("*/seed_*/result.json")):
            result = read_result(path.parent)
            if result is not None and result["status"] == "completed":
                remedy = "run it again in another folder, or move this one away"
                found.append(Run(path.parent, read_object(path.parent / CONFIG_FILE, "run's config", remedy), result))
        if not found:
            raise ValueError(f"There are no completed runs in {folder}; run {program} first, or name other --runs.")
        runs += found
    return runs


def check_comparable(runs: Sequence[Run], varied: Collection[str]) -> None:
    """Refuses runs that one table cannot hold.

    Args:
        runs: What is to be in it.
        varied: The settings that may differ between its runs.

    Raises:
        ValueError: If two runs are the same, or differ in a setting that is no column.
    """
    seen: dict[str, Path] = {}
    for run in runs:
        apart = sorted(_rest(runs[0].config, varied).items() ^ _rest(run.config, varied).items())
        if apart:
            raise ValueError(
                f"{run.folder} and {runs[0].folder} differ in {apart[0][0]}, which the table does not tell; "
                "name runs of one kind."
            )
        name = json.dumps(run.config, sort_keys=True)
        if name in seen:
            raise ValueError(f"{run.folder} and {seen[name]} are the same run; name it once.")
        seen[name] = run.folder


def _rest(config: Mapping[str, Any], varied: Collection[str]) -> dict[str, str]:
    return {key: json.dumps(value, sort_keys=True) for key, value in config.items() if key not in varied}


@dataclass(frozen=True)
class RunTable:
    """A table of runs.

    Attributes:
        columns: Of the file with one row a run; ``encoder`` is a label with the encoder's settings.
        order: Columns that its rows are ordered by.
        varied: The settings that may differ between its runs.
        joint: Whether the label says of an encoder that it was trained with the agent.
        group: What the runs of one line have in common, from a row; lines are ordered by it.
        cells: The text of each cell of a line, from its rows, by the column's title.
    """

    columns: tuple[str, ...]
    order: tuple[str, ...]
    varied: tuple[str, ...]
    joint: bool
    group: Callable[[Row], tuple[Any, ...]]
    cells: Mapping[str, Callable[[Sequence[Row]], str]]

    def collect(self, folders: Sequence[Path], program: str) -> list[dict[str, Any]]:
        """Rows of the completed runs in folders, one each, in order.

        Runs that imitate a video from elsewhere are left out: what really happened in it is not known.

        Raises:
            ValueError: If there are none, or they cannot be in one table.
        """
        found = [run for run in completed_runs(folders, program) if run.result.get("demo_seed", 0) is not None]
        check_comparable(found, self.varied)
        rows = []
        for run in found:
            values = run.config | run.result
            joint = ["(joint)"] * (self.joint and values["encoder_mode"] == "joint")
            label = " ".join([values["encoder"], *values["encoder_settings"], *joint])
            rows.append({**{column: values[column] for column in self.columns}, "encoder": label})
        return sorted(rows, key=lambda row: [row[column] for column in self.order])

    def markdown(self, rows: Sequence[Row]) -> str:
        """The table in Markdown, one line a group."""
        groups = defaultdict(list)
        for row in rows:
            groups[self.group(row)].append(row)
        lines = [list(self.cells), *([text(groups[name]) for text in self.cells.values()] for name in sorted(groups))]
        head, *rest = (f"| {' | '.join(line)} |" for line in lines)
        return "\n".join([head, "|---" * len(self.cells) + "|", *rest])


def _mean(key: str, rows: Sequence[Row], factor: float = 1.0) -> Interval:
    """The interquartile mean of a column, with its interval."""
    return bootstrap_interval([factor * float(row[key]) for row in rows])


def _share(key: str, whole: str, rows: Sequence[Row]) -> Interval:
    """The interquartile mean of a column's share of another, with its interval."""
    return bootstrap_interval([float(row[key]) / float(row[whole]) for row in rows])


def _runs(rows: Sequence[Row]) -> str:
    demonstrations, seeds = (len({row[key] for row in rows}) for key in ("demo_seed", "seed"))
    return f"{len(rows)} ({demonstrations} demonstrations x {seeds} seeds)"


TABLES: dict[str, RunTable] = {
    "imitate_kuka": RunTable(
        columns=(
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
        ),
        order=("encoder", "reward", "demo_seed", "seed"),
        # The auxiliary loss is that of a joint encoder.
        varied=("encoder", "encoder_settings", "encoder_mode", "auxiliary", "algo", "reward", "demo_seed", "seed"),
        joint=True,
        group=lambda row: (row["encoder"], row["algo"], row["reward"]),
        cells={
            "encoder": lambda rows: str(rows[0]["encoder"]),
            "agent": lambda rows: str(rows[0]["algo"]),
            "reward": lambda rows: str(rows[0]["reward"]),
            "runs": _runs,
            "link error, cm": lambda rows: _mean("link_error_m", rows, 100).text(".2f"),
            "share of standing still": lambda rows: _share("link_error_m", "stay_still_link_error_m", rows).text(".3f"),
            "joint error, rad": lambda rows: _mean("joint_error_rad", rows).text(".3f"),
            "audit": lambda rows: f"{np.mean([float(row['reward_rank_correlation']) for row in rows]):.2f}",
        },
    ),
    "imitate_cartpole": RunTable(
        columns=(
            "encoder",
            "learner",
            "reward",
            "starts",
            "agent_steps",
            "seed",
            "true_return",
            "learned_return",
            "demonstration_return",
        ),
        order=("encoder", "learner", "reward", "starts", "agent_steps", "seed"),
        varied=("encoder", "encoder_settings", "learner", "reward", "starts", "steps", "seed"),
        joint=False,
        group=lambda row: (
            row["learner"],
            row["reward"],
            row["encoder"],
            float(row["starts"]),
            int(row["agent_steps"]),
        ),
        cells={
            "learner": lambda rows: f"`{rows[0]['learner']}`",
            "reward": lambda rows: str(rows[0]["reward"]),
            "encoder": lambda rows: str(rows[0]["encoder"]),
            "begun along the video": lambda rows: f"{float(rows[0]['starts']):.0%}",
            "steps": lambda rows: f"{int(rows[0]['agent_steps']):,}",
            "seeds": lambda rows: str(len(rows)),
            "true return": lambda rows: _mean("true_return", rows).text(".0f"),
            "share of the video's": lambda rows: _share("true_return", "demonstration_return", rows).text(".2f"),
            "learned return": lambda rows: _mean("learned_return", rows).text(".0f"),
        },
    ),
}
"""The table of every program that imitates, by the program's name."""


@dataclass(frozen=True)
class TableConfig:
    """Settings of the table: the runs, and where it goes.

    Attributes:
        program: imitate_kuka or imitate_cartpole.
        runs: Folders that it wrote into; without any, the one that it writes into by default.
        publish: Folder that PROGRAM.csv, one row a run, is written into, such as experiments/results.
    """

    program: str = "imitate_kuka"
    runs: tuple[Path, ...] = ()
    publish: Path | None = None

    def __post_init__(self) -> None:
        check_choice("program", self.program, TABLES)


def print_runs(config: TableConfig) -> None:
    """Collects the runs and prints their table.

    Raises:
        ValueError: If there are none, or they cannot be in one table, or the folder cannot be made.
    """
    table = TABLES[config.program]
    rows = table.collect(config.runs or (Path("runs") / config.program,), f"{config.program}.py")
    if config.publish is not None:
        make_folder(config.publish, "--publish")
        write_csv(config.publish / f"{config.program}.csv", rows, table.columns)
    sys.stdout.write(table.markdown(rows) + "\n")


def main() -> int:
    """Makes the table; 0 if it worked, 2 if the user has something to mend."""
    return command_line.run(TableConfig, print_runs, __doc__)


if __name__ == "__main__":
    sys.exit(main())
