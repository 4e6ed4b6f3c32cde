"""Videos that are decoded when a frame is asked for: the right frames, within the memory."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from foreign_videos import by_ffmpeg
from numpy.typing import NDArray

from encoders.videos.frame_cache import CHUNK, FileVideo, FrameCache, Stretch
from encoders.videos.pictures import resize
from encoders.videos.video import read_video

SIZE = 12
CHUNK_BYTES = CHUNK * SIZE * SIZE * 3
LONG = 200
"""Frames of the long videos: three whole chunks and a piece of one."""


@pytest.fixture(scope="module")
def views(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Two views of 200 frames whose frames are stored in another order than shown, with a single key frame."""
    folder = tmp_path_factory.mktemp("views")
    options = ["-c:v", "libx264", "-g", "250", "-bf", "2"]
    first = by_ffmpeg(folder / "x_view0.mp4", *options, seconds=LONG / 20)
    return [first, by_ffmpeg(folder / "x_view1.mp4", "-vf", "hflip", *options, seconds=LONG / 20)]


@pytest.fixture(scope="module")
def whole(views: list[Path]) -> NDArray[np.uint8]:
    return np.stack([resize(read_video(path), SIZE) for path in views])


def opened(views: list[Path], chunks: float = 100) -> tuple[FileVideo, FrameCache]:
    cache = FrameCache(int(chunks * CHUNK_BYTES), SIZE)
    return FileVideo(views, cache), cache


def test_a_video_is_the_array_of_its_views(views: list[Path], whole: NDArray[np.uint8]) -> None:
    video, _ = opened(views)
    assert video.shape == whole.shape == (2, LONG, SIZE, SIZE, 3)
    assert len(video) == 2
    assert abs(whole[0].astype(int) - whole[1]).mean() > 10
    np.testing.assert_array_equal(np.asarray(video), whole)
    assert np.asarray(video).dtype == np.uint8
    np.testing.assert_array_equal(np.asarray(video, np.float32), whole.astype(np.float32))
    for view, frames in enumerate(video):
        np.testing.assert_array_equal(frames, whole[view])
    for view in (0, 1, -1, -2):
        np.testing.assert_array_equal(video[view], whole[view])


def test_moments_are_given_in_any_order_and_as_often_as_asked(views: list[Path], whole: NDArray[np.uint8]) -> None:
    rng = np.random.default_rng(0)
    borders = [CHUNK - 1, CHUNK, 2 * CHUNK, 2 * CHUNK - 1, LONG - 1, 3 * CHUNK, 0, CHUNK]
    for moments in (borders, rng.permutation(LONG), rng.integers(0, LONG, 30), np.array([-1, 0, -LONG]), [7]):
        # Each time anew, so that decoding begins somewhere else.
        video, _ = opened(views)
        np.testing.assert_array_equal(video[1, moments], whole[1, moments])
    video, _ = opened(views)
    for stretch in (slice(60, 70), slice(None, None, -7), slice(5, 5), whole[0].mean(axis=(1, 2, 3)) > 100):
        np.testing.assert_array_equal(video[0, stretch], whole[0, stretch])


def test_views_and_moments_that_are_not_there_are_index_errors(views: list[Path]) -> None:
    video, cache = opened(views)
    for key in (2, -3, (2, [0]), (0, [LONG]), (0, [-LONG - 1])):
        with pytest.raises(IndexError):
            video[key]
    assert cache.decoded_chunks == 0


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("a.avi", ["-c:v", "mpeg4"]),
        ("a.mkv", ["-c:v", "mpeg4", "-g", "50", "-bf", "2"]),
        ("b.avi", ["-c:v", "libx264", "-g", "100", "-bf", "2"]),
        ("a.ts", ["-c:v", "libx264", "-g", "30"]),
    ],
)
def test_other_containers_give_the_same_frames_as_reading_them_whole(
    tmp_path: Path, name: str, options: list[str]
) -> None:
    path = by_ffmpeg(tmp_path / name, *options, seconds=7.0)
    expected = resize(read_video(path), SIZE)
    for moments in (np.arange(140), np.array([139, 64, 63, 128, 127, 0])):
        np.testing.assert_array_equal(opened([path])[0][0, moments], expected[moments])


def test_a_frame_of_the_size_asked_for_is_not_changed(tmp_path: Path) -> None:
    path = by_ffmpeg(tmp_path / "a.mkv", "-c:v", "ffv1", size="32x32")
    video = FileVideo([path], FrameCache(2**20, 32))
    np.testing.assert_array_equal(video[0], read_video(path))


def test_chunks_are_decoded_when_they_are_asked_for_and_once(views: list[Path]) -> None:
    video, cache = opened(views)
    assert (cache.decoded_chunks, cache.used_bytes) == (0, 0)
    video[0, [3, 63]]
    assert (cache.decoded_chunks, cache.used_bytes) == (1, CHUNK_BYTES)
    video[0, [0, CHUNK]]
    video[1, [0]]
    assert (cache.decoded_chunks, cache.used_bytes) == (3, 3 * CHUNK_BYTES)
    video[0, [LONG - 1]]
    assert cache.used_bytes == 3 * CHUNK_BYTES + (LONG - 3 * CHUNK) * SIZE * SIZE * 3
    for _ in range(3):
        np.asarray(video)
    assert cache.decoded_chunks == 8


def test_the_chunks_unused_for_longest_go_first(views: list[Path]) -> None:
    video, cache = opened(views, chunks=2)
    # The second use of chunk 0 makes 1 the oldest, which goes for 2; then 0 goes for 1.
    decoded = []
    for moment in (0, CHUNK, 0, 2 * CHUNK, 0, CHUNK, 2 * CHUNK, CHUNK):
        video[0, [moment]]
        decoded.append(cache.decoded_chunks)
    assert decoded == [1, 2, 2, 3, 3, 4, 5, 5]


@pytest.mark.parametrize("chunks", [0, 0.5, 1, 1.5, 2, 3.2])
def test_the_memory_stays_below_the_limit_but_for_a_single_chunk(
    views: list[Path], whole: NDArray[np.uint8], chunks: float
) -> None:
    video, cache = opened(views, chunks)
    rng = np.random.default_rng(0)
    for _ in range(12):
        view, moments = int(rng.integers(2)), rng.integers(0, LONG, 3)
        np.testing.assert_array_equal(video[view, moments], whole[view, moments])
        kept = sum(frames.nbytes for frames in cache._chunks.values())
        assert cache.used_bytes == kept <= max(cache.limit_bytes, CHUNK_BYTES)
        assert kept > 0


def test_two_videos_share_the_memory(views: list[Path], whole: NDArray[np.uint8]) -> None:
    cache = FrameCache(2 * CHUNK_BYTES, SIZE)
    first, second = FileVideo(views[:1], cache), FileVideo(views[1:], cache)
    for moment in (0, CHUNK, 2 * CHUNK):
        np.testing.assert_array_equal(first[0, [moment]], whole[0, [moment]])
        np.testing.assert_array_equal(second[0, [moment]], whole[1, [moment]])
        assert cache.used_bytes == 2 * CHUNK_BYTES
    assert {path for path, _ in cache._chunks} == set(views)


def test_writing_into_frames_leaves_the_kept_ones_alone(views: list[Path], whole: NDArray[np.uint8]) -> None:
    video, _ = opened(views)
    video[0, [0, 1]][:] = 0
    video[0][:] = 0
    np.testing.assert_array_equal(video[0], whole[0])


@pytest.mark.parametrize("chunks", [1, 100])
def test_threads_get_the_right_frames_at_the_same_time(
    views: list[Path], whole: NDArray[np.uint8], chunks: float
) -> None:
    video, cache = opened(views, chunks)
    together = threading.Barrier(4)

    def use(seed: int) -> bool:
        rng = np.random.default_rng(seed)
        together.wait()
        right = []
        for _ in range(6):
            view, moments = int(rng.integers(2)), rng.integers(0, LONG, 4)
            right.append(np.array_equal(video[view, moments], whole[view, moments]))
        return all(right)

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(use, range(4)))
    kept = sum(frames.nbytes for frames in cache._chunks.values())
    assert cache.used_bytes == kept <= max(cache.limit_bytes, CHUNK_BYTES)


def test_a_cache_that_was_cleared_is_empty_and_goes_on(views: list[Path], whole: NDArray[np.uint8]) -> None:
    video, cache = opened(views)
    np.asarray(video)
    cache.clear()
    assert (cache.used_bytes, len(cache._chunks)) == (0, 0)
    np.testing.assert_array_equal(video[1, [3, 70]], whole[1, [3, 70]])
    assert cache.used_bytes == 2 * CHUNK_BYTES


def test_decoding_past_the_cache_gives_the_same_frames(views: list[Path], whole: NDArray[np.uint8]) -> None:
    video, cache = opened(views)
    for chosen, start, stop in (([0, 1], 60, 70), ([1], 0, LONG), ([1, 0], 199, LONG)):
        np.testing.assert_array_equal(video.decode(chosen, start, stop), whole[chosen, start:stop])
    assert (cache.used_bytes, cache.decoded_chunks) == (0, 0)


def test_the_cost_of_a_frame_is_known_before_it_is_decoded(views: list[Path]) -> None:
    video, cache = opened(views)
    assert video.source_pixels == 48 * 32
    # The only key frame is the first one.
    assert video.lead == (LONG - 1) / 2
    assert cache.decoded_chunks == 0


def test_a_stretch_is_decoded_once_by_the_first_who_needs_it(whole: NDArray[np.uint8]) -> None:
    threads: list[int] = []

    def decode() -> NDArray[np.uint8]:
        threads.append(threading.get_ident())
        time.sleep(0.05)
        return whole[:, 20:50]

    stretch = Stretch((2, 30, SIZE, SIZE, 3), decode)
    assert stretch.shape == (2, 30, SIZE, SIZE, 3)
    assert len(stretch) == 2
    assert threads == []
    together = threading.Barrier(3)

    def use(view: int) -> NDArray[np.uint8]:
        together.wait()
        return stretch[view, [4, 2]]

    with ThreadPoolExecutor(3) as pool:
        for view, frames in zip((0, 1, 1), pool.map(use, (0, 1, 1)), strict=True):
            np.testing.assert_array_equal(frames, whole[view, [24, 22]])
    assert len(threads) == 1
    np.testing.assert_array_equal(np.stack(list(stretch)), whole[:, 20:50])
    np.testing.assert_array_equal(np.asarray(stretch), whole[:, 20:50])


def test_a_stretch_that_cannot_be_decoded_is_an_error_to_everyone_who_asks() -> None:
    def decode() -> NDArray[np.uint8]:
        raise ValueError("a.mp4 is damaged")

    stretch = Stretch((2, 30, SIZE, SIZE, 3), decode)
    for _ in range(2):
        with pytest.raises(ValueError, match=r"a\.mp4 is damaged"):
            stretch[0, [1]]


def test_views_of_different_lengths_name_both_files(tmp_path: Path) -> None:
    paths = [by_ffmpeg(tmp_path / "x_view0.mp4", seconds=1.0), by_ffmpeg(tmp_path / "x_view1.avi", seconds=1.5)]
    message = rf"recording in {tmp_path} differ in frames: x_view0\.mp4 has 20, x_view1\.avi has 30; cut or scale"
    with pytest.raises(ValueError, match=message):
        FileVideo(paths, FrameCache(2**20, SIZE))


def test_views_of_different_sizes_name_both_files(tmp_path: Path) -> None:
    paths = [by_ffmpeg(tmp_path / "x_view0.mp4", size="48x32"), by_ffmpeg(tmp_path / "x_view1.mp4", size="32x48")]
    message = r"pixels \(height, width\): x_view0\.mp4 has \(32, 48\), x_view1\.mp4 has \(48, 32\)"
    with pytest.raises(ValueError, match=message):
        FileVideo(paths, FrameCache(2**20, SIZE))


def test_a_file_that_is_gone_when_its_frames_are_asked_for_is_named(tmp_path: Path) -> None:
    path = by_ffmpeg(tmp_path / "a.mp4")
    video = FileVideo([path], FrameCache(2**20, SIZE))
    path.unlink()
    with pytest.raises(ValueError, match=str(path)):
        video[0, [3]]
