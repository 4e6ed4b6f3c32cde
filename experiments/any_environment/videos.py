"""Demonstrations for any environment: a video from anywhere, or the film of a teacher."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.distance import cdist

from encoders.base import Encoder
from encoders.files import FileError
from encoders.videos.pictures import is_still
from encoders.videos.video import read_part
from envs.embedding import embed_views
from experiments.any_environment.play import Recording, moments_of
from experiments.any_environment.standard import Standard
from experiments.imitation.demonstration import Demonstration, Start


def of_film(film: Recording, standard: Standard) -> Demonstration:
    """A filmed teacher's episode, with all that is true of it.

    Args:
        film: One episode.
        standard: Units of the state.

    Raises:
        ValueError: If nothing moves in it.
    """
    if not (film.frames[0] != film.frames[0, 0]).any():
        raise ValueError(
            "Nothing moves in the teacher's episode, so there is nothing to imitate: train it longer, by "
            "--teacher.steps, or give a video by --demo."
        )
    states = standard.units(film.states[0]) if film.states.shape[-1] else None
    return Demonstration(
        film.frames[0][:, None],
        states=states,
        true_return=float(film.returns[0]),
        start={name: values[0, 0] for name, values in film.snapshots.items()} or None,
    )


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
    return Demonstration(video.frames[:, None], video.times)


def most_alike(frame: NDArray[np.uint8], play: Recording, encoder: Encoder | None) -> tuple[Start, float]:
    """The recorded state that looks most like a frame, and how far it is from it.

    Args:
        frame: (S, S, 3) uint8.
        play: A recording with states to set.
        encoder: What compares them; pixels are compared without one.
    """
    frames = moments_of(play.frames)
    distances = cdist(embed_views(encoder, frame[None, None]), embed_views(encoder, frames[:, None]))[0]
    nearest = int(distances.argmin())
    states = {name: moments_of(values)[nearest] for name, values in play.snapshots.items()}
    return states, float(distances[nearest])
