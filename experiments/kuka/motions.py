"""Joint paths for recordings: demonstrations from pose to pose, and noise for random play."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def minimum_jerk(start: NDArray[np.float64], goal: NDArray[np.float64], frames: int) -> NDArray[np.float64]:
    """The smooth path from rest to rest: 10 s^3 - 15 s^4 + 6 s^5 of the way (Flash and Hogan, 1985).

    Args:
        start: First joint positions, (J,) radians.
        goal: Last joint positions, (J,) radians.
        frames: Number of poses, at least 2.

    Returns:
        Joint positions, (frames, J) radians.
    """
    s = np.linspace(0.0, 1.0, frames)[:, None]
    return start + (goal - start) * (10 * s**3 - 15 * s**4 + 6 * s**5)


def smooth_noise(
    rng: np.random.Generator, frames: int, joints: int, period: float, amplitude: float
) -> NDArray[np.float64]:
    """Band-limited noise: random knots every ``period`` frames, joined by cosines.

    Args:
        rng: Source of the knots.
        frames: Number of poses.
        joints: Number of columns.
        period: Frames between two knots.
        amplitude: Standard deviation of a knot, radians.

    Returns:
        Offsets, (frames, joints) radians.
    """
    knots = rng.normal(0.0, amplitude, (int(np.ceil(frames / period)) + 2, joints))
    position = rng.uniform(0.0, 1.0) + np.arange(frames) / period
    index = np.minimum(position.astype(int), len(knots) - 2)
    share = ((1 - np.cos(np.pi * (position - index))) / 2)[:, None]
    return knots[index] * (1 - share) + knots[index + 1] * share
