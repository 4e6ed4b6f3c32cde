"""The imitating Kuka as a benchmark sees it: tasks are demonstrations, the score is how closely they are followed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

from encoders.networks.backbones import BackboneConfig
from experiments.imitation.suite import PipelineSuite
from experiments.kuka import run
from experiments.kuka.config import ImitateConfig
from experiments.kuka.scoring import SCORING
from experiments.runs.choices import NO_ENCODER
from experiments.sweep.grid import Cell

JOINT_SECONDS = 9e-3
"""Seconds of an environment step where the agent trains its encoder."""


class KukaSuite(PipelineSuite[ImitateConfig]):
    """``imitate_kuka.py``, one process a run.

    Args:
        base: Settings of a run that no cell names.
    """

    scoring = SCORING
    experiment = run.EXPERIMENT
    pipeline = run.KukaImitation
    step_seconds: ClassVar[Mapping[str, float]] = {"ppo": 1.7e-3, "a2c": 1.7e-3, "sac": 3.2e-3}
    fit_seconds = 260.0
    other_seconds = 20.0

    def of_task(self, task: int, out: Path) -> dict[str, Any]:
        """One of the held-out demonstrations."""
        return {"demo_seed": task, "out": out}

    def config(self, cell: Cell, out: Path) -> ImitateConfig:
        """The run of a cell; what a frozen stem makes of the recordings is the same at every step: extracted once."""
        config = super().config(cell, out)
        if config.encoder == NO_ENCODER:
            return config
        settings = config.encoder_config
        frozen = isinstance(settings, BackboneConfig) and settings.freeze
        return replace(config, fit=replace(config.fit, feature_copies=1)) if frozen else config

    def task_name(self, task: int) -> str:
        """The demonstration."""
        return f"demo{task}"

    def score(self, result: dict[str, Any]) -> float:
        """Minus the mean distance from the demonstration, metres."""
        return -float(result["link_error_m"])

    def seconds(self, cell: Cell) -> float:
        """Estimated from the steps and from whether an encoder is trained with the agent."""
        joint = cell.method.run_settings.get("encoder_mode") == "joint"
        return self.other_seconds + cell.steps * JOINT_SECONDS if joint else super().seconds(cell)


SUITE = KukaSuite(ImitateConfig())
"""The suite with every setting at its default."""
