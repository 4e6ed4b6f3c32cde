"""The reward of an agent that a demonstration waits for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from stable_baselines3.common.vec_env import VecEnv, VecEnvWrapper
from stable_baselines3.common.vec_env.base_vec_env import VecEnvObs, VecEnvStepReturn

from rewards.clock import CAUGHT_UP, WAITING, reached
from rewards.huber import HuberConfig, check_scale, huber_reward
from rewards.lost import lost_distance
from rewards.wrappers import all_begun_at, check_path, last_seen


def reach(path: NDArray[np.floating]) -> float:
    """The distance below which a moment of a path is reached, in its units.

    Raises:
        ValueError: If nothing changes along the path, or it holds values that are not finite.
    """
    return lost_distance(path, CAUGHT_UP)


class VecProgressReward(VecEnvWrapper):
    """The Huber reward against the moment of a demonstration that comes next for the agent, whenever that is.

    An agent that is at every moment at its time is rewarded as by ``VecTrackingReward``. One that is late is compared
    with the moment that it has missed until it has reached it, and a step that reaches none costs ``waiting`` more
    (the reward of a checkpoint in Aytar et al., 2018, section 4, less a constant): to stand still near the
    demonstration would cost next to nothing otherwise. The reward depends on the index and on what is seen, and not on
    the time, which is not observed.

    The index is kept here alone. Observations that tell of it, such as the phase, are replaced by their values at it.
    Episodes begin at the path's first entry, or at the one that ``time`` in the info of their reset names.
    Each finished episode's info carries ``learned_return``, the sum of this wrapper's rewards, and ``progress``, the
    share of the demonstration that was reached.

    Args:
        venv: A vectorised environment with dictionary observations.
        key: The observation that is compared.
        path: What it should be at every moment, (T, ...).
        config: Coefficients of the reward.
        scale: The distance that counts as 1, in the observation's units.
        threshold: Distance below which a moment is reached, in the same units.
        told: Observations by name that depend on the index alone, (T, ...) each.
        waiting: What a step costs that reaches no further moment.

    Raises:
        ValueError: If the observation is missing, the path does not fit it or is not finite, the scale or the threshold
            is not positive, or an observation that is told is missing or has other values than one a moment.
    """

    def __init__(
        self,
        venv: VecEnv,
        key: str,
        path: NDArray[np.floating],
        config: HuberConfig,
        scale: float,
        threshold: float,
        told: Mapping[str, NDArray[np.floating]],
        waiting: float = WAITING,
    ) -> None:
        super().__init__(venv)
        check_path(venv.observation_space, key, path)
        check_scale(scale)
        if not (np.isfinite([threshold, waiting]).all() and threshold > 0 and waiting >= 0):
            raise ValueError(
                f"threshold is {threshold} and waiting {waiting}; the threshold must be positive, and waiting cost 0 "
                "or more, both finite."
            )
        for name, values in told.items():
            check_path(venv.observation_space, name, values)
            if len(values) != len(path):
                raise ValueError(f"{name!r} is told of {len(values)} moments, and the path has {len(path)}.")
        self._key = key
        self._path = np.asarray(path, np.float64).reshape(len(path), -1)
        self._config = config
        self._scale = scale
        self._threshold = threshold
        self._told = dict(told)
        self._waiting = waiting
        self._index = np.zeros(venv.num_envs, np.int64)
        self._returns = np.zeros(venv.num_envs)

    def reset(self) -> VecEnvObs:
        """Starts every episode."""
        observations = self.venv.reset()
        assert isinstance(observations, dict)
        self._returns[:] = 0.0
        self._index[:] = all_begun_at(self.venv, len(self._path))
        return self._tell(observations, self._index)

    def step_wait(self) -> VecEnvStepReturn:
        """Waits for the step, compares what it led to, and moves the demonstration on where it was reached."""
        observations, _, dones, infos = self.venv.step_wait()
        assert isinstance(observations, dict)
        own, ended = last_seen(observations[self._key], dones, infos, self._key), np.flatnonzero(dones)
        last = len(self._path) - 1
        new = reached(self._index, own, self._path, self._threshold)
        waited = (new == self._index) & (self._index < last)
        # What was to be reached, or what was.
        target = np.where(waited, self._index + 1, new)
        rewards = huber_reward(own, self._path[target], self._config, self._scale) - self._waiting * waited
        self._index = new
        self._returns += rewards
        for index in ended:
            infos[index]["terminal_observation"] = self._tell(infos[index]["terminal_observation"], new[index])
            infos[index] |= {"learned_return": float(self._returns[index]), "progress": float(new[index]) / last}
        self._returns[dones] = 0.0
        if len(ended):
            self._index[dones] = all_begun_at(self.venv, len(self._path))[dones]
        return self._tell(observations, self._index), rewards.astype(np.float32), dones, infos

    def _tell(self, observations: dict[str, Any], index: NDArray[np.int64] | np.int64) -> dict[str, Any]:
        """Observations with what the index says; copies, which whoever is given them may write into."""
        return {**observations, **{name: np.array(values[index]) for name, values in self._told.items()}}
