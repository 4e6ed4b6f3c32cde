"""The cartpole as a benchmark sees it: tasks are dm_control's, the score is the return of an episode."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from encoders.errors import check_choice
from envs.cartpole import TASKS
from experiments.cartpole import swingup
from experiments.cartpole.config import SwingUpConfig
from experiments.cartpole.observation import OBSERVATIONS, Frames, Observe
from experiments.cartpole.pretraining import first_encoder, recorded
from experiments.cartpole.scoring import SCORING
from experiments.sweep.grid import MARK, Cell, Method
from experiments.sweep.launchers import Job
from experiments.sweep.suite import RunSuite, write_random_figures

ALGO = "sac"

REWARD = "task"

STEP_SECONDS = {"none": 2.5e-2, "joint": 1.5e-1}
"""An agent step of a training with one update, on one core of the reference machine, of the ``cpu`` preset."""

PRETRAINING_SECONDS = 300.0
OTHER_SECONDS = 40.0

RANDOM_EPISODES = 20


class CartpoleSuite(RunSuite[SwingUpConfig]):
    """``swingup_cartpole.py``, one process a run; what the learner sees with is a named observation.

    Args:
        base: Settings of a run that no cell names.
        observations: What a run may observe, by name.
    """

    scoring = SCORING

    def __init__(self, base: SwingUpConfig, observations: Mapping[str, Observe] = OBSERVATIONS) -> None:
        super().__init__(base)
        self._observations = observations

    @property
    def steps(self) -> int:
        """The steps of 100,000 frames."""
        return self._base.steps

    def method(self, encoder: str, algo: str, reward: str, settings: tuple[str, ...]) -> Method:
        """A named observation, with settings of the run and of the encoder."""
        name = encoder.partition(MARK)[0]
        check_choice("observation", name, self._observations)
        check_choice("algorithm", algo, [ALGO])
        check_choice("reward", reward, [REWARD])
        method = Method(encoder, name, algo, reward, settings)
        self._configured(method)
        return method

    def _configured(self, method: Method, **changes: Any) -> SwingUpConfig:
        observe, own = self._observations[method.encoder], method.encoder_settings
        if own and not isinstance(observe, Frames):
            raise ValueError(f"{method.label!r} sees through no encoder; leave its settings {', '.join(own)} out.")
        settings = {"observe.settings": own} if own else {}
        return method.configured(replace(self._base, observe=observe), {**settings, **changes})

    def config(self, cell: Cell, out: Path) -> SwingUpConfig:
        """The run of a cell, in a folder of its method's."""
        if cell.task >= len(TASKS):
            raise ValueError(f"Task {cell.task} is none of the cartpole's {len(TASKS)}: {', '.join(TASKS)}.")
        return self._configured(
            cell.method,
            task=TASKS[cell.task],
            seeds=(cell.seed,),
            steps=cell.steps,
            out=out,
            label=cell.method.label,
            resume=True,
        )

    @staticmethod
    def check_inputs(config: SwingUpConfig) -> None:
        """Refuses what would fail later."""
        swingup.check_inputs(config)

    @staticmethod
    def run_seed(config: SwingUpConfig, seed: int) -> dict[str, Any]:
        """Trains and evaluates an agent."""
        return swingup.run_seed(config, seed)

    def task_name(self, task: int) -> str:
        """dm_control's name of it."""
        return TASKS[task]

    def preparations(self, cells: list[Cell], out: Path) -> list[list[Job]]:
        """Recordings, then encoders that runs share and the random policy on every task."""
        configs = [self.config(cell, out) for cell in cells]
        logs = out / "logs"
        # Runs that train no encoder first record at most what their own pictures need.
        needed = {(config.recordings_folder, config.seeds[0]): config for config in configs if config.fits}
        shared = {fit.shared_encoder(fit.seeds[0]): fit for config in configs for fit in config.fits}
        tasks = {cell.task: config for cell, config in zip(cells, configs, strict=True)}
        return [
            [
                Job(f"record-{folder.name}-{seed}", partial(_record, config), logs / f"record-{seed}.log")
                for (folder, seed), config in needed.items()
            ],
            [
                *(
                    Job(
                        f"random-{task}",
                        partial(_random_policy, config, self.random_figures_file(task, out)),
                        logs / f"random-{task}.log",
                    )
                    for task, config in tasks.items()
                ),
                *(
                    Job(
                        f"fit-{folder.parent.name}-{folder.name}",
                        partial(_fit, config),
                        logs / f"{folder.parent.name}-{folder.name}.log",
                    )
                    for folder, config in shared.items()
                ),
            ],
        ]

    def score(self, result: dict[str, Any]) -> float:
        """The mean return of an episode with the mean action."""
        return float(result["true_return"])

    def seconds(self, cell: Cell) -> float:
        """By the number of steps and updates, and whether an encoder is trained in them."""
        config = self._configured(cell.method)
        kind = "joint" if config.trains_encoder else "none"
        return OTHER_SECONDS + cell.steps * config.learning.updates * STEP_SECONDS[kind]

    def preparation_seconds(self, cells: list[Cell]) -> float:
        """An encoder a seed and kind."""
        configs = [self.config(cell, Path()) for cell in cells]
        return PRETRAINING_SECONDS * len(
            {fit.shared_encoder(fit.seeds[0]) for config in configs for fit in config.fits}
        )

    def pictures(self, folder: Path) -> list[Path]:
        """An episode with the keypoints drawn in, and what they were trained for."""
        return [path for path in (folder / "swingup.mp4", folder / "keypoints.png") if path.exists()]


def _record(config: SwingUpConfig) -> None:
    recorded(config, config.seeds[0])


def _fit(config: SwingUpConfig) -> None:
    first_encoder(config, config.seeds[0])


def _random_policy(config: SwingUpConfig, path: Path) -> None:
    if not path.exists():
        score = float(np.mean(swingup.random_returns(config, RANDOM_EPISODES)))
        write_random_figures(path, score, score)


SUITE = CartpoleSuite(SwingUpConfig())
"""The suite with every setting at its default."""
