"""Recorded play: episodes of random actions, with what was true of every moment, that an embedding is learned from."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray
from rich.progress import track

from encoders.errors import check_seed
from encoders.files import write_atomically
from envs.drawn import PIXELS, STATE
from envs.snapshots import Snapshot
from experiments.any_environment.environment import Environment
from experiments.runs.arrays import Layout, read_layout

LONGEST_HELD = 10
"""Steps that an action is held for at most."""

SNAPSHOT = "snapshot_"
"""Before the names of a snapshot's arrays in a file."""

REMEDY = "delete it, and it is recorded again"


@dataclass(frozen=True)
class PlayConfig:
    """What is recorded to learn an embedding from.

    Attributes:
        episodes: Episodes of random actions, which are held, and in every other episode then reversed.
        validation: How many of them choose the best weights and judge the reward, and are not learned from.
        demonstrations: Episodes of a teacher, with random actions among its own, where there is a teacher.
        seed: Of the actions and of where the episodes begin.
    """

    episodes: int = 80
    validation: int = 16
    demonstrations: int = 20
    seed: int = 0

    def __post_init__(self) -> None:
        check_seed("play.seed", self.seed)
        if not 2 <= self.validation <= self.episodes - 2 or self.demonstrations < 0:
            raise ValueError(
                f"play.episodes is {self.episodes}, play.validation {self.validation} and play.demonstrations "
                f"{self.demonstrations}; at least 2 episodes must be learned from, 2 be validated on, and there "
                "cannot be fewer demonstrations than none."
            )


@dataclass(frozen=True)
class Recording:
    """Episodes as they were played.

    Attributes:
        frames: (N, T, S, S, 3) uint8.
        states: (N, T, D) float64, what else the environment observed; for judging, and the oracle.
        snapshots: By name, (N, T, ...); empty where the state cannot be set.
        returns: (N,) float64, the environment's own.
    """

    frames: NDArray[np.uint8]
    states: NDArray[np.float64]
    snapshots: Snapshot
    returns: NDArray[np.float64]


def moments_of(values: NDArray[Any]) -> NDArray[Any]:
    """Episodes one after the other, (N, T, ...) -> (N T, ...); a snapshot may have parts without any numbers."""
    return values.reshape(values.shape[0] * values.shape[1], *values.shape[2:])


Policy = Callable[[dict[str, NDArray[Any]]], Any]
"""Observation -> action."""


def held_actions(
    space: spaces.Box | spaces.Discrete, steps: int, reverse: bool, rng: np.random.Generator
) -> NDArray[Any]:
    """Random actions that are held for a while.

    Independent actions hardly move anything; held ones drift to an end of what can be reached and stay there. Reversed
    for twice as long, and held again, they come back to where they were.

    Args:
        space: Actions in [-1, 1], or discrete ones, which have no reverse.
        steps: Number of actions.
        reverse: Whether every action is reversed.
        rng: Source of actions and durations.

    Returns:
        (steps, A) float32, or (steps,) int64.
    """
    actions: list[Any] = []
    while len(actions) < steps:
        held = int(rng.integers(1, LONGEST_HELD + 1))
        if isinstance(space, spaces.Discrete):
            actions += [int(space.start + rng.integers(space.n))] * held
            continue
        action = rng.uniform(-1.0, 1.0, space.shape).astype(np.float32)
        actions += [action] * held
        if reverse:
            actions += [-action] * 2 * held + [action] * held
    return np.array(actions[:steps])


def roll_out(env: gym.Env[Any, Any], horizon: int, policy: Policy, seed: int) -> dict[str, Any]:
    """Plays one episode and keeps every moment of it.

    Args:
        env: As an ``Environment`` makes it.
        horizon: Steps of the episode.
        policy: What acts.
        seed: Of the reset.

    Returns:
        ``frames``, ``states`` and one array a name of the snapshot, (horizon + 1, ...), and the ``returns``.
    """
    observation, _ = env.reset(seed=seed)
    take = env.get_wrapper_attr("take_snapshot")
    moments, total = [_moment(observation, take())], 0.0
    for _ in range(horizon):
        observation, reward, *_ = env.step(policy(observation))
        total += float(reward)
        moments.append(_moment(observation, take()))
    return {name: np.stack([moment[name] for moment in moments]) for name in moments[0]} | {"returns": np.array(total)}


def _moment(observation: dict[str, NDArray[Any]], snapshot: Snapshot) -> dict[str, NDArray[Any]]:
    state = np.asarray(observation.get(STATE, np.zeros(0)), np.float64)
    return {"frames": observation[PIXELS], "states": state, **{SNAPSHOT + name: snapshot[name] for name in snapshot}}


def record(
    environment: Environment, episodes: int, seed: int, policy: Callable[[int, np.random.Generator], Policy]
) -> dict[str, NDArray[Any]]:
    """Plays episodes.

    Args:
        environment: Where.
        episodes: How many.
        seed: Of everything random.
        policy: Makes what acts in an episode, from its number and a generator.
    """
    rng = np.random.default_rng(seed)
    env = environment.make()
    made = [
        roll_out(env, environment.horizon, policy(number, rng), int(rng.integers(2**31)))
        for number in track(range(episodes), description="Recording", transient=True)
    ]
    env.close()
    return {name: np.stack([episode[name] for episode in made]) for name in made[0]}


def random_play(environment: Environment) -> Callable[[int, np.random.Generator], Policy]:
    """What acts in recorded play."""

    def policy(number: int, rng: np.random.Generator) -> Policy:
        actions = iter(held_actions(environment.action_space, environment.horizon, number % 2 == 0, rng))
        return lambda _: next(actions)

    return policy


def load_or_record(
    path: Path,
    environment: Environment,
    episodes: int,
    seed: int,
    policy: Callable[[], Callable[[int, np.random.Generator], Policy]],
) -> Recording:
    """The recording in a file; made if it is not there.

    Args:
        path: The file, npz.
        environment: Where it is recorded.
        episodes: How many.
        seed: Of everything random.
        policy: Gives what acts, if it has to.

    Raises:
        ValueError: If the file is damaged, or of other episodes or frames.
    """
    if not path.exists():
        buffer = io.BytesIO()
        arrays: dict[str, Any] = record(environment, episodes, seed, policy())
        np.savez_compressed(buffer, **arrays)
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, buffer.getvalue())
    return read_recording(path, environment, episodes)


def read_recording(path: Path, environment: Environment, episodes: int) -> Recording:
    """Reads a recording.

    Raises:
        ValueError: If it is damaged, or of other episodes or frames.
    """
    size, moments = environment.config.image_size, (episodes, environment.horizon + 1)
    layout = {
        "frames": Layout((*moments, size, size, 3), np.uint8),
        "states": Layout((*moments, environment.observed)),
        "returns": Layout((episodes,)),
        **{SNAPSHOT + name: Layout((*moments, *shape)) for name, shape in environment.snapshot.items()},
    }
    found = read_layout(path, "recording", REMEDY, layout)
    snapshots = {name: found[SNAPSHOT + name] for name in environment.snapshot}
    return Recording(found["frames"], found["states"], snapshots, found["returns"])
