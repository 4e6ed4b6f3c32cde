"""Metrics of embeddings, as pure functions.

Values of any finite size will do: where squares are compared, they are first scaled by a power of two, which changes no
comparison.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.distance import cdist
from scipy.stats import spearmanr

from encoders.errors import check_choice

METRICS = ("l2", "cosine")
"""Distances for nearest-neighbour searches."""

BLOCK = 2**22
"""Distances held at once in a nearest-neighbour search, 32 MiB of float64."""


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
        ValueError: If the video is too short to hold a negative, a range is below 1, or the count negative.
    """
    if min(positive_range, negative_range) < 1 or count < 0:
        raise ValueError(
            f"positive_range is {positive_range}, negative_range {negative_range} and count {count}; the ranges must "
            "be at least 1 frame, the count at least 0."
        )
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
        embeddings: (T, D), one video, both at least 1.
        triplets: (N, 3) integer frame indices from 0 to T - 1: anchor, positive, negative; N at least 1.
        margin: In squared distance, finite and at least 0.

    Raises:
        ValueError: If an embedding is not finite, there are no triplets, one is of frames that are not there, or the
            margin is another.
    """
    values = _checked(embeddings, "embeddings")
    rows = np.asarray(triplets)
    if rows.ndim != 2 or rows.shape[1] != 3 or len(rows) == 0 or rows.dtype.kind not in "iu":
        raise ValueError(
            f"triplets are {rows.dtype} of shape {rows.shape}; they must be whole numbers (N, 3), N at least 1."
        )
    if rows.min() < 0 or rows.max() >= len(values):
        raise ValueError(
            f"triplets are of frames {rows.min()} to {rows.max()}, and the video has 0 to {len(values) - 1}."
        )
    if not 0 <= margin < math.inf:
        raise ValueError(f"margin is {margin}; it must be finite and at least 0.")
    exponent = _exponent(values)
    scaled = np.ldexp(values, -exponent)
    anchor, positive, negative = (scaled[rows[:, column]] for column in range(3))
    near = np.square(anchor - positive).sum(axis=1)
    far = np.square(anchor - negative).sum(axis=1)
    with np.errstate(over="ignore", under="ignore"):
        needed = near + np.ldexp(margin, -2 * exponent)
    return TripletAccuracy(margin=float(np.mean(needed < far)), plain=float(np.mean(near < far)))


def distance_matrix(embeddings: NDArray[np.floating]) -> NDArray[np.float64]:
    """Euclidean distance of every frame to every other: (T, D) -> (T, T); infinite where no float64 is as large.

    Raises:
        ValueError: If there are no frames or dimensions, or a value is not finite.
    """
    values = _checked(embeddings, "embeddings")
    exponent = _exponent(values)
    scaled = np.ldexp(values, -exponent)
    with np.errstate(over="ignore"):
        return np.ldexp(cdist(scaled, scaled), exponent)


def rank_correlation(left: NDArray[np.floating], right: NDArray[np.floating]) -> float:
    """Spearman's rank correlation of two samples, NaN where one of them is constant.

    Args:
        left: (N,).
        right: (N,).

    Raises:
        ValueError: If the samples are no rows of one length, there are fewer than 3 values, or one is not finite.
    """
    samples = _real(left, "left"), _real(right, "right")
    if samples[0].ndim != 1 or samples[0].shape != samples[1].shape or len(samples[0]) < 3:
        raise ValueError(
            f"rank_correlation takes two samples of one length >= 3; got {samples[0].shape}, {samples[1].shape}."
        )
    if not (np.isfinite(samples[0]).all() and np.isfinite(samples[1]).all()):
        raise ValueError("A value is not finite; the rank correlation is undefined.")
    if any(sample.min() == sample.max() for sample in samples):
        return float("nan")
    return float(spearmanr(left, right).statistic)


def nearest_neighbours(
    queries: NDArray[np.floating], keys: NDArray[np.floating], metric: str = "l2"
) -> NDArray[np.int64]:
    """The key nearest to each query; of several equally near the earliest.

    Args:
        queries: (N, D), N and D at least 1.
        keys: (M, D), M at least 1.
        metric: ``l2`` for Euclidean distance, ``cosine`` for one minus the cosine of the angle. By cosine,
            vectors of one direction and different lengths tie up to rounding only.

    Returns:
        (N,) int64, indices of keys, in [0, M).

    Raises:
        ValueError: If the metric is unknown, the shapes do not fit, or a value is not finite; for ``cosine``
            also if a vector is all zeros.
    """
    check_choice("metric", metric, METRICS)
    left, right = _checked_pair(queries, keys, ("queries", "keys"))
    if metric == "cosine":
        left, right = _unit_length(left, "queries"), _unit_length(right, "keys")
    exponent = max(_exponent(left), _exponent(right))
    left, right = np.ldexp(left, -exponent), np.ldexp(right, -exponent)
    nearest = np.empty(len(left), np.int64)
    rows = max(1, BLOCK // len(right))
    for start in range(0, len(left), rows):
        # The squares order like the distances, and between unit vectors like the cosines. Each pair is
        # computed by itself: a matrix product could round two copies of a key differently and break a tie.
        nearest[start : start + rows] = cdist(left[start : start + rows], right, "sqeuclidean").argmin(axis=1)
    return nearest


def alignment_error(first: NDArray[np.floating], second: NDArray[np.floating]) -> float:
    """Temporal alignment error of two views of one scene, in [0, 1); 0 is perfect.

    Mean of |t - n(t)| / T over the frames t of each view, n(t) being the nearest neighbour by Euclidean
    distance in the other view. Sermanet et al., Time-Contrastive Networks: Self-Supervised Learning from
    Video, 2018; both directions count alike. A single frame has one possible neighbour, so its error is 0.
    A guess at random comes to about 1/3; embeddings that are all equal, by the tie rule, to about 1/2.

    Args:
        first: (T, D), one view.
        second: (T, D), the same moments in the other view.

    Raises:
        ValueError: If the views differ in length or dimension, are empty, or hold a value that is not finite.
    """
    return float(np.mean(_misalignment(first, second, "l2")) / len(first))


def alignment_accuracy(
    first: NDArray[np.floating], second: NDArray[np.floating], tolerance: int, metric: str = "l2"
) -> float:
    """Share of frames with their nearest neighbour in the other view at most ``tolerance`` frames off.

    Waterhout, Yusuf and Zhang, Reproducing Time-Contrastive Networks, 2022, who report L2 with a tolerance of
    one frame. Frames of both views count. A single frame has one possible neighbour, so its accuracy is 1.

    Args:
        first: (T, D), one view.
        second: (T, D), the same moments in the other view.
        tolerance: In frames, at least 0.
        metric: ``l2`` or ``cosine``.

    Returns:
        In [0, 1]; 1 is perfect.

    Raises:
        ValueError: As for ``alignment_error`` and ``nearest_neighbours``, and if the tolerance is negative.
    """
    if not tolerance >= 0:
        raise ValueError(f"tolerance is {tolerance}; it must be at least 0 frames.")
    return float(np.mean(_misalignment(first, second, metric) <= tolerance))


def classification_error(embeddings: Sequence[NDArray[np.floating]], labels: Sequence[NDArray[np.bool_]]) -> float:
    """Share of labels that differ between a frame and its nearest neighbour in any other video; 0 is perfect.

    Each frame takes over the attributes of its nearest neighbour by Euclidean distance among the frames of
    all other videos; of several equally near, the earliest frame of the earliest video. Sermanet et al.,
    Time-Contrastive Networks, 2018, and Ramachandruni et al., SMAK-Net, 2019. The mean is over frames and
    attributes, so a video counts by its length; one of a single frame is welcome.

    Args:
        embeddings: Of each video (T, D), T its own.
        labels: Of each video (T, A) bool, whether an attribute holds in a frame.

    Returns:
        In [0, 1].

    Raises:
        ValueError: If there are fewer than two videos, or one of them has the wrong shape or type or a value
            that is not finite; the message names its index.
    """
    if len(embeddings) != len(labels) or len(embeddings) < 2:
        raise ValueError(
            "classification_error takes embeddings and labels of the same two or more videos; "
            f"got {len(embeddings)} and {len(labels)}."
        )
    videos = [_checked(video, f"embeddings[{index}]") for index, video in enumerate(embeddings)]
    truths = [np.asarray(marks) for marks in labels]
    width, attributes = videos[0].shape[1], truths[0].shape[-1:]
    for index, (video, truth) in enumerate(zip(videos, truths, strict=True)):
        if video.shape[1] != width:
            raise ValueError(f"embeddings[{index}] has {video.shape[1]} dimensions, embeddings[0] {width}; use one.")
        if truth.shape != (len(video), *attributes) or truth.size == 0 or truth.dtype != np.bool_:
            raise ValueError(
                f"labels[{index}] is {truth.shape} {truth.dtype} for {len(video)} frames; it must be bool, "
                "a row for each frame of the video, and as many columns as labels[0] (at least one)."
            )
    wrong = 0
    for index, (video, truth) in enumerate(zip(videos, truths, strict=True)):
        nearest = nearest_neighbours(video, np.concatenate(videos[:index] + videos[index + 1 :]))
        taken_over = np.concatenate(truths[:index] + truths[index + 1 :])[nearest]
        wrong += int(np.count_nonzero(taken_over != truth))
    return wrong / sum(truth.size for truth in truths)


def kendalls_tau(first: NDArray[np.floating], second: NDArray[np.floating]) -> float:
    """Whether the neighbours of a video's frames follow one another in order: 1 does, -1 runs backwards.

    Of all pairs of frames i < j of the first video, the share with n(i) < n(j) less the share with
    n(i) > n(j), n being the nearest neighbour by Euclidean distance in the second. Dwibedi et al., Temporal
    Cycle-Consistency Learning, 2019, as the paper defines it: tau-a, in which a tie is neither in order nor
    out of it but stays in the denominator. (SciPy's tau-b leaves ties out and so forgives an embedding that
    sends many frames to one.) Neighbours that are all the same frame give 0. It is not symmetric.

    Args:
        first: (T, D), T at least 2.
        second: (U, D), U at least 2; it need not be synchronised with the first.

    Returns:
        In [-1, 1].

    Raises:
        ValueError: If a video has a single frame, dimensions differ, or a value is not finite.
    """
    left, right = _checked_pair(first, second, ("first", "second"))
    if min(len(left), len(right)) < 2:
        raise ValueError(
            f"kendalls_tau needs at least 2 frames of each video; got {len(left)} and {len(right)}. One has no order."
        )
    nearest = nearest_neighbours(left, right)
    pairs = len(nearest) * (len(nearest) - 1) // 2
    # Row i, column j: the sign of n(j) - n(i); those with i < j lie above the diagonal.
    return float(np.triu(np.sign(nearest[None] - nearest[:, None])).sum() / pairs)


def _misalignment(first: NDArray[np.floating], second: NDArray[np.floating], metric: str) -> NDArray[np.int64]:
    """Frames between each frame and its neighbour in the other view: (2, T) int64, a row for each view."""
    left, right = _checked_pair(first, second, ("first", "second"))
    if len(left) != len(right):
        raise ValueError(
            f"first has {len(left)} frames and second {len(right)}; "
            "alignment takes synchronised views of equal length. Cut them to the moments they share."
        )
    times = np.arange(len(left))
    return np.abs(np.stack([nearest_neighbours(left, right, metric), nearest_neighbours(right, left, metric)]) - times)


def _real(values: NDArray[np.floating], name: str) -> NDArray[np.float64]:
    """Values as float64; complex ones and texts are refused."""
    found = np.asarray(values)
    if found.dtype.kind not in "biuf":
        raise ValueError(f"{name} holds values of type {found.dtype}; they must be real numbers.")
    return found.astype(np.float64, copy=False)


def _exponent(values: NDArray[np.float64]) -> int:
    """The power of two that scales the largest value into [0.5, 1), where no square overflows."""
    return int(np.frexp(np.abs(values).max())[1])


def _checked(embeddings: NDArray[np.floating], name: str) -> NDArray[np.float64]:
    """Embeddings as float64, (T, D) with at least one of each and finite."""
    values = _real(embeddings, name)
    if values.ndim != 2 or values.size == 0:
        raise ValueError(f"{name} has shape {values.shape}; it must be (frames, dimensions), at least one of each.")
    finite = np.isfinite(values).all(axis=1)
    if not finite.all():
        raise ValueError(f"{name} is not finite in frame {finite.argmin()}; check the encoder that made it.")
    return values


def _checked_pair(
    left: NDArray[np.floating], right: NDArray[np.floating], names: tuple[str, str]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Two checked sets of embeddings of one dimension."""
    values = _checked(left, names[0]), _checked(right, names[1])
    if values[0].shape[1] != values[1].shape[1]:
        raise ValueError(
            f"{names[0]} has {values[0].shape[1]} dimensions and {names[1]} {values[1].shape[1]}; "
            "embed both with one encoder."
        )
    return values


def _unit_length(values: NDArray[np.float64], name: str) -> NDArray[np.float64]:
    """Vectors scaled to length 1; a vector of zeros has no direction and is refused."""
    exponents = np.frexp(np.abs(values).max(axis=1, keepdims=True))[1]
    scaled = np.ldexp(values, -exponents)
    lengths = np.linalg.norm(scaled, axis=1, keepdims=True)
    if not lengths.all():
        raise ValueError(f"{name} is all zeros in frame {lengths.argmin()}, which has no cosine; use metric l2.")
    return scaled / lengths
