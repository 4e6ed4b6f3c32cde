"""Video files in and out, through the libraries of FFmpeg in this process."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812 - torch's own usage
from numpy.typing import NDArray

KEPT_SHARE = 2 / 3
"""A video of which less than this share of the announced frames can be decoded is truncated."""


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


def read_video(path: Path, minimum: int = 2) -> NDArray[np.uint8]:
    """Decodes a video file of any container, size and length that ffmpeg reads.

    Args:
        path: The file.
        minimum: Fewest frames that will do.

    Returns:
        (T, H, W, 3) uint8, RGB.

    Raises:
        ValueError: If the file is missing, empty, no video, truncated, or too short.
    """
    check_file(path)
    frames, expected = _decode(path)
    check_whole(path, len(frames), expected)
    if len(frames) < minimum:
        raise ValueError(f"The video {path} has {len(frames)} frame(s); at least {minimum} are needed.")
    return frames


def _decode(path: Path) -> tuple[NDArray[np.uint8], float]:
    """All frames that can be decoded, turned upright, and how many the container announces."""
    try:
        with av.open(str(path)) as container:
            stream = picture_stream(container, path)
            expected = announced_frames(container, stream)
            frames = [upright(frame) for frame in container.decode(stream)]
    except (av.FFmpegError, EOFError) as error:
        raise ValueError(f"The video {path} cannot be decoded: it is truncated or no video; copy it again.") from error
    if not frames:
        raise ValueError(f"The video {path} has no frames; record or copy it again.")
    return np.stack(frames), expected


@dataclass(frozen=True)
class VideoIndex:
    """Where the frames of a video file are, read without decoding them.

    Attributes:
        path: The file.
        stamps: Presentation time stamp of every frame, in order, in the stream's units.
        size: Height and width of a frame as it is shown, pixels.
        lead: Frames that are decoded on the way to a frame, on average: those since the key frame before it.
        stamped: Whether the stamps tell the frames; else they are counted from the first one on.
    """

    path: Path
    stamps: tuple[int, ...]
    size: tuple[int, int]
    lead: float
    stamped: bool = True

    def __len__(self) -> int:
        return len(self.stamps)

    def decode(self, start: int, stop: int, size: int | None = None) -> NDArray[np.uint8]:
        """Frames ``start`` to ``stop`` (exclusive), (N, H, W, 3) uint8; decoding begins at the key frame before.

        Args:
            start: The first frame.
            stop: The frame after the last one.
            size: Width and height that a frame is scaled to as soon as it is decoded; None leaves it as it is.

        Raises:
            ValueError: If one of them cannot be decoded.
        """
        height, width = self.size if size is None else (size, size)
        frames = np.empty((len(self.stamps[start:stop]), height, width, 3), np.uint8)
        try:
            found = self._decode(frames, start, seek=True) if self.stamped and start > 0 else 0
            if found < len(frames):
                # Some containers (MPEG-TS and PS) seek to anywhere near: begin at the first frame.
                found = self._decode(frames, start, seek=False)
        except av.FFmpegError as error:
            raise ValueError(f"The video {self.path} cannot be decoded: it is damaged; copy it again.") from error
        if found < len(frames):
            raise ValueError(f"Frame {start + found} of the video {self.path} cannot be decoded; copy it again.")
        return frames

    def _decode(self, frames: NDArray[np.uint8], start: int, seek: bool) -> int:
        """Fills in the frames from ``start`` on, up to the first one that is not there; returns how many."""
        places = self.stamps[start : start + len(frames)]
        found = 0
        with av.open(str(self.path)) as container:
            stream = container.streams.video[0]
            if seek:
                container.seek(places[0], stream=stream, backward=True)
            for number, frame in enumerate(container.decode(stream)):
                place = frame.pts if self.stamped else number
                if place is None or place > places[found]:
                    break
                if place < places[found]:
                    continue
                shown = upright(frame)
                frames[found] = shown if shown.shape == frames.shape[1:] else resize(shown[None], frames.shape[1])[0]
                found += 1
                if found == len(frames):
                    break
        return found


def index_video(path: Path) -> VideoIndex:
    """Finds the frames of a video file by reading its packets, and decodes the first one.

    Raises:
        ValueError: If the file is missing, empty, no video, truncated, or has no frames.
    """
    check_file(path)
    try:
        with av.open(str(path)) as container:
            stream = picture_stream(container, path)
            expected = announced_frames(container, stream)
            # A video that was cut without encoding it again keeps packets that are not to be shown.
            # Kept without their contents, which may be gigabytes.
            found = [
                (packet.pts, packet.is_keyframe)
                for packet in container.demux(stream)
                if packet.size and not packet.is_discard
            ]
            stamps = sorted(stamp for stamp, _ in found if stamp is not None)
            # AVI does not note when a frame is shown, which matters where they are not stored in that order.
            ordered = container.format.name != "avi" or not stream.codec_context.has_b_frames
            stamped = ordered and len(stamps) == len(found)
        with av.open(str(path)) as container:
            frames = container.decode(container.streams.video[0])
            first = next(frames, None)
            if first is not None and not (stamped and first.pts == stamps[0]):
                stamped, stamps = False, list(range(1 + sum(1 for _ in frames)))
    except (av.FFmpegError, EOFError) as error:
        raise ValueError(f"The video {path} cannot be decoded: it is truncated or no video; copy it again.") from error
    if first is None:
        raise ValueError(f"The video {path} has no frames; record or copy it again.")
    check_whole(path, len(stamps), expected)
    height, width = upright(first).shape[:2]
    keys = [stamp for stamp, is_key in found if is_key and stamp is not None] if stamped else []
    return VideoIndex(path, tuple(stamps), (height, width), _mean_lead(stamps, keys), stamped)


def _mean_lead(stamps: list[int], keys: list[int]) -> float:
    """Mean number of frames between a frame and the key frame before it, or the first frame."""
    places = np.arange(len(stamps))
    return float((places - np.maximum.accumulate(np.where(np.isin(stamps, keys), places, 0))).mean())


def check_file(path: Path) -> None:
    """Refuses a path without a video.

    Raises:
        ValueError: If there is no file, or it is empty.
    """
    if not path.is_file():
        raise ValueError(f"There is no video at {path}; check the path.")
    if path.stat().st_size == 0:
        raise ValueError(f"The video {path} is empty (0 bytes); record or copy it again.")


def check_whole(path: Path, count: int, expected: float) -> None:
    """Refuses a video of which a clear part is missing.

    Half a file may decode without a word; the container still says how long the whole was. Sound may
    outlast the picture, so only a clear shortfall counts.

    Raises:
        ValueError: If fewer frames than ``KEPT_SHARE`` of the expected are there.
    """
    if count < KEPT_SHARE * expected:
        raise ValueError(
            f"The video {path} is truncated: {count} of {expected:.0f} frames can be decoded; copy it again."
        )


def picture_stream(container: Any, path: Path) -> Any:
    """The first stream of pictures.

    Raises:
        ValueError: If there is none.
    """
    if not container.streams.video:
        raise ValueError(f"The video {path} has no picture, only other streams; give a video file.")
    return container.streams.video[0]


def announced_frames(container: Any, stream: Any) -> float:
    """How many frames the container announces; 0 where it does not say."""
    return float((container.duration or 0) / av.time_base * (stream.average_rate or 0))


def upright(frame: Any) -> NDArray[np.uint8]:
    """A decoded frame as it is to be shown, (H, W, 3) uint8.

    A telephone stores its pictures as the sensor has them and notes how it was held.
    """
    return np.ascontiguousarray(np.rot90(frame.to_ndarray(format="rgb24"), round(frame.rotation / 90) % 4))


def resize(frames: NDArray[np.uint8], size: int) -> NDArray[np.uint8]:
    """Centre-crops frames to a square and scales them: (T, H, W, 3) -> (T, size, size, 3) uint8."""
    height, width = frames.shape[1:3]
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    square = frames[:, top : top + side, left : left + side]
    if side == size:
        return np.ascontiguousarray(square)
    pixels = torch.from_numpy(np.ascontiguousarray(square)).permute(0, 3, 1, 2).float()
    scaled = F.interpolate(pixels, size=(size, size), mode="bilinear", antialias=True, align_corners=False)
    return scaled.round().clamp(0, 255).to(torch.uint8).permute(0, 2, 3, 1).contiguous().numpy()
