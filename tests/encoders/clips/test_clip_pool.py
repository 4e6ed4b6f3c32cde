"""The pool that batches are drawn from where the videos are too many: the same one each time, within the memory."""

from __future__ import annotations

import threading
import time
from collections import Counter
from dataclasses import astuple
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from foreign_videos import by_ffmpeg
from numpy.typing import NDArray

from encoders.base import FrameBatch, Sampling
from encoders.clips import clip_pool
from encoders.clips.clip_pool import ClipPool, Piece, Schedule, cover, plan_pool, random_piece
from encoders.clips.clips import Clips, open_folder, sample_batch
from encoders.videos.frame_cache import FileVideo

SIZE = 12
FRAME = SIZE * SIZE * 3
"""Bytes of a decoded frame."""

SINGLE, PAIRS = (Sampling(videos=4, frames=5, span=16, views=views) for views in (1, 2))
LENGTHS = {"a": 50, "b": 37, "c": 9}
"""Frames of the videos; one is shorter than the sampler's span."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three recordings of two views, every frame for itself."""
    folder = tmp_path_factory.mktemp("clips")
    for name, frames in LENGTHS.items():
        for view, turned in enumerate(("null", "hflip")):
            options = ["-vf", f"{turned},format=yuvj420p", "-c:v", "mjpeg", "-q:v", "2"]
            by_ffmpeg(folder / f"{name}_view{view}.avi", *options, seconds=frames / 20)
    return folder


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> Counter[tuple[Any, ...]]:
    """How often which frames of which video were decoded for a pool."""
    counts: Counter[tuple[Any, ...]] = Counter()
    decode = FileVideo.decode

    def counting(video: FileVideo, views: tuple[int, ...], start: int, stop: int) -> NDArray[np.uint8]:
        counts[video.shape[1], views, start, stop] += 1
        return decode(video, views, start, stop)

    monkeypatch.setattr(FileVideo, "decode", counting)
    return counts


@pytest.fixture
def slowly(monkeypatch: pytest.MonkeyPatch) -> None:
    """Decoding counts as so much work that the pool begins with two pieces and gets one every third batch."""
    piece = 16 * 48 * 32
    monkeypatch.setattr(clip_pool, "SMALL_PIXELS", 0)
    monkeypatch.setattr(clip_pool, "FIRST_PIXELS", 2 * piece)
    monkeypatch.setattr(clip_pool, "BATCH_PIXELS", piece // 3)


def opened(folder: Path, pieces: float) -> Clips:
    """With memory for so many pieces of a single view."""
    return open_folder(folder, SIZE, int(pieces * 16 * FRAME))


def videos(clips: Clips) -> list[FileVideo]:
    return [video for video in clips.videos if isinstance(video, FileVideo)]


def planned(clips: Clips, sampling: Sampling = SINGLE) -> Schedule:
    schedule = plan_pool(videos(clips), sampling)
    assert schedule is not None
    return schedule


def batches(pool: ClipPool, sampling: Sampling, numbers: range) -> list[FrameBatch]:
    return [sample_batch(pool.at(number), sampling, np.random.default_rng(number)) for number in numbers]


def same(left: list[FrameBatch], right: list[FrameBatch]) -> bool:
    pairs = zip(left, right, strict=True)
    return all(one.equal(other) for first, second in pairs for one, other in zip(first, second, strict=True))


def test_what_is_in_memory_or_soon_decoded_is_drawn_from_as_it_is(folder: Path, clips: Clips) -> None:
    threads = threading.active_count()
    for whole in (clips, open_folder(folder, SIZE)):
        with ClipPool(whole, PAIRS, 0) as pool:
            assert pool.schedule is None
            assert all(pool.at(number) is whole for number in (0, 7, 10_000))
    assert threading.active_count() == threads


def test_a_pool_is_made_where_the_memory_or_the_time_does_not_suffice(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    frames = 2 * sum(LENGTHS.values())
    exactly = open_folder(folder, SIZE, frames * FRAME)
    assert plan_pool(videos(exactly), SINGLE) is None
    assert not planned(open_folder(folder, SIZE, frames * FRAME - 1)).whole
    monkeypatch.setattr(clip_pool, "SMALL_PIXELS", frames * 48 * 32)
    assert plan_pool(videos(exactly), SINGLE) is None
    monkeypatch.setattr(clip_pool, "SMALL_PIXELS", frames * 48 * 32 - 1)
    assert planned(exactly).whole


@pytest.mark.usefixtures("slowly")
@pytest.mark.parametrize("pieces", [6, 1000])
@pytest.mark.parametrize("sampling", [SINGLE, PAIRS])
def test_the_batches_are_the_same_at_any_speed_and_from_any_batch_on(
    folder: Path, sampling: Sampling, pieces: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    with ClipPool(opened(folder, pieces), sampling, 3) as pool:
        first = batches(pool, sampling, range(60))
    decode = FileVideo.decode

    def late(video: FileVideo, views: tuple[int, ...], start: int, stop: int) -> NDArray[np.uint8]:
        time.sleep(0.01 * (start % 3))
        return decode(video, views, start, stop)

    monkeypatch.setattr(FileVideo, "decode", late)
    with ClipPool(opened(folder, pieces), sampling, 3) as pool:
        assert same(batches(pool, sampling, range(60)), first)
    for start in (1, 25, 59):
        with ClipPool(opened(folder, pieces), sampling, 3) as pool:
            assert same(batches(pool, sampling, range(start, 60)), first[start:])
    with ClipPool(opened(folder, pieces), sampling, 4) as pool:
        assert not same(batches(pool, sampling, range(60)), first)


@pytest.mark.usefixtures("slowly")
@pytest.mark.parametrize("pieces", [6, 1000])
@pytest.mark.parametrize("sampling", [SINGLE, PAIRS])
def test_what_is_in_the_pool_are_the_frames_of_its_pieces(folder: Path, sampling: Sampling, pieces: float) -> None:
    clips = opened(folder, pieces)
    whole = [np.asarray(video) for video in clips.videos]
    with ClipPool(clips, sampling, 0) as pool:
        assert pool.schedule is not None
        for number in range(0, 60, 6):
            stretches = pool.at(number)
            numbers = pool.schedule.resident(number)
            for index, stretch, name in zip(numbers, stretches.videos, stretches.names, strict=True):
                piece = pool.piece(index)
                assert name == clips.names[piece.video]
                expected = whole[piece.video][list(piece.views), piece.start : piece.stop]
                assert stretch.shape == expected.shape
                np.testing.assert_array_equal(np.asarray(stretch), expected)


def test_pieces_enter_and_the_oldest_leave_by_the_number_of_the_batch() -> None:
    schedule = Schedule(length=16, first=2, every=3, capacity=4, ahead=1, whole=False)
    resident = [list(schedule.resident(batch)) for batch in range(16)]
    assert resident[:3] == [[0, 1]] * 3
    assert resident[3:6] == [[0, 1, 2]] * 3
    assert resident[6:9] == [[0, 1, 2, 3]] * 3
    assert resident[9:12] == [[1, 2, 3, 4]] * 3
    assert resident[15] == [3, 4, 5, 6]
    whole = Schedule(length=16, first=2, every=3, capacity=4, ahead=1, whole=True)
    assert [list(whole.resident(batch)) for batch in (0, 3, 6, 9, 900)] == [[0, 1], [0, 1, 2], *[[0, 1, 2, 3]] * 3]


@pytest.mark.usefixtures("slowly")
def test_the_schedule_follows_from_the_work_and_the_memory(folder: Path) -> None:
    assert astuple(planned(opened(folder, 6.9))) == (16, 2, 3, 5, 1, False)
    # As long as two views are two pieces of one.
    assert astuple(planned(opened(folder, 6.9), PAIRS)) == (16, 1, 6, 2, 1, False)
    assert astuple(planned(opened(folder, 0.1))) == (16, 1, 3, 1, 1, False)
    long = Sampling(videos=4, frames=5, span=99, views=1)
    assert planned(opened(folder, 6)).length == 16 < planned(opened(folder, 6), long).length == 50


@pytest.mark.parametrize(("pieces", "length"), [(3, 16), (7, 28), (20, 32)])
def test_pieces_are_longer_where_key_frames_are_rare_and_the_memory_holds_enough_of_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pieces: int, length: int
) -> None:
    monkeypatch.setattr(clip_pool, "LONG_PIECES", 4)
    for name in ("a_view0", "b_view0"):
        # Three times 64 frames from a key frame on.
        by_ffmpeg(tmp_path / f"{name}.mkv", "-c:v", "mpeg4", "-g", "64", "-sc_threshold", "1000000000", seconds=9.6)
    clips = opened(tmp_path, pieces)
    assert [video.lead for video in videos(clips)] == [31.5, 31.5]
    assert planned(clips).length == length


@pytest.mark.usefixtures("slowly")
@pytest.mark.parametrize("pieces", [4, 6.5, 12])
@pytest.mark.parametrize("sampling", [SINGLE, PAIRS])
def test_the_pool_stays_within_the_memory(folder: Path, sampling: Sampling, pieces: float) -> None:
    clips = opened(folder, pieces)
    cache = videos(clips)[0].cache
    np.asarray(clips.videos[0])
    assert cache.used_bytes > 0
    held = []
    with ClipPool(clips, sampling, 0) as pool:
        for number in range(60):
            pool.at(number)
            held.append(sum(entry.stretch.load().nbytes for entry in pool._held.values()))
        assert cache.used_bytes == 0
    assert 0.5 * cache.limit_bytes < max(held) <= cache.limit_bytes
    assert not pool._held


@pytest.mark.usefixtures("slowly")
def test_pieces_that_have_left_are_not_decoded_to_go_on(folder: Path, decoded: Counter[tuple[Any, ...]]) -> None:
    with ClipPool(opened(folder, 8), SINGLE, 0) as pool:
        assert pool.schedule is not None
        pool.at(100_000)
        for entry in pool._held.values():
            entry.decoding.result()
    assert sum(decoded.values()) == pool.schedule.capacity + pool.schedule.ahead <= 8


@pytest.mark.usefixtures("slowly")
def test_pieces_are_decoded_before_it_is_their_turn_and_once(folder: Path, decoded: Counter[tuple[Any, ...]]) -> None:
    with ClipPool(opened(folder, 9), SINGLE, 0) as pool:
        assert pool.schedule is not None
        for number in range(30):
            pool.at(number)
            for entry in list(pool._held.values()):
                entry.decoding.result(5)
            assert sum(decoded.values()) == pool.schedule.resident(number).stop + pool.schedule.ahead
            before = sum(decoded.values())
            batches(pool, SINGLE, range(number, number + 1))
            assert sum(decoded.values()) == before


def test_the_row_has_every_video_in_turn_at_any_moment_by_any_camera(folder: Path) -> None:
    frames = videos(opened(folder, 6))
    pieces = [random_piece(frames, 1, 16, 0, number) for number in range(1200)]
    for turn in range(0, 1200, 3):
        assert {piece.video for piece in pieces[turn : turn + 3]} == {0, 1, 2}
    assert len({tuple(piece.video for piece in pieces[turn : turn + 3]) for turn in range(0, 1200, 3)}) == 6
    seen = {
        (piece.video, view, frame)
        for piece in pieces
        for view in piece.views
        for frame in range(piece.start, piece.stop)
    }
    assert len(seen) == 2 * sum(LENGTHS.values())
    assert {piece.stop - piece.start for piece in pieces if piece.video < 2} == {16}
    starts = Counter(piece.start for piece in pieces if piece.video == 0)
    assert set(starts) == set(range(35))
    assert max(starts.values()) < 35
    both = [random_piece(frames, 2, 16, 0, number) for number in range(50)]
    assert {piece.views for piece in both} == {(0, 1), (1, 0)}
    assert random_piece(frames, 1, 16, 1, 0) != random_piece(frames, 1, 16, 2, 0) or both[0] != both[1]


@pytest.mark.parametrize("views", [1, 2])
def test_a_cover_has_every_frame_of_every_view_once(folder: Path, views: int) -> None:
    pieces = cover(videos(opened(folder, 6)), views, 16)
    counts = Counter(
        (piece.video, view, frame)
        for piece in pieces
        for view in piece.views
        for frame in range(piece.start, piece.stop)
    )
    assert len(counts) == 2 * sum(LENGTHS.values())
    assert set(counts.values()) == {1}
    assert {len(piece.views) for piece in pieces} == {views}
    assert Piece(0, tuple(range(views)), 32, 50) in pieces
    assert Piece(2, tuple(range(views)), 0, 9) in pieces


@pytest.mark.usefixtures("slowly")
def test_videos_that_the_memory_holds_are_decoded_once_by_schedule_and_stay(
    folder: Path, decoded: Counter[tuple[Any, ...]]
) -> None:
    clips = open_folder(folder, SIZE)
    with ClipPool(clips, PAIRS, 0) as pool:
        sizes = [len(pool.at(number)) for number in range(100)]
        frames = [np.asarray(video) for video in pool.at(100).videos]
        batches(pool, PAIRS, range(100, 200))
    assert sizes[0] == 1
    assert sizes == sorted(sizes)
    assert sizes[-1] == 3 + 2 + 1
    assert sum(part.nbytes for part in frames) == 2 * sum(LENGTHS.values()) * FRAME
    assert set(decoded.values()) == {1}
    assert len(decoded) == 6


@pytest.mark.usefixtures("slowly")
def test_a_file_that_is_gone_is_an_error_of_the_batch_that_needs_it(tmp_path: Path) -> None:
    threads = threading.active_count()
    for name in ("a_view0", "b_view0"):
        by_ffmpeg(tmp_path / f"{name}.avi", "-c:v", "mjpeg", seconds=2.0)
    clips = opened(tmp_path, 4)
    (tmp_path / "a_view0.avi").unlink()
    with pytest.raises(ValueError, match=r"a_view0\.avi"), ClipPool(clips, SINGLE, 0) as pool:
        batches(pool, SINGLE, range(10))
    assert threading.active_count() == threads


@pytest.mark.usefixtures("slowly")
def test_leaving_does_not_decode_what_nobody_asked_for(
    folder: Path, monkeypatch: pytest.MonkeyPatch, decoded: Counter[tuple[Any, ...]]
) -> None:
    counting = FileVideo.decode

    def late(video: FileVideo, views: tuple[int, ...], start: int, stop: int) -> NDArray[np.uint8]:
        time.sleep(0.1)
        return counting(video, views, start, stop)

    monkeypatch.setattr(FileVideo, "decode", late)
    with ClipPool(opened(folder, 10), SINGLE, 0) as pool:
        assert len(pool.at(100_000)) == 9
    assert sum(decoded.values()) <= clip_pool.THREADS
