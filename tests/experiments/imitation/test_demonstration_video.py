"""A video from anywhere as a demonstration of the general imitation."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from foreign_videos import by_ffmpeg

from encoders.files import FileError
from encoders.videos.video import read_video, write_video
from experiments.imitation.demonstration import of_video


def test_the_seconds_that_are_named_are_imitated(tmp_path: Path) -> None:
    path = by_ffmpeg(tmp_path / "a.mp4", seconds=2.0)
    shown = of_video(path, 24, 0.5, 1.25)
    np.testing.assert_array_equal(shown.frames, read_video(path, 24)[10:25])
    assert shown.times is not None
    np.testing.assert_allclose(shown.times, np.arange(15) / 20)


@pytest.mark.parametrize(("start", "stop"), [(0.0, None), (0.5, 0.9)])
def test_a_video_of_one_still_picture_is_refused(tmp_path: Path, start: float, stop: float | None) -> None:
    write_video(tmp_path / "a.mp4", np.full((20, 32, 32, 3), 90, np.uint8), 20)
    with pytest.raises(FileError, match=r"All frames of .*a\.mp4 are the same picture, so there is nothing to imitate"):
        of_video(tmp_path / "a.mp4", 24, start, stop)


def test_an_hour_of_a_longer_video_can_be_named(tmp_path: Path) -> None:
    slow = ["-vf", "setpts=N*10/TB", "-r", "1/10", "-frames:v", "400"]
    path = by_ffmpeg(tmp_path / "a.mp4", *slow, size="32x32", seconds=20.0)
    with pytest.raises(FileError, match="lasts 4000 s, and at most 3600 s of a video are imitated"):
        of_video(path, 24, 0.0, None)
    assert len(of_video(path, 24, 300.0, 3900.0).frames) == 360
