"""People's own videos as clips to learn from: at one rate, without the moments at which nothing moves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from encoders.clips.clips import Clips
from encoders.clips.recordings import Recording, lowest_rate, open_recordings, read_recordings, recordings_in
from experiments.imitation.motion import least_change, moving


@dataclass(frozen=True)
class OwnClips:
    """What a folder of videos has to learn from.

    Attributes:
        clips: Those that are long enough, (V, T, S, S, 3) uint8 each.
        fps: Frames a second before moments were left out.
        left_out: Moments of those that are too short, by name.
    """

    clips: Clips
    fps: float
    left_out: dict[str, int]

    @property
    def warning(self) -> str | None:
        """What is said of those that are too short."""
        if not self.left_out:
            return None
        named = ", ".join(f"{name} ({moments})" for name, moments in self.left_out.items())
        return f"Too few moments at which something moves, so these are left out: {named}."


def own_clips(recordings: Sequence[Recording], size: int, least: int, fps: float | None) -> OwnClips:
    """Reads recordings.

    Args:
        recordings: Which.
        size: Width and height that frames are scaled to, pixels.
        least: Moments that a clip must have.
        fps: Frames a second; None for the lowest rate among the recordings.

    Raises:
        ValueError: If a file is damaged, the frames would take too much memory, or nothing moves in any.
    """
    videos = open_recordings(recordings, size)
    fps = fps or lowest_rate(videos)
    # Time first: what moves is seen in all views of a moment together.
    frames = {name: video.swapaxes(0, 1) for name, video in read_recordings(recordings, videos, fps).items()}
    still = "Nothing moves in any of these videos: every frame is the same picture. Name others."
    threshold = least_change(frames.values(), still)
    kept: dict[str, NDArray[np.uint8]] = {}
    left_out: dict[str, int] = {}
    for name, video in frames.items():
        moments = moving(video, threshold)
        if len(moments) < least:
            left_out[name] = len(moments)
        else:
            kept[name] = np.ascontiguousarray(video[moments].swapaxes(0, 1))
    return OwnClips(Clips(list(kept.values()), tuple(kept)), fps, left_out)


def split(clips: Clips, share: float, rng: np.random.Generator) -> tuple[Clips, Clips]:
    """Clips to learn from, and others that are held out.

    Args:
        clips: At least 2.
        share: Of them that is held out, at least one.
        rng: Draws which.
    """
    held = min(max(1, round(share * len(clips))), len(clips) - 1)
    order = rng.permutation(len(clips))
    return clips.subset(sorted(order[held:].tolist())), clips.subset(sorted(order[:held].tolist()))


def folder_recordings(folder: Path | None) -> list[Recording]:
    """The recordings of a folder; none of no folder.

    Raises:
        ValueError: If there is none in it, or no such folder.
    """
    return [] if folder is None else recordings_in(folder)
