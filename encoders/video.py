"""Video files in and out, through imageio and ffmpeg."""

from __future__ import annotations

import tempfile
from pathlib import Path

import imageio.v3 as iio
import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812 - torch's own usage
from numpy.typing import NDArray


def write_video(path: Path, frames: NDArray[np.uint8], fps: float) -> None:
    """Writes an mp4 (H.264) that appears whole or not at all.

    Args:
        path: Ends in ``.mp4``.
        frames: (T, H, W, 3) uint8; H and W are even.
        fps: Frames a second.

    Raises:
        ValueError: If the file cannot be written.
    """
    with tempfile.TemporaryDirectory(prefix=".video-", dir=_writable(path.parent)) as folder:
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


def _writable(folder: Path) -> Path:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ValueError(f"{folder} cannot be written: {error.strerror}. Choose another folder.") from error
    return folder


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
    try:
        with iio.imopen(path, "r", plugin="FFMPEG") as file:
            frames = np.stack(list(file.iter()))
    except (OSError, ValueError, IndexError, RuntimeError, StopIteration) as error:
        raise ValueError(f"The video {path} cannot be decoded: it is truncated or no video; copy it again.") from error
    if len(frames) < minimum:
        raise ValueError(f"The video {path} has {len(frames)} frame(s); at least {minimum} are needed.")
    return frames


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
