"""Short trainings with checkpoints, of agents that keep a point near zero."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from following_point import HORIZON, Follow
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.logger import configure
from stable_baselines3.common.monitor import Monitor
from stable_baselines3.common.vec_env import DummyVecEnv, VecEnv

from agents import factory
from agents.checkpoint import restore_checkpoint
from agents.training import CurveAndCheckpoint, read_curve
from rewards.huber import HuberConfig
from rewards.wrappers import VecTrackingReward

EPISODE = 2 * HORIZON
"""Steps of one episode in both environments."""

PATH = np.linspace(1, -1, HORIZON + 1)[:, None] * np.ones(3)


def start(name: str, seed: int = 0) -> BaseAlgorithm:
    venv: VecEnv = DummyVecEnv([lambda: Monitor(Follow())] * 2)  # type: ignore[list-item]
    agent = factory.make(name, VecTrackingReward(venv, "place", PATH, HuberConfig(), 0.5), HORIZON, seed)
    if name == "sac":
        # Updates from the second episode on.
        agent.learning_starts = EPISODE  # type: ignore[attr-defined]
    return agent


def train(name: str, folder: Path, steps: int, every: int = EPISODE, stop: int | None = None) -> BaseAlgorithm:
    """As the pipeline does it; with ``stop`` it is cut after the last checkpoint up to there."""
    folder.mkdir(parents=True, exist_ok=True)
    agent = start(name)
    restore_checkpoint(agent, folder / "checkpoint")
    agent.set_logger(configure(str(folder / "log"), []))

    def report(row: dict[str, float]) -> None:
        if stop is not None and row["env_steps"] > stop:
            raise KeyboardInterrupt

    callback = CurveAndCheckpoint(folder, EPISODE, every, report=report)
    agent.learn(steps - agent.num_timesteps, callback=callback, reset_num_timesteps=False)
    return agent


def assert_equal(left: Any, right: Any) -> None:
    if isinstance(left, torch.Tensor):
        assert torch.equal(left, right)
    elif isinstance(left, dict):
        assert list(left) == list(right)
        for key in left:
            assert_equal(left[key], right[key])
    elif isinstance(left, (list, tuple)):
        for one, other in zip(left, right, strict=True):
            assert_equal(one, other)
    else:
        assert left == right


def curve(folder: Path) -> list[dict[str, float]]:
    return [
        {key: value for key, value in row.items() if key != "seconds"} for row in read_curve(folder / "progress.csv")
    ]
