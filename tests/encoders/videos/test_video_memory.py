"""Videos larger than memory: scaled as they are decoded, and refused where their frames would not fit."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from foreign_videos import FFMPEG, by_ffmpeg

from encoders.files import FileError
from encoders.videos import video
from encoders.videos.pictures import resize
from encoders.videos.video import read_video

PEAK = """
import resource, sys
from pathlib import Path
from encoders.videos.video import read_video
def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
read_video(Path(sys.argv[1]), 64)
before = peak()
print(len(read_video(Path(sys.argv[2]), 64)), peak() - before)
"""


def black(path: Path, size: str, seconds: float) -> Path:
    source = ["-f", "lavfi", "-i", f"color=black:size={size}:rate=30:duration={seconds}"]
    subprocess.run([*FFMPEG, *source, "-pix_fmt", "yuv420p", "-preset", "ultrafast", str(path)], check=True)
    return path


def test_a_large_video_is_scaled_as_it_is_decoded(tmp_path: Path) -> None:
    small, large = by_ffmpeg(tmp_path / "a.mp4"), black(tmp_path / "b.mp4", "1920x1080", 2)
    command = [sys.executable, "-c", PEAK, str(small), str(large)]
    done = subprocess.run(command, check=True, capture_output=True, text=True, cwd=Path(__file__).parents[3])
    count, more = done.stdout.split()
    assert int(count) == 60
    # The frames at their own size would take 356 MB.
    assert float(more) < 150


def test_frames_scaled_as_they_are_decoded_are_those_scaled_afterwards(tmp_path: Path) -> None:
    path = by_ffmpeg(tmp_path / "a.mp4")
    for size in (8, 32, 50):
        np.testing.assert_array_equal(read_video(path, size), resize(read_video(path), size))


def test_frames_that_would_not_fit_are_refused_with_the_way_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = by_ffmpeg(tmp_path / "a.mp4")
    monkeypatch.setattr(video, "MOST_BYTES", 10 * 48 * 32 * 3)
    with pytest.raises(FileError, match=r"a\.mp4 take more than .* at 48 x 32 pixels; name a smaller size"):
        read_video(path)
    assert len(read_video(path, 16)) == 20


def test_frames_of_more_pixels_than_any_screen_has_are_refused(tmp_path: Path) -> None:
    path = black(tmp_path / "a.mp4", "16384x8192", 0.05)
    assert path.stat().st_size < 1_000_000
    with pytest.raises(FileError, match=r"a\.mp4 (declares frames of 16384 x 8192 pixels|cannot be decoded)"):
        read_video(path, 64)
