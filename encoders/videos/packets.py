"""The packets of a video: compressed frames in order, and what their container declares."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av

from encoders.files import FileError
from encoders.videos.containers import check_container
from encoders.videos.video_file import REMEDY
from encoders.videos.wholeness import Wholeness

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
"""Containers that declare no duration: FFmpeg reports what it found."""

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
class StreamInfo:
    """Properties of a video stream that its container declares.

    Attributes:
        path: The file.
        kind: FFmpeg's name of the container.
        unit: Seconds of a time stamp's unit.
        rate: Frames a second, for a video without time stamps.
        aspect: Width of a pixel over its height.
        ordered: Whether time stamps can be trusted to say when a frame is shown.
        announced: Seconds from its zero to its end that the container announces; None where it does not.
        packets: Packets of the pictures that the file holds; 0 where its bytes do not tell.
        starts_late: Whether the time before the first frame is part of what is announced; an MP4 that is not made of
            fragments announces what is shown alone.
        wholeness: What the bytes of the file say.
    """

    path: Path
    kind: str
    unit: Fraction
    rate: Fraction
    aspect: Fraction
    ordered: bool
    announced: float | None
    packets: int
    starts_late: bool
    wholeness: Wholeness

    def lacking(self, found: int) -> int:
        """How many packets FFmpeg skipped, such as after an error at which it stops."""
        return max(0, self.packets - found)

    def may_lack_its_end(self, found: int) -> bool:
        """Whether the end of the file may be missing, given its packets; never of a complete Matroska file."""
        whole = not (self.wholeness.cut or self.wholeness.damaged or self.lacking(found))
        return not (self.kind.startswith("matroska") and whole)

    @classmethod
    def of(cls, path: Path, container: Any, stream: Any) -> StreamInfo:
        """Reads it from an open file.

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
            wholeness.packets[stream.index] if stream.index < len(wholeness.packets) else 0,
            not (kind.startswith("mov") and stream.frames),
            wholeness,
        )


def _announced(container: Any, stream: Any, wholeness: Wholeness) -> float | None:
    """Declared duration of the video stream, seconds; sound may outlast it."""
    if container.format.name in UNANNOUNCED:
        return None
    if stream.duration:
        return float(stream.duration * stream.time_base)
    found = _DURATION.fullmatch(stream.metadata.get("DURATION", ""))
    if found:
        return int(found[1]) * 3600 + int(found[2]) * 60 + float(found[3])
    if container.duration and (wholeness.cut or wholeness.damaged or len(container.streams) == 1):
        return float(container.duration / av.time_base)
    return None


def demuxed(container: Any, stream: Any, source: StreamInfo, log: list[Packet], decode: bool) -> Iterator[Any]:
    """Reads all packets, and gives the frames that can be decoded.

    Args:
        container: An open file.
        stream: Its pictures.
        source: What it says of them.
        log: Takes a note of every packet, without its content, which may be gigabytes.
        decode: Whether to decode them; else no frames are given.
    """
    furthest = REORDERED / float(source.unit)
    for packet in container.demux(stream):
        frames, broken = [], packet.is_corrupt
        if decode:
            try:
                frames = packet.decode()
            except (av.FFmpegError, EOFError):
                broken = True
        if packet.size:
            shown, decoded = packet.pts, packet.dts
            broken = broken or (shown is not None and decoded is not None and abs(shown - decoded) > furthest)
            log.append(
                Packet(shown, packet.duration or 0, packet.is_keyframe, not packet.is_discard, broken, packet.pos)
            )
        yield from frames
