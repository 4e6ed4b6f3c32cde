"""The part of a video that is imitated: by its seconds, and without the rest of it."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from foreign_videos import by_ffmpeg

from encoders.files import FileError
from encoders.videos import video, video_index
from encoders.videos.video import Video, read_part, read_timed_video


def assert_is_part(part: Video, whole: Video, start: float, stop: float) -> None:
    inside = np.flatnonzero((whole.times >= start) & (whole.times < stop))
    np.testing.assert_array_equal(part.frames, whole.frames[inside])
    np.testing.assert_allclose(part.times, whole.times[inside] - whole.times[inside[0]], atol=1e-9)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("a.mp4", ["-c:v", "libx264", "-g", "250", "-bf", "2"]),
        ("open.mp4", ["-c:v", "libx264", "-g", "12", "-bf", "3", "-x264-params", "open-gop=1"]),
        ("varying.mkv", ["-vf", "select='not(eq(mod(n\\,7)\\,3))+lt(n\\,20)'", "-fps_mode", "vfr"]),
        ("no_stamps.avi", ["-c:v", "libx264", "-g", "40", "-bf", "2"]),
        ("near.ts", ["-c:v", "libx264", "-g", "40", "-bf", "2"]),
        ("a.webm", ["-c:v", "libvpx", "-auto-alt-ref", "1", "-lag-in-frames", "16"]),
        ("a.gif", []),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_part_is_what_the_whole_video_shows_in_these_seconds(tmp_path: Path, name: str, options: list[str]) -> None:
    path = by_ffmpeg(tmp_path / name, *options, seconds=5.0)
    whole = read_timed_video(path, 24)
    assert_is_part(read_part(path, 24), whole, 0, np.inf)
    assert read_part(path, 24).duration == whole.duration
    for start, stop in [(0.0, 1.0), (1.98, 3.21), (4.51, 9.0)]:
        part = read_part(path, 24, start, stop)
        assert_is_part(part, whole, start, stop)
        assert part.duration == pytest.approx(min(stop, 5.0) - start, abs=0.1)
    assert_is_part(read_part(path, 24, 3.33), whole, 3.33, np.inf)


def test_sound_changes_nothing_even_where_it_lasts_longer(tmp_path: Path) -> None:
    plain = by_ffmpeg(tmp_path / "a.mp4", seconds=2.0)
    for name in ("b.mp4", "b.mkv", "b.mov"):
        sound = ["-f", "lavfi", "-i", "sine=duration=3.5"]
        heard = by_ffmpeg(tmp_path / name, *sound, "-c:a", "aac", seconds=2.0)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            assert_is_part(read_part(heard, 24, 0.5, 1.5), read_timed_video(plain, 24), 0.5, 1.5)
            assert read_part(heard, 24).duration == pytest.approx(2.0, abs=1e-3)


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Seconds of the frames that come out of the decoder."""
    seen: list[float] = []

    def counted(demuxed: Callable[..., Iterator[Any]]) -> Callable[..., Iterator[Any]]:
        def frames(*args: Any, **keywords: Any) -> Iterator[Any]:
            for frame in demuxed(*args, **keywords):
                seen.append(frame.time)
                yield frame

        return frames

    monkeypatch.setattr(video_index, "demuxed", counted(video_index.demuxed))
    return seen


def test_what_comes_before_the_key_frame_and_after_the_part_is_not_decoded(
    tmp_path: Path, decoded: list[float]
) -> None:
    path = by_ffmpeg(tmp_path / "a.mp4", "-g", "20", "-sc_threshold", "0", "-bf", "2", seconds=10.0)
    assert len(read_part(path, 24, 6.5, 7.5).frames) == 20
    assert decoded[0] == 0  # its size
    assert decoded[1:] == pytest.approx(np.arange(120, 150) / 20)


# A transport stream has no index to seek by, and FFmpeg writes no slower ones.
@pytest.mark.parametrize(("name", "each", "most"), [("a.mp4", 10, 150), ("a.mkv", 10, 150), ("a.ts", 1, 8000)])
def test_more_than_an_hour_is_refused_before_it_is_decoded_and_a_part_of_it_is_read(
    tmp_path: Path, name: str, each: int, most: int, decoded: list[float]
) -> None:
    count = 4000 // each
    slow = ["-vf", f"setpts=N*{each}/TB", "-r", f"1/{each}", "-frames:v", str(count), "-g", "50"]
    path = by_ffmpeg(tmp_path / name, *slow, size="16x16", seconds=count / 20)
    with pytest.raises(
        FileError, match=r"from 0 s to its end lasts 4000 s, and at most 3600 s of a video are imitated"
    ):
        read_part(path, 24)
    with pytest.raises(FileError, match=r"from 100 s to 3800 s lasts 3700 s, .* name the seconds"):
        read_part(path, 24, 100.0, 3800.0)
    assert len(decoded) == 2  # their size
    part = read_part(path, 24, 3000.0, 3905.0)
    assert len(decoded) < most
    assert_is_part(part, read_timed_video(path, 24), 3000.0, 3905.0)
    assert part.duration == pytest.approx(each * len(part.frames), abs=0.1)


def test_a_part_with_too_few_frames_is_refused_with_what_there_is(tmp_path: Path) -> None:
    path = by_ffmpeg(tmp_path / "a.mp4")
    for start, stop, count in ((0.93, None, 1), (5.0, None, 0), (0.51, 0.52, 0)):
        message = rf"{count} frame\(s\) appear in {path} from .*; it has 20 in 1\.00 s, and 2 are needed"
        with pytest.raises(FileError, match=message):
            read_part(path, 24, start, stop)


def test_a_part_that_would_not_fit_is_refused_before_it_is_decoded(
    tmp_path: Path, decoded: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = by_ffmpeg(tmp_path / "a.mp4")
    monkeypatch.setattr(video, "MOST_BYTES", 10 * 24 * 24 * 3)
    with pytest.raises(FileError, match=r"a\.mp4 take more than .* at 24 x 24 pixels; name a smaller size"):
        read_part(path, 24)
    assert len(decoded) == 1
    assert len(read_part(path, 24, 0.5).frames) == 10


def test_a_damaged_part_is_told(tmp_path: Path) -> None:
    path = by_ffmpeg(tmp_path / "a.avi", "-c:v", "mjpeg", seconds=2.0)
    content = bytearray(path.read_bytes())
    starts = [at for at in range(len(content)) if content[at : at + 3] == b"\xff\xd8\xff"]
    content[starts[30] : starts[31] - 8] = bytes(starts[31] - 8 - starts[30])
    path.write_bytes(content)
    with pytest.raises(FileError, match=rf"{path} is truncated or damaged: 1 of 40 frames"):
        read_part(path, 24, 1.0)
