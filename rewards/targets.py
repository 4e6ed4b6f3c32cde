"""What the robot should look like at every step: a demonstration resampled to the horizon."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def resample(sequence: NDArray[np.floating | np.integer], length: int) -> NDArray[np.float64]:
    """A sequence of any length spread over another, linear in between, ends kept.

    Args:
        sequence: (T, ...) values over time, T at least 2.
        length: Number of values wanted, at least 2.

    Returns:
        (length, ...) float64.

    Raises:
        ValueError: If either length is below 2.
    """
    if len(sequence) < 2 or length < 2:
        raise ValueError(f"A demonstration needs at least 2 frames at both ends; got {len(sequence)} -> {length}.")
    position = np.linspace(0, len(sequence) - 1, length)
    index = np.minimum(position.astype(int), len(sequence) - 2)
    share = (position - index).reshape(-1, *[1] * (np.ndim(sequence) - 1))
    values = np.asarray(sequence, np.float64)
    return values[index] * (1 - share) + values[index + 1] * share


def resample_embeddings(embeddings: NDArray[np.floating], length: int) -> NDArray[np.float32]:
    """``resample`` for embeddings of one norm: what lies between two of them is put back on their sphere.

    Args:
        embeddings: (T, D), all of about one norm.
        length: Number of embeddings wanted.

    Returns:
        (length, D) float32.
    """
    between = resample(embeddings, length)
    norms = resample(np.linalg.norm(embeddings, axis=1), length)
    return (between * (norms / np.maximum(np.linalg.norm(between, axis=1), 1e-12))[:, None]).astype(np.float32)
