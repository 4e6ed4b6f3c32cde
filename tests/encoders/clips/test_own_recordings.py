"""Folders of videos as people have them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from foreign_videos import by_ffmpeg

from encoders.clips import recordings
from encoders.clips.recordings import (
    contents,
    frame_rate,
    lowest_rate,
    moments_at,
    open_recordings,
    read_recordings,
    recordings_in,
)
from encoders.files import FileError
from encoders.videos.video import write_video


def shades(count: int) -> np.ndarray:
    """Frames that are told apart by their brightness, four steps each."""
    return np.broadcast_to(np.arange(count, dtype=np.uint8)[:, None, None, None] * 4, (count, 16, 16, 3))


def brightness(frames: np.ndarray) -> list[int]:
    """The number of each frame of ``shades``, (..., T, 16, 16, 3)."""
    return np.round(frames.mean(axis=(-3, -2, -1)) / 4).astype(int).ravel().tolist()


def test_every_video_of_a_folder_is_a_recording_and_other_files_are_passed_over(tmp_path: Path) -> None:
    for name in ("b.mp4", "a.MOV", "pick_view1.mkv", "pick_view0.mp4", "notes.txt", ".hidden.mp4", "b.avi"):
        (tmp_path / name).write_bytes(b"x")
    found = recordings_in(tmp_path)
    assert [recording.name for recording in found] == ["a.MOV", "b.avi", "b.mp4", "pick"]
    assert [path.name for path in found[-1].paths] == ["pick_view0.mp4", "pick_view1.mkv"]


def test_a_folder_without_videos_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FileError, match="There is no folder"):
        recordings_in(tmp_path / "none")
    (tmp_path / "notes.txt").touch()
    with pytest.raises(FileError, match=r"holds no videos; put some into it that end in \.mp4"):
        recordings_in(tmp_path)
    for name in ("one_view0.mp4", "one_view0.mov"):
        (tmp_path / name).touch()
    with pytest.raises(FileError, match=r"one_view0\.mov and one_view0\.mp4 are the same view"):
        recordings_in(tmp_path)


def test_another_content_by_the_same_name_is_told(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").write_bytes(b"one")
    before = contents(recordings_in(tmp_path))
    (tmp_path / "a.mp4").write_bytes(b"two")
    after = contents(recordings_in(tmp_path))
    assert set(before) == set(after) == {"a.mp4"}
    assert before != after


def test_frames_are_taken_by_time() -> None:
    # 10 a second, of which every third is nearest to 10/3 a second.
    assert moments_at(np.arange(10) / 10, 10 / 3).tolist() == [0, 3, 6, 9]
    assert moments_at(np.arange(4) / 10, 10).tolist() == [0, 1, 2, 3]
    # A rate above its own shows no frame twice.
    assert moments_at(np.arange(4) / 10, 60).tolist() == [0, 1, 2, 3]
    # A pause in a variable rate is one moment.
    assert moments_at(np.array([0, 0.1, 0.2, 1.2, 1.3]), 10).tolist() == [0, 1, 2, 3, 4]
    # Stamps that are rounded do not lose the last frame.
    assert moments_at(np.array([0, 0.033, 0.067, 0.1, 0.133]), 30).tolist() == [0, 1, 2, 3, 4]
    assert moments_at(np.zeros(1), 30).tolist() == [0]
    with pytest.raises(ValueError, match="fps is 0"):
        moments_at(np.arange(3.0), 0)


def test_a_rate_is_that_of_most_frames() -> None:
    assert frame_rate(np.array([0, 0.1, 0.2, 5.0])) == pytest.approx(10)
    assert frame_rate(np.zeros(1)) == np.inf


def test_recordings_of_different_rates_are_read_at_the_lowest(tmp_path: Path) -> None:
    write_video(tmp_path / "fast.mp4", shades(40), 20)
    write_video(tmp_path / "slow.mp4", shades(10), 5)
    found = recordings_in(tmp_path)
    videos = open_recordings(found, 16)
    rate = lowest_rate(videos)
    assert rate == pytest.approx(5)
    frames = read_recordings(found, videos, rate)
    assert frames["slow.mp4"].shape == (1, 10, 16, 16, 3)
    assert brightness(frames["slow.mp4"]) == list(range(10))
    assert brightness(frames["fast.mp4"]) == list(range(0, 40, 4))


def test_views_of_different_rates_show_the_same_moments(tmp_path: Path) -> None:
    write_video(tmp_path / "one_view0.mp4", shades(20), 10)
    write_video(tmp_path / "one_view1.mp4", shades(40), 20)
    found = recordings_in(tmp_path)
    with pytest.warns(match="matched by time"):
        videos = open_recordings(found, 16)
    (frames,) = read_recordings(found, videos, 5).values()
    assert brightness(frames[0]) == list(range(0, 20, 2))
    assert brightness(frames[1]) == list(range(0, 40, 4))


@pytest.mark.parametrize("name", ["a.mov", "a.avi", "a.mkv", "a.webm", "a.mp4"])
def test_containers_of_every_kind_are_read(name: str, tmp_path: Path) -> None:
    by_ffmpeg(tmp_path / name, *(["-c:v", "libvpx"] if name.endswith("webm") else []))
    found = recordings_in(tmp_path)
    (frames,) = read_recordings(found, open_recordings(found, 16), 10).values()
    assert frames.shape == (1, 10, 16, 16, 3)


def test_a_file_that_is_no_video_is_named(tmp_path: Path) -> None:
    by_ffmpeg(tmp_path / "good.mp4")
    (tmp_path / "poor.mp4").write_bytes(b"no video at all")
    with pytest.raises(FileError, match=r"poor\.mp4"):
        open_recordings(recordings_in(tmp_path), 16)


def test_more_frames_than_memory_holds_are_refused_before_they_are_decoded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recordings, "MOST_BYTES", 10_000)
    write_video(tmp_path / "a.mp4", shades(20), 10)
    found = recordings_in(tmp_path)
    videos = open_recordings(found, 16)
    # 20 frames of 16 x 16 x 3 bytes.
    with pytest.raises(ValueError, match=r"1 recording\(s\) take .* at 10 frames a second and 16 pixels"):
        read_recordings(found, videos, 10)
    assert videos[0].cache.decoded_chunks == 0
    assert read_recordings(found, videos, 5)["a.mp4"].shape == (1, 10, 16, 16, 3)
