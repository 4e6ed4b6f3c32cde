"""Episodes without the moments at which nothing moves: what an embedding of time can be learned from."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from encoders.clips.clips import Clips
from experiments.any_environment.play import Recording

LEAST_SHARE = 0.25
"""Of the median change between two successive frames of recorded play: what counts as having moved."""

FRAMES = 512
"""Frames that are compared at a time."""

STILL_PLAY = "Nothing moves in recorded play: every frame is the same picture. See that it draws what its actions move."


@dataclass(frozen=True)
class Episode:
    """Moments of an episode, each of which looks other than the one before.

    Attributes:
        frames: (T, S, S, 3) uint8.
        states: (T, D) float64, in the environment's units.
    """

    frames: NDArray[np.uint8]
    states: NDArray[np.float64]


def changes(frames: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Root of the summed squared differences of successive frames, (T, ...) uint8 -> (T - 1,)."""
    flat = frames.reshape(len(frames), -1)
    # A few at a time: as numbers of 32 bits, the frames of a long video take four times their memory.
    parts = [
        np.linalg.norm(np.diff(flat[start : start + FRAMES + 1].astype(np.float32), axis=0), axis=1)
        for start in range(0, max(len(flat) - 1, 1), FRAMES)
    ]
    return np.concatenate(parts).astype(np.float64)


def least_change(episodes: Iterable[NDArray[np.uint8]], still: str = STILL_PLAY) -> float:
    """The change of a picture that counts as movement.

    Args:
        episodes: Frames of each, (T, ...) uint8.
        still: What is said if nothing moves in any.

    Raises:
        ValueError: If nothing moves in any.
    """
    found = np.concatenate([changes(episode) for episode in episodes])
    if not (found > 0).any():
        raise ValueError(still)
    return LEAST_SHARE * float(np.median(found[found > 0]))


def moving(frames: NDArray[np.uint8], least: float) -> NDArray[np.intp]:
    """Moments that differ from the last one that was kept by at least so much, the first included.

    What stands still looks the same early and late, and a loss that has far moments apart would learn noise from it.

    Args:
        frames: (T, ...) uint8.
        least: The change that counts as movement.
    """
    flat = frames.reshape(len(frames), -1)
    kept, last = [0], flat[0].astype(np.float32)
    for moment in range(1, len(flat)):
        shown = flat[moment].astype(np.float32)
        if np.linalg.norm(shown - last) >= least:
            kept.append(moment)
            last = shown
    return np.array(kept, np.intp)


def episodes_of(recording: Recording, least: float) -> list[Episode]:
    """The episodes of a recording, without what stands still."""
    found = []
    for frames, states in zip(recording.frames, recording.states, strict=True):
        kept = moving(frames, least)
        found.append(Episode(frames[kept], states[kept]))
    return found


def clips_of(episodes: Sequence[Episode], least: int) -> Clips:
    """Episodes as clips of one view, without those that are too short.

    Args:
        episodes: Without what stands still.
        least: Moments that a clip must have.
    """
    kept = [number for number, episode in enumerate(episodes) if len(episode.frames) >= least]
    return Clips([episodes[number].frames[None] for number in kept], tuple(f"episode {number}" for number in kept))
