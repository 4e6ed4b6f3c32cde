"""Training that is cut and goes on, against training in one go."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch
from gymnasium import spaces
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.logger import configure
from stable_baselines3.common.monitor import Monitor
from stable_baselines3.common.vec_env import DummyVecEnv, VecEnv

from agents import factory
from agents.checkpoint import restore_checkpoint
from agents.training import CurveAndCheckpoint, read_curve
from rewards.huber import HuberConfig
from rewards.wrappers import VecTrackingReward

HORIZON = 15
EPISODE = 2 * HORIZON
"""Steps of one episode in both environments."""

PATH = np.linspace(1, -1, HORIZON + 1)[:, None] * np.ones(3)

pytestmark = pytest.mark.filterwarnings("ignore:You have specified a mini-batch size")


class Follow(gym.Env):
    """A point that is moved by actions and should stay near zero; it starts at one place."""

    def __init__(self) -> None:
        self.observation_space = spaces.Dict(
            {"place": spaces.Box(-9, 9, (3,), np.float32), "time": spaces.Box(0, 1, (1,), np.float32)}
        )
        self.action_space = spaces.Box(-1, 1, (3,), np.float32)

    def _observation(self) -> dict[str, np.ndarray]:
        return {"place": self._place.copy(), "time": np.array([self._time / HORIZON], np.float32)}

    def reset(self, *, seed: int | None = None, options: dict | None = None) -> tuple[dict[str, np.ndarray], dict]:
        """Starts at one place."""
        super().reset(seed=seed)
        self._place = np.ones(3, np.float32)
        self._time = 0
        return self._observation(), {}

    def step(self, action: np.ndarray) -> tuple[dict[str, np.ndarray], float, bool, bool, dict]:
        """Moves the point."""
        self._place = np.clip(self._place + 0.3 * action, -9, 9).astype(np.float32)
        self._time += 1
        return self._observation(), -float(np.abs(self._place).sum()), False, self._time == HORIZON, {}


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


def curve(folder: Path) -> list[dict[str, float]]:
    return [
        {key: value for key, value in row.items() if key != "seconds"} for row in read_curve(folder / "progress.csv")
    ]


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


@pytest.mark.parametrize("name", ["ppo", "a2c", "sac"])
@pytest.mark.parametrize("every", [EPISODE, 2 * EPISODE])
def test_training_that_was_cut_ends_as_if_it_had_not_been(tmp_path: Path, name: str, every: int) -> None:
    steps = 8 * EPISODE
    whole = train(name, tmp_path / "whole", steps, every)
    # Cut twice, the second time right after a checkpoint or an episode after it.
    for stop in (2 * EPISODE, 5 * EPISODE):
        with pytest.raises(KeyboardInterrupt):
            train(name, tmp_path / "cut", steps, every, stop)
        assert 0 < curve(tmp_path / "cut")[-1]["env_steps"] <= stop
    torch.manual_seed(99)  # another process would have other generators
    np.random.seed(99)  # noqa: NPY002
    resumed = train(name, tmp_path / "cut", steps, every)
    assert resumed.num_timesteps == whole.num_timesteps == steps
    assert curve(tmp_path / "cut") == curve(tmp_path / "whole")
    assert_equal(resumed.policy.state_dict(), whole.policy.state_dict())
    assert_equal(resumed.get_parameters(), whole.get_parameters())
    if name == "sac":
        assert torch.equal(resumed.log_ent_coef, whole.log_ent_coef)  # type: ignore[attr-defined]
        assert resumed.replay_buffer.pos == whole.replay_buffer.pos  # type: ignore[attr-defined]


def test_a_cut_between_curve_and_checkpoint_gives_the_same_curve(tmp_path: Path) -> None:
    train("ppo", tmp_path / "whole", 6 * EPISODE)
    train("ppo", tmp_path / "cut", 6 * EPISODE)
    with pytest.raises(KeyboardInterrupt):
        train("ppo", tmp_path / "early", 6 * EPISODE, stop=2 * EPISODE)
    # The curve is ahead of the checkpoint: what follows the checkpoint is done again.
    shutil.rmtree(tmp_path / "cut" / "checkpoint")
    shutil.copytree(tmp_path / "early" / "checkpoint", tmp_path / "cut" / "checkpoint")
    train("ppo", tmp_path / "cut", 6 * EPISODE)
    assert curve(tmp_path / "cut") == curve(tmp_path / "whole")


@pytest.mark.parametrize("name", ["ppo", "sac"])
def test_a_checkpoint_brings_everything_back(tmp_path: Path, name: str) -> None:
    trained = train(name, tmp_path, 4 * EPISODE)
    restored = start(name, seed=7)
    assert restore_checkpoint(restored, tmp_path / "checkpoint")
    assert restored.num_timesteps == 4 * EPISODE
    assert restored._n_updates == trained._n_updates > 0
    assert_equal(restored.get_parameters(), trained.get_parameters())
    if name == "sac":
        assert torch.equal(restored.log_ent_coef, trained.log_ent_coef)  # type: ignore[attr-defined]
        mine, theirs = restored.replay_buffer, trained.replay_buffer  # type: ignore[attr-defined]
        assert (mine.pos, mine.full, mine.size()) == (theirs.pos, theirs.full, theirs.size())
        for key in ("place", "time"):
            np.testing.assert_array_equal(mine.observations[key], theirs.observations[key])
            np.testing.assert_array_equal(mine.next_observations[key], theirs.next_observations[key])
        for key in ("actions", "rewards", "dones", "timeouts"):
            np.testing.assert_array_equal(getattr(mine, key), getattr(theirs, key))


def test_without_a_checkpoint_nothing_is_restored(tmp_path: Path) -> None:
    agent = start("ppo")
    assert not restore_checkpoint(agent, tmp_path / "checkpoint")
    assert agent.num_timesteps == 0


@pytest.mark.parametrize("name", ["ppo", "a2c", "sac"])
def test_rows_of_the_curve_are_whole_episodes(tmp_path: Path, name: str) -> None:
    train(name, tmp_path, 5 * EPISODE)
    rows = curve(tmp_path)
    assert [row["env_steps"] for row in rows] == [EPISODE * count for count in range(1, 6)]
    assert [row["episodes"] for row in rows] == [2, 4, 6, 8, 10]
    for row in rows:
        assert row["true_return"] < 0
        assert row["learned_return"] < 0
        assert row["true_return"] != row["learned_return"]
    seconds = [row["seconds"] for row in read_curve(tmp_path / "progress.csv")]
    assert seconds == sorted(seconds)
    assert (tmp_path / "progress.csv").read_text().startswith("env_steps,episodes,true_return,learned_return,seconds\n")


@pytest.mark.parametrize("name", ["ppo", "a2c", "sac"])
def test_training_that_ends_within_an_episode_loses_no_row(tmp_path: Path, name: str) -> None:
    # PPO goes on to the end of the episode; the others stop within it, at their next update.
    train(name, tmp_path, 4 * EPISODE + 4, every=3 * EPISODE)
    expected = 5 if name == "ppo" else 4
    assert [row["env_steps"] for row in curve(tmp_path)] == [EPISODE * count for count in range(1, expected + 1)]


@pytest.mark.parametrize("name", ["ppo", "sac"])
def test_the_checkpoint_holds_the_newest_step_alone(tmp_path: Path, name: str) -> None:
    for steps in (2, 4):
        train(name, tmp_path, steps * EPISODE)
        parts = {".pt", ".npz"} if name == "sac" else {".pt"}
        files = {path.name for path in (tmp_path / "checkpoint").iterdir()}
        assert files == {"state.json"} | {f"step_{steps * EPISODE}{part}" for part in parts}


def test_the_report_sees_every_row(tmp_path: Path) -> None:
    rows: list[dict[str, float]] = []
    agent = start("ppo")
    agent.learn(3 * EPISODE, callback=CurveAndCheckpoint(tmp_path, EPISODE, 10 * EPISODE, report=rows.append))
    assert rows == read_curve(tmp_path / "progress.csv")


def test_an_absent_curve_is_empty(tmp_path: Path) -> None:
    assert read_curve(tmp_path / "progress.csv") == []
