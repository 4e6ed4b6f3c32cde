"""Targets of every step: a demonstration resampled to the horizon."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

ROUNDING = 2e-3
"""Seconds that evenly spaced time stamps may be off: containers round them to a thousandth."""


def positions(count: int, length: int, times: NDArray[np.floating] | None = None) -> NDArray[np.float64]:
    """Fractional indices of a horizon's steps in a sequence, evenly spaced in time, including both ends.

    Args:
        count: Values in the sequence, at least 2.
        length: Number of moments, at least 2.
        times: When each value holds, (count,) seconds, rising; None if they are evenly spaced.

    Returns:
        (length,) float64, from 0 to ``count - 1``: 2.5 lies between the values 2 and 3.

    Raises:
        ValueError: If either number is below 2, or the times are not as many as the values, or do not rise.
    """
    if count < 2 or length < 2:
        raise ValueError(f"A demonstration needs at least 2 frames at both ends; got {count} -> {length}.")
    even = np.linspace(0, count - 1, length)
    if times is None:
        return even
    if len(times) != count or not np.all(np.diff(times) > 0):
        raise ValueError(f"Times must rise, one a frame; got {len(times)} for {count} frames.")
    if np.abs(times - np.linspace(times[0], times[-1], count)).max() <= ROUNDING:
        return even
    return np.interp(np.linspace(times[0], times[-1], length), times, np.arange(count))


def resample(
    sequence: NDArray[np.floating | np.integer], length: int, times: NDArray[np.floating] | None = None
) -> NDArray[np.float64]:
    """Resamples a sequence to another length by linear interpolation in time, keeping both ends.

    Args:
        sequence: (T, ...) values over time, T at least 2.
        length: Number of values wanted, at least 2.
        times: When each value holds, (T,) seconds, rising; None if they are evenly spaced.

    Returns:
        (length, ...) float64.

    Raises:
        ValueError: If either length is below 2, or the times do not fit.
    """
    position = positions(len(sequence), length, times)
    index = np.minimum(position.astype(int), len(sequence) - 2)
    share = (position - index).reshape(-1, *[1] * (np.ndim(sequence) - 1))
    values = np.asarray(sequence, np.float64)
    return values[index] * (1 - share) + values[index + 1] * share


def resample_embeddings(
    embeddings: NDArray[np.floating], length: int, times: NDArray[np.floating] | None = None
) -> NDArray[np.float32]:
    """``resample`` for embeddings of one norm: interpolated ones are projected back onto the sphere.

    Args:
        embeddings: (T, D), all of about one norm.
        length: Number of embeddings wanted.
        times: When each of them holds, (T,) seconds, rising; None if they are evenly spaced.

    Returns:
        (length, D) float32.
    """
    between = resample(embeddings, length, times)
    norms = resample(np.linalg.norm(embeddings, axis=1), length, times)
    return (between * (norms / np.maximum(np.linalg.norm(between, axis=1), 1e-12))[:, None]).astype(np.float32)
