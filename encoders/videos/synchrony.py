"""Synchronised views of one recording, matched by time."""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from encoders.videos.video_file import VideoWarning

MOST_SHARE = 0.05
"""Share of a recording by which its views may differ in length: cameras never stop at the same time."""

MOST_SECONDS = 2.0
"""Seconds by which they may differ at most."""


class LengthError(ValueError):
    """Views that differ too much in length to show the same moments."""


def match_views(
    what: str, names: Sequence[str], times: Sequence[NDArray[np.float64]], durations: Sequence[float]
) -> list[NDArray[np.intp]]:
    """Finds the frames of every view that show the same moments: those of the first view, up to the shortest's end.

    Args:
        what: What the views are of, for a warning.
        names: One name a view.
        times: When the frames of every view are shown, (T,) seconds since its first one.
        durations: How long every view is, seconds.

    Returns:
        For every view the numbers of its frames, one a moment: the frame that is nearest in time.

    Raises:
        LengthError: If the lengths differ by more than ``MOST_SHARE`` of the longest, or ``MOST_SECONDS``.
    """
    short, long = min(durations), max(durations)
    if long - short > min(MOST_SHARE * long, MOST_SECONDS):
        raise LengthError("lengths of " + ", ".join(f"{duration:.2f} s" for duration in durations))
    # A frame belongs to the moments that every view has if most of it is within the shortest view.
    first = times[0]
    step = float(np.median(np.diff(first))) if len(first) > 1 else short
    moments = first[first < short - step / 2] if len(first) > 1 else first
    matched = []
    for view in times:
        between = (view[:-1] + view[1:]) / 2
        matched.append(np.searchsorted(between, moments, side="left"))
    if len({len(view) for view in times}) > 1 or len(moments) < len(first):
        counts = ", ".join(
            f"{name} has {len(view)} ({duration:.2f} s)"
            for name, view, duration in zip(names, times, durations, strict=True)
        )
        warnings.warn(
            f"The views of {what} differ in frames: {counts}; {len(moments)} moments ({short:.2f} s) are used, matched "
            "by time.",
            VideoWarning,
            stacklevel=3,
        )
    return matched
