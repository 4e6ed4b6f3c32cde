"""Agents that play games from frames, by name, with and without attention."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from stable_baselines3 import A2C, PPO
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.sb2_compat.rmsprop_tf_like import RMSpropTFLike
from stable_baselines3.common.vec_env import VecEnv

import encoders
from agents.extractor import MaskedConvolutions
from agents.factory import ENCODER_FOLDER, load_policy, read_card
from encoders.device import CPU
from encoders.errors import check_choice
from encoders.models.attention import Attention


@dataclass(frozen=True)
class GameAlgorithm:
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


GAME_ALGORITHMS: dict[str, GameAlgorithm] = {
    "a2c": GameAlgorithm(
        A2C,
        {"learning_rate": 7e-4, "n_steps": 5, "gamma": 0.99, "gae_lambda": 1.0, "ent_coef": 0.01, "vf_coef": 0.5},
        {"optimizer_class": RMSpropTFLike, "optimizer_kwargs": {"alpha": 0.99, "eps": 1e-5}},
    ),
    "ppo": GameAlgorithm(
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
TensorFlow's RMSprop, whose first steps are small; ``ppo`` close to the RL Zoo's."""


def names() -> list[str]:
    """Every algorithm's name."""
    return list(GAME_ALGORITHMS)


def make(
    name: str,
    venv: VecEnv,
    attention: Attention | None,
    frozen: bool,
    seed: int,
    bfloat16: bool = False,
    device: torch.device | str = CPU,
) -> BaseAlgorithm:
    """Builds an untrained agent for games.

    Args:
        name: One of ``names()``.
        venv: Games whose observations are stacks of frames.
        attention: Whose mask the convolutions' map is multiplied by; None for none.
        frozen: Whether the mask stays as it is.
        seed: Seed of the networks and of the exploration.
        bfloat16: Whether the networks calculate in bfloat16; weights and losses stay in float32.
        device: Where the networks calculate.

    Raises:
        ValueError: If the name is unknown, or the attention module was made for other frames.
    """
    check_choice("algorithm", name, GAME_ALGORITHMS)
    chosen = GAME_ALGORITHMS[name]
    extractor = {
        "features_extractor_class": MaskedConvolutions,
        "features_extractor_kwargs": {"attention": attention, "frozen": frozen, "bfloat16": bfloat16},
        # Encoders take frames as they are; the extractor divides for its own convolutions.
        "normalize_images": False,
    }
    policy = {**chosen.policy, **extractor, "net_arch": []}
    return chosen.algorithm("CnnPolicy", venv, policy_kwargs=policy, seed=seed, device=device, **chosen.settings)


def load_player(folder: Path, venv: VecEnv, device: torch.device | str = CPU) -> BaseAlgorithm:
    """Loads an agent for games that ``factory.save_policy`` wrote; runs no code from the folder.

    Args:
        folder: Its ``agent.json`` names ``algo``, and ``frozen`` and ``bfloat16`` as ``make`` takes them.
        venv: Games with the observations that it was trained on.
        device: Where the networks calculate.

    Raises:
        ValueError: If the folder is incomplete or does not fit the games.
    """
    card = read_card(folder, {"algo": str, "frozen": bool, "bfloat16": bool})
    encoder = encoders.load(folder / ENCODER_FOLDER) if (folder / ENCODER_FOLDER).exists() else None
    if encoder is not None and not isinstance(encoder, Attention):
        raise ValueError(f"{folder / ENCODER_FOLDER} holds {encoder.name!r}; players have 'attention' or nothing.")
    agent = make(card["algo"], venv, encoder, card["frozen"], 0, card["bfloat16"], device)
    load_policy(agent, folder)
    return agent
