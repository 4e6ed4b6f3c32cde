"""An imitation in any environment as a benchmark sees it: tasks are teachers' films, the score is the true return."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

from experiments.imitation import learner, run
from experiments.imitation.config import ImitationConfig
from experiments.imitation.demonstration import goal_of, scales_of
from experiments.imitation.environment import EnvironmentConfig, find
from experiments.imitation.pretraining import fitted_encoder
from experiments.imitation.scoring import SCORING
from experiments.imitation.shared import Shared
from experiments.runs.choices import NO_ENCODER
from experiments.sweep.grid import Cell, Method
from experiments.sweep.imitation_methods import imitation_method
from experiments.sweep.launchers import Job
from experiments.sweep.suite import RunSuite, write_random_figures
from rewards import sources

STEP_SECONDS = {"ppo": 2.5e-3, "a2c": 2.5e-3, "sac": 4e-3}
"""An environment step of a training, on one core of the reference machine."""

FIT_SECONDS = 180.0
SHARED_SECONDS = 240.0
OTHER_SECONDS = 30.0
"""One encoder's training; recorded play, a teacher and its film; start, audit, evaluation and figures of a run."""


class ImitationSuite(RunSuite[ImitationConfig]):
    """``imitate.py`` in one environment, one process a run.

    Args:
        base: Settings of a run that no cell names.
    """

    scoring = SCORING
    experiment = run.EXPERIMENT

    @classmethod
    def of(cls, name: str) -> ImitationSuite:
        """The suite of an environment's id, with every setting at its default."""
        return cls(ImitationConfig(env=EnvironmentConfig(id=name)))

    def method(self, encoder: str, algo: str, reward: str, settings: tuple[str, ...]) -> Method:
        """The oracle sees its own state and the phase; so does ``none``, which is given the pixel distance."""
        return imitation_method(encoder, algo, reward, settings, ImitationConfig.encoder, ImitationConfig.reward)

    def config(self, cell: Cell, out: Path) -> ImitationConfig:
        """The run of a cell: one process, one thread, so that cells side by side do not disturb one another."""
        method = cell.method
        changes = {
            "encoder": method.encoder,
            "encoder_settings": method.encoder_settings,
            "teacher.seed": cell.task,
            "algo": method.algo,
            "reward": method.reward,
            "seeds": (cell.seed,),
            "steps": cell.steps,
            "out": out / f"film{cell.task}",
            "resume": True,
            "workers": 1,
            "threads": 1,
        }
        return method.configured(self._base, changes)

    def task_name(self, task: int) -> str:
        """The film."""
        return f"film{task}"

    def preparations(self, cells: list[Cell], out: Path) -> list[list[Job]]:
        """Recorded play, teachers and their films first, then encoders, one a seed."""
        configs = [self.config(cell, out) for cell in cells]
        tasks = {cell.task: config for cell, config in zip(cells, configs, strict=True)}
        fits = {config.shared_encoder(config.seeds[0]): config for config in configs if config.encoder != NO_ENCODER}
        logs = out / "logs"
        return [
            [
                Job(f"film-{task}", partial(_film, config, self.random_figures_file(task, out)), logs / "film.log")
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
        """The true return."""
        return float(result["true_return"])

    def seconds(self, cell: Cell) -> float:
        """By the number of steps."""
        return OTHER_SECONDS + cell.steps * STEP_SECONDS[cell.method.algo]

    def preparation_seconds(self, cells: list[Cell]) -> float:
        """A teacher a task, an encoder a seed, task and kind."""
        fitted = {
            (cell.method.encoder, cell.method.encoder_settings, cell.seed, cell.task)
            for cell in cells
            if cell.method.encoder != NO_ENCODER and sources.known()[cell.method.reward].trained
        }
        return SHARED_SECONDS * len({cell.task for cell in cells}) + FIT_SECONDS * len(fitted)

    def pictures(self, folder: Path) -> list[Path]:
        """Side by side with the demonstration, moving and still."""
        return [folder / "side_by_side.mp4", folder / "storyboard.png"]


def _film(config: ImitationConfig, path: Path) -> None:
    """Makes what all runs share, and lets random actions try to do the same."""
    environment = find(config.env)
    shared = Shared(config, environment)
    demonstration, _ = shared.demonstration, shared.others
    if path.exists():
        return
    states = learner.demonstration_states(demonstration, shared.standard)
    goal = goal_of(demonstration, None, environment.horizon, states)
    task = learner.Task(
        environment, shared.standard, demonstration.start, goal, scales_of(None, shared.episodes[1]), None
    )
    random = learner.evaluate(task, learner.random_actions(environment, 0), run.REFERENCE_EPISODES, seed=0, drawn=False)
    write_random_figures(path, random.true_return, random.true_return)


def _fit(config: ImitationConfig) -> None:
    fitted_encoder(config, config.seeds[0], Shared(config, find(config.env)))
