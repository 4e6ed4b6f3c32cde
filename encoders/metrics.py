"""How good an embedding is: pure functions of embeddings."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.stats import spearmanr


class TripletAccuracy(NamedTuple):
    """Shares of triplets that an embedding orders rightly.

    Attributes:
        margin: Share with |a - p|^2 + margin < |a - n|^2.
        plain: Share with |a - p|^2 < |a - n|^2.
    """

    margin: float
    plain: float


def sample_triplets(
    length: int, count: int, positive_range: int, negative_range: int, rng: np.random.Generator
) -> NDArray[np.int64]:
    """Triplets of one video by time.

    The protocol of Blomqvist and Hämäläinen, Self-supervised learning from snaps, section III-A.

    Args:
        length: Frames of the video.
        count: Triplets wanted.
        positive_range: A positive lies 1 to this many frames from its anchor.
        negative_range: A negative lies more than this many frames from its anchor.
        rng: Source of the draw.

    Returns:
        (count, 3) int64: anchor, positive, negative.

    Raises:
        ValueError: If the video is too short to hold a negative.
    """
    if length < negative_range + 2:
        raise ValueError(
            f"A video of {length} frames has no negatives beyond {negative_range} frames; use longer ones."
        )
    times = np.arange(length)
    anchors = [time for time in times if max(time, length - 1 - time) > negative_range]
    triplets = np.empty((count, 3), np.int64)
    for row in range(count):
        anchor = int(rng.choice(anchors))
        gap = np.abs(times - anchor)
        positive = rng.choice(times[(gap > 0) & (gap <= positive_range)])
        triplets[row] = anchor, positive, rng.choice(times[gap > negative_range])
    return triplets


def triplet_accuracy(embeddings: NDArray[np.floating], triplets: NDArray[np.int64], margin: float) -> TripletAccuracy:
    """Shares of triplets in the right order, with and without a margin; a tie is wrong.

    Args:
        embeddings: (T, D), one video.
        triplets: (N, 3) frame indices: anchor, positive, negative.
        margin: In squared distance.

    Raises:
        ValueError: If an embedding is not finite.
    """
    if not np.isfinite(embeddings).all():
        raise ValueError("An embedding is not finite; triplet accuracy is undefined.")
    anchor, positive, negative = (np.asarray(embeddings, np.float64)[triplets[:, column]] for column in range(3))
    near = np.square(anchor - positive).sum(axis=1)
    far = np.square(anchor - negative).sum(axis=1)
    return TripletAccuracy(margin=float(np.mean(near + margin < far)), plain=float(np.mean(near < far)))


def distance_matrix(embeddings: NDArray[np.floating]) -> NDArray[np.float64]:
    """Euclidean distance of every frame to every other: (T, D) -> (T, T)."""
    values = np.asarray(embeddings, np.float64)
    return np.linalg.norm(values[:, None] - values[None], axis=-1)


def rank_correlation(left: NDArray[np.floating], right: NDArray[np.floating]) -> float:
    """Spearman's rank correlation of two samples, NaN where one of them is constant.

    Args:
        left: (N,).
        right: (N,).

    Raises:
        ValueError: If the lengths differ, there are fewer than 3 values, or one is not finite.
    """
    if np.shape(left) != np.shape(right) or len(left) < 3:
        raise ValueError(
            f"rank_correlation takes two samples of one length >= 3; got {np.shape(left)}, {np.shape(right)}."
        )
    if not (np.isfinite(left).all() and np.isfinite(right).all()):
        raise ValueError("A value is not finite; the rank correlation is undefined.")
    if np.ptp(left) == 0 or np.ptp(right) == 0:
        return float("nan")
    return float(spearmanr(left, right).statistic)
