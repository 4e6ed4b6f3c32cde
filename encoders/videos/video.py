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
from encoders.videos.video_index import fitted

MOST_BYTES = 2**30
"""Memory that the frames of a video may take."""

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
            if (number + 1) * frames[:1].nbytes > MOST_BYTES:
                raise FileError(
                    f"The frames of the video {path} take more than {MOST_BYTES / 2**30:g} GiB at "
                    f"{frames.shape[2]} x {frames.shape[1]} pixels; name a smaller size to scale them to, or cut "
                    "the video."
                )
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
