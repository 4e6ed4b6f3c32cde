"""Video files as others encode them, by the ffmpeg binary that imageio brings."""

from __future__ import annotations

import subprocess
from pathlib import Path

import imageio_ffmpeg

FFMPEG = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-y"]


def by_ffmpeg(path: Path, *options: str, size: str = "48x32", seconds: float = 1.0) -> Path:
    """A test picture that moves, 20 frames a second."""
    source = ["-f", "lavfi", "-i", f"testsrc=size={size}:rate=20:duration={seconds}"]
    subprocess.run([*FFMPEG, *source, *options, str(path)], check=True)
    return path


def copied(source: Path, path: Path, *options: str) -> Path:
    """The same packets in another file; options stand before the input."""
    subprocess.run([*FFMPEG, *options, "-i", str(source), "-c", "copy", str(path)], check=True)
    return path
