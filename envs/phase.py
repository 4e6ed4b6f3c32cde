"""The phase in observations: where in the demonstration an episode is, for learners that see nothing."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray
from stable_baselines3.common.vec_env import VecEnv, VecEnvWrapper
from stable_baselines3.common.vec_env.base_vec_env import VecEnvObs, VecEnvStepReturn

from envs.starts import begun_at

Observation = dict[str, NDArray[Any]]

CYCLES = (0.5, 1.0, 2.0, 4.0)
"""Cycles an episode of the sines and cosines that tell the phase finely enough for a small network."""


def phase(time: NDArray[np.integer] | int, horizon: int) -> NDArray[np.float32]:
    """Where in an episode a step is: the share of it that is over, and sines and cosines of that.

    Args:
        time: Steps done, (...).
        horizon: Steps of an episode.

    Returns:
        (..., 1 + 2 len(CYCLES)) float32 in [-1, 1].
    """
    share = np.asarray(time, np.float64)[..., None] / horizon
    angles = 2 * np.pi * share * np.array(CYCLES)
    return np.concatenate([share, np.sin(angles), np.cos(angles)], axis=-1).astype(np.float32)


def _space(space: gym.Space[Any], kept: tuple[str, ...]) -> spaces.Space[Any]:
    if not isinstance(space, spaces.Dict):
        raise ValueError(f"The phase is added to dictionary observations; this environment has {type(space).__name__}.")
    box = spaces.Box(-1.0, 1.0, (1 + 2 * len(CYCLES),), np.float32)
    return spaces.Dict({**{key: space[key] for key in space.spaces if key in kept}, "phase": box})


STATE = ("joint_positions", "joint_velocities")
"""What a learner without an encoder observes beside the phase."""


class PhaseObservation(gym.Wrapper[Observation, NDArray[np.float32], Observation, NDArray[np.float32]]):
    """Observes the robot's own state and the phase, nothing else.

    Args:
        env: An environment with dictionary observations.
        horizon: Steps of an episode.

    Raises:
        ValueError: If the observations are not a dictionary.
    """

    def __init__(self, env: gym.Env[Observation, NDArray[np.float32]], horizon: int) -> None:
        super().__init__(env)
        self.observation_space = _space(env.observation_space, STATE)
        self._horizon = horizon
        self._time = 0

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Observation, dict[str, Any]]:
        """Starts an episode at phase 0, or after as many steps as ``options["time"]`` names."""
        self._time = begun_at(options)
        observation, info = self.env.reset(seed=seed, options=options)
        return self._observe(observation), info

    def step(self, action: NDArray[np.float32]) -> tuple[Observation, Any, bool, bool, dict[str, Any]]:
        """Steps the environment and the phase."""
        observation, reward, terminated, truncated, info = self.env.step(action)
        self._time += 1
        return self._observe(observation), reward, terminated, truncated, info

    def _observe(self, observation: Observation) -> Observation:
        kept = {key: value for key, value in observation.items() if key in STATE}
        return {**kept, "phase": phase(self._time, self._horizon)}


class VecPhaseObservation(VecEnvWrapper):
    """``PhaseObservation`` for a vectorised environment whose episodes begin at phase 0.

    Args:
        venv: A vectorised environment with dictionary observations.
        horizon: Steps of an episode.
        keep_pixels: Whether ``pixels`` stay in the observation, for a reward on them.

    Raises:
        ValueError: If the observations are not a dictionary.
    """

    def __init__(self, venv: VecEnv, horizon: int, keep_pixels: bool = False) -> None:
        self._kept = (*STATE, "pixels") if keep_pixels else STATE
        super().__init__(venv, observation_space=_space(venv.observation_space, self._kept))
        self._horizon = horizon
        self._time = np.zeros(venv.num_envs, np.int64)

    def reset(self) -> VecEnvObs:
        """Starts every episode at phase 0."""
        self._time[:] = 0
        observations = self.venv.reset()
        assert isinstance(observations, dict)
        return self._observe(observations, self._time)

    def step_wait(self) -> VecEnvStepReturn:
        """Waits for the step and moves every phase on."""
        observations, rewards, dones, infos = self.venv.step_wait()
        assert isinstance(observations, dict)
        self._time += 1
        for index in np.flatnonzero(dones):
            infos[index]["terminal_observation"] = self._observe(
                infos[index]["terminal_observation"], self._time[index]
            )
        self._time[dones] = 0
        return self._observe(observations, self._time), rewards, dones, infos

    def _observe(self, observations: Observation, time: NDArray[np.int64]) -> Observation:
        kept = {key: value for key, value in observations.items() if key in self._kept}
        return {**kept, "phase": phase(time, self._horizon)}
