"""What the worlds of a benchmark have in common: a cell is a seed of a run that has a folder of its own."""

from __future__ import annotations

import json
import math
from abc import ABC, abstractmethod
from functools import partial
from pathlib import Path
from typing import Any, Generic, TypeVar

from encoders.files import FileError, read_object, write_atomically
from experiments.runs.folder import RunConfig, check_run_folder, run_seeds
from experiments.sweep.grid import Cell
from experiments.sweep.launchers import Job

Config = TypeVar("Config", bound=RunConfig)


class RunWorld(ABC, Generic[Config]):
    """An experiment, one process a run.

    Args:
        base: Settings of a run that no cell names.
    """

    def __init__(self, base: Config) -> None:
        self._base = base

    @abstractmethod
    def config(self, cell: Cell, out: Path) -> Config:
        """The run of a cell."""

    @staticmethod
    @abstractmethod
    def check_inputs(config: Config) -> None:
        """Refuses inputs that would fail later."""

    @staticmethod
    @abstractmethod
    def run_seed(config: Config, seed: int) -> dict[str, Any]:
        """Runs a seed."""

    @abstractmethod
    def task_name(self, task: int) -> str:
        """What a task is called in a file's name."""

    def folder(self, cell: Cell, out: Path) -> Path:
        """The run's folder."""
        return self.config(cell, out).run_folder(cell.seed)

    def check(self, cell: Cell, out: Path) -> None:
        """Refuses a changed configuration, and inputs that would fail later."""
        config = self.config(cell, out)
        self.check_inputs(config)
        check_run_folder(config, cell.seed, extend=False)

    def job(self, cell: Cell, out: Path) -> Job:
        """The run."""
        config = self.config(cell, out)
        return Job(cell.name, partial(_run, type(self), config), self.folder(cell, out) / "log.txt")

    def reference_file(self, task: int, out: Path) -> Path:
        """Where a random policy's figures on a task are."""
        return out / "references" / f"{self.task_name(task)}.json"

    def reference(self, task: int, out: Path) -> dict[str, float]:
        """A random policy's figures on a task.

        Raises:
            ValueError: If the preparations left none, or the file is damaged.
        """
        path = self.reference_file(task, out)
        if not path.exists():
            raise ValueError(f"{path} is missing, so its preparation failed; {out / 'logs'} says why.")
        remedy = "delete it, and the policy is measured again"
        reference = read_object(path, "random policy's figures", remedy, ("score", "true_return"))
        for name, value in reference.items():
            if type(value) not in (int, float) or not math.isfinite(value):
                raise FileError(f"The random policy's figures {path} have {value!r} for {name}; {remedy}.")
        return reference


def _run(world: type[RunWorld[Config]], config: Config) -> None:
    world.check_inputs(config)
    run_seeds(config, world.run_seed)


def write_reference(path: Path, score: float, true_return: float) -> None:
    """Keeps a random policy's figures."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, json.dumps({"score": score, "true_return": true_return}).encode())
