"""A video from anywhere as a demonstration of the general imitation."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from foreign_videos import by_ffmpeg, photograph

from encoders.files import FileError
from encoders.videos.video import read_video, write_video
from experiments.any_environment.videos import of_video


def test_the_seconds_that_are_named_are_imitated(tmp_path: Path) -> None:
    path = by_ffmpeg(tmp_path / "a.mp4", seconds=2.0)
    shown = of_video(path, 24, 0.5, 1.25)
    np.testing.assert_array_equal(shown.frames[:, 0], read_video(path, 24)[10:25])
    assert shown.times is not None
    np.testing.assert_allclose(shown.times, np.arange(15) / 20)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("a.mp4", ["-g", "10"]),
        ("b.mp4", ["-preset", "ultrafast", "-crf", "35"]),
        ("a.webm", ["-c:v", "libvpx"]),
        ("a.avi", ["-c:v", "mpeg4"]),
        ("a.gif", []),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
@pytest.mark.parametrize("start", [0.0, 0.5])
def test_a_video_of_one_still_picture_is_refused(tmp_path: Path, name: str, options: list[str], start: float) -> None:
    path = photograph(tmp_path / name, *options)
    with pytest.raises(FileError, match=rf"All frames of {path} are the same picture, so there is nothing to imitate"):
        of_video(path, 64, start, None)


def test_a_small_thing_that_moves_is_enough(tmp_path: Path) -> None:
    frames = np.full((10, 64, 64, 3), 200, np.uint8)
    for moment, frame in enumerate(frames):
        frame[30:32, 10 + moment : 12 + moment] = 160
    write_video(tmp_path / "a.mp4", frames, 20)
    assert len(of_video(tmp_path / "a.mp4", 64, 0.0, None).frames) == 10


def test_an_hour_of_a_longer_video_can_be_named(tmp_path: Path) -> None:
    slow = ["-vf", "setpts=N*10/TB", "-r", "1/10", "-frames:v", "400"]
    path = by_ffmpeg(tmp_path / "a.mp4", *slow, size="32x32", seconds=20.0)
    with pytest.raises(FileError, match="lasts 4000 s, and at most 3600 s of a video are imitated"):
        of_video(path, 24, 0.0, None)
    assert len(of_video(path, 24, 300.0, 3900.0).frames) == 360
