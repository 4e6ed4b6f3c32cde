"""The interface between benchmark and suites, and a base for suites whose cells are runs."""

from __future__ import annotations

import copy
import json
import math
from abc import ABC, abstractmethod
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Generic, Protocol, Self, TypeVar

from encoders.files import FileError, read_object, write_atomically
from experiments.runs.experiment import Experiment
from experiments.runs.folder import RunConfig, check_run_folder, run_seeds
from experiments.sweep.grid import Cell, Method, Scoring
from experiments.sweep.launchers import Job

Config = TypeVar("Config", bound=RunConfig)


class Suite(Protocol):
    """A suite of tasks, as the benchmark sees it."""

    scoring: Scoring
    """How its runs are scored."""

    @property
    def steps(self) -> int:
        """Environment steps of a training by default."""

    def on(self, device: str) -> Suite:
        """The same suite with runs on a device, by its name."""

    def method(self, encoder: str, algo: str, reward: str, settings: tuple[str, ...]) -> Method:
        """The method of a combination of names; ``ValueError`` for unknown or incompatible names."""

    def folder(self, cell: Cell, out: Path) -> Path:
        """Folder of a cell's run."""

    def check(self, cell: Cell, out: Path) -> None:
        """Refuses, with ``ValueError``, a cell whose folder holds a run with another configuration."""

    def preparations(self, cells: list[Cell], out: Path) -> list[list[Job]]:
        """Jobs whose results cells share, in phases: a phase needs those before it."""

    def job(self, cell: Cell, out: Path) -> Job:
        """The training of a cell; it leaves ``result.json`` and ``progress.csv`` in its folder."""

    def random_figures_file(self, task: int, out: Path) -> Path:
        """File in which ``preparations`` leave a random policy's figures on a task."""

    def random_figures(self, task: int, out: Path) -> dict[str, float]:
        """A random policy's ``score`` and ``true_return`` on a task; ``ValueError`` if ``preparations`` left none."""

    def score(self, result: dict[str, Any]) -> float:
        """A result's score, more is better."""

    def seconds(self, cell: Cell) -> float:
        """Seconds of a cell on one core of the machine of the committed results."""

    def preparation_seconds(self, cells: list[Cell]) -> float:
        """Seconds of all preparations, on the same core."""

    def pictures(self, folder: Path) -> list[Path]:
        """Videos and figures of a run."""


class RunSuite(ABC, Generic[Config]):
    """A suite whose cells are runs, one process each.

    Args:
        base: Settings of a run that no cell names.
    """

    experiment: Experiment[Any]
    """The experiment that its runs are of."""

    def __init__(self, base: Config) -> None:
        self._base = base

    @property
    def steps(self) -> int:
        """Environment steps of a training by default."""
        return self._base.steps

    def on(self, device: str) -> Self:
        """The same suite with runs on a device."""
        placed = copy.copy(self)
        placed._base = replace(self._base, device=device)  # type: ignore[type-var]
        return placed

    @abstractmethod
    def config(self, cell: Cell, out: Path) -> Config:
        """The run of a cell."""

    @classmethod
    def check_inputs(cls, config: Config) -> None:
        """Refuses inputs that would fail later."""
        cls.experiment.check_inputs(config)

    @classmethod
    def run_seed(cls, config: Config, seed: int) -> dict[str, Any]:
        """Runs a seed."""
        return cls.experiment.run_seed(config, seed)

    @abstractmethod
    def task_name(self, task: int) -> str:
        """Name of a task in file names."""

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

    def random_figures_file(self, task: int, out: Path) -> Path:
        """File of a random policy's figures on a task."""
        return out / "random_policy" / f"{self.task_name(task)}.json"

    def random_figures(self, task: int, out: Path) -> dict[str, float]:
        """A random policy's figures on a task.

        Raises:
            ValueError: If the preparations left none, or the file is damaged.
        """
        path = self.random_figures_file(task, out)
        if not path.exists():
            raise ValueError(f"{path} is missing, so its preparation failed; {out / 'logs'} says why.")
        remedy = "delete it, and the policy is measured again"
        figures = read_object(path, "random policy's figures", remedy, ("score", "true_return"))
        for name, value in figures.items():
            if type(value) not in (int, float) or not math.isfinite(value):
                raise FileError(f"The random policy's figures {path} have {value!r} for {name}; {remedy}.")
        return figures


def _run(suite: type[RunSuite[Config]], config: Config) -> None:
    suite.check_inputs(config)
    run_seeds(config, suite.run_seed)


def write_random_figures(path: Path, score: float, true_return: float) -> None:
    """Writes a random policy's figures."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, json.dumps({"score": score, "true_return": true_return}).encode())
