"""Rows of a table from folders of runs: those that are complete, each once, and alike but for what the table tells."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from encoders.files import read_object, write_csv
from experiments.runs.folder import CONFIG_FILE, make_folder, read_result


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


def check_comparable(runs: Sequence[Run], told: Collection[str]) -> None:
    """Refuses runs that one table cannot hold.

    Args:
        runs: What is to be in it.
        told: The parts of a configuration that it tells apart.

    Raises:
        ValueError: If two runs are the same, or differ in what the table does not tell.
    """
    seen: dict[str, Path] = {}
    for run in runs:
        apart = sorted(_rest(runs[0].config, told).items() ^ _rest(run.config, told).items())
        if apart:
            raise ValueError(
                f"{run.folder} and {runs[0].folder} differ in {apart[0][0]}, which the table does not tell; "
                "name runs of one kind."
            )
        name = json.dumps(run.config, sort_keys=True)
        if name in seen:
            raise ValueError(f"{run.folder} and {seen[name]} are the same run; name it once.")
        seen[name] = run.folder


def _rest(config: Mapping[str, Any], told: Collection[str]) -> dict[str, str]:
    return {key: json.dumps(value, sort_keys=True) for key, value in config.items() if key not in told}


def publish_rows(rows: Sequence[Mapping[str, Any]], columns: Sequence[str], folder: Path | None, name: str) -> None:
    """Writes rows into ``NAME.csv`` of a folder; nothing without one.

    Raises:
        ValueError: If the folder cannot be made.
    """
    if folder is not None:
        make_folder(folder, "--publish")
        write_csv(folder / f"{name}.csv", rows, columns)
