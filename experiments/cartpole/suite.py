"""The cartpole as a benchmark sees it: tasks are dm_control's, the score is the return of an episode."""

from __future__ import annotations

from dataclasses import fields, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from agents import pixel_sac
from agents.auxiliary import AuxiliaryConfig
from agents.pixel_sac import LearningConfig
from encoders.errors import check_choice
from encoders.settings import parse_settings
from envs.cartpole import TASKS
from experiments.cartpole import swingup
from experiments.cartpole.config import SwingConfig
from experiments.cartpole.pretraining import first_encoder, recorded
from experiments.cartpole.scoring import SCORING
from experiments.sweep.grid import MARK, Cell, Method
from experiments.sweep.launchers import Job
from experiments.sweep.suite import RunSuite, write_random_figures

ALGO = "sac"

REWARD = "task"

OF_THE_RUN = (
    "encoder",
    "encoder_start",
    "encoder_mode",
    "beside",
    "beside_settings",
    "beside_role",
    "hint_weight",
    "preset",
    "precision",
    "landmark_noise",
    "landmarks_held",
    "landmark_places",
)
"""Settings of a cell that are those of the run; those that ``learning`` and ``auxiliary`` know are theirs, and all
others are the encoder's own."""

STEP_SECONDS = {"none": 2.5e-2, "joint": 1.5e-1}
"""An agent step of a training with one update, on one core of the reference machine, of the ``cpu`` preset."""

PRETRAINING_SECONDS = 300.0
OTHER_SECONDS = 40.0

RANDOM_EPISODES = 20


class CartpoleSuite(RunSuite[SwingConfig]):
    """``swingup_cartpole.py``, one process a run; what the learner sees with is a variant by its name.

    Args:
        base: Settings of a run that no cell names.
    """

    scoring = SCORING

    @property
    def steps(self) -> int:
        """The steps of 100,000 frames."""
        return self._base.steps

    def method(self, encoder: str, algo: str, reward: str, settings: tuple[str, ...]) -> Method:
        """A variant, with settings of the run, of the learning and of its encoder."""
        variant = encoder.partition(MARK)[0]
        pixel_sac.variant(variant)
        check_choice("algorithm", algo, [ALGO])
        check_choice("reward", reward, [REWARD])
        method = Method(encoder, variant, algo, reward, settings)
        self._configured(method)
        return method

    def _configured(self, method: Method) -> SwingConfig:
        learning, auxiliary = (tuple(part.name for part in fields(kind)) for kind in (LearningConfig, AuxiliaryConfig))
        return replace(
            self._base,
            variant=method.encoder,
            encoder_settings=method.settings_beside({*OF_THE_RUN, *learning, *auxiliary}),
            learning=replace(self._base.learning, **_read(method, LearningConfig, learning)),
            auxiliary=replace(self._base.auxiliary, **_read(method, AuxiliaryConfig, auxiliary)),
            **_read(method, SwingConfig, OF_THE_RUN),
        )

    def config(self, cell: Cell, out: Path) -> SwingConfig:
        """The run of a cell, in a folder of its method's."""
        if cell.task >= len(TASKS):
            raise ValueError(f"Task {cell.task} is none of the cartpole's {len(TASKS)}: {', '.join(TASKS)}.")
        return replace(
            self._configured(cell.method),
            task=TASKS[cell.task],
            seeds=(cell.seed,),
            steps=cell.steps,
            out=out,
            label=cell.method.label,
            resume=True,
        )

    @staticmethod
    def check_inputs(config: SwingConfig) -> None:
        """Refuses what would fail later."""
        swingup.check_inputs(config)

    @staticmethod
    def run_seed(config: SwingConfig, seed: int) -> dict[str, Any]:
        """Trains and evaluates an agent."""
        return swingup.swing_seed(config, seed)

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
        kind = "joint" if config.trained_along else "none"
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


def _read(method: Method, config: type[Any], names: tuple[str, ...]) -> dict[str, Any]:
    """The values of those of a method's settings that are a config's.

    Raises:
        ValueError: If one cannot be read.
    """
    texts = [f"{name}={text}" for name, text in method.settings_in(names).items()]
    return parse_settings(texts, config, "setting", repr(method.label))


def _record(config: SwingConfig) -> None:
    recorded(config, config.seeds[0])


def _fit(config: SwingConfig) -> None:
    first_encoder(config, config.seeds[0])


def _random_policy(config: SwingConfig, path: Path) -> None:
    if not path.exists():
        score = float(np.mean(swingup.random_returns(config, RANDOM_EPISODES)))
        write_random_figures(path, score, score)


SUITE = CartpoleSuite(SwingConfig())
"""The suite with every setting at its default."""
