"""States in standard units: about as large in every number, whatever they are measured in."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from envs.observations import left_over

MOST = 10.0
"""Standard deviations from the mean that a number of the state is cut off at."""


def standardise(values: NDArray[np.floating], mean: NDArray[np.floating], spread: NDArray[np.floating]) -> NDArray[Any]:
    """(values - mean) / spread, cut off at ``MOST`` standard deviations; (..., D) float32."""
    return np.clip((values - mean) / spread, -MOST, MOST).astype(np.float32)


class StandardState(
    gym.ObservationWrapper[dict[str, NDArray[Any]], Any, dict[str, NDArray[Any]]], gym.utils.RecordConstructorArgs
):
    """Observes ``state`` by its mean and standard deviation in recorded play.

    Args:
        env: An environment that observes ``state`` among others.
        mean: (D,).
        spread: Standard deviations, (D,), above 0.

    Raises:
        ValueError: If there is no state of this size, or a standard deviation is not above 0.
    """

    def __init__(self, env: gym.Env[Any, Any], mean: NDArray[np.floating], spread: NDArray[np.floating]) -> None:
        gym.utils.RecordConstructorArgs.__init__(self, mean=mean, spread=spread)
        super().__init__(env)
        kept = left_over(env.observation_space, ())
        size = np.shape(mean)
        if "state" not in kept or kept["state"].shape != size or size != np.shape(spread) or not np.all(spread > 0):
            raise ValueError(
                f"mean and spread are of shape {size} and {np.shape(spread)}, for an environment that observes "
                f"{list(kept)}; it must observe 'state' of that shape, and every spread be above 0."
            )
        self._mean, self._spread = np.asarray(mean), np.asarray(spread)
        self.observation_space: spaces.Space[Any] = spaces.Dict(
            {**kept, "state": spaces.Box(-MOST, MOST, size, np.float32)}
        )

    def observation(self, observation: dict[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """With the state in standard units."""
        return {**observation, "state": standardise(observation["state"], self._mean, self._spread)}
