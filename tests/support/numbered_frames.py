"""An environment whose frames tell which episode and moment they show, and agents that see it through an encoder."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
import torch
from gymnasium import spaces
from numpy.typing import NDArray
from stable_baselines3 import A2C, PPO, SAC
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.vec_env import DummyVecEnv

import encoders
from agents.extractor import MaskedConvolutions
from encoders.models.attention import Attention

SIZE = 36
"""The smallest frame of the attention module: networks are quick."""


class Framed(gym.Env[NDArray[np.uint8], Any]):
    """Frames are noise but for three pixels: number of the environment, of the episode, and of the step.

    Args:
        number: Of the environment.
        length: Steps of an episode.
        continuous: Whether actions are numbers.
    """

    def __init__(self, number: int = 0, length: int = 7, continuous: bool = False) -> None:
        self.observation_space = spaces.Box(0, 255, (2, SIZE, SIZE), np.uint8)
        self.action_space = spaces.Box(-1, 1, (2,), np.float32) if continuous else spaces.Discrete(3)
        self._number, self._length, self._episode, self._step = number, length, -1, 0
        self._rng = np.random.default_rng(number)

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[NDArray[np.uint8], dict[str, Any]]:
        self._episode, self._step = self._episode + 1, 0
        return self._frame(), {}

    def step(self, action: Any) -> tuple[NDArray[np.uint8], float, bool, bool, dict[str, Any]]:
        self._step += 1
        return self._frame(), float(self._step % 3), self._step == self._length, False, {}

    def _frame(self) -> NDArray[np.uint8]:
        frame = self._rng.integers(0, 256, (2, SIZE, SIZE)).astype(np.uint8)
        frame[:, 0, :3] = self._number, self._episode, self._step
        return frame


SETTINGS: dict[str, tuple[type[BaseAlgorithm], dict[str, Any]]] = {
    "a2c": (A2C, {"n_steps": 8}),
    "ppo": (PPO, {"n_steps": 8, "batch_size": 16, "n_epochs": 1}),
    "sac": (SAC, {"learning_starts": 8, "batch_size": 8, "buffer_size": 64, "train_freq": 1}),
}


def attention(**settings: object) -> Attention:
    torch.manual_seed(3)
    made = encoders.make("attention", **{"image_size": SIZE, "channels": 2, "latest": 1, **settings})
    assert isinstance(made, Attention)
    # A number, or nothing would equal it.
    made.distance_scale.fill_(1.0)
    return made


def agent(name: str, encoder: encoders.Encoder | None = None, envs: int = 2, **changes: Any) -> BaseAlgorithm:
    """A small agent with the attention module in its policy; ``policy`` among the changes adds to its arguments."""
    algorithm, settings = SETTINGS[name]
    policy = {
        "features_extractor_class": MaskedConvolutions,
        "features_extractor_kwargs": {"attention": encoder or attention(), "frozen": False, "features_dim": 16},
        "normalize_images": False,
        **changes.pop("policy", {}),
    }
    continuous = algorithm is SAC
    venv = DummyVecEnv([lambda number=number: Framed(number, 7, continuous) for number in range(envs)])
    return algorithm("CnnPolicy", venv, policy_kwargs=policy, seed=0, device="cpu", **{**settings, **changes})
