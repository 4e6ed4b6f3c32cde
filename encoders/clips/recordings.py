"""Recordings in a folder as people have them: any container, one file a view, sampled at one rate."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from encoders.files import FileError, reading
from encoders.training.origin import file_ends
from encoders.videos.frame_cache import FileVideo, FrameCache

SUFFIXES = (".mp4", ".m4v", ".mov", ".avi", ".mkv", ".webm")
"""Ends of the names of videos, in small letters; other files of a folder are passed over."""

MOST_BYTES = 2**31
"""Memory that the frames of a folder may take."""

CACHE_BYTES = 2**26
"""Memory of frames on the way to those that are wanted."""

_VIEW = re.compile(r"(?P<name>.+)_view(?P<view>\d+)")


@dataclass(frozen=True)
class Recording:
    """One recording of a folder.

    Attributes:
        name: That of its file, or of its files without the ending of a view.
        paths: One file a view, in their order.
    """

    name: str
    paths: tuple[Path, ...]


def recordings_in(folder: Path) -> list[Recording]:
    """The recordings of a folder: every video in it, or several views of one as ``NAME_view0.mp4`` and on.

    Args:
        folder: Where the files are.

    Raises:
        FileError: If there is no such folder, no video in it, or one view is there twice.
    """
    with reading(folder, "folder of videos", "name a folder that can be read"):
        if not folder.is_dir():
            raise FileError(f"There is no folder {folder}; name one with videos in it, such as one.mp4, two.mov.")
        paths = sorted(path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES and path.name[0] != ".")
    found: dict[str, dict[int, Path]] = {}
    for path in paths:
        match = _VIEW.fullmatch(path.stem)
        files, view = found.setdefault(match["name"] if match else path.name, {}), int(match["view"]) if match else 0
        if view in files:
            raise FileError(f"In {folder}, {files[view].name} and {path.name} are the same view; remove one.")
        files[view] = path
    if not found:
        raise FileError(f"{folder} holds no videos; put some into it that end in {', '.join(SUFFIXES)}.")
    return [Recording(name, tuple(files[view] for view in sorted(files))) for name, files in found.items()]


def contents(recordings: Iterable[Recording]) -> dict[str, str]:
    """What tells the files of recordings from others: a digest of the size and both ends of each, by its name.

    Raises:
        FileError: If one cannot be read.
    """
    found = {}
    for path in (path for recording in recordings for path in recording.paths):
        with reading(path, "video", "copy it again"):
            found[path.name] = sha256(file_ends(path)).hexdigest()
    return found


def open_recordings(recordings: Sequence[Recording], size: int) -> list[FileVideo]:
    """Opens recordings without decoding them; their views are matched by time.

    Args:
        recordings: Which.
        size: Width and height that frames are scaled to, pixels.

    Raises:
        ValueError: If a file is damaged, or the views of a recording differ.
    """
    cache = FrameCache(CACHE_BYTES, size)
    return [FileVideo(recording.paths, cache) for recording in recordings]


def frame_rate(times: NDArray[np.floating]) -> float:
    """Frames a second of most of a video: (T,) seconds, rising; infinite for a single frame."""
    return float(1 / np.median(np.diff(times))) if len(times) > 1 else np.inf


def moments_at(times: NDArray[np.floating], fps: float) -> NDArray[np.intp]:
    """The frames that are shown at a constant rate, each of them once.

    Args:
        times: When the frames are shown, (T,) seconds since the first, rising.
        fps: Frames a second that are wanted.

    Returns:
        Numbers of frames: the nearest in time to 0, 1 / fps, 2 / fps and on. Where they are further apart than that,
        they are fewer.

    Raises:
        ValueError: If the rate is not positive and finite.
    """
    if not (np.isfinite(fps) and fps > 0):
        raise ValueError(f"fps is {fps}; it must be above 0 and finite.")
    # A time stamp is rounded to a thousandth of a second or so, and must not lose the last frame.
    count = int(np.floor(times[-1] * fps + 0.05)) + 1
    wanted = np.arange(count) / fps
    return np.unique(np.searchsorted((times[:-1] + times[1:]) / 2, wanted, side="left"))


def lowest_rate(videos: Sequence[FileVideo]) -> float:
    """The lowest frame rate of some recordings, at which none of them has to show a frame twice.

    Raises:
        ValueError: If none has two frames.
    """
    rate = min(frame_rate(video.times) for video in videos)
    if not np.isfinite(rate):
        raise ValueError("Every video has a single frame; name a folder of videos in which something moves.")
    return rate


def read_recordings(
    recordings: Sequence[Recording], videos: Sequence[FileVideo], fps: float
) -> Mapping[str, NDArray[np.uint8]]:
    """Decodes recordings at one rate.

    Args:
        recordings: What they are called.
        videos: Opened, in the same order.
        fps: Frames a second.

    Returns:
        (V, T, S, S, 3) by name.

    Raises:
        ValueError: If one is damaged, or the frames would take more than ``MOST_BYTES``.
    """
    moments = [moments_at(video.times, fps) for video in videos]
    sizes = [(video.shape[0], len(kept), *video.shape[2:]) for video, kept in zip(videos, moments, strict=True)]
    total = sum(map(math.prod, sizes))
    if total > MOST_BYTES:
        raise ValueError(
            f"The frames of {len(videos)} recording(s) take {total / 2**30:.1f} GiB at {fps:g} frames a second and "
            f"{videos[0].shape[2]} pixels, and at most {MOST_BYTES / 2**30:g} are held; name a lower rate, smaller "
            "frames, or fewer videos."
        )
    found = {}
    for recording, video, kept in zip(recordings, videos, moments, strict=True):
        found[recording.name] = np.stack([video[view, kept] for view in range(len(video))])
        video.cache.clear()
    return found
