"""The path that a learner is compared with at every step, and the units of distances."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

ORACLE_SCALE = 1.0
"""Joint distance that counts as 1 in the oracle's reward, radians over all joints; it learns worse at 0.3 and 3."""


@dataclass(frozen=True)
class Goal:
    """A demonstration spread over an episode.

    Attributes:
        pixels: (horizon + 1, V, S, S, 3), the demonstration's frames.
        embeddings: (horizon + 1, D) float32, or None for a learner without an encoder.
        joints: (horizon + 1, 7) radians, or None without truth.
        links: (horizon + 1, 7, 3) metres, or None without truth.
    """

    pixels: NDArray[np.float64]
    embeddings: NDArray[np.float32] | None
    joints: NDArray[np.float64] | None
    links: NDArray[np.float64] | None

    @property
    def horizon(self) -> int:
        """Steps of an episode."""
        return len(self.pixels) - 1


@dataclass(frozen=True)
class Scales:
    """The distance that counts as 1 in every reward.

    Attributes:
        embedding: Median between successive frames, in the encoder's units; None without an encoder.
        pixels: Median between successive frames, root of the summed squared differences of pixel values.
        joints: Root of the summed squared differences of joint angles, radians.
    """

    embedding: float | None
    pixels: float
    joints: float
