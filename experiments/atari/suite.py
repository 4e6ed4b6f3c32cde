"""Atari games as a benchmark sees them: tasks are games, the score is the game's."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from agents import players
from encoders.errors import check_choice
from experiments.atari import run
from experiments.atari.config import PlayConfig
from experiments.atari.pretraining import frozen_mask
from experiments.atari.scoring import SCORING
from experiments.runs.choices import NO_ENCODER
from experiments.sweep.grid import MARK, Cell, Method
from experiments.sweep.launchers import Job
from experiments.sweep.suite import RunSuite, write_reference

GAMES = ("assault", "asteroids", "ms_pacman", "carnival", "journey_escape")
"""Tasks by their number: the games of the paper whose names its text gives."""

REWARD = "game"

STEP_SECONDS = {"plain": 1.4e-3, "frozen": 1.8e-3, "joint": 3.6e-3}
"""An agent step of a training, on one core of the reference machine."""

MASK_SECONDS = 330.0
OTHER_SECONDS = 60.0


class AtariSuite(RunSuite[PlayConfig]):
    """``play_atari.py``, one process a run.

    Args:
        base: Settings of a run that no cell names.
    """

    scoring = SCORING

    @property
    def steps(self) -> int:
        """The steps of a training in which A2C begins to play."""
        return self._base.steps

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

    def _configured(self, method: Method) -> PlayConfig:
        changes = {"encoder": method.encoder, "encoder_settings": method.encoder_settings, "algo": method.algo}
        return method.configured(self._base, changes)

    def config(self, cell: Cell, out: Path) -> PlayConfig:
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

    @staticmethod
    def check_inputs(config: PlayConfig) -> None:
        """Refuses a mask that would fail later."""
        run.check_inputs(config)

    @staticmethod
    def run_seed(config: PlayConfig, seed: int) -> dict[str, Any]:
        """Trains and evaluates a player."""
        return run.play_seed(config, seed)

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
                        partial(_reference, task, configs[0], self.reference_file(task, out)),
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
        """By the number of steps and what is trained in them."""
        config = self._configured(cell.method)
        kind = "plain" if config.encoder == NO_ENCODER else config.encoder_mode
        return OTHER_SECONDS + cell.steps * STEP_SECONDS[kind]

    def preparation_seconds(self, cells: list[Cell]) -> float:
        """A mask a seed and kind."""
        masks = _masks([self.config(cell, Path()) for cell in cells]).values()
        return MASK_SECONDS * sum(config.mask != "untrained" for config in masks)

    def pictures(self, folder: Path) -> list[Path]:
        """The mask as the agent plays, and what it was trained for."""
        return [path for path in (folder / "mask.mp4", folder / "reconstruction.png") if path.exists()]


def _masks(configs: list[PlayConfig]) -> dict[Path, PlayConfig]:
    """The masks that runs need before they start, by their folders, with a run that uses each."""
    return {
        config.mask_folder(config.seeds[0]): config
        for config in configs
        if config.encoder != NO_ENCODER and config.encoder_mode == "frozen" and config.encoder_folder is None
    }


def _reference(task: int, config: PlayConfig, path: Path) -> None:
    if not path.exists():
        score = float(np.mean(run.evaluate(None, GAMES[task], config.atari, config.episodes, seed=0)))
        write_reference(path, score, score)


SUITE = AtariSuite(PlayConfig())
"""The suite with every setting at its default."""
