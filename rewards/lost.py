"""Early termination: when an episode has lost the demonstration, and its rewards until then."""

from __future__ import annotations

import math
from typing import Any, SupportsFloat

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray
from scipy.spatial.distance import pdist

from rewards.huber import HuberConfig, huber_reward


def lost_distance(path: NDArray[np.floating], share: float) -> float:
    """A share of the largest distance between two moments of a path, in its units.

    Args:
        path: What is to be followed, (T, ...), T at least 2, finite.
        share: Of the largest distance, above 0 and finite.

    Raises:
        ValueError: If the share or a value is another, there are fewer than two moments, nothing changes along the
            path, or the distance is beyond the numbers of float64.
    """
    if not 0 < share < math.inf:
        raise ValueError(f"share is {share}; it must be above 0 and finite.")
    values = np.asarray(path)
    if values.dtype.kind not in "biuf" or not np.isfinite(values).all():
        raise ValueError("The path holds values that are no finite real numbers; the demonstration is damaged.")
    if values.ndim == 0 or len(values) < 2:
        raise ValueError(f"The path has the shape {values.shape}; it must have at least 2 moments.")
    exponent = int(np.frexp(np.abs(values).max(initial=0.0))[1])
    scaled = np.ldexp(values.astype(np.float64), -exponent).reshape(len(values), -1)
    largest = float(pdist(scaled).max())
    if largest == 0:
        raise ValueError("All moments of the path are the same, so there is nothing to lose; name another video.")
    try:
        return math.ldexp(share * largest, exponent)
    except OverflowError as error:
        raise ValueError("The moments of the path lie further apart than float64 can tell; scale it down.") from error


def lost_reward(path: NDArray[np.floating], share: float, config: HuberConfig, scale: float) -> float:
    """The Huber reward at a share of the largest distance between two moments of a path.

    Args:
        path: What is to be followed, (T, ...), T at least 2.
        share: Of the largest distance, above 0.
        config: Coefficients of the reward.
        scale: The distance that counts as 1.

    Returns:
        The reward below which the path is lost.

    Raises:
        ValueError: As ``lost_distance``, and if the scale is not positive and finite.
    """
    return float(huber_reward(np.array([lost_distance(path, share)]), np.zeros(1), config, scale))


class EndWhenLost(gym.Wrapper[Any, Any, Any, Any], gym.utils.RecordConstructorArgs):
    """Ends an episode when its reward falls below a floor, and rescales rewards from [floor, 0] to [0, 1].

    A penalty on a distance that is compared over time asks for every moment at its own time, and whoever has missed the
    beginning learns to pay little for the rest: to hide, or to stand somewhere between. Here an episode ends as soon as
    the demonstration is lost, and is worth the more the longer it is followed: 1 - r / floor until then, at most 1,
    and 0 afterwards, whatever the scale of the distances. The end is a terminal state, not a truncation.

    Peng et al., DeepMimic, 2018, section 6.2 (early termination).

    Args:
        env: Its reward is at most 0, and tells the distance from a demonstration.
        floor: The reward below which the demonstration is lost, below 0.

    Raises:
        ValueError: If the floor is not below 0.
    """

    def __init__(self, env: gym.Env[Any, Any], floor: float) -> None:
        if not floor < 0:
            raise ValueError(f"floor is {floor}; it must be below 0, as rewards are for a distance.")
        gym.utils.RecordConstructorArgs.__init__(self, floor=floor)
        super().__init__(env)
        self._floor = floor

    def step(self, action: Any) -> tuple[Any, SupportsFloat, bool, bool, dict[str, Any]]:
        """Steps the environment.

        Raises:
            ValueError: If its reward is NaN.
        """
        observation, reward, terminated, truncated, info = self.env.step(action)
        kept = 1.0 - float(reward) / self._floor
        if math.isnan(kept):
            raise ValueError("The environment's reward is NaN; its encoder or its demonstration is damaged.")
        return observation, max(kept, 0.0), terminated or kept < 0, truncated, info
