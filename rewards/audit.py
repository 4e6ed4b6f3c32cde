"""Audits before training: does the reward follow the true distance, and does the video look like what was recorded?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.distance import cdist

from encoders.metrics import rank_correlation
from rewards.huber import HuberConfig, huber_reward

TOO_LOW = 0.5
"""Rank correlation below which a reward is too poor to learn from."""

HELD_OUT_QUANTILE = 0.95
"""Quantile of the held-out frames' distances that a video is compared with."""

UNLIKE = 1.2
"""Multiple of that distance from which on a video looks like nothing recorded. Other videos of the scene: 0.6 to 1.1;
colour bars, noise, and the scene mirrored, by another camera or in another light to 1.2 to 2.7."""


@dataclass(frozen=True)
class RewardAudit:
    """Agreement of a reward with the true distance, on held-out videos.

    Attributes:
        rank_correlation: Spearman's correlation of minus the reward and the true distance over all pairs.
        within_videos: The same over pairs of frames of one video.
        across_videos: The same over pairs of frames of two videos.
        pairs: Number of pairs in all.
    """

    rank_correlation: float
    within_videos: float
    across_videos: float
    pairs: int

    @property
    def warning(self) -> str | None:
        """A warning before training on this reward, if it is poor."""
        # A constant reward has no rank correlation at all, which is NaN and no better than a low one.
        if self.rank_correlation >= TOO_LOW:
            return None
        return (
            f"The reward hardly follows the true distance (rank correlation {self.rank_correlation:.2f} < {TOO_LOW}): "
            "an agent will not learn to imitate from it. Record more videos and more play, or train the encoder longer."
        )


def audit_reward(
    embeddings: Sequence[NDArray[np.floating | np.integer]],
    states: Sequence[NDArray[np.floating]],
    config: HuberConfig,
    scale: float,
    rng: np.random.Generator,
    pairs: int = 4000,
) -> RewardAudit:
    """Compares the reward with the true distance over pairs of frames.

    Args:
        embeddings: One array a video, (T, D), T at least 1, finite.
        states: The true positions of the same frames, (T, ..., 3) metres, finite; evaluation data.
        config: Coefficients of the reward.
        scale: The embedding distance that counts as 1.
        rng: Source of the pairs; half of them are within a video, half across two.
        pairs: Number of pairs, at least 6.

    Returns:
        The audit. True distance is the mean over the tracked points.

    Raises:
        ValueError: If there are fewer than two videos, one of them is empty, embeddings and states differ in number or
            dimensions, there are too few pairs, or a value is not finite.
    """
    frames = [len(part) for part in embeddings]
    if len(embeddings) < 2 or min(frames) < 1 or frames != [len(part) for part in states]:
        raise ValueError("The audit needs at least two videos of frames, with as many states as embeddings in each.")
    if len({np.shape(part)[1:] for part in embeddings}) > 1 or len({np.shape(part)[1:] for part in states}) > 1:
        raise ValueError("The videos of an audit must have embeddings of one dimension, and states of one shape.")
    if pairs < 6:
        raise ValueError(f"pairs is {pairs}; an audit takes at least 6.")
    half = pairs // 2
    first = rng.integers(len(embeddings), size=pairs)
    # An offset of at least 1 and less than the number of videos never lands on the same video.
    offset = np.where(np.arange(pairs) < half, 0, rng.integers(1, len(embeddings), size=pairs))
    second = (first + offset) % len(embeddings)
    starts = np.cumsum([0] + [len(part) for part in embeddings])
    lengths = np.diff(starts)
    left = starts[first] + (rng.random(pairs) * lengths[first]).astype(int)
    right = starts[second] + (rng.random(pairs) * lengths[second]).astype(int)
    vectors, positions = np.concatenate(embeddings), np.concatenate(states)
    penalties = -huber_reward(vectors[left], vectors[right], config, scale)
    distances = np.linalg.norm(positions[left] - positions[right], axis=-1).reshape(pairs, -1).mean(axis=1)
    return RewardAudit(
        rank_correlation=rank_correlation(penalties, distances),
        within_videos=rank_correlation(penalties[:half], distances[:half]),
        across_videos=rank_correlation(penalties[half:], distances[half:]),
        pairs=pairs,
    )


@dataclass(frozen=True)
class Likeness:
    """Distance of a video to recorded states, next to that of held-out videos of the same kind.

    Attributes:
        distance: Median distance of the video's frames to the nearest recorded state, in units of the embedding.
        held_out: Distance that ``HELD_OUT_QUANTILE`` of the frames of held-out videos stay within.
    """

    distance: float
    held_out: float

    @property
    def warning(self) -> str | None:
        """A warning before training on this video, if it is unlike the recordings."""
        if self.distance <= UNLIKE * self.held_out:
            return None
        return (
            f"The video looks like nothing that was recorded: its frames are {self.distance:.2f} from the nearest "
            f"recorded state, and {HELD_OUT_QUANTILE:.0%} of those of held-out videos within {self.held_out:.2f}. "
            "An agent can hardly imitate what its simulation cannot show: film the same scene, by the same cameras in "
            "their order, or record more like the video."
        )


def measure_likeness(
    video: NDArray[np.floating], held_out: Sequence[NDArray[np.floating]], recorded: NDArray[np.floating]
) -> Likeness:
    """Compares a video with recorded states by their embeddings.

    Args:
        video: Embeddings of its frames, (T, D).
        held_out: One array a held-out video, (T, D).
        recorded: Embeddings of recorded states, (N, D).

    Raises:
        ValueError: If one of the three is empty.
    """
    if not len(video) or not len(recorded) or not sum(map(len, held_out)):
        raise ValueError("The likeness needs frames of the video, of held-out videos, and recorded states.")
    return Likeness(
        distance=float(np.median(cdist(video, recorded).min(axis=1))),
        held_out=float(np.quantile(cdist(np.concatenate(held_out), recorded).min(axis=1), HELD_OUT_QUANTILE)),
    )
