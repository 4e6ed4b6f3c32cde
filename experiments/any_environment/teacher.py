"""The teacher: an agent that learns from the true reward, and is filmed where no video is given."""

from __future__ import annotations

import io
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import torch
from gymnasium import spaces
from numpy.typing import NDArray
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.monitor import Monitor
from stable_baselines3.common.vec_env import DummyVecEnv

from agents import factory
from agents.checkpoint import restore_checkpoint
from encoders.device import AUTO
from encoders.files import write_atomically
from encoders.videos.video import write_video
from envs.pixels import SeededEpisodes
from envs.standard import standardise
from experiments.any_environment.config import ImitationConfig
from experiments.any_environment.environment import Environment
from experiments.any_environment.play import Policy, Recording, load_or_record, random_play, read_recording, roll_out
from experiments.any_environment.standard import Standard, make_standard
from experiments.runs.claims import claim
from experiments.runs.learning import learn_to_end, progress_bar

ENVS = 16
"""Environments stepped together in a teacher's training."""

RANDOM_SHARES = (0.0, 0.2, 0.5)
"""Shares of random actions among its own, in a teacher's other episodes in turn: what is beside its path is seen."""

LARGE = 192
"""Width and height of the film that people look at, pixels."""


def teacher_algo(config: ImitationConfig, environment: Environment) -> str:
    """The teacher's algorithm.

    Raises:
        ValueError: If it does not take the environment's actions, or the environment has no state to see.
    """
    if not environment.observed:
        raise ValueError(
            f"{config.env.id!r} observes frames alone, and a teacher learns from the state; give a video by --demo."
        )
    discrete = isinstance(environment.action_space, spaces.Discrete)
    if config.teacher.algo == AUTO:
        return "ppo" if discrete else "sac"
    check_actions(config.teacher.algo, environment, "--teacher.algo")
    return config.teacher.algo


def check_actions(algo: str, environment: Environment, flag: str) -> None:
    """Refuses an algorithm that does not take an environment's actions.

    Raises:
        ValueError: If so.
    """
    if algo == "sac" and isinstance(environment.action_space, spaces.Discrete):
        raise ValueError(
            f"sac takes real-valued actions, and {environment.config.id!r} has discrete ones; use {flag} ppo or a2c."
        )


def taught(config: ImitationConfig, environment: Environment, standard: Standard) -> Policy:
    """The teacher: loaded from the folder that is named, or trained, which goes on where it was cut.

    Args:
        config: The run.
        environment: Where.
        standard: Units of the state that it is trained in; one that is loaded has its own.

    Raises:
        ValueError: If the folder holds no agent that fits, or one of another configuration.
    """
    if config.teacher.folder is not None:
        return given_teacher(config.teacher.folder, environment)
    make = partial(make_standard, environment, standard, False)
    folder = config.teacher_folder
    algo = teacher_algo(config, environment)
    venv = DummyVecEnv([partial(_monitored, make, config.teacher.seed * ENVS + number) for number in range(ENVS)])
    torch.set_num_threads(1)
    agent = factory.make(algo, venv, environment.horizon, config.teacher.seed, gamma=config.teacher.gamma)
    claim(folder, "teacher.json", {"env": vars(config.env), "teacher": config.teacher.content})
    restore_checkpoint(agent, folder / "checkpoint")
    row = ENVS * environment.horizon
    venv.env_method("start_with", agent.num_timesteps // row)
    with progress_bar(
        config.teacher.steps, agent.num_timesteps, lambda row: f"the teacher's return {row['true_return']:.1f}"
    ) as report:
        learn_to_end(
            agent,
            folder,
            config.teacher.seed,
            steps=config.teacher.steps,
            row_steps=row,
            checkpoint_steps=max(row, config.teacher.steps // 4),
            report=report,
        )
    factory.save_agent(agent, algo, environment.horizon, folder / "agent")
    standard.write(folder / "agent")
    venv.close()
    return acting(agent, standard)


def given_teacher(folder: Path, environment: Environment) -> Policy:
    """The teacher that another run has left; no code in its folder is run.

    Raises:
        ValueError: If the folder is incomplete, damaged, or of another environment.
    """
    standard = Standard.read(folder, environment.observed)
    check_actions(factory.read_card(folder, {"algo": str})["algo"], environment, "--teacher.folder with an agent of")
    venv = DummyVecEnv([partial(make_standard, environment, standard, False)])
    agent = factory.load_agent(folder, venv)
    venv.close()
    return acting(agent, standard)


def _monitored(make: Callable[[], gym.Env[Any, Any]], seed: int) -> gym.Env[Any, Any]:
    return Monitor(SeededEpisodes(make(), seed))


def acting(agent: BaseAlgorithm, standard: Standard) -> Policy:
    """The mean action of an agent that was trained in standard units, from the state as it is observed."""

    def policy(observation: dict[str, NDArray[Any]]) -> Any:
        state = standardise(observation["state"], standard.mean, standard.spread)
        action = agent.predict({"state": state}, deterministic=True)[0]
        return action.item() if isinstance(agent.action_space, spaces.Discrete) else action

    return policy


def filmed(config: ImitationConfig, environment: Environment, teacher: Callable[[], Policy]) -> Recording:
    """The demonstration: an episode of the teacher, filmed once for all runs.

    Of some episodes it is the one in which the teacher gains most over random actions from the same start: the best one
    alone is often one that begins where next to nothing is left to do.

    Args:
        config: The run.
        environment: Where.
        teacher: Gives what acts, if it has to.
    """
    path = config.film_file
    if not path.exists():
        policy, play, env = teacher(), random_play(environment), environment.make()
        rng = np.random.default_rng([config.teacher.seed, 1])
        episodes = []
        for seed in rng.integers(2**31, size=config.teacher.attempts).tolist():
            own = roll_out(env, environment.horizon, policy, seed)
            random = roll_out(env, environment.horizon, play(0, rng), seed)
            episodes.append((float(own["returns"] - random["returns"]), seed, own))
        env.close()
        _, seed, best = max(episodes, key=lambda episode: episode[0])
        buffer = io.BytesIO()
        np.savez_compressed(buffer, **{name: part[None] for name, part in best.items()})
        path.parent.mkdir(parents=True, exist_ok=True)
        large = environment.make(size=LARGE)
        write_video(
            path.with_suffix(".mp4"), roll_out(large, environment.horizon, policy, seed)["frames"], environment.fps
        )
        large.close()
        write_atomically(path, buffer.getvalue())
    return read_recording(path, environment, 1)


def other_demonstrations(
    config: ImitationConfig, environment: Environment, teacher: Callable[[], Policy]
) -> Recording | None:
    """The teacher's other episodes, with random actions among its own, that the embedding is learned from too."""
    if not config.play.demonstrations:
        return None

    def policies() -> Callable[[int, np.random.Generator], Policy]:
        own, play = teacher(), random_play(environment)

        def policy(number: int, rng: np.random.Generator) -> Policy:
            share, other = RANDOM_SHARES[number % len(RANDOM_SHARES)], play(number, rng)
            return lambda observation: other(observation) if rng.random() < share else own(observation)

        return policy

    seed = config.play.seed + 1
    return load_or_record(config.demonstrations_file, environment, config.play.demonstrations, seed, policies)
