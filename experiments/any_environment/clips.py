"""People's own videos as clips to learn from: at one rate, without the moments at which nothing moves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from encoders.clips.clips import Clips
from encoders.clips.recordings import Recording, lowest_rate, open_recordings, read_recordings, recordings_in
from experiments.any_environment.motion import least_change, moving
from experiments.runs.folder import console


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


def with_own(training: Clips, folder: Path, size: int, least: int, fps: float) -> Clips:
    """Clips to learn from, and the videos of a folder, at the same rate.

    Args:
        training: Recorded ones.
        folder: Of videos.
        size: Width and height that their frames are scaled to, pixels.
        least: Moments that a clip must have; those that have fewer are left out with a word.
        fps: Frames a second.

    Raises:
        ValueError: If a file is damaged, the frames would take too much memory, or no video is long enough.
    """
    own = own_clips(recordings_in(folder), size, least, fps)
    if not len(own.clips):
        raise ValueError(
            f"No video in {folder} has {least} moments at which something moves, at {fps:g} frames a second, which the "
            "encoder's loss compares; add longer ones, leave --clips out, or narrow the encoder's ranges, such as "
            "--encoder-settings negative_range=3 positive_range=1."
        )
    if own.warning is not None:
        console.print(f"  [bold yellow]warning:[/] {own.warning}", highlight=False)
    return Clips([*training.videos, *own.clips.videos], (*training.names, *own.clips.names))
