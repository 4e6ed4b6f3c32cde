"""The TCN reward: a Huber-style penalty on an embedding distance."""

from __future__ import annotations

import math
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

    Where this is beyond the numbers of float64, the reward is the least one, about -1.8e308.

    Args:
        own: w, embeddings of what the robot looks like, (..., D), finite; D at least 1.
        target: v, embeddings of what it should look like, (..., D), finite.
        config: alpha, beta and gamma.
        scale: The distance that counts as 1.

    Returns:
        Rewards, (...) float64, finite and never positive; none for no embeddings.

    Raises:
        ValueError: If the shapes differ or have no dimension, a value is no finite real number, or ``scale`` is not
            positive and finite.
    """
    ours, theirs = np.asarray(own), np.asarray(target)
    if ours.shape != theirs.shape or ours.shape[-1:] in ((), (0,)):
        raise ValueError(
            f"own and target embeddings must have one shape (..., D), D >= 1; got {ours.shape} and {theirs.shape}."
        )
    if ours.dtype.kind not in "biuf" or theirs.dtype.kind not in "biuf":
        raise ValueError(f"Embeddings are real numbers; got {ours.dtype} and {theirs.dtype}.")
    check_scale(scale)
    left, right = ours.astype(np.float64, copy=False), theirs.astype(np.float64, copy=False)
    with np.errstate(over="ignore", invalid="ignore"):
        squared = np.square((left - right) / scale).sum(axis=-1)
        rewards = -config.alpha * squared - config.beta * np.sqrt(config.gamma + squared)
    finite = np.isfinite(rewards)
    if finite.all():
        return rewards
    if not (np.isfinite(left).all() and np.isfinite(right).all()):
        raise ValueError("An embedding is not finite, so it has no reward; its encoder is damaged: train it again.")
    return np.where(finite, rewards, _far_rewards(left, right, config, scale))


def _far_rewards(
    own: NDArray[np.float64], target: NDArray[np.float64], config: HuberConfig, scale: float
) -> NDArray[np.float64]:
    """``huber_reward`` where squared distances overflow; gamma is negligible there."""
    kind = np.finfo(np.float64)
    most = kind.max
    # At least the least normal number: rows of zeros have a distance too, which is 0.
    largest = np.maximum(np.maximum(np.abs(own), np.abs(target)).max(axis=-1, keepdims=True), kind.tiny)
    with np.errstate(over="ignore"):
        # Lengths in units of twice the row's largest value, so that no difference overflows.
        shares = np.linalg.norm(own / largest / 2 - target / largest / 2, axis=-1)
        distances = np.minimum(shares / scale * 2 * largest[..., 0], most)
        return np.maximum(-(config.alpha * distances) * distances - config.beta * distances, -most)


def check_scale(scale: float) -> None:
    """Refuses a scale that is not positive and finite.

    Raises:
        ValueError: If it is not positive and finite.
    """
    if not 0 < scale < math.inf:
        raise ValueError(
            f"scale is {scale}; it must be positive and finite: fit the encoder first, which measures it, on videos "
            "whose successive frames differ."
        )
