"""Imitations as a benchmark sees them: tasks are demonstrations, each cell is a run of a pipeline."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, Generic, TypeVar

import encoders
from agents import factory
from encoders.errors import check_choice
from experiments.imitation.pipeline import Pipeline
from experiments.imitation.settings import ParallelSettings
from experiments.runs.choices import NO_ENCODER
from experiments.sweep.grid import MARK, Cell, Method
from experiments.sweep.launchers import Job
from experiments.sweep.suite import RunSuite, write_random_figures
from rewards import sources

Config = TypeVar("Config", bound=ParallelSettings)

UNTRAINED = "random"
"""Name among the encoders of the untrained default encoder, for observation and reward."""


def method_of(encoder: str, algo: str, reward: str, settings: tuple[str, ...]) -> Method:
    """The oracle sees its own state and the phase; so does ``none``, which is given the pixel distance.

    Args:
        encoder: A registered name with or without a mark, ``random`` or ``none``.
        algo: The agent.
        reward: The reward.
        settings: Of the method.

    Raises:
        ValueError: If a name is unknown.
    """
    name = encoder.partition(MARK)[0]
    check_choice("encoder", name, [*encoders.names(), UNTRAINED, NO_ENCODER])
    check_choice("algorithm", algo, factory.names())
    check_choice("reward", reward, [name for name, source in sources.known().items() if source.trained])
    if sources.known()[reward].key == "joint_positions":
        return Method(reward, NO_ENCODER, algo, reward)
    if name == NO_ENCODER:
        return Method(encoder, NO_ENCODER, algo, "pixels")
    if name == UNTRAINED:
        return Method(encoder, ParallelSettings.encoder, algo, "random", settings)
    label = encoder if reward == ParallelSettings.reward else f"{encoder} {reward}"
    return Method(label, name, algo, reward, settings)


class PipelineSuite(RunSuite[Config], Generic[Config]):
    """Imitations as cells of a benchmark, one process a run.

    Args:
        base: Settings of a run that no cell names.
    """

    pipeline: Callable[[Config, int], Pipeline[Config]]
    """Makes the stages of a run."""

    step_seconds: ClassVar[Mapping[str, float]]
    """Seconds of an environment step in training by the algorithm, on one core of the reference machine."""

    fit_seconds: float
    """Seconds of one encoder's training, on the same core."""

    other_seconds: float
    """Seconds of a run's start, audit, evaluation and figures."""

    demonstration_seconds = 0.0
    """Seconds of what all runs on a demonstration share."""

    @abstractmethod
    def of_task(self, task: int, out: Path) -> dict[str, Any]:
        """What a run on a demonstration is configured with, by paths of attributes; ``out`` is among it."""

    def method(self, encoder: str, algo: str, reward: str, settings: tuple[str, ...]) -> Method:
        """The oracle sees its own state and the phase; so does ``none``, which is given the pixel distance."""
        return method_of(encoder, algo, reward, settings)

    def config(self, cell: Cell, out: Path) -> Config:
        """The run of a cell: one process, one thread, so that cells side by side do not disturb one another."""
        method = cell.method
        changes = {
            "encoder": method.encoder,
            "encoder_settings": method.encoder_settings,
            "algo": method.algo,
            "reward": method.reward,
            "seeds": (cell.seed,),
            "steps": cell.steps,
            "resume": True,
            "workers": 1,
            "threads": 1,
            **self.of_task(cell.task, out),
        }
        return method.configured(self._base, changes)

    def preparations(self, cells: list[Cell], out: Path) -> list[list[Job]]:
        """Recordings, then demonstrations with what random actions do, then encoders, one a seed."""
        configs = [self.config(cell, out) for cell in cells]
        tasks = {cell.task: config for cell, config in zip(cells, configs, strict=True)}
        recorded = {config.out: config for config in configs}
        fits = {config.shared_encoder(config.seeds[0]): config for config in configs if config.encoder != NO_ENCODER}
        logs = out / "logs"
        return [
            [
                Job(f"record-{number}", partial(_record, type(self), config), logs / "record.log")
                for number, config in enumerate(recorded.values())
            ],
            [
                Job(
                    f"demonstration-{task}",
                    partial(_random_policy, type(self), config, self.random_figures_file(task, out)),
                    logs / "record.log",
                )
                for task, config in tasks.items()
            ],
            [
                Job(
                    f"fit-{folder.parent.name}-{folder.name}",
                    partial(_fit, type(self), config),
                    logs / f"{folder.parent.name}.log",
                )
                for folder, config in fits.items()
            ],
        ]

    def seconds(self, cell: Cell) -> float:
        """By the number of steps."""
        return self.other_seconds + cell.steps * self.step_seconds[cell.method.algo]

    def preparation_seconds(self, cells: list[Cell]) -> float:
        """A demonstration a task; an encoder for each seed, kind and folder of recordings."""
        fitted = {
            (cell.method.encoder, cell.method.encoder_settings, cell.seed, self.of_task(cell.task, Path())["out"])
            for cell in cells
            if cell.method.encoder != NO_ENCODER and sources.known()[cell.method.reward].trained
        }
        return self.demonstration_seconds * len({cell.task for cell in cells}) + self.fit_seconds * len(fitted)

    def pictures(self, folder: Path) -> list[Path]:
        """Side by side with the demonstration, moving and still."""
        return [folder / "side_by_side.mp4", folder / "storyboard.png"]


def _record(suite: type[PipelineSuite[Config]], config: Config) -> None:
    suite.pipeline(config, config.seeds[0]).record()


def _random_policy(suite: type[PipelineSuite[Config]], config: Config, path: Path) -> None:
    """Makes a demonstration, and lets random actions try to do the same."""
    pipeline = suite.pipeline(config, config.seeds[0])
    pipeline.demonstration  # noqa: B018 - made when it is asked for
    if not path.exists():
        write_random_figures(path, *pipeline.random_figures())


def _fit(suite: type[PipelineSuite[Config]], config: Config) -> None:
    suite.pipeline(config, config.seeds[0]).fitted_encoder()
