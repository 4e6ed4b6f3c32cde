"""Rewards as wrappers: the TCN Huber reward, its pixel control, and the oracle, over one function."""

from __future__ import annotations

import math
from typing import Any, SupportsFloat

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray
from stable_baselines3.common.vec_env import VecEnv, VecEnvWrapper
from stable_baselines3.common.vec_env.base_vec_env import VecEnvObs, VecEnvStepReturn

from encoders.errors import beyond_path, check_steps_done
from rewards.huber import HuberConfig, check_scale, huber_reward

Observation = dict[str, NDArray[Any]]


class TrackingReward(
    gym.Wrapper[Observation, NDArray[np.float32], Observation, NDArray[np.float32]], gym.utils.RecordConstructorArgs
):
    """Replaces an environment's reward by the Huber reward of one observation against a path over time.

    With ``key="joint_positions"`` and the true joint path it is the oracle; with ``key="embedding"`` and
    the demonstration's embeddings it is the TCN reward of a single environment. The info has
    ``replaced_return``, the sum of the rewards that were replaced, so far, and ``distance``, in units of ``scale``.

    Args:
        env: An environment with dictionary observations.
        key: The observation that is compared.
        path: What it should be after every step, (horizon + 1, D); entry 0 belongs to the reset.
        config: Coefficients of the reward.
        scale: The distance that counts as 1, in the observation's units.

    Raises:
        ValueError: If the observation is missing, the path does not fit it or is not finite, or the scale is not
            positive; at a step, if the episode is longer than the path.
    """

    def __init__(
        self,
        env: gym.Env[Observation, NDArray[np.float32]],
        key: str,
        path: NDArray[np.floating],
        config: HuberConfig,
        scale: float,
    ) -> None:
        gym.utils.RecordConstructorArgs.__init__(
            self, key=key, path=path, config=config, scale=scale, _disable_deepcopy=True
        )
        super().__init__(env)
        check_path(env.observation_space, key, path)
        check_scale(scale)
        self._key = key
        self._path = np.asarray(path, np.float64).reshape(len(path), -1)
        self._config = config
        self._scale = scale
        self._time = 0
        self._replaced_return = 0.0

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Observation, dict[str, Any]]:
        """Starts an episode at the path's first entry, or at the one that ``options["time"]`` names."""
        self._time = check_steps_done((options or {}).get("time", 0), len(self._path) - 1)
        self._replaced_return = 0.0
        return self.env.reset(seed=seed, options=options)

    def step(self, action: NDArray[np.float32]) -> tuple[Observation, SupportsFloat, bool, bool, dict[str, Any]]:
        """Steps the environment; the reward compares the new observation with the path."""
        observation, replaced, terminated, truncated, info = self.env.step(action)
        self._time += 1
        if self._time >= len(self._path):
            raise beyond_path(self._time, len(self._path))
        self._replaced_return += float(replaced)
        own, target = np.asarray(observation[self._key], np.float64).ravel(), self._path[self._time]
        reward = huber_reward(own, target, self._config, self._scale)
        offset = own - target
        added = {
            "replaced_return": self._replaced_return,
            "distance": math.sqrt(offset.dot(offset)) / self._scale,
        }
        return observation, float(reward), terminated, truncated, {**info, **added}


class VecTrackingReward(VecEnvWrapper):
    """``TrackingReward`` for a vectorised environment.

    Episodes begin at the path's first entry, or at the one that ``time`` in the info of their reset names.
    Each finished episode's info carries ``learned_return``, the sum of this wrapper's rewards, next to
    the ``episode`` entry of the Monitor inside, which has the true one.

    Args:
        venv: A vectorised environment with dictionary observations.
        key: The observation that is compared.
        path: What it should be after every step, (horizon + 1, ...); entry 0 belongs to the reset.
        config: Coefficients of the reward.
        scale: The distance that counts as 1, in the observation's units.

    Raises:
        ValueError: If the observation is missing, the path does not fit it or is not finite, or the scale is not
            positive; at a step, if the episode is longer than the path.
    """

    def __init__(self, venv: VecEnv, key: str, path: NDArray[np.floating], config: HuberConfig, scale: float) -> None:
        super().__init__(venv)
        check_path(venv.observation_space, key, path)
        check_scale(scale)
        self._key = key
        self._path = np.asarray(path, np.float64).reshape(len(path), -1)
        self._config = config
        self._scale = scale
        self._time = np.zeros(venv.num_envs, np.int64)
        self._returns = np.zeros(venv.num_envs)

    def reset(self) -> VecEnvObs:
        """Starts every episode."""
        self._returns[:] = 0.0
        observations = self.venv.reset()
        self._time[:] = all_begun_at(self.venv, len(self._path))
        return observations

    def step_wait(self) -> VecEnvStepReturn:
        """Waits for the step; a finished episode is compared by its own last observation."""
        observations, _, dones, infos = self.venv.step_wait()
        assert isinstance(observations, dict)
        own, ended = last_seen(observations[self._key], dones, infos, self._key), np.flatnonzero(dones)
        self._time += 1
        try:
            targets = self._path[self._time]
        except IndexError:
            raise beyond_path(int(self._time.max()), len(self._path)) from None
        rewards = huber_reward(own, targets, self._config, self._scale)
        self._returns += rewards
        for index in ended:
            infos[index]["learned_return"] = float(self._returns[index])
        self._returns[dones] = 0.0
        if len(ended):
            self._time[dones] = all_begun_at(self.venv, len(self._path))[dones]
        return observations, rewards.astype(np.float32), dones, infos


def all_begun_at(venv: VecEnv, moments: int) -> NDArray[np.int64]:
    """The moment of a path that the newest episode of each environment begins at, from the reset infos; (N,).

    Args:
        venv: The environments.
        moments: Of the path.

    Raises:
        ValueError: If one begins at a moment after which there is none.
    """
    return np.array([check_steps_done(info.get("time", 0), moments - 1) for info in venv.unwrapped.reset_infos])


def last_seen(
    observed: NDArray[Any], dones: NDArray[np.bool_], infos: list[dict[str, Any]], key: str
) -> NDArray[np.float64]:
    """What a step led to: of a finished episode its own last observation, not the first of the next one.

    Args:
        observed: The observation of every environment, (N, ...).
        dones: Whose episode is over, (N,).
        infos: Of the step.
        key: The observation's name.

    Returns:
        (N, D).
    """
    own = np.array(observed, np.float64)
    for index in np.flatnonzero(dones):
        own[index] = infos[index]["terminal_observation"][key]
    return own.reshape(len(own), -1)


def check_path(space: gym.Space[Any], key: str, path: NDArray[np.floating]) -> None:
    """Refuses a path that cannot be compared with an observation.

    Raises:
        ValueError: If the observation is missing, has another size, or the path is not finite.
    """
    if not isinstance(space, gym.spaces.Dict) or key not in space.spaces:
        present = list(space.spaces) if isinstance(space, gym.spaces.Dict) else [type(space).__name__]
        raise ValueError(f"The environment has no observation {key!r} to reward; it has {present}.")
    shape = space[key].shape
    if shape is None or len(path) < 2 or np.prod(shape) != np.prod(np.shape(path)[1:]):
        raise ValueError(f"A path of shape {np.shape(path)} does not fit observations {key!r} of shape {shape}.")
    if not np.isfinite(path).all():
        raise ValueError(
            f"The path for {key!r} holds values that are not finite; the demonstration or encoder is damaged."
        )
