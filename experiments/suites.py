"""Environments that a benchmark can run through, by name."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Protocol

from encoders.errors import check_choice
from experiments.atari.config import PlayConfig
from experiments.atari.suite import AtariWorld
from experiments.cartpole.config import SwingConfig
from experiments.cartpole.suite import CartpoleWorld
from experiments.kuka.config import ImitateConfig
from experiments.kuka.suite import KukaWorld
from experiments.sweep.grid import Cell, Measure, Method, Yardstick
from experiments.sweep.launchers import Job


class World(Protocol):
    """What a benchmark needs to know of an environment."""

    measures: tuple[Measure, ...]
    """Raw figures beside the normalised score."""

    yardstick: Yardstick
    """What a normalised score of 1 is."""

    learned: bool
    """Whether agents are given another return than the true one."""

    @property
    def steps(self) -> int:
        """Environment steps of a training by default."""

    def method(self, encoder: str, algo: str, reward: str, settings: tuple[str, ...]) -> Method:
        """What a combination of names means; ``ValueError`` for names that are unknown or do not go together."""

    def folder(self, cell: Cell, out: Path) -> Path:
        """Where a cell's run is."""

    def check(self, cell: Cell, out: Path) -> None:
        """Refuses, with ``ValueError``, a cell whose folder holds a run with another configuration."""

    def preparations(self, cells: list[Cell], out: Path) -> list[list[Job]]:
        """What cells share, in phases: the jobs of a phase need those of the phase before."""

    def job(self, cell: Cell, out: Path) -> Job:
        """The training of a cell; it leaves ``result.json`` and ``progress.csv`` in its folder."""

    def reference_file(self, task: int, out: Path) -> Path:
        """Where ``preparations`` leave a random policy's figures on a task."""

    def reference(self, task: int, out: Path) -> dict[str, float]:
        """A random policy's ``score`` and ``true_return`` on a task; ``ValueError`` if ``preparations`` left none."""

    def score(self, result: dict[str, Any]) -> float:
        """A result's score, more is better."""

    def seconds(self, cell: Cell) -> float:
        """How long a cell took on the reference machine, one core."""

    def preparation_seconds(self, cells: list[Cell]) -> float:
        """How long all preparations took there, on one core."""

    def pictures(self, folder: Path) -> list[Path]:
        """Videos and figures of a run that tell how well it went."""


WORLDS: dict[str, World] = {
    "kuka_reach": KukaWorld(ImitateConfig()),
    "atari": AtariWorld(PlayConfig()),
    "cartpole": CartpoleWorld(SwingConfig()),
}
"""Every environment by its name."""


def get(name: str) -> World:
    """An environment by its name.

    Raises:
        ValueError: If it is unknown.
    """
    check_choice("environment", name, WORLDS)
    return WORLDS[name]
