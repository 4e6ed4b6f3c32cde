"""The demonstration: a video, what it shows at every step of an episode, and the units of distances."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from encoders.base import Encoder
from encoders.clips.clips import Clips
from envs.embedding import embed_views
from rewards.goal import ORACLE_SCALE, Goal, Scales
from rewards.targets import resample, resample_embeddings

Start = Mapping[str, NDArray[Any]]
"""Where an episode begins, as options of a reset."""


@dataclass(frozen=True)
class Demonstration:
    """What is to be imitated.

    Attributes:
        frames: (T, V, S, S, C) uint8.
        times: When they are shown, (T,) seconds since the first one; None if they are evenly spaced.
        states: What was true, in the units that the oracle compares, (T, D); None for a video from elsewhere.
        links: Where the parts of the body were, (T, K, 3) metres, where that is judged.
        true_return: The environment's own; None where it is unknown, or there is none.
        start: The state that it begins in, where it is known and can be set.
    """

    frames: NDArray[np.uint8]
    times: NDArray[np.float64] | None = None
    states: NDArray[np.float64] | None = None
    links: NDArray[np.float64] | None = None
    true_return: float | None = None
    start: Start | None = None


def goal_of(demonstration: Demonstration, encoder: Encoder | None, horizon: int) -> Goal:
    """Embeds a demonstration once and spreads everything over the horizon, evenly in time.

    Args:
        demonstration: The video.
        encoder: Fitted, or None.
        horizon: Steps of an episode.
    """
    frames, times, length = demonstration.frames, demonstration.times, horizon + 1
    states, links = demonstration.states, demonstration.links
    embeddings = None
    if encoder is not None:
        embeddings = resample_embeddings(embed_views(encoder, frames), length, times)
    return Goal(
        pixels=resample(frames, length, times),
        embeddings=embeddings,
        joints=None if states is None else resample(states, length, times),
        links=None if links is None else resample(links, length, times),
    )


def measure_scales(encoder: Encoder | None, clips: Clips) -> Scales:
    """Measures the scales of the control rewards as ``fit`` measured the encoder's.

    Args:
        encoder: A fitted encoder, or None.
        clips: Validation videos.
    """
    pixels = [
        np.sqrt(np.square(np.diff(np.asarray(v, np.float32), axis=1)).sum(axis=(0, 2, 3, 4))) for v in clips.videos
    ]
    return Scales(
        embedding=None if encoder is None else float(encoder.distance_scale),
        pixels=float(np.median(np.concatenate(pixels))),
        joints=ORACLE_SCALE,
    )
