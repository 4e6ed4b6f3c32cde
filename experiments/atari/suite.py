"""The Atari suite of the benchmark: a task is a game, the score is the game's."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from agents import players
from encoders.errors import check_choice
from experiments.atari import run
from experiments.atari.config import AtariRunConfig
from experiments.atari.pretraining import frozen_mask
from experiments.atari.scoring import SCORING
from experiments.runs.choices import NO_ENCODER
from experiments.sweep.grid import MARK, Cell, Method
from experiments.sweep.launchers import Job
from experiments.sweep.suite import RunSuite, write_random_figures

GAMES = ("assault", "asteroids", "ms_pacman", "carnival", "journey_escape")
"""Tasks by their number: the games that the paper's text names."""

REWARD = "game"

STEP_SECONDS = {"plain": 1.4e-3, "frozen": 1.8e-3, "joint": 3.6e-3}
"""Seconds of an agent step in training, on one core of the machine of the committed results."""

MASK_SECONDS = 330.0
OTHER_SECONDS = 60.0


class AtariSuite(RunSuite[AtariRunConfig]):
    """``play_atari.py``, one process a run.

    Args:
        base: Settings of a run that no cell names.
    """

    scoring = SCORING
    experiment = run.EXPERIMENT

    def method(self, encoder: str, algo: str, reward: str, settings: tuple[str, ...]) -> Method:
        """An agent without attention, or with it as its settings say."""
        check_choice("encoder", encoder.partition(MARK)[0], ["attention", NO_ENCODER])
        check_choice("algorithm", algo, players.names())
        check_choice("reward", reward, [REWARD])
        method = Method(
            "plain" if encoder == NO_ENCODER else encoder, encoder.partition(MARK)[0], algo, reward, settings
        )
        self._configured(method)
        return method

    def _configured(self, method: Method) -> AtariRunConfig:
        changes = {"encoder": method.encoder, "encoder_settings": method.encoder_settings, "algo": method.algo}
        return method.configured(self._base, changes)

    def config(self, cell: Cell, out: Path) -> AtariRunConfig:
        """The run of a cell."""
        if cell.task >= len(GAMES):
            raise ValueError(f"Task {cell.task} is no game; there are {len(GAMES)}: {', '.join(GAMES)}.")
        return replace(
            self._configured(cell.method),
            game=GAMES[cell.task],
            seeds=(cell.seed,),
            steps=cell.steps,
            out=out,
            resume=True,
        )

    def task_name(self, task: int) -> str:
        """The game."""
        return GAMES[task]

    def preparations(self, cells: list[Cell], out: Path) -> list[list[Job]]:
        """Masks that runs share, and the random policy on every game."""
        configs = [self.config(cell, out) for cell in cells]
        logs = out / "logs"
        return [
            [
                *(
                    Job(
                        f"random-{task}",
                        partial(_random_policy, task, configs[0], self.random_figures_file(task, out)),
                        logs / f"random-{task}.log",
                    )
                    for task in sorted({cell.task for cell in cells})
                ),
                *(
                    Job(
                        f"mask-{folder.parent.name}-{folder.name}",
                        partial(frozen_mask, config, config.seeds[0]),
                        logs / f"{folder.parent.name}-{folder.name}.log",
                    )
                    for folder, config in _masks(configs).items()
                ),
            ]
        ]

    def score(self, result: dict[str, Any]) -> float:
        """The mean score of a game."""
        return float(result["game_score"])

    def seconds(self, cell: Cell) -> float:
        """Estimated from the steps and from what is trained."""
        config = self._configured(cell.method)
        kind = "plain" if config.encoder == NO_ENCODER else config.encoder_mode
        return OTHER_SECONDS + cell.steps * STEP_SECONDS[kind]

    def preparation_seconds(self, cells: list[Cell]) -> float:
        """One mask for each seed and kind."""
        masks = _masks([self.config(cell, Path()) for cell in cells]).values()
        return MASK_SECONDS * sum(config.mask != "untrained" for config in masks)

    def pictures(self, folder: Path) -> list[Path]:
        """The mask in a game, and its reconstructions."""
        return [path for path in (folder / "mask.mp4", folder / "reconstruction.png") if path.exists()]


def _masks(configs: list[AtariRunConfig]) -> dict[Path, AtariRunConfig]:
    """The frozen masks that runs need, by folder, each with a run that uses it."""
    return {
        config.mask_folder(config.seeds[0]): config
        for config in configs
        if config.encoder != NO_ENCODER and config.encoder_mode == "frozen" and config.encoder_folder is None
    }


def _random_policy(task: int, config: AtariRunConfig, path: Path) -> None:
    if not path.exists():
        score = float(np.mean(run.evaluate(None, GAMES[task], config.atari, config.episodes, seed=0)))
        write_random_figures(path, score, score)


SUITE = AtariSuite(AtariRunConfig())
"""The suite with every setting at its default."""
