"""The phase of an episode as an observation, for learners without frames."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray
from stable_baselines3.common.vec_env import VecEnv, VecEnvWrapper
from stable_baselines3.common.vec_env.base_vec_env import VecEnvObs, VecEnvStepReturn

from envs.observations import check_free, left_over
from envs.starts import all_begun_at, begun_at

Observation = dict[str, NDArray[Any]]

CYCLES = (0.5, 1.0, 2.0, 4.0)
"""Frequencies of the sines and cosines of the phase, in cycles an episode."""


def phase(time: NDArray[np.integer] | int, horizon: int) -> NDArray[np.float32]:
    """The phase after a number of steps: the share of the episode that is over, and its sines and cosines.

    Args:
        time: Steps done, (...).
        horizon: Steps of an episode.

    Returns:
        (..., 1 + 2 len(CYCLES)) float32 in [-1, 1].

    Raises:
        ValueError: If more steps are done than an episode has.
    """
    if np.max(time) > horizon:
        raise ValueError(
            f"The episode is at step {np.max(time)}, and the phase is of episodes of {horizon} steps. Reset the "
            "environment there, or name its own number of steps as horizon."
        )
    share = np.asarray(time, np.float64)[..., None] / horizon
    angles = 2 * np.pi * share * np.array(CYCLES)
    return np.concatenate([share, np.sin(angles), np.cos(angles)], axis=-1).astype(np.float32)


def _space(space: gym.Space[Any], horizon: int, drop: Collection[str]) -> spaces.Space[Any]:
    if horizon < 1:
        raise ValueError(f"horizon is {horizon}; it must be at least 1 step.")
    kept = left_over(space, drop)
    check_free(kept, ("phase",))
    return spaces.Dict({**kept, "phase": spaces.Box(-1.0, 1.0, (1 + 2 * len(CYCLES),), np.float32)})


class PhaseObservation(
    gym.Wrapper[Observation, NDArray[np.float32], Observation, NDArray[np.float32]], gym.utils.RecordConstructorArgs
):
    """Adds ``phase`` to what is observed.

    Args:
        env: An environment with dictionary observations.
        horizon: Steps of an episode.
        drop: Names of observations that are left out.

    Raises:
        ValueError: If the observations are not a dictionary, one to drop is not there, ``phase`` is there already, or
            the horizon is below 1; at a step, if the episode is longer than the horizon.
    """

    def __init__(
        self, env: gym.Env[Observation, NDArray[np.float32]], horizon: int, drop: Collection[str] = ()
    ) -> None:
        gym.utils.RecordConstructorArgs.__init__(self, horizon=horizon, drop=drop)
        super().__init__(env)
        self.observation_space = _space(env.observation_space, horizon, drop)
        self._dropped = frozenset(drop)
        self._horizon = horizon
        self._time = 0

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Observation, dict[str, Any]]:
        """Starts an episode at phase 0, or after ``options["time"]`` steps."""
        self._time = begun_at(options, self._horizon)
        observation, info = self.env.reset(seed=seed, options=options)
        return self._observe(observation), info

    def step(self, action: NDArray[np.float32]) -> tuple[Observation, Any, bool, bool, dict[str, Any]]:
        """Steps the environment and the phase."""
        observation, reward, terminated, truncated, info = self.env.step(action)
        self._time += 1
        return self._observe(observation), reward, terminated, truncated, info

    def _observe(self, observation: Observation) -> Observation:
        kept = {key: value for key, value in observation.items() if key not in self._dropped}
        return {**kept, "phase": phase(self._time, self._horizon)}


class VecPhaseObservation(VecEnvWrapper):
    """``PhaseObservation`` for a vectorised environment.

    Episodes begin at phase 0, or after as many steps as ``time`` in the info of their reset names.

    Args:
        venv: A vectorised environment with dictionary observations.
        horizon: Steps of an episode.
        drop: Names of observations that are left out.

    Raises:
        ValueError: As ``PhaseObservation`` does.
    """

    def __init__(self, venv: VecEnv, horizon: int, drop: Collection[str] = ()) -> None:
        super().__init__(venv, observation_space=_space(venv.observation_space, horizon, drop))
        self._dropped = frozenset(drop)
        self._horizon = horizon
        self._time = np.zeros(venv.num_envs, np.int64)

    def reset(self) -> VecEnvObs:
        """Starts every episode."""
        observations = self.venv.reset()
        assert isinstance(observations, dict)
        self._time[:] = all_begun_at(self.venv, self._horizon)
        return self._observe(observations, self._time)

    def step_wait(self) -> VecEnvStepReturn:
        """Waits for the step and moves every phase on."""
        observations, rewards, dones, infos = self.venv.step_wait()
        assert isinstance(observations, dict)
        self._time += 1
        ended = np.flatnonzero(dones)
        for index in ended:
            infos[index]["terminal_observation"] = self._observe(
                infos[index]["terminal_observation"], self._time[index]
            )
        if len(ended):
            self._time[dones] = all_begun_at(self.venv, self._horizon)[dones]
        return self._observe(observations, self._time), rewards, dones, infos

    def _observe(self, observations: Observation, time: NDArray[np.int64]) -> Observation:
        kept = {key: value for key, value in observations.items() if key not in self._dropped}
        return {**kept, "phase": phase(time, self._horizon)}
