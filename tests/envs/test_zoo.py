"""The settings for the RL Zoo, with Stable-Baselines3 alone and with the Zoo."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import gymnasium as gym
import pytest
import yaml
from stable_baselines3 import PPO

import envs  # noqa: F401 - registers the environments
import experiments

SETTINGS = Path(experiments.__file__).parent / "zoo/ppo.yml"
WITHOUT_FRAMES: dict[str, dict[str, Any]] = {"KukaReach-v0": {"camera": None}, "CartpoleSwingup-v0": {"pixels": False}}


@pytest.mark.parametrize("env_id", WITHOUT_FRAMES)
def test_the_settings_of_an_environment_make_an_agent_that_learns_in_it(env_id: str) -> None:
    settings = yaml.safe_load(SETTINGS.read_text())
    assert settings.keys() == WITHOUT_FRAMES.keys()
    chosen = settings[env_id]
    assert chosen.pop("n_timesteps") > 0
    assert chosen.pop("n_envs") > 0
    chosen["n_steps"] = 8
    agent = PPO(env=gym.make(env_id, **WITHOUT_FRAMES[env_id]), batch_size=8, seed=0, **chosen)
    before = agent.policy.action_net.weight.detach().clone()
    agent.learn(8)
    assert (agent.policy.action_net.weight != before).any()


@pytest.mark.parametrize("env_id", WITHOUT_FRAMES)
def test_the_zoo_trains_with_them(env_id: str, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "rl_zoo3.train", "--algo", "ppo", "--env", env_id, "--gym-packages", "envs"]
    command += ["--conf-file", str(SETTINGS), "--n-timesteps", "1024", "--env-kwargs"]
    command += [f"{name}:{value}" for name, value in WITHOUT_FRAMES[env_id].items()]
    command += ["--eval-freq", "-1", "--seed", "0", "--log-folder", str(tmp_path)]
    subprocess.run(command, check=True, timeout=280, capture_output=True)
    assert (tmp_path / f"ppo/{env_id}_1/{env_id}.zip").exists()
