"""Video files in and out, through the libraries of FFmpeg in this process."""

from __future__ import annotations

import tempfile
from fractions import Fraction
from pathlib import Path

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
        ValueError: If the file cannot be written.
    """
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
        stream.options = {"crf": "12", "preset": "veryfast"}
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
    if not path.is_file():
        raise ValueError(f"There is no video at {path}; check the path.")
    if path.stat().st_size == 0:
        raise ValueError(f"The video {path} is empty (0 bytes); record or copy it again.")
    frames, expected = _decode(path)
    # Half a file may decode without a word; the container still says how long the whole was. Sound may
    # outlast the picture, so only a clear shortfall counts.
    if len(frames) < KEPT_SHARE * expected:
        raise ValueError(
            f"The video {path} is truncated: {len(frames)} of {expected:.0f} frames can be decoded; copy it again."
        )
    if len(frames) < minimum:
        raise ValueError(f"The video {path} has {len(frames)} frame(s); at least {minimum} are needed.")
    return frames


def _decode(path: Path) -> tuple[NDArray[np.uint8], float]:
    """All frames that can be decoded, turned upright, and how many the container announces."""
    frames: list[NDArray[np.uint8]] = []
    try:
        with av.open(str(path)) as container:
            if not container.streams.video:
                raise ValueError(f"The video {path} has no picture, only other streams; give a video file.")
            stream = container.streams.video[0]
            seconds = (container.duration or 0) / av.time_base
            expected = float(seconds * (stream.average_rate or 0))
            for frame in container.decode(stream):
                # A telephone stores its pictures as the sensor has them and notes how it was held.
                upright = np.rot90(frame.to_ndarray(format="rgb24"), round(frame.rotation / 90) % 4)
                frames.append(np.ascontiguousarray(upright))
    except (av.FFmpegError, EOFError) as error:
        raise ValueError(f"The video {path} cannot be decoded: it is truncated or no video; copy it again.") from error
    if not frames:
        raise ValueError(f"The video {path} has no frames; record or copy it again.")
    return np.stack(frames), expected


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
