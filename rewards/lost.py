"""When a demonstration is lost, and what an episode is worth until then."""

from __future__ import annotations

from typing import Any, SupportsFloat

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray
from scipy.spatial.distance import pdist

from rewards.huber import HuberConfig, huber_reward


def lost_distance(path: NDArray[np.floating], share: float) -> float:
    """A share of the largest distance between two moments of a path, in its units.

    Args:
        path: What is to be followed, (T, ...), T at least 2.
        share: Of the largest distance, above 0.

    Raises:
        ValueError: If the share is not above 0, or nothing changes along the path.
    """
    if not share > 0:
        raise ValueError(f"share is {share}; it must be above 0.")
    largest = float(pdist(np.asarray(path, np.float64).reshape(len(path), -1)).max())
    if largest == 0:
        raise ValueError("All moments of the path are the same, so there is nothing to lose; name another video.")
    return share * largest


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
        ValueError: If the share is not above 0, or nothing changes along the path.
    """
    return float(huber_reward(np.array([lost_distance(path, share)]), np.zeros(1), config, scale))


class EndWhenLost(gym.Wrapper[Any, Any, Any, Any], gym.utils.RecordConstructorArgs):
    """Ends an episode when its reward falls below a floor, and counts rewards from there, in shares of the floor.

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
        """Steps the environment."""
        observation, reward, terminated, truncated, info = self.env.step(action)
        kept = 1.0 - float(reward) / self._floor
        return observation, max(kept, 0.0), terminated or kept < 0, truncated, info
