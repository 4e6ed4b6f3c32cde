"""Effort: what strong actions cost a learner whose reward sees where things are, and not how hard they are pushed."""

from __future__ import annotations

import math

import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray
from stable_baselines3.common.vec_env import VecEnv, VecEnvWrapper
from stable_baselines3.common.vec_env.base_vec_env import VecEnvStepReturn


def effort(actions: NDArray[np.floating]) -> NDArray[np.float64]:
    """Mean squared value of actions: (N, A) in [-1, 1] -> (N,) in [0, 1].

    Raises:
        ValueError: If there is no second dimension.
    """
    values = np.asarray(actions, np.float64)
    if values.ndim != 2:
        raise ValueError(f"The actions have the shape {values.shape}; effort is of vectors, (N, A).")
    return np.square(values).mean(axis=1)


class VecEffortPenalty(VecEnvWrapper):
    """Adds ``-weight * effort(actions)`` to the reward.

    A reward on single frames does not see velocities: an arm that trembles at full force looks like one that rests.

    Args:
        venv: A vectorised environment with actions in [-1, 1].
        weight: What an action of full force costs a step, at least 0.

    Raises:
        ValueError: If the weight is negative or not finite, or the actions are no bounded vectors.
    """

    def __init__(self, venv: VecEnv, weight: float) -> None:
        if not 0 <= weight < math.inf:
            raise ValueError(f"weight is {weight}; it must be finite and at least 0.")
        space = venv.action_space
        if (
            not isinstance(space, spaces.Box)
            or len(space.shape) != 1
            or not (np.abs([space.low, space.high]) == 1).all()
        ):
            raise ValueError(f"Effort is of actions in [-1, 1]; the environment takes {space}.")
        super().__init__(venv)
        self._weight = weight
        self._actions: NDArray[np.floating] = np.zeros((venv.num_envs, *space.shape))

    def reset(self) -> NDArray[np.float32]:
        """Starts every episode."""
        return self.venv.reset()  # type: ignore[return-value]

    def step_async(self, actions: NDArray[np.float32]) -> None:
        """Passes actions on."""
        self._actions = actions
        self.venv.step_async(actions)

    def step_wait(self) -> VecEnvStepReturn:
        """Waits for the step; the reward is less by what its actions cost."""
        observations, rewards, dones, infos = self.venv.step_wait()
        cost = self._weight * effort(self._actions)
        return observations, (rewards - cost).astype(np.float32), dones, infos
