"""The TCN reward: a Huber-style penalty on an embedding distance."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class HuberConfig:
    """Coefficients of the reward.

    Attributes:
        alpha: Weight of the squared distance.
        beta: Weight of the (smoothed) distance.
        gamma: Smoothing at zero distance.
    """

    alpha: float = 0.5
    beta: float = 0.5
    gamma: float = 1e-3

    def __post_init__(self) -> None:
        for name in ("alpha", "beta", "gamma"):
            value = getattr(self, name)
            if not (np.isfinite(value) and value >= 0):
                raise ValueError(f"{name} is {value}; it must be finite and at least 0.")
        if self.alpha == 0 and self.beta == 0:
            raise ValueError("alpha and beta are both 0, so every reward would be 0; make one of them positive.")


def huber_reward(
    own: NDArray[np.floating | np.integer],
    target: NDArray[np.floating | np.integer],
    config: HuberConfig,
    scale: float = 1.0,
) -> NDArray[np.float64]:
    """R(v, w) = -alpha |w - v|^2 - beta sqrt(gamma + |w - v|^2), with distances in units of ``scale``.

    Sermanet et al., Time-Contrastive Networks, 2018, equation 2; Blomqvist and Hämäläinen,
    Self-supervised learning from snaps, section II-B.

    Args:
        own: w, embeddings of what the robot looks like, (..., D).
        target: v, embeddings of what it should look like, (..., D).
        config: alpha, beta and gamma.
        scale: The distance that counts as 1.

    Returns:
        Rewards, (...) float64, never positive.

    Raises:
        ValueError: If the shapes differ, or ``scale`` is not positive and finite.
    """
    if np.shape(own) != np.shape(target):
        raise ValueError(f"own and target embeddings must have one shape; got {np.shape(own)} and {np.shape(target)}.")
    check_scale(scale)
    squared = np.square((np.asarray(own, np.float64) - np.asarray(target, np.float64)) / scale).sum(axis=-1)
    return -config.alpha * squared - config.beta * np.sqrt(config.gamma + squared)


def check_scale(scale: float) -> None:
    """Refuses a distance that cannot count as 1.

    Raises:
        ValueError: If it is not positive and finite.
    """
    if not (np.isfinite(scale) and scale > 0):
        raise ValueError(
            f"scale is {scale}; it must be positive and finite: fit the encoder first, which measures it, on videos "
            "whose successive frames differ."
        )
