"""A point on a plane that is pushed towards a mark."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

SIDE = 96
"""Width and height of what is drawn, pixels."""

ROWS, COLUMNS = np.mgrid[:SIDE, :SIDE]

Vector = NDArray[np.float64]


class PushedPoint(gym.Env[NDArray[np.float32], NDArray[np.float32]]):
    """A blue point with a mass, and a force on it; the nearer it is to the yellow mark, the better.

    Observes the place and the speed of the point and the place of the mark, on a plane from -1 to 1.

    Args:
        render_mode: ``rgb_array``, or None if nothing is to be drawn.
    """

    metadata = {"render_modes": ["rgb_array"], "render_fps": 20}
    observation_space = gym.spaces.Box(-1.0, 1.0, (6,), np.float32)
    action_space = gym.spaces.Box(-1.0, 1.0, (2,), np.float32)

    def __init__(self, render_mode: str | None = None) -> None:
        self.render_mode = render_mode

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[NDArray[np.float32], dict[str, Any]]:
        """Puts the mark anywhere, and the point on its way from anywhere."""
        super().reset(seed=seed)
        self._place, self._mark = self.np_random.uniform(-0.8, 0.8, (2, 2))
        self._speed: Vector = self.np_random.uniform(-0.1, 0.1, 2)
        return self._observation(), {}

    def step(self, action: NDArray[np.float32]) -> tuple[NDArray[np.float32], float, bool, bool, dict[str, Any]]:
        """Pushes; the walls stop the point."""
        self._speed = 0.8 * self._speed + 0.05 * np.clip(action, -1.0, 1.0)
        place = self._place + self._speed
        self._place = np.clip(place, -1.0, 1.0)
        self._speed = np.where(place == self._place, self._speed, 0.0)
        return self._observation(), -float(np.linalg.norm(self._place - self._mark)), False, False, {}

    def render(self) -> NDArray[np.uint8]:
        """The plane from above, (96, 96, 3) uint8."""
        picture = np.full((SIDE, SIDE, 3), 40, np.uint8)
        for place, radius, colour in ((self._mark, 9, (240, 200, 40)), (self._place, 6, (80, 150, 255))):
            column, row = (place * (1.0, -1.0) * 0.9 + 1.0) / 2.0 * (SIDE - 1)
            picture[np.hypot(ROWS - row, COLUMNS - column) < radius] = colour
        return picture

    def take_snapshot(self) -> dict[str, Vector]:
        """The state of the moment; with it, an imitation can begin where its video does."""
        return {"place": self._place.copy(), "speed": self._speed.copy(), "mark": self._mark.copy()}

    def restore_snapshot(self, snapshot: Mapping[str, Vector]) -> NDArray[np.float32]:
        """Sets the state; gives what is observed there."""
        self._place, self._speed, self._mark = (
            np.array(snapshot[name], np.float64) for name in ("place", "speed", "mark")
        )
        return self._observation()

    def _observation(self) -> NDArray[np.float32]:
        return np.concatenate([self._place, self._speed, self._mark]).astype(np.float32)
