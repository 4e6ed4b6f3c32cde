"""Video files in and out, through imageio and ffmpeg."""

from __future__ import annotations

import tempfile
from pathlib import Path

import imageio.v3 as iio
import imageio_ffmpeg
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
            iio.imwrite(
                whole,
                frames,
                plugin="FFMPEG",
                fps=fps,
                codec="libx264",
                macro_block_size=2,
                output_params=["-crf", "12", "-preset", "veryfast", "-threads", "1"],
            )
            whole.replace(path)
    except OSError as error:
        raise ValueError(f"{path} cannot be written: {error}. Free the disk or choose another folder.") from error


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
    """All frames that ffmpeg can decode, and how many the container announces."""
    reader = imageio_ffmpeg.read_frames(str(path))
    try:
        meta = next(reader)
        width, height = meta["size"]
        frames = [np.frombuffer(data, np.uint8).reshape(height, width, 3) for data in reader]
    except (OSError, RuntimeError, ValueError, KeyError, StopIteration) as error:
        raise ValueError(f"The video {path} cannot be decoded: it is truncated or no video; copy it again.") from error
    finally:
        reader.close()
    if not frames:
        raise ValueError(f"The video {path} has no frames; record or copy it again.")
    return np.stack(frames), meta["fps"] * meta["duration"]


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
