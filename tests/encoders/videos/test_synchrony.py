"""Views of one recording, matched by time."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pytest
from foreign_videos import by_ffmpeg

from encoders.clips.clips import open_folder, read_labels
from encoders.videos.frame_cache import FileVideo, FrameCache
from encoders.videos.synchrony import LengthError, match_views
from encoders.videos.video import read_video
from encoders.videos.video_file import VideoWarning

NAMES = ["a", "b"]


def even(count: int, rate: float) -> tuple[np.ndarray, float]:
    return np.arange(count) / rate, count / rate


def matched(*views: tuple[np.ndarray, float]) -> list[list[int]]:
    times, durations = zip(*views, strict=True)
    return [numbers.tolist() for numbers in match_views("one recording", NAMES, times, durations)]


def test_views_of_the_same_times_are_matched_frame_by_frame() -> None:
    rounded = (np.round(np.arange(51) / 30, 3), 51 / 30)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert matched(even(51, 30), even(51, 30)) == [list(range(51))] * 2
        assert matched(even(51, 30), rounded) == [list(range(51))] * 2


@pytest.mark.parametrize(("first", "second"), [(51, 50), (50, 51)])
def test_a_frame_that_one_view_has_more_is_left_out_with_a_word(first: int, second: int) -> None:
    message = rf"a has {first} \(.* s\), b has {second} \(.*; 50 moments \(2\.50 s\) are used"
    with pytest.warns(VideoWarning, match=message):
        assert matched(even(first, 20), even(second, 20)) == [list(range(50))] * 2


def test_views_of_other_rates_are_matched_by_time() -> None:
    with pytest.warns(VideoWarning, match="matched by time"):
        assert matched(even(10, 10), even(30, 30)) == [list(range(10)), list(range(0, 30, 3))]
    varying = (np.array([0.0, 0.1, 0.2, 1.0, 2.0]), 3.0)
    with pytest.warns(VideoWarning):
        assert matched(varying, even(30, 10)) == [[0, 1, 2, 3, 4], [0, 1, 2, 10, 20]]
        assert matched(even(6, 2), varying) == [[0, 1, 2, 3, 4, 5], [0, 2, 3, 3, 4, 4]]


@pytest.mark.parametrize(("first", "second"), [((20, 20), (30, 20)), ((20, 20), (20, 30)), ((1800, 1), (1810, 1))])
def test_lengths_that_clearly_differ_are_refused(first: tuple[int, float], second: tuple[int, float]) -> None:
    with pytest.raises(LengthError, match=r"lengths of \d+\.\d\d s, \d+\.\d\d s"):
        matched(even(*first), even(*second))


def test_the_views_of_a_file_may_end_a_frame_apart(tmp_path: Path) -> None:
    paths = []
    for view, frames in enumerate((51, 50)):
        path = tmp_path / f"x_view{view}.mp4"
        paths.append(by_ffmpeg(path, "-frames:v", str(frames), size="32x32", seconds=3.0))
    with pytest.warns(VideoWarning, match=r"x_view0\.mp4 has 51 \(2\.55 s\), x_view1\.mp4 has 50 \(2\.50 s\)"):
        video = FileVideo(paths, FrameCache(2**20, 32))
    assert video.shape == (2, 50, 32, 32, 3)
    for view, path in enumerate(paths):
        np.testing.assert_array_equal(video[view], read_video(path)[:50])
    np.testing.assert_array_equal(video.decode([0, 1], 40, 50), np.asarray(video)[:, 40:50])


def test_the_views_of_a_file_may_have_other_rates(tmp_path: Path) -> None:
    paths = [by_ffmpeg(tmp_path / "x_view0.mp4", "-r", "5", "-frames:v", "10", size="32x32", seconds=2.0)]
    paths.append(by_ffmpeg(tmp_path / "x_view1.mkv", size="32x32", seconds=2.0))
    with pytest.warns(VideoWarning, match="matched by time"):
        video = FileVideo(paths, FrameCache(2**20, 32))
    assert video.shape == (2, 10, 32, 32, 3)
    np.testing.assert_array_equal(video[1], read_video(paths[1], 32)[::4])
    np.testing.assert_array_equal(video.decode([1], 3, 6)[0], read_video(paths[1])[12:24:4])


def test_labels_may_reach_to_the_end_of_the_longer_view(tmp_path: Path) -> None:
    for name, frames in (("a_view0", 50), ("a_view1", 51), ("b_view0", 50), ("b_view1", 50)):
        by_ffmpeg(tmp_path / f"{name}.mp4", "-frames:v", str(frames), size="32x32", seconds=3.0)
    with pytest.warns(VideoWarning):
        clips = open_folder(tmp_path, 16)
    rows = [f"{name},{frame},1" for name, count in (("a", 51), ("b", 50)) for frame in range(count)]
    # Spreadsheets write a byte order mark.
    (tmp_path / "labels.csv").write_text("\n".join(["name,frame,lifted", *rows]), encoding="utf-8-sig")
    labels = read_labels(tmp_path, clips)
    assert labels is not None
    assert [video.shape for video in labels.videos] == [(50, 1), (50, 1)]
    (tmp_path / "labels.csv").write_text("\n".join(["name,frame,lifted", *rows, "a,51,1"]))
    with pytest.raises(ValueError, match="frame 51 of a, which has no such frame"):
        read_labels(tmp_path, clips)
