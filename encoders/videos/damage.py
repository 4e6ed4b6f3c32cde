"""Damage of a video: which frames it reaches, how much time that is, and when it is too much."""

from __future__ import annotations

import warnings
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from encoders.files import FileError
from encoders.videos.packets import Packet
from encoders.videos.video_file import REMEDY, VideoWarning

TOLERATED = 0.02
"""A video of which more than this share of the time is lost or damaged is refused; less is reported."""


def spoiled(log: Sequence[Packet], corrupt: set[int], stamped: bool) -> set[int]:
    """Indices of packets with damaged frames: broken ones, and all after them until the next key frame.

    Args:
        log: Packets, in the order that they are decoded in.
        corrupt: Time stamps of the frames that the decoder calls corrupt, or their numbers where there are no stamps.
        stamped: Which of the two.
    """
    # What comes before the first key frame refers to what is not there.
    tainted, found = any(packet.is_key for packet in log), set()
    for place, packet in enumerate(log):
        tainted = tainted and not packet.is_key
        if packet.is_broken or (packet.stamp if stamped else place) in corrupt:
            tainted = True
        if tainted:
            found.add(place)
    return found


def overwritten(log: Sequence[Packet], damaged: Sequence[tuple[int, int]]) -> set[int]:
    """Indices of the packets that contain damaged bytes: a packet extends to the start of the next.

    Args:
        log: All packets.
        damaged: Stretches of bytes.
    """
    if not damaged:
        return set()
    order = sorted((packet.at, place) for place, packet in enumerate(log) if packet.at is not None)
    begins = [at for at, _ in order]
    found: set[int] = set()
    for start, stop in damaged:
        first = max(bisect_right(begins, start) - 1, 0)
        found.update(place for _, place in order[first : bisect_left(begins, stop)])
    return found


def misplaced(shown: Sequence[int | None]) -> set[int]:
    """Time stamps that do not rise: a decoder gives frames in the order that they are shown in, so these are wrong.

    Args:
        shown: Time stamps of frames, in the order that they come out of the decoder in.
    """
    found: set[int] = set()
    latest: int | None = None
    for stamp in shown:
        if stamp is None:
            continue
        if latest is not None and stamp <= latest:
            found.add(stamp)
        else:
            latest = stamp
    return found


@dataclass
class Loss:
    """The lost or damaged part of a video; grows as frames are decoded.

    Attributes:
        path: The file.
        durations: How long every frame is shown, (T,) seconds.
        missing: Seconds of which no packets are there.
        missing_frames: Frames in them, about.
        endless: Whether the container does not say how long it is.
        frames: Frames that are lost or damaged.
    """

    path: Path
    durations: NDArray[np.float64]
    missing: float
    missing_frames: int
    endless: bool
    frames: set[int] = field(default_factory=set)

    def add(self, frames: Sequence[int]) -> None:
        """Records lost or damaged frames, and checks the video again.

        Raises:
            FileError: If too much of it is lost.
        """
        if set(frames) - self.frames:
            self.frames.update(frames)
            self.judge()

    def judge(self) -> None:
        """Warns of what is lost, if anything is.

        Raises:
            FileError: If it is more than ``TOLERATED``, or the end, of a video that does not say how long it was.
        """
        count = len(self.frames) + self.missing_frames
        if count == 0:
            return
        lost = float(self.durations[list(self.frames)].sum()) + self.missing
        whole = float(self.durations.sum()) + self.missing
        losses = (
            f"{count} of {len(self.durations) + self.missing_frames} frames ({lost:.2f} s of {whole:.2f} s) are lost "
            "or damaged"
        )
        if lost > TOLERATED * whole:
            raise FileError(f"The video {self.path} is truncated or damaged: {losses}; {REMEDY}.")
        if self.endless and len(self.durations) - 1 in self.frames:
            raise FileError(
                f"The video {self.path} is truncated or damaged at its end, and nothing says how long it was; {REMEDY}."
            )
        warnings.warn(
            f"Of the video {self.path}, {losses}; the frame before stands in for one that is lost. "
            f"To be sure, {REMEDY}.",
            VideoWarning,
            stacklevel=2,
        )
