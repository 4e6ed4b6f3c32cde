"""The clock of a demonstration that waits for the agent: which moment of it the agent is at."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

FIXED, PROGRESS = "fixed", "progress"

CLOCKS = (FIXED, PROGRESS)
"""What moves a demonstration on: the time alone, or the agent that has caught up with it."""

CAUGHT_UP = 0.2
"""Share of the largest distance between two moments of a demonstration within which one of them is reached.

A share of the demonstration's own extent does not shrink with the number of steps that it is spread over, as the
distance of successive moments does. Embeddings grow fast near a moment and little far from it: a tenth of the extent
was a fortieth of the way across a plain scene, which an agent in motion passes between two steps.
"""

MOST_MOMENTS = 2
"""Moments that an agent can get on by in a step, so that it may be twice as quick as the video."""

WAITING = 0.5
"""What a step costs that reaches no further moment; the reward of a checkpoint in Aytar et al."""


def reached(
    index: NDArray[np.integer],
    own: NDArray[np.floating],
    path: NDArray[np.floating],
    threshold: float,
    most: int = MOST_MOMENTS,
) -> NDArray[np.int64]:
    """The moments of a demonstration that agents are at after a step.

    Of the next ``most`` moments, those within the threshold have been reached; the nearest of them is the new one, and
    the last of them if several are as near, which is how a pause is passed. Where there is none, the demonstration
    waits. It never goes back, and stays at its end.

    Aytar et al., Playing hard exploration games by watching YouTube, 2018, section 4: checkpoints along an embedded
    video, which are reached in order, the next one or the one after it, by their similarity to what the agent sees.

    Args:
        index: Moments they were at before, (N,) from 0 to T - 1.
        own: What they look like after the step, (N, D).
        path: What the demonstration looks like at every moment, (T, D).
        threshold: Distance below which a moment is reached, in the path's units.
        most: Moments that an agent can get on by in a step.

    Returns:
        (N,) int64, from ``index`` to ``index + most``, at most T - 1.
    """
    ahead = index[:, None] + np.arange(1, most + 1)
    distances = np.linalg.norm(path[np.minimum(ahead, len(path) - 1)] - own[:, None], axis=-1)
    distances[(ahead >= len(path)) | ~(distances < threshold)] = np.inf
    # The last of several that are as near: the first one from behind.
    nearest = most - 1 - distances[:, ::-1].argmin(axis=1)
    rows = np.arange(len(index))
    return np.where(np.isfinite(distances[rows, nearest]), ahead[rows, nearest], index).astype(np.int64)
