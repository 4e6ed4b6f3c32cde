"""The demonstration: a video, what it shows at every step, and where in the environment it begins."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.distance import cdist

from encoders.base import Encoder
from encoders.files import FileError
from encoders.videos.pictures import is_still
from encoders.videos.video import read_part
from envs.embedding import embed_views
from experiments.imitation.motion import Episode, changes
from experiments.imitation.play import Recording
from experiments.imitation.teacher import start_of
from rewards.goal import ORACLE_SCALE, Goal, Scales
from rewards.targets import resample, resample_embeddings


@dataclass(frozen=True)
class Demonstration:
    """What is to be imitated.

    Attributes:
        frames: (T, S, S, 3) uint8.
        times: When they are shown, (T,) seconds since the first one; None if they are evenly spaced.
        states: What was true, (T, D) in the environment's units; None for a video from elsewhere.
        true_return: The environment's own; None for a video from elsewhere.
        start: The state that it begins in, where it is known and can be set.
    """

    frames: NDArray[np.uint8]
    times: NDArray[np.float64] | None = None
    states: NDArray[np.float64] | None = None
    true_return: float | None = None
    start: Mapping[str, NDArray[Any]] | None = None


def of_film(film: Recording) -> Demonstration:
    """A filmed teacher's episode, with all that is true of it.

    Raises:
        ValueError: If nothing moves in it.
    """
    if not (film.frames[0] != film.frames[0, 0]).any():
        raise ValueError(
            "Nothing moves in the teacher's best episode, so there is nothing to imitate: train it longer, by "
            "--teacher.steps, or give a video by --demo."
        )
    states = film.states[0] if film.states.shape[-1] else None
    return Demonstration(film.frames[0], None, states, float(film.returns[0]), start_of(film))


def of_video(path: Path, size: int, start: float, stop: float | None) -> Demonstration:
    """A video from anywhere.

    Args:
        path: The file.
        size: Width and height that frames are scaled to, pixels.
        start: Seconds that are left out at its beginning.
        stop: Where it ends, seconds from its beginning; None for its end.

    Raises:
        ValueError: If it cannot be read, fewer than two frames or more than an hour are left, or all of them are the
            same picture.
    """
    video = read_part(path, size, start, stop)
    if is_still(video.frames):
        raise FileError(f"All frames of {path} are the same picture, so there is nothing to imitate; name another.")
    return Demonstration(video.frames, video.times)


def goal_of(
    demonstration: Demonstration,
    encoder: Encoder | None,
    horizon: int,
    states: NDArray[np.floating] | None,
) -> Goal:
    """Embeds a demonstration once and spreads everything over the horizon, evenly in time.

    Args:
        demonstration: The video.
        encoder: Fitted, or None.
        horizon: Steps of an episode.
        states: Its true states in standard units, (T, D), where they are known.
    """
    times, length, frames = demonstration.times, horizon + 1, demonstration.frames[:, None]
    embeddings = None
    if encoder is not None:
        embeddings = resample_embeddings(embed_views(encoder, frames), length, times)
    return Goal(
        pixels=resample(demonstration.frames, length, times),
        embeddings=embeddings,
        joints=None if states is None else resample(states, length, times),
        links=None,
        start=np.zeros(0),
    )


def scales_of(encoder: Encoder | None, held_out: Sequence[Episode]) -> Scales:
    """The distances that count as 1.

    Args:
        encoder: Fitted, or None.
        held_out: Episodes without what stands still.
    """
    pixels = float(np.median(np.concatenate([changes(episode.frames) for episode in held_out])))
    return Scales(None if encoder is None else float(encoder.distance_scale), pixels, ORACLE_SCALE)


def most_alike(
    frame: NDArray[np.uint8], play: Recording, encoder: Encoder | None
) -> tuple[Mapping[str, NDArray[Any]], float]:
    """The recorded state that looks most like a frame, and how far it is from it.

    Args:
        frame: (S, S, 3) uint8.
        play: A recording with states to set.
        encoder: What compares them; pixels are compared without one.
    """
    frames = play.frames.reshape(-1, *play.frames.shape[2:])
    distances = cdist(embed_views(encoder, frame[None, None]), embed_views(encoder, frames[:, None]))[0]
    nearest = int(distances.argmin())
    states = {name: values.reshape(-1, *values.shape[2:])[nearest] for name, values in play.snapshots.items()}
    return states, float(distances[nearest])
