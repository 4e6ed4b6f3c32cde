"""Video files as others encode them, by the ffmpeg binary that imageio brings."""

from __future__ import annotations

import subprocess
from pathlib import Path

import imageio.v3 as iio
import imageio_ffmpeg
import numpy as np
from scipy.ndimage import gaussian_filter

FFMPEG = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-y"]


def by_ffmpeg(path: Path, *options: str, size: str = "48x32", seconds: float = 1.0) -> Path:
    """A test picture that moves, 20 frames a second."""
    source = ["-f", "lavfi", "-i", f"testsrc=size={size}:rate=20:duration={seconds}"]
    subprocess.run([*FFMPEG, *source, *options, str(path)], check=True)
    return path


def photograph(path: Path, *options: str) -> Path:
    """A still picture with fine detail for two seconds, 25 frames a second: encoders refine it with time."""
    picture = path.with_suffix(".png")
    smooth = gaussian_filter(np.random.default_rng(0).normal(size=(240, 320, 3)), (2, 2, 0))
    iio.imwrite(picture, np.uint8(np.clip(128 + 400 * smooth, 0, 255)))
    looped = ["-loop", "1", "-i", str(picture), "-t", "2", "-pix_fmt", "yuv420p"]
    subprocess.run([*FFMPEG, *looped, *options, str(path)], check=True)
    return path


def copied(source: Path, path: Path, *options: str) -> Path:
    """The same packets in another file; options stand before the input."""
    subprocess.run([*FFMPEG, *options, "-i", str(source), "-c", "copy", str(path)], check=True)
    return path
