"""A point that actions move and that should stay near zero."""

from __future__ import annotations

from collections.abc import Sequence

import gymnasium as gym
import numpy as np
from gymnasium import spaces

HORIZON = 15


class Follow(gym.Env):
    """A point that is moved by actions and should stay near zero; it starts at one place."""

    def __init__(self, start: Sequence[float] = (1.0, 1.0, 1.0)) -> None:
        self._start = np.array(start, np.float32)
        shape = self._start.shape
        self.observation_space = spaces.Dict(
            {"place": spaces.Box(-9, 9, shape, np.float32), "time": spaces.Box(0, 1, (1,), np.float32)}
        )
        self.action_space = spaces.Box(-1, 1, shape, np.float32)

    def _observation(self) -> dict[str, np.ndarray]:
        return {"place": self._place.copy(), "time": np.array([self._time / HORIZON], np.float32)}

    def reset(self, *, seed: int | None = None, options: dict | None = None) -> tuple[dict[str, np.ndarray], dict]:
        """Starts at one place."""
        super().reset(seed=seed)
        self._place = self._start.copy()
        self._time = 0
        return self._observation(), {}

    def step(self, action: np.ndarray) -> tuple[dict[str, np.ndarray], float, bool, bool, dict]:
        """Moves the point."""
        self._place = np.clip(self._place + 0.3 * action, -9, 9).astype(np.float32)
        self._time += 1
        return self._observation(), -float(np.abs(self._place).sum()), False, self._time == HORIZON, {}
