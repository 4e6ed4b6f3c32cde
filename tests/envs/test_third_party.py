"""Programs of others drive the registered environments, and one in this project's wrappers, as they are."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import driven_environments
import gymnasium as gym
import numpy as np
import pytest
from driven_environments import SETTINGS, STEPS, imitating
from gymnasium import spaces
from gymnasium.utils.env_checker import data_equivalence
from gymnasium.vector import AsyncVectorEnv, VectorEnv
from gymnasium.wrappers import RecordVideo
from numpy.typing import NDArray

from encoders.videos.video import read_video


def played(venv: VectorEnv[Any, Any, Any], actions: NDArray[np.float32]) -> list[Any]:
    """What the environments answer to a reset and to every action."""
    answers: list[Any] = [venv.reset(seed=5)[0]]
    answers += [venv.step(action)[:4] for action in actions]
    venv.close()
    return answers


@pytest.mark.parametrize("env_id", SETTINGS)
def test_gymnasium_steps_many_in_one_process_and_in_many_alike(env_id: str) -> None:
    apart = gym.make_vec(env_id, num_envs=2, vectorization_mode="async", **SETTINGS[env_id])
    together = gym.make_vec(env_id, num_envs=2, vectorization_mode="sync", **SETTINGS[env_id])
    assert together.observation_space == apart.observation_space
    together.action_space.seed(0)
    # The Kuka's episodes end on the way, and begin again.
    actions = np.stack([together.action_space.sample() for _ in range(STEPS + 2)])
    assert data_equivalence(played(apart, actions), played(together, actions), exact=True)


def test_gymnasium_steps_wrapped_environments_in_processes() -> None:
    venv = AsyncVectorEnv([imitating] * 2)
    observations, *answers = played(venv, np.zeros((STEPS, 2, 7), np.float32))
    assert observations["embedding"].shape == (2, 8)
    rewards = np.array([reward for _, reward, _, _ in answers])
    assert (rewards < 0).all()
    assert [bool(truncated.all()) for _, _, _, truncated in answers] == [False] * (STEPS - 1) + [True]


@pytest.mark.parametrize("env_id", SETTINGS)
def test_gymnasium_records_what_an_environment_draws(env_id: str, tmp_path: Path) -> None:
    folder = tmp_path / "films"
    env = RecordVideo(gym.make(env_id, render_mode="rgb_array", max_episode_steps=STEPS, **SETTINGS[env_id]), folder)
    env.reset(seed=0)
    drawn = [env.env.render()]
    done = False
    while not done:
        _, _, terminated, truncated, _ = env.step(env.action_space.sample())
        drawn.append(env.env.render())
        done = terminated or truncated
    env.close()
    (path,) = folder.glob("*.mp4")
    frames = read_video(path)
    assert len(frames) == len(drawn) == STEPS + 1
    # It is H.264 with its losses.
    assert np.abs(frames.astype(int) - np.stack(drawn)).mean() < 8  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def by_torchrl() -> dict[str, dict[str, list[int]]]:
    """Shapes of three steps, by environment and by name."""
    command = [sys.executable, str(Path(driven_environments.__file__).with_name("driven_by_torchrl.py"))]
    done = subprocess.run(command, check=True, timeout=120, capture_output=True, text=True)
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.parametrize("env_id", [*SETTINGS, "wrapped"])
def test_torchrl_checks_and_plays_them(env_id: str, by_torchrl: dict[str, dict[str, list[int]]]) -> None:
    env = imitating() if env_id == "wrapped" else gym.make(env_id, **SETTINGS[env_id])
    assert isinstance(env.observation_space, spaces.Dict)
    observed = {name: [STEPS, *(space.shape or ())] for name, space in env.observation_space.spaces.items()}
    flags = {name: [STEPS, 1] for name in ("reward", "done", "terminated", "truncated")}
    assert by_torchrl[env_id] == {**observed, **flags, "action": [STEPS, *(env.action_space.shape or ())]}
    env.close()
