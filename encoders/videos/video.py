"""Reading and writing video files, with FFmpeg's libraries in this process."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

from encoders.files import FileError
from encoders.videos.packets import Packet, StreamInfo, demuxed
from encoders.videos.pictures import picture
from encoders.videos.timeline import arrange, is_stamped
from encoders.videos.video_file import open_video, warn_of_range
from encoders.videos.video_index import fitted, index_video

MOST_BYTES = 2**30
"""Memory that the frames of a video may take."""

LONGEST = 3600.0
"""Seconds of a video that is imitated: it becomes one episode, and its frames are kept."""

FIRST_FRAMES = 64
"""Initial capacity, frames; it doubles whenever it is full."""


def write_video(path: Path, frames: NDArray[np.uint8], fps: float) -> None:
    """Writes an mp4 (H.264) that appears whole or not at all.

    Args:
        path: Ends in ``.mp4``.
        frames: (T, H, W, 3) uint8; H and W are even.
        fps: Frames a second.

    Raises:
        ValueError: If a side is odd, or the file cannot be written.
    """
    height, width = frames.shape[1:3]
    if height % 2 or width % 2:
        raise ValueError(f"The frames for {path} are {width} x {height} pixels; mp4 needs even numbers.")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".video-", dir=path.parent) as folder:
            whole = Path(folder) / path.name
            _encode(whole, frames, fps)
            whole.replace(path)
    except (OSError, av.FFmpegError) as error:
        raise ValueError(f"{path} cannot be written: {error}. Free the disk or choose another folder.") from error


def _encode(path: Path, frames: NDArray[np.uint8], fps: float) -> None:
    """Writes the file itself, nearly without loss: an embedding should not learn a codec's noise."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=Fraction(fps).limit_denominator(1000))
        stream.height, stream.width = frames.shape[1:3]
        stream.pix_fmt = "yuv420p"
        stream.thread_count = 1
        # With its macroblock tree, the same frames give other bytes from one call to the next.
        stream.options = {"crf": "12", "preset": "veryfast", "mbtree": "0"}
        for frame in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(np.ascontiguousarray(frame), format="rgb24")))
        container.mux(stream.encode())


@dataclass(frozen=True)
class Video:
    """The frames of a video, and when they are shown.

    Attributes:
        frames: (T, H, W, 3) uint8, RGB.
        times: Seconds since the first frame, (T,), never falling.
        duration: Seconds from the first frame's appearance to the last one's end.
    """

    frames: NDArray[np.uint8]
    times: NDArray[np.float64]
    duration: float


def read_video(path: Path, size: int | None = None, minimum: int = 2) -> NDArray[np.uint8]:
    """The frames of ``read_timed_video`` alone, (T, H, W, 3) uint8."""
    return read_timed_video(path, size, minimum).frames


def read_timed_video(path: Path, size: int | None = None, minimum: int = 2) -> Video:
    """Decodes a video file of any container, size and length that FFmpeg reads.

    Frames are as they are to be shown: turned and mirrored, in the colours of their own matrix and range, with square
    pixels. What is lost or damaged is reported by a ``VideoWarning``, and refused if it is more than a fiftieth of the
    time; a lost frame is the one before it. What cannot be known: changed bytes that still decode, in a container
    without checksums (VP8, VP9, HEVC and GIF notice few of them, H.264 and AV1 most); and the end of a video that was
    cut between two frames, where the container does not say how long it was (MPEG-TS, MPEG-PS, Ogg, bare streams).

    Args:
        path: The file.
        size: Width and height that a frame is scaled to as soon as it is decoded; None leaves it as it is.
        minimum: Fewest frames that will do.

    Raises:
        FileError: If the file is missing, empty, no video, truncated, damaged, or too short, or its frames would take
            more than ``MOST_BYTES``.
    """
    log: list[Packet] = []
    frames = np.empty((0, 0, 0, 3), np.uint8)
    shown: list[int | None] = []
    corrupt: set[int] = set()
    with open_video(path) as (container, stream):
        source = StreamInfo.of(path, container, stream)
        warn_of_range(path, stream)
        for number, frame in enumerate(demuxed(container, stream, source, log, decode=True)):
            pixels = picture(frame, source.aspect)
            if number == 0:
                frames = np.empty((FIRST_FRAMES, size or pixels.shape[0], size or pixels.shape[1], 3), np.uint8)
            _check_memory(path, number + 1, frames.shape[1], frames.shape[2])
            if number == len(frames):
                frames = np.concatenate([frames, np.empty_like(frames)])
            # Frames that were kept one by one would lie between the large ones that are freed, and hold their memory.
            frames[number] = fitted(pixels, frames.shape[1:3])
            shown.append(frame.pts)
            if frame.is_corrupt:
                corrupt.add(number)
    if not shown:
        raise FileError(f"The video {path} has no frames; record or copy it again.")
    stamped = is_stamped(source, log, shown[0])
    if stamped:
        corrupt = {stamp for number in corrupt if (stamp := shown[number]) is not None}
    timeline = arrange(source, log, stamped, corrupt, shown, len(shown))
    if len(timeline) < minimum:
        raise FileError(f"The video {path} has {len(timeline)} frame(s); at least {minimum} are needed.")
    if stamped and timeline.stamps != tuple(shown):
        decoded = {stamp: number for number, stamp in enumerate(shown)}
        numbers: list[int] = []
        for stamp in timeline.stamps:
            numbers.append(decoded.get(stamp, numbers[-1] if numbers else 0))
        return Video(frames[numbers], timeline.times, timeline.duration)
    return Video(frames[: len(shown)], timeline.times, timeline.duration)


def _check_memory(path: Path, count: int, height: int, width: int) -> None:
    """Refuses more frames than ``MOST_BYTES`` hold."""
    if count * height * width * 3 > MOST_BYTES:
        raise FileError(
            f"The frames of the video {path} take more than {MOST_BYTES / 2**30:g} GiB at {width} x {height} pixels; "
            "name a smaller size to scale them to, or cut the video."
        )


def read_part(path: Path, size: int, start: float = 0.0, stop: float | None = None) -> Video:
    """Decodes the part of a video that is to be imitated, and keeps no other frames.

    It is found by the times of packets. Decoding begins at the key frame before it, where the container can seek.

    Args:
        path: The file.
        size: Width and height that a frame is scaled to as soon as it is decoded.
        start: Seconds that are left out at its beginning.
        stop: Where the part ends, seconds from the video's beginning; None for its end.

    Returns:
        The frames that appear from ``start`` until before ``stop``; times are those since the first of them.

    Raises:
        FileError: If the file cannot be read, or the part has fewer than two frames, lasts longer than ``LONGEST``, or
            would take more than ``MOST_BYTES``.
    """
    index = index_video(path)
    timeline = index.timeline
    first, last = np.searchsorted(timeline.times, (start, np.inf if stop is None else stop)).tolist()
    part = f"{path} from {start:g} s to {'its end' if stop is None else f'{stop:g} s'}"
    if len(index) < 2:
        raise FileError(f"The video {path} has {len(index)} frame(s); at least 2 are needed.")
    if last - first < 2:
        raise FileError(
            f"{max(0, last - first)} frame(s) appear in {part}; it has {len(index)} in {timeline.duration:.2f} s, and "
            "2 are needed: name other seconds."
        )
    duration = float(timeline.durations[first:last].sum())
    if duration > LONGEST:
        raise FileError(
            f"{part} lasts {duration:.0f} s, and at most {LONGEST:g} s of a video are imitated: name the seconds that "
            "are to be used, or cut the video."
        )
    _check_memory(path, last - first, size, size)
    return Video(index.decode(first, last, size), timeline.times[first:last] - timeline.times[first], duration)
