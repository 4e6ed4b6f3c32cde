"""Where the frames of a video stand in time, and how much of it is lost, by its packets."""

from __future__ import annotations

import re
import warnings
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

from encoders.containers import Wholeness, check_container
from encoders.files import FileError
from encoders.video_file import REMEDY, VideoWarning

TOLERATED = 0.02
"""A video of which more than this share of the time is lost or damaged is refused; less is told."""

REGULAR = 0.9
"""Where so many of the gaps between frames are alike, a longer one is a loss, and not a rate that varies."""

UNANNOUNCED = (
    "gif",
    "ogg",
    "mpeg",
    "mpegts",
    "mpegvideo",
    "h261",
    "h263",
    "h264",
    "hevc",
    "vvc",
    "obu",
    "m4v",
    "mjpeg",
    "vc1",
)
"""Containers that do not say how long they are: FFmpeg gives what it found as their duration."""

CONSTANT = ("ogg", "mpeg", "mpegvideo")
"""Containers whose pictures follow at one rate by their standard, so that a gap is a loss."""

REORDERED = 60.0
"""Seconds that a frame may be shown after it was decoded; a time stamp further off is damaged."""

_DURATION = re.compile(r"(\d+):(\d\d):(\d\d\.\d+)")


@dataclass(frozen=True)
class Packet:
    """A compressed frame.

    Attributes:
        stamp: Presentation time stamp, in the stream's units; None where the container has none.
        length: How long it is shown, in the same units; 0 if that is not known.
        is_key: Whether it is decoded without others.
        is_shown: Whether its frame is part of the video; one that was cut without encoding it again keeps others.
        is_broken: Whether it is damaged, as far as the container or the decoder tells.
        at: Where it begins in the file, bytes; None if that is not known.
    """

    stamp: int | None
    length: int
    is_key: bool
    is_shown: bool
    is_broken: bool
    at: int | None


@dataclass(frozen=True)
class Source:
    """What a container says of its pictures.

    Attributes:
        path: The file.
        kind: FFmpeg's name of the container.
        unit: Seconds of a time stamp's unit.
        rate: Frames a second, for a video without time stamps.
        aspect: Width of a pixel over its height.
        ordered: Whether time stamps can be trusted to say when a frame is shown.
        announced: Seconds from its zero to its end that the container announces; None where it does not.
        from_first: Whether these count from the first frame, and not from zero.
        wholeness: What the bytes of the file say.
    """

    path: Path
    kind: str
    unit: Fraction
    rate: Fraction
    aspect: Fraction
    ordered: bool
    announced: float | None
    from_first: bool
    wholeness: Wholeness

    @classmethod
    def of(cls, path: Path, container: Any, stream: Any) -> Source:
        """Of an open file.

        Raises:
            FileError: If its header is damaged, or its end is missing and nothing says how much that is.
        """
        kind = container.format.name
        wholeness = check_container(path, kind)
        announced = _announced(container, stream, wholeness)
        if wholeness.header:
            raise FileError(f"The header of the video {path} is damaged; {REMEDY}.")
        if wholeness.cut and announced is None:
            raise FileError(f"The video {path} is cut off, and nothing says how long it was; {REMEDY}.")
        return cls(
            path,
            kind,
            stream.time_base,
            stream.average_rate or stream.guessed_rate or Fraction(25),
            stream.sample_aspect_ratio or Fraction(1),
            # AVI does not note when a frame is shown, which matters where they are not stored in that order.
            kind != "avi" or not stream.codec_context.has_b_frames,
            announced,
            not kind.startswith("matroska"),
            wholeness,
        )


def _announced(container: Any, stream: Any, wholeness: Wholeness) -> float | None:
    """Seconds that the container announces of its pictures; sound may outlast them."""
    if container.format.name in UNANNOUNCED:
        return None
    if stream.duration:
        return float(stream.duration * stream.time_base)
    found = _DURATION.fullmatch(stream.metadata.get("DURATION", ""))
    if found:
        return int(found[1]) * 3600 + int(found[2]) * 60 + float(found[3])
    if container.duration and (wholeness.cut or len(container.streams) == 1):
        return float(container.duration / av.time_base)
    return None


def demuxed(container: Any, stream: Any, source: Source, log: list[Packet], decode: bool) -> Iterator[Any]:
    """Reads all packets, and gives the frames that can be decoded.

    Args:
        container: An open file.
        stream: Its pictures.
        source: What it says of them.
        log: Takes a note of every packet, without its content, which may be gigabytes.
        decode: Whether to decode them; else no frames are given.
    """
    for packet in container.demux(stream):
        frames, broken = [], packet.is_corrupt
        if decode:
            try:
                frames = packet.decode()
            except (av.FFmpegError, EOFError):
                broken = True
        if packet.size:
            late = 0 if None in (packet.pts, packet.dts) else abs(packet.pts - packet.dts) * float(source.unit)
            broken = broken or late > REORDERED
            shown = not packet.is_discard
            log.append(Packet(packet.pts, packet.duration or 0, packet.is_keyframe, shown, broken, packet.pos))
        yield from frames


@dataclass
class Loss:
    """How much of a video is lost or damaged; grows as frames are decoded.

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
        """Notes lost or damaged frames, and judges the video anew.

        Raises:
            FileError: If too much of it is lost.
        """
        if set(frames) - self.frames:
            self.frames.update(frames)
            self.judge()

    def judge(self) -> None:
        """Tells what is lost, if anything is.

        Raises:
            FileError: If it is more than ``TOLERATED``, or the end, of a video that does not say how long it was.
        """
        count = len(self.frames) + self.missing_frames
        if count == 0:
            return
        lost = float(self.durations[list(self.frames)].sum()) + self.missing
        whole = float(self.durations.sum()) + self.missing
        told = (
            f"{count} of {len(self.durations) + self.missing_frames} frames ({lost:.2f} s of {whole:.2f} s) are lost "
            "or damaged"
        )
        if self.endless and len(self.durations) - 1 in self.frames:
            raise FileError(
                f"The video {self.path} is truncated or damaged at its end, and nothing says how long it was; {REMEDY}."
            )
        if lost > TOLERATED * whole:
            raise FileError(f"The video {self.path} is truncated or damaged: {told}; {REMEDY}.")
        warnings.warn(
            f"Of the video {self.path}, {told}; the frame before stands in for one that is lost. To be sure, {REMEDY}.",
            VideoWarning,
            stacklevel=2,
        )


@dataclass(frozen=True)
class Timeline:
    """When the frames of a video are shown.

    Attributes:
        stamps: Time stamp of every frame, in order; its number where the time stamps do not tell the frames.
        stamped: Whether they do.
        times: Seconds since the first frame, (T,).
        durations: How long every frame is shown, (T,) seconds.
        keys: Frames that are decoded without others.
        loss: What is lost of them.
    """

    stamps: tuple[int, ...]
    stamped: bool
    times: NDArray[np.float64]
    durations: NDArray[np.float64]
    keys: tuple[int, ...]
    loss: Loss

    def __len__(self) -> int:
        return len(self.stamps)

    @property
    def duration(self) -> float:
        """Seconds from the first frame's appearance to the last one's end."""
        return float(self.durations.sum())


def is_stamped(source: Source, log: Sequence[Packet], first: int | None) -> bool:
    """Whether the time stamps of packets tell the frames.

    Args:
        source: What the container says.
        log: All packets.
        first: Time stamp of the first decoded frame.
    """
    stamps = [packet.stamp for packet in log if packet.is_shown]
    return source.ordered and None not in stamps and len(set(stamps)) == len(stamps) and first in stamps


def spoiled(log: Sequence[Packet], corrupt: set[int], stamped: bool) -> set[int]:
    """Places of the packets whose frames are damaged: broken ones, and all that follow until the next key frame.

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
    """Places of the packets that damaged bytes belong to: a packet reaches to where the next one begins.

    Args:
        log: All packets.
        damaged: Stretches of bytes.
    """
    order = sorted((packet.at, place) for place, packet in enumerate(log) if packet.at is not None)
    begins = [at for at, _ in order]
    found: set[int] = set()
    for start, stop in damaged:
        first = max(bisect_right(begins, start) - 1, 0)
        found.update(place for _, place in order[first : bisect_left(begins, stop)])
    return found


def arrange(
    source: Source, log: Sequence[Packet], stamped: bool, corrupt: set[int], shown: set[int | None] | None, count: int
) -> Timeline:
    """The timeline of a video whose packets are known.

    Args:
        source: What the container says.
        log: All its packets.
        stamped: Whether their time stamps tell the frames.
        corrupt: Frames that the decoder calls corrupt; see ``spoiled``.
        shown: Time stamps of the frames that were decoded; None if they were not.
        count: Frames that were decoded, where there are no stamps.

    Raises:
        FileError: If too much is lost.
    """
    hit = overwritten(log, source.wholeness.damaged)
    log = [replace(packet, is_broken=packet.is_broken or place in hit) for place, packet in enumerate(log)]
    bad = spoiled(log, corrupt, stamped)
    if stamped:
        order = sorted((packet.stamp, place) for place, packet in enumerate(log) if packet.is_shown)  # type: ignore[type-var]
        stamps = tuple(stamp for stamp, _ in order)
        times = (np.array(stamps, np.float64) - stamps[0]) * float(source.unit)  # type: ignore[operator]
        last = log[order[-1][1]].length * float(source.unit)
        places = [place for _, place in order]
    else:
        stamps, last = tuple(range(count)), 0.0
        times = np.arange(len(stamps)) / float(source.rate)
        places = list(range(len(stamps)))
    gaps = np.diff(times)
    step = float(np.median(gaps)) if len(gaps) else float(1 / source.rate)
    durations = np.append(gaps, last or step)
    missing = 0.0 if stamped else max(0, sum(packet.is_shown for packet in log) - len(stamps)) / float(source.rate)
    evidence = bool(bad) or bool(source.wholeness.damaged) or source.kind in CONSTANT
    if stamped and evidence and np.mean(gaps <= 1.5 * step) >= REGULAR:
        missing += float((gaps - step)[gaps > 1.5 * step].sum())
        durations = np.minimum(durations, 1.5 * step)
    start = 0.0 if source.from_first or not stamped else stamps[0] * float(source.unit)  # type: ignore[operator]
    if source.announced is not None and (source.from_first or source.wholeness.cut or source.wholeness.damaged):
        short = source.announced - start - missing - float(durations.sum())
        missing += short if short > 1.5 * step else 0.0
    loss = Loss(source.path, durations, missing, round(missing / step) if step else 0, source.announced is None)
    loss.frames.update(frame for frame, place in enumerate(places) if place in bad)
    if stamped and shown is not None:
        loss.frames.update(frame for frame, stamp in enumerate(stamps) if stamp not in shown)
    loss.judge()
    keys = tuple(frame for frame, place in enumerate(places) if stamped and log[place].is_key)
    return Timeline(stamps, stamped, times, durations, keys, loss)  # type: ignore[arg-type]
