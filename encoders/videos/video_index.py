"""An index of the frames of a video, to decode any stretch of it."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from encoders.files import FileError
from encoders.videos.damage import misplaced, spoiled
from encoders.videos.packets import Packet, StreamInfo, demuxed
from encoders.videos.pictures import picture, resize
from encoders.videos.timeline import Timeline, arrange, is_stamped
from encoders.videos.video_file import REMEDY, open_video, warn_of_range


@dataclass(frozen=True)
class VideoIndex:
    """Positions of the frames in a video file, read without decoding.

    Attributes:
        source: What the container says.
        timeline: When the frames are shown, and what is lost of them as far as that is known yet.
        size: Height and width of a frame as it is shown, pixels.
    """

    source: StreamInfo
    timeline: Timeline
    size: tuple[int, int]

    def __len__(self) -> int:
        return len(self.timeline)

    @property
    def path(self) -> Path:
        """The file."""
        return self.source.path

    @property
    def stamped(self) -> bool:
        """Whether time stamps identify the frames; else they are counted from the first."""
        return self.timeline.stamped

    @property
    def lead(self) -> float:
        """Frames decoded on the way to a frame, on average: those since the key frame before it."""
        places = np.arange(len(self))
        keys = np.where(np.isin(places, self.timeline.keys), places, 0)
        return float((places - np.maximum.accumulate(keys)).mean())

    def decode(self, start: int, stop: int, size: int | None = None) -> NDArray[np.uint8]:
        """Frames ``start`` to ``stop`` (exclusive), (N, H, W, 3) uint8; decoding begins at the key frame before.

        Damage that only a decoder notices is found here, and judged with what was found before, as ``read_video``
        judges it. A frame that is lost is the one before it.

        Args:
            start: The first frame.
            stop: The frame after the last one.
            size: Width and height that a frame is scaled to as soon as it is decoded; None leaves it as it is.

        Raises:
            FileError: If too much of the video is lost.
        """
        height, width = self.size if size is None else (size, size)
        frames = np.empty((len(self.timeline.stamps[start:stop]), height, width, 3), np.uint8)
        if not len(frames):
            return frames
        bad = self._decode(frames, start, seek=True) if self.stamped and start > 0 else None
        if bad is None or bad:
            # Some containers (MPEG-TS and PS) seek to anywhere near, and a decoder that begins anywhere may miss what
            # a frame refers to: begin at the first frame.
            bad = self._decode(frames, start, seek=False)
        self.timeline.loss.add([start + place for place in sorted(bad or ())])
        return frames

    def _decode(self, frames: NDArray[np.uint8], start: int, seek: bool) -> set[int] | None:
        """Fills in the frames from ``start`` on; returns which are lost or damaged, or None if it began too late."""
        places = {stamp: place for place, stamp in enumerate(self.timeline.stamps[start : start + len(frames)])}
        last = self.timeline.stamps[start + len(frames) - 1]
        log: list[Packet] = []
        shown: list[int | None] = []
        corrupt: set[int] = set()
        filled: set[int] = set()
        before = None
        with open_video(self.path) as (container, stream):
            if seek:
                container.seek(self.timeline.stamps[start], stream=stream, backward=True)
            for number, frame in enumerate(demuxed(container, stream, self.source, log, decode=True)):
                stamp = frame.pts if self.stamped else number
                if seek and number == 0 and (stamp is None or stamp > self.timeline.stamps[start]):
                    return None
                shown.append(stamp)
                if stamp is None:
                    continue
                if frame.is_corrupt:
                    corrupt.add(stamp)
                place = places.get(stamp)
                if place is not None:
                    frames[place] = fitted(picture(frame, self.source.aspect), frames.shape[1:3])
                    filled.add(place)
                elif stamp < self.timeline.stamps[start]:
                    before = frame
                if stamp >= last:
                    break
            if seek and len(filled) < len(frames):
                return None
            if not filled and before is None:
                raise FileError(f"Frame {start} of the video {self.path} cannot be decoded; {REMEDY}.")
            for place in sorted(set(places.values()) - filled):
                if place > 0 or before is None:
                    frames[place] = frames[place - 1 if place > 0 else min(filled)]
                else:
                    frames[place] = fitted(picture(before, self.source.aspect), frames.shape[1:3])
        bad = {log[place].stamp if self.stamped else place for place in spoiled(log, corrupt, self.stamped)}
        bad |= misplaced(shown)
        return {place for stamp, place in places.items() if stamp in bad} | (set(places.values()) - filled)


def fitted(shown: NDArray[np.uint8], size: tuple[int, ...]) -> NDArray[np.uint8]:
    """A frame at a height and width; one of another size is cropped to a square and scaled.

    Raises:
        ValueError: If that is no square.
    """
    if shown.shape[:2] == size:
        return shown
    if size[0] != size[1]:
        raise ValueError(f"frames of {shown.shape[:2]} among frames of {size}")
    return resize(shown[None], size[0])[0]


def index_video(path: Path) -> VideoIndex:
    """Finds the frames of a video file by reading its packets, and decodes the first one.

    What the container tells of damage is known then; what only a decoder notices is found when the frames are decoded.

    Raises:
        FileError: If the file is missing, empty, no video, has no frames, or too much of it is lost.
    """
    log: list[Packet] = []
    with open_video(path) as (container, stream):
        source = StreamInfo.of(path, container, stream)
        warn_of_range(path, stream)
        for _ in demuxed(container, stream, source, log, decode=False):
            pass
    seen: list[Packet] = []
    corrupt: set[int] = set()
    count = 0
    with open_video(path) as (container, stream):
        frames = demuxed(container, stream, source, seen, decode=True)
        first = next(frames, None)
        if first is None:
            raise FileError(f"The video {path} has no frames; record or copy it again.")
        size = picture(first, source.aspect).shape[:2]
        stamped = is_stamped(source, log, first.pts)
        if not stamped:
            log, seen = seen, log
            for count, frame in enumerate(chain([first], frames), 1):
                if frame.is_corrupt:
                    corrupt.add(count - 1)
    return VideoIndex(source, arrange(source, log, stamped, corrupt, None, count), (size[0], size[1]))
