"""Environments that programs of others drive in tests: the registered ones, and one in this project's wrappers."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
import torch

import encoders
import envs  # noqa: F401 - registers the environments
from envs.embedding import EmbeddingObservation
from rewards.huber import HuberConfig
from rewards.wrappers import TrackingReward

STEPS = 3
"""Of an episode of the Kuka."""

SETTINGS: dict[str, dict[str, Any]] = {
    "KukaReach-v0": {"image_size": 16, "horizon": STEPS},
    "CartpoleSwingup-v0": {"image_size": 16},
}


def imitating() -> gym.Env[Any, Any]:
    """The Kuka that observes embeddings of a video beside its own, and is rewarded for following joint positions."""
    torch.manual_seed(0)
    encoder = encoders.make("tcn", image_size=16, embedding_dim=8, hidden=16).eval()
    rng = np.random.default_rng(0)
    shown = rng.normal(size=(STEPS + 1, 8)).astype(np.float32)
    path = rng.uniform(-0.5, 0.5, (STEPS + 1, 7))
    env = EmbeddingObservation(gym.make("KukaReach-v0", **SETTINGS["KukaReach-v0"]), encoder, shown)
    return TrackingReward(env, "joint_positions", path, HuberConfig(), 1.0)
