"""An animated picture of a video."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from encoders.videos.video import write_video
from experiments.report.animation import AnimationConfig, animate


@pytest.fixture
def video(tmp_path: Path) -> Path:
    frames = np.zeros((5, 32, 96, 3), np.uint8)
    frames[np.arange(5), :, 10 * np.arange(5)] = 255
    write_video(tmp_path / "video.mp4", frames, 10)
    return tmp_path / "video.mp4"


@pytest.mark.parametrize("suffix", [".webp", ".gif"])
def test_every_frame_is_shown_the_last_one_longest_and_again_and_again(video: Path, suffix: str) -> None:
    out = video.with_suffix(suffix)
    animate(AnimationConfig(video, out, width=48, fps=10, hold=1.0))
    with Image.open(out) as picture:
        assert picture.size == (48, 16)
        assert picture.n_frames == 5
        assert picture.info["loop"] == 0
        durations = []
        for index in range(5):
            picture.seek(index)
            picture.load()
            durations.append(picture.info["duration"])
    assert durations == [100, 100, 100, 100, 1100]


def test_a_picture_that_cannot_move_is_refused(video: Path) -> None:
    with pytest.raises(ValueError, match=r"\.webp"):
        AnimationConfig(video, video.with_suffix(".png"))
    with pytest.raises(ValueError, match="fps 0"):
        AnimationConfig(video, video.with_suffix(".gif"), fps=0)


def test_the_readmes_picture_is_small() -> None:
    images = Path(__file__).parents[3] / "docs/images"
    assert max(path.stat().st_size for path in images.iterdir()) < 1_000_000
