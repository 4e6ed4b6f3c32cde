"""An imitation in any environment as a benchmark sees it: tasks are teachers' films, the score is the true return."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from experiments.any_environment import run
from experiments.any_environment.config import ImitationConfig
from experiments.any_environment.environment import EnvironmentConfig
from experiments.any_environment.scoring import SCORING
from experiments.imitation.suite import PipelineSuite


class ImitationSuite(PipelineSuite[ImitationConfig]):
    """``imitate.py`` in one environment, one process a run.

    Args:
        base: Settings of a run that no cell names.
    """

    scoring = SCORING
    experiment = run.EXPERIMENT
    pipeline = run.GymnasiumImitation
    step_seconds: ClassVar[Mapping[str, float]] = {"ppo": 2.5e-3, "a2c": 2.5e-3, "sac": 4e-3}
    fit_seconds = 180.0
    demonstration_seconds = 240.0
    other_seconds = 30.0

    @classmethod
    def of(cls, name: str) -> ImitationSuite:
        """The suite of an environment's id, with every setting at its default."""
        return cls(ImitationConfig(env=EnvironmentConfig(id=name)))

    def of_task(self, task: int, out: Path) -> dict[str, Any]:
        """A teacher's seed."""
        return {"teacher.seed": task, "out": out / self.task_name(task)}

    def task_name(self, task: int) -> str:
        """The film."""
        return f"film{task}"

    def score(self, result: dict[str, Any]) -> float:
        """The true return."""
        return float(result["true_return"])
