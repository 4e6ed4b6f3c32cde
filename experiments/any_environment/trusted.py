"""Teachers that others have trained: agents in zips of Stable-Baselines3, which are code, and are trusted by name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray
from stable_baselines3 import A2C, PPO, SAC
from stable_baselines3.common.base_class import BaseAlgorithm

from agents import factory
from encoders.files import FileError, check_regular, reading
from envs.drawn import PIXELS
from envs.snapshots import SnapshotStarts
from experiments.any_environment.config import ImitationConfig
from experiments.any_environment.environment import Environment
from experiments.any_environment.play import Policy
from experiments.any_environment.teacher import given_teacher, teacher_algo

ALGORITHMS: dict[str, type[BaseAlgorithm]] = {"ppo": PPO, "sac": SAC, "a2c": A2C}

SCHEDULES: dict[str, Any] = {"learning_rate": 0.0, "lr_schedule": lambda _: 0.0, "clip_range": lambda _: 0.0}
"""In place of an agent's own schedules: functions pickled by another Python, which only a training needs."""


def check_given_teacher(config: ImitationConfig, environment: Environment) -> None:
    """Refuses a teacher that is given and cannot act in an environment, before any work.

    Raises:
        ValueError: If so.
    """
    folder = config.teacher.folder
    if folder is not None:
        zips = sorted(folder.glob("*.zip")) if folder.is_dir() and not (folder / factory.AGENT_FILE).exists() else []
        if zips:
            raise FileError(
                f"{folder} holds no agent of this project, and {zips[0].name}, which runs the code in it when it is "
                f"loaded. If you trust it, name it: --teacher.trusted-zip {zips[0]}."
            )
        given_teacher(folder, environment)
    if config.teacher.trusted_zip is not None:
        trusted_policy(config, environment)


def trusted_policy(config: ImitationConfig, environment: Environment) -> Policy:
    """The mean action of an agent in a zip that is trusted: it runs the code in it.

    Args:
        config: The run.
        environment: Where.

    Raises:
        ValueError: If the file cannot be loaded, or its agent observes or does other things than the environment has.
    """
    path, algo = config.teacher.trusted_zip, teacher_algo(config, environment)
    assert path is not None
    agent = _loaded(path, algo)
    env = environment.make(drawn=False)
    raw = _raw(env)
    observed = _observed(raw.observation_space, config.env.hidden)
    env.close()
    if not _alike(agent.observation_space, observed) and not _alike(
        agent.observation_space, spaces.flatten_space(observed)
    ):
        raise ValueError(
            f"The agent in {path} observes {agent.observation_space}, and {config.env.id!r} has {observed} beside its "
            "frames; name one that was trained on these, as they are: not stacked, and without frames."
        )
    if not _alike(agent.action_space, raw.action_space):
        raise ValueError(
            f"The agent in {path} has the actions {agent.action_space}, and {config.env.id!r} takes "
            f"{raw.action_space}; name one that was trained on these."
        )
    by_name = isinstance(agent.observation_space, spaces.Dict)

    def policy(observation: dict[str, NDArray[Any]]) -> Any:
        state = observation["state"]
        action = agent.predict(spaces.unflatten(observed, state) if by_name else state, deterministic=True)[0]
        if isinstance(raw.action_space, spaces.Box):
            low, high = raw.action_space.low, raw.action_space.high
            return np.clip(2 * (action - low) / (high - low) - 1, -1, 1).astype(np.float32)
        return action.item()

    return policy


def _loaded(path: Path, algo: str) -> BaseAlgorithm:
    """The agent in a zip."""
    remedy = f"name a zip that Stable-Baselines3 saved of {algo}, or another algorithm by --teacher.algo"
    check_regular(path, "agent", remedy)
    # A replay buffer is allocated at its full size, and one of a kind of its own needs its environment.
    replay: dict[str, Any] = (
        {"buffer_size": 1, "replay_buffer_class": None, "replay_buffer_kwargs": {}} if algo == "sac" else {}
    )
    with reading(path, "agent", remedy, also=(ImportError,)):
        return ALGORITHMS[algo].load(path, device="cpu", custom_objects=SCHEDULES, **replay)


def _raw(env: gym.Env[Any, Any]) -> gym.Env[Any, Any]:
    """The environment as Gymnasium made it, without the wrappers of an imitation."""
    while not isinstance(env, SnapshotStarts):
        assert isinstance(env, gym.Wrapper)
        env = env.env
    return env.env


def _observed(space: gym.Space[Any], hidden: tuple[str, ...]) -> gym.Space[Any]:
    """What an environment observes beside frames, without what is hidden from a run."""
    if not isinstance(space, spaces.Dict):
        return space
    return spaces.Dict({name: part for name, part in space.spaces.items() if name not in {PIXELS, *hidden}})


def _alike(one: gym.Space[Any], other: gym.Space[Any]) -> bool:
    """Whether two spaces hold the same values, in whatever precision."""
    if isinstance(one, spaces.Dict) and isinstance(other, spaces.Dict):
        return one.spaces.keys() == other.spaces.keys() and all(_alike(one[name], other[name]) for name in one.spaces)
    if isinstance(one, spaces.Box) and isinstance(other, spaces.Box):
        return one.shape == other.shape and bool(np.allclose(one.low, other.low) and np.allclose(one.high, other.high))
    return one == other
