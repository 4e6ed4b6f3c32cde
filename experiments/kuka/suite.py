"""The imitating Kuka as a benchmark sees it: tasks are demonstrations, the score is how closely they are followed."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from encoders.networks.backbones import BackboneConfig
from experiments.kuka import run
from experiments.kuka.config import ImitateConfig, encoder_config
from experiments.kuka.demonstrations import make_goal, read_demonstration
from experiments.kuka.imitation import random_policy
from experiments.kuka.recordings import record_all
from experiments.kuka.scoring import SCORING
from experiments.runs.choices import NO_ENCODER
from experiments.sweep.grid import Cell, Method
from experiments.sweep.imitation_methods import imitation_method
from experiments.sweep.launchers import Job
from experiments.sweep.suite import RunSuite, write_random_figures
from rewards import sources

FIT_SECONDS = 260.0
"""Seconds of an encoder's training, on one core of the machine of the committed results."""

TRAINING_SECONDS = {"ppo": 1.7e-3, "a2c": 1.7e-3, "sac": 3.2e-3}
"""Seconds of an environment step in training, on one core of the machine of the committed results."""

JOINT_SECONDS = 9e-3
"""The same where the agent trains its encoder."""

OTHER_SECONDS = 20.0
"""Seconds of a run's start, audit, evaluation and figures."""


class KukaSuite(RunSuite[ImitateConfig]):
    """``imitate_kuka.py``, one process a run.

    Args:
        base: Settings of a run that no cell names.
    """

    scoring = SCORING
    experiment = run.EXPERIMENT

    def method(self, encoder: str, algo: str, reward: str, settings: tuple[str, ...]) -> Method:
        """The oracle sees its own state and the phase; so does ``none``, which is given the pixel distance."""
        return imitation_method(encoder, algo, reward, settings, ImitateConfig.encoder, ImitateConfig.reward)

    def config(self, cell: Cell, out: Path) -> ImitateConfig:
        """The run of a cell: one process, one thread, so that cells side by side do not disturb one another."""
        method = cell.method
        changes = {
            "encoder": method.encoder,
            "encoder_settings": method.encoder_settings,
            "algo": method.algo,
            "reward": method.reward,
            "seeds": (cell.seed,),
            "demo_seed": cell.task,
            "steps": cell.steps,
            "out": out,
            "resume": True,
            "workers": 1,
            "threads": 1,
        }
        config = method.configured(self._base, changes)
        if method.encoder == NO_ENCODER:
            return config
        settings = encoder_config(config)
        frozen = isinstance(settings, BackboneConfig) and settings.freeze
        # What a frozen stem makes of the recordings is the same at every step: extract it once.
        return replace(config, fit=replace(config.fit, feature_copies=1)) if frozen else config

    def task_name(self, task: int) -> str:
        """The demonstration."""
        return f"demo{task}"

    def preparations(self, cells: list[Cell], out: Path) -> list[list[Job]]:
        """Recordings first, then encoders, one a seed, and the random policy on every demonstration."""
        configs = [self.config(cell, out) for cell in cells]
        tasks = {config.demo_seed: config for config in configs}
        logs = out / "logs"
        fits = {config.shared_encoder(config.seeds[0]): config for config in configs if config.encoder != NO_ENCODER}
        return [
            [Job("record", partial(_record, configs[0]), logs / "record.log")],
            [
                Job(
                    f"demonstration-{task}",
                    partial(_random_policy, config, self.random_figures_file(task, out)),
                    logs / "record.log",
                )
                for task, config in tasks.items()
            ],
            [
                Job(
                    f"fit-{folder.parent.name}-{folder.name}", partial(_fit, config), logs / f"{folder.parent.name}.log"
                )
                for folder, config in fits.items()
            ],
        ]

    def score(self, result: dict[str, Any]) -> float:
        """Minus the mean distance from the demonstration, metres."""
        return -float(result["link_error_m"])

    def seconds(self, cell: Cell) -> float:
        """Estimated from the steps and from whether an encoder is trained with the agent."""
        joint = cell.method.run_settings.get("encoder_mode") == "joint"
        return OTHER_SECONDS + cell.steps * (JOINT_SECONDS if joint else TRAINING_SECONDS[cell.method.algo])

    def preparation_seconds(self, cells: list[Cell]) -> float:
        """One encoder for each seed and kind; recording takes seconds."""
        methods = {(cell.method, cell.seed) for cell in cells}
        fitted = {
            (method.encoder, method.encoder_settings, seed)
            for method, seed in methods
            if method.encoder != NO_ENCODER and sources.known()[method.reward].trained
        }
        return FIT_SECONDS * len(fitted)

    def pictures(self, folder: Path) -> list[Path]:
        """Video and storyboard, next to the demonstration."""
        return [folder / "side_by_side.mp4", folder / "storyboard.png"]


def _record(config: ImitateConfig) -> None:
    record_all(config.record, config.recordings_folder, workers=1)


def _random_policy(config: ImitateConfig, path: Path) -> None:
    """Records a demonstration and measures a random policy on it."""
    videos = run.recorded_demonstration(config)
    if path.exists():
        return
    demonstration = read_demonstration(tuple(videos), config.scene, None, np.random.default_rng(0))
    goal = make_goal(demonstration, None, config.horizon)
    link_error, true_return = random_policy(config.scene, goal, config.huber, seed=0)
    write_random_figures(path, -link_error, true_return)


def _fit(config: ImitateConfig) -> None:
    run.prepared_encoder(config, config.seeds[0])


SUITE = KukaSuite(ImitateConfig())
"""The suite with every setting at its default."""
