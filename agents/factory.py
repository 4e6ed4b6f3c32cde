"""Agents by name: Stable-Baselines3 algorithms with the hyperparameters that suit imitation."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from stable_baselines3 import A2C, PPO, SAC
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.vec_env import VecEnv
from torch import nn

import encoders
from agents.extractor import own_encoder, policy_arguments
from agents.weights import check_types, content_digest
from encoders.base import Encoder
from encoders.device import CPU
from encoders.errors import check_choice
from encoders.files import FileError, read_bytes, read_object, reading, write_atomically

AGENT_FILE = "agent.json"
POLICY_FILE = "policy.safetensors"
ENCODER_FOLDER = "encoder"

REMEDY = "train the agent again"
"""What to do about a folder that cannot be used."""

MOST_NAMES = 2**24
"""Largest header of a policy's weights, bytes."""

MOST_STEPS = 100_000
"""Steps of an episode at most: an hour at 25 a second; agents keep room for whole ones."""


@dataclass(frozen=True)
class Algorithm:
    """An algorithm and how it is set up.

    Attributes:
        algorithm: The Stable-Baselines3 class.
        learning_rate: Step size at the beginning.
        final_learning_rate: Step size at the end; linear in between.
        settings: Arguments of the algorithm.
        policy: Arguments of the policy.
        rollout: Steps of every environment between two updates of an on-policy algorithm, at most; None for whole
            episodes.
    """

    algorithm: type[BaseAlgorithm]
    learning_rate: float
    final_learning_rate: float
    settings: dict[str, Any]
    policy: dict[str, Any]
    rollout: int | None = None


_NETWORK = {"pi": [128, 128, 64], "vf": [128, 128, 64]}

ALGORITHMS: dict[str, Algorithm] = {
    "ppo": Algorithm(
        algorithm=PPO,
        learning_rate=1.5e-3,
        final_learning_rate=7.5e-5,
        settings={"batch_size": 800, "n_epochs": 10, "gamma": 0.85, "gae_lambda": 0.95, "clip_range": 0.2},
        policy={"net_arch": _NETWORK, "activation_fn": nn.Tanh, "log_std_init": -0.5},
    ),
    "a2c": Algorithm(
        algorithm=A2C,
        learning_rate=7e-4,
        final_learning_rate=3.5e-5,
        settings={"gamma": 0.85, "gae_lambda": 0.95, "use_rms_prop": False, "normalize_advantage": True},
        policy={"net_arch": _NETWORK, "activation_fn": nn.Tanh, "log_std_init": -0.5},
        rollout=5,
    ),
    "sac": Algorithm(
        algorithm=SAC,
        learning_rate=1e-3,
        final_learning_rate=1e-4,
        settings={"batch_size": 256, "gamma": 0.85, "tau": 0.01, "buffer_size": 200_000, "learning_starts": 1_600},
        policy={"net_arch": [128, 128]},
    ),
}
"""Every algorithm by its name."""


FRAMES_KEPT = 20_000
"""Steps in a replay buffer that holds frames: about 1 GB of two cameras at 64 pixels, each stored twice."""


def names() -> list[str]:
    """Every algorithm's name."""
    return list(ALGORITHMS)


def make(
    name: str,
    venv: VecEnv,
    horizon: int,
    seed: int,
    encoder: Encoder | None = None,
    gamma: float | None = None,
    rollout: int | None = None,
    device: torch.device | str = CPU,
) -> BaseAlgorithm:
    """Builds an untrained agent.

    The on-policy algorithms update after equal parts of an episode, so that after the last part every
    environment has just been reset and training can be cut and resumed there.

    Args:
        name: One of ``names()``.
        venv: What it will act in.
        horizon: Steps in an episode.
        seed: Seed of the networks and of the exploration.
        encoder: What the agent sees the observation's pixels through and trains, a copy; None where there are none.
        gamma: Discount instead of the preset's.
        rollout: Steps of every environment between two updates of an on-policy algorithm, at most, instead of the
            preset's.
        device: Where its networks calculate.

    Raises:
        ValueError: If the name is unknown, the horizon is no length of an episode, or the encoder does not fit the
            observations.
    """
    check_choice("algorithm", name, ALGORITHMS)
    if not 1 <= horizon <= MOST_STEPS:
        raise ValueError(f"The horizon is {horizon}; an episode has 1 to {MOST_STEPS} steps.")
    chosen = ALGORITHMS[name]
    settings = chosen.settings | ({} if gamma is None else {"gamma": gamma})
    if chosen.algorithm in (PPO, A2C):
        least = 1 if encoder is None else encoder.sampling.least
        settings["n_steps"] = part_of(horizon, rollout or chosen.rollout or horizon, least)
    else:
        settings |= {"train_freq": 1, "gradient_steps": max(1, venv.num_envs // 8)}
    policy = chosen.policy
    if encoder is not None:
        policy = policy | policy_arguments(encoder)
        if "buffer_size" in settings:
            settings["buffer_size"] = min(settings["buffer_size"], FRAMES_KEPT)
    return chosen.algorithm(
        "MultiInputPolicy",
        venv,
        learning_rate=_linear(chosen.learning_rate, chosen.final_learning_rate),
        policy_kwargs=policy,
        seed=seed,
        device=device,
        **settings,
    )


def part_of(horizon: int, most: int, least: int = 1) -> int:
    """The longest divisor of an episode's length up to a limit; a longer one where that is too short.

    Args:
        horizon: Steps of the episode.
        most: Steps of the part at most, if it has as many as are needed.
        least: Steps that it needs.

    Raises:
        ValueError: If the whole episode is too short.
    """
    if horizon < least:
        raise ValueError(
            f"The encoder's own loss needs {least} steps of one trajectory, and an episode has {horizon}; raise the "
            "horizon, or narrow the encoder's ranges."
        )
    parts = [steps for steps in range(1, horizon + 1) if horizon % steps == 0]
    return max(max(steps for steps in parts if steps <= most), min(steps for steps in parts if steps >= least))


def _linear(first: float, last: float) -> Callable[[float], float]:
    """A linear schedule of the learning rate over the remaining share of training, from 1 to 0."""
    return lambda remaining: last + (first - last) * remaining


def save_agent(agent: BaseAlgorithm, name: str, horizon: int, folder: Path) -> None:
    """Writes an agent's policy as safetensors, the name of its algorithm, and its own encoder, if any."""
    save_policy(agent, {"algo": name, "horizon": horizon}, folder)


def save_policy(agent: BaseAlgorithm, card: dict[str, Any], folder: Path) -> None:
    """Writes a policy's weights, its own encoder, if any, and a card to rebuild it from, with a digest."""
    folder.mkdir(parents=True, exist_ok=True)
    encoder = own_encoder(agent)
    if encoder is not None:
        encoder.save(folder / ENCODER_FOLDER)
    weights = save({key: value.cpu().contiguous().clone() for key, value in agent.policy.state_dict().items()})
    write_atomically(folder / POLICY_FILE, weights)
    write_atomically(folder / AGENT_FILE, json.dumps({**card, "digest": content_digest(weights)}, indent=2).encode())


def load_agent(folder: Path, venv: VecEnv, device: torch.device | str = CPU) -> BaseAlgorithm:
    """Loads an agent that ``save_agent`` wrote; it runs no code from the folder.

    Args:
        folder: The agent's folder.
        venv: An environment with the observations that it was trained on.
        device: Where its networks calculate.

    Raises:
        ValueError: If the folder is incomplete or does not fit the environment.
    """
    card = read_card(folder, {"algo": str, "horizon": int})
    name, horizon = card["algo"], card["horizon"]
    if not 1 <= horizon <= MOST_STEPS:
        raise FileError(
            f"The agent {folder / AGENT_FILE} has a horizon of {horizon}, and an episode 1 to {MOST_STEPS} steps; "
            f"{REMEDY}."
        )
    check_choice(f"algorithm in {folder / AGENT_FILE}", name, ALGORITHMS)
    encoder = encoders.load(folder / ENCODER_FOLDER) if (folder / ENCODER_FOLDER).exists() else None
    agent = make(name, venv, horizon, seed=0, encoder=encoder, device=device)
    load_policy(agent, folder)
    return agent


def read_card(folder: Path, types: Mapping[str, type]) -> dict[str, Any]:
    """Reads ``agent.json``.

    Args:
        folder: The agent's folder.
        types: What it must hold, and of which types.

    Raises:
        FileError: If it is missing or damaged, or lacks a name, or has a value of another type.
    """
    path = folder / AGENT_FILE
    card = read_object(path, "agent", REMEDY, list(types))
    for name, wanted in types.items():
        # True is an int to Python.
        if type(card[name]) is not wanted:
            raise FileError(f"The agent {path} has {card[name]!r:.80} for {name}, no {wanted.__name__}; {REMEDY}.")
    return {name: card[name] for name in types}


def load_policy(agent: BaseAlgorithm, folder: Path) -> None:
    """Loads a policy's weights, strictly.

    Raises:
        FileError: If they are missing, damaged, of another type or not those that were written.
        ValueError: If they do not fit.
    """
    path, own = folder / POLICY_FILE, agent.policy.state_dict()
    content = read_bytes(path, "policy", REMEDY, sum(value.nbytes for value in own.values()) + MOST_NAMES)
    # Folders from before there were digests have none, and those of a policy alone have no card.
    card = read_object(folder / AGENT_FILE, "agent", REMEDY) if (folder / AGENT_FILE).exists() else {}
    if "digest" in card and card["digest"] != content_digest(content):
        raise FileError(
            f"The policy {path} has other weights than were written: its digest is not the one in "
            f"{folder / AGENT_FILE}; {REMEDY}."
        )
    with reading(path, "policy", REMEDY, also=(SafetensorError,)):
        weights = load(content)
        check_types(weights, own, path, REMEDY)
    try:
        agent.policy.load_state_dict(weights, strict=True)
    except RuntimeError as error:
        raise ValueError(f"{path} does not fit the environment: {' '.join(str(error).split())}") from error
