"""Agents that play games from frames, by name, with and without attention."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from safetensors.torch import save
from stable_baselines3 import A2C, PPO
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.sb2_compat.rmsprop_tf_like import RMSpropTFLike
from stable_baselines3.common.vec_env import VecEnv

from agents.extractor import MaskedConvolutions
from encoders.attention import Attention
from encoders.errors import check_choice
from encoders.files import write_atomically


@dataclass(frozen=True)
class PlayerPreset:
    """An algorithm and how it is set up for games.

    Attributes:
        algorithm: The Stable-Baselines3 class.
        settings: Its arguments.
        policy: Arguments of the policy.
        envs: Games played at once.
    """

    algorithm: type[BaseAlgorithm]
    settings: dict[str, Any]
    policy: dict[str, Any] = field(default_factory=dict)
    envs: int = 16


PRESETS: dict[str, PlayerPreset] = {
    "a2c": PlayerPreset(
        A2C,
        {"learning_rate": 7e-4, "n_steps": 5, "gamma": 0.99, "gae_lambda": 1.0, "ent_coef": 0.01, "vf_coef": 0.5},
        {"optimizer_class": RMSpropTFLike, "optimizer_kwargs": {"alpha": 0.99, "eps": 1e-5}},
    ),
    "ppo": PlayerPreset(
        PPO,
        {
            "learning_rate": 2.5e-4,
            "n_steps": 128,
            "batch_size": 256,
            "n_epochs": 4,
            "clip_range": 0.1,
            "ent_coef": 0.01,
        },
        envs=8,
    ),
}
"""``a2c`` as the attention paper's code has it (16 x 5 steps, RMSprop at 7e-4, alpha 0.99, eps 1e-5), with
TensorFlow's RMSprop, whose first steps are small; ``ppo`` as in its paper's Atari table."""


def names() -> list[str]:
    """Every algorithm's name."""
    return list(PRESETS)


def make(
    name: str, venv: VecEnv, attention: Attention | None, frozen: bool, seed: int, bfloat16: bool = False
) -> BaseAlgorithm:
    """Builds an untrained player.

    Args:
        name: One of ``names()``.
        venv: Games whose observations are stacks of frames.
        attention: Whose mask the convolutions' map is multiplied by; None for none.
        frozen: Whether the mask stays as it is.
        seed: Seed of the networks and of the exploration.
        bfloat16: Whether the networks calculate in bfloat16; weights and losses stay in float32.

    Raises:
        ValueError: If the name is unknown, or the attention module was made for other frames.
    """
    check_choice("algorithm", name, PRESETS)
    preset = PRESETS[name]
    extractor = {
        "features_extractor_class": MaskedConvolutions,
        "features_extractor_kwargs": {"attention": attention, "frozen": frozen, "bfloat16": bfloat16},
        # Encoders take frames as they are; the extractor divides for its own convolutions.
        "normalize_images": False,
    }
    policy = {**preset.policy, **extractor, "net_arch": []}
    return preset.algorithm("CnnPolicy", venv, policy_kwargs=policy, seed=seed, device="cpu", **preset.settings)


def save_player(agent: BaseAlgorithm, card: dict[str, Any], folder: Path) -> None:
    """Writes a player's policy as safetensors, the attention module's weights among them, and its card."""
    folder.mkdir(parents=True, exist_ok=True)
    weights = {key: value.contiguous().clone() for key, value in agent.policy.state_dict().items()}
    write_atomically(folder / "policy.safetensors", save(weights))
    write_atomically(folder / "agent.json", json.dumps(card, indent=2).encode())
