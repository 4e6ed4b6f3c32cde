"""The configuration of a benchmark."""

from __future__ import annotations

import math
import os
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from encoders.device import AUTO, CPU, CUDA, check_device
from encoders.errors import check_choice, check_folder_name
from encoders.plugins import use as use_plugins
from experiments.runs.choices import Plugins
from experiments.sweep.grid import Grid, read_preset

LAUNCHERS = ("local", "ray")


AGAIN = "The same command goes on."
"""How to resume a stopped benchmark."""


@dataclass(frozen=True)
class BenchmarkConfig:
    """Settings of a benchmark.

    Attributes:
        preset: A committed preset, or a TOML file, that names the grid; leave the grid's flags out then.
        env: The suite; kuka_reach by default.
        encoders: Encoders of the learners; random is untrained, none observes only the robot's state. By default tcn.
        algos: Algorithms of the agents; ppo by default.
        rewards: Rewards of the agents; tcn_huber and oracle by default.
        tasks: Numbers of the tasks; for kuka_reach the demonstrations. By default 0.
        seeds: One training a seed; 0, 1 and 2 by default.
        steps: Environment steps of one training; by default those of the suite.
        out: Folder of all runs; a cell that is complete there is not run again.
        name: Folder of the results in ``out``; the preset's name by default.
        launcher: local, or ray.
        workers: Trainings at a time on this machine; 0 for as many as it has cores.
        ray_address: HOST:PORT of a Ray cluster that sees the same folders; a local Ray by default.
        gpus: GPUs that Ray reserves for a training, such as 0.25 for four trainings on each.
        device: Of every training: cpu, cuda, or auto, a GPU where there is one; with Ray, auto is cuda where gpus are
            reserved, and else cpu.
        core_hour_price: What a core costs an hour, for the estimate.
        publish: Folder that scores and curves are copied into, such as experiments/results.
        plugin: Module that registers encoders, backbones, rewards, suites or environments; it may lie in the current
            folder, and more can be named by more such flags.
        dry_run: Print the cells and an estimate, and run nothing.
    """

    preset: str | None = None
    env: str | None = None
    encoders: tuple[str, ...] | None = None
    algos: tuple[str, ...] | None = None
    rewards: tuple[str, ...] | None = None
    tasks: tuple[int, ...] | None = None
    seeds: tuple[int, ...] | None = None
    steps: int | None = None
    out: Path = Path("runs/benchmark")
    name: str = ""
    launcher: str = "local"
    workers: int = 0
    ray_address: str | None = None
    gpus: float = 0.0
    device: str = AUTO
    core_hour_price: float = 0.0
    publish: Path | None = None
    plugin: Plugins = ()
    dry_run: bool = False

    def __post_init__(self) -> None:
        use_plugins(self.plugin)
        check_choice("launcher", self.launcher, LAUNCHERS)
        check_folder_name("name", self.results.name if self.name == "" else self.name)
        if self.workers < 0 or self.gpus < 0 or not (math.isfinite(self.core_hour_price) and self.core_hour_price >= 0):
            raise ValueError(
                f"workers {self.workers}, gpus {self.gpus} and core_hour_price {self.core_hour_price} must be finite "
                "and not negative."
            )
        check_device(self.device)
        if self.launcher == "ray" and self.device != AUTO and (self.device == CUDA) != (self.gpus > 0):
            raise ValueError(
                f"device is {self.device!r} and gpus {self.gpus:g}; with Ray a training sees the GPUs that are "
                "reserved for it and no other: give a share with cuda, such as --gpus 0.25, and none with cpu."
            )
        if self.ray_address is not None and self.launcher != "ray":
            raise ValueError("ray_address is for --launcher ray; add it, or leave --ray-address out.")
        if self.preset is not None and self._named:
            raise ValueError(
                f"--preset {self.preset} names the whole grid; leave "
                f"{', '.join('--' + name for name in self._named)} out, or write a preset of your own."
            )

    @property
    def _named(self) -> dict[str, Any]:
        """The values of the grid's flags that were given."""
        values = {part.name: getattr(self, part.name, None) for part in fields(Grid)}
        return {name: value for name, value in values.items() if value is not None}

    @property
    def grid(self) -> Grid:
        """The grid, from the preset or the flags."""
        if self.preset is not None:
            return read_preset(self.preset)
        return Grid(**self._named)

    @property
    def results(self) -> Path:
        """Folder of tables, figures and the page."""
        return self.out / (self.name or (Path(self.preset).stem if self.preset else "grid"))

    @property
    def cell_device(self) -> str:
        """The device of a training; what Ray's workers have is decided here, as this machine may have another."""
        if self.launcher == "ray" and self.device == AUTO:
            return CUDA if self.gpus else CPU
        return self.device

    @property
    def cores(self) -> int:
        """Trainings at a time on this machine."""
        return self.workers or os.cpu_count() or 1
