"""Clips, and batches drawn from them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from encoders.base import FrameBatch, Sampling
from encoders.clips import Clips, load_clips, sample_batch
from encoders.video import write_video

PAIRS = Sampling(videos=5, frames=6, span=20, views=2)


def draw(clips: Clips, sampling: Sampling = PAIRS, seed: int = 0) -> FrameBatch:
    return sample_batch(clips, sampling, np.random.default_rng(seed))


def test_the_same_generator_gives_the_same_batch(clips: Clips) -> None:
    for first, second in zip(draw(clips), draw(clips), strict=True):
        assert first.equal(second)
    assert not draw(clips).time.equal(draw(clips, seed=1).time)


def test_a_batch_has_as_many_frames_as_asked_for(clips: Clips) -> None:
    batch = draw(clips)
    assert batch.frames.shape == (60, 3, 4, 4)
    assert str(batch.frames.dtype) == "torch.uint8"
    for index, count in ((batch.video, 5), (batch.view, 2)):
        assert index.unique().tolist() == list(range(count))
        assert index.bincount().unique().tolist() == [60 // count]


def test_every_frame_is_the_one_that_its_indices_name(clips: Clips) -> None:
    for seed in range(5):
        batch = draw(clips, seed=seed)
        assert batch.frames[:, 2, 0, 0].tolist() == batch.time.tolist()
        for position in range(PAIRS.videos):
            for view in range(PAIRS.views):
                part = batch.frames[(batch.video == position) & (batch.view == view)]
                assert len(part[:, :2].flatten(2).unique(dim=0)) == 1, "one stretch comes from one video and camera"


def test_the_moments_of_a_video_are_distinct_ordered_and_within_the_span(clips: Clips) -> None:
    for seed in range(20):
        batch = draw(clips, seed=seed)
        for position in range(PAIRS.videos):
            time = batch.time[(batch.video == position) & (batch.view == 0)]
            assert (time.diff() > 0).all()
            assert time[-1] - time[0] < PAIRS.span


def test_two_views_share_their_moments_and_come_from_different_cameras(clips: Clips) -> None:
    for seed in range(20):
        batch = draw(clips, seed=seed)
        for position in range(PAIRS.videos):
            here = batch.video == position
            first, second = here & (batch.view == 0), here & (batch.view == 1)
            assert batch.time[first].equal(batch.time[second])
            assert batch.frames[first][0, 0, 0, 0] == batch.frames[second][0, 0, 0, 0]
            assert batch.frames[first][0, 1, 0, 0] != batch.frames[second][0, 1, 0, 0]


def test_every_video_camera_and_moment_is_drawn_some_time(clips: Clips) -> None:
    seen = set()
    for seed in range(600):
        batch = draw(clips, Sampling(videos=8, frames=10, span=20, views=1), seed)
        seen.update(map(tuple, batch.frames[:, :, 0, 0].tolist()))
    everything = {
        (video, view, time)
        for video, frames in enumerate(clips.videos)
        for view in range(frames.shape[0])
        for time in range(frames.shape[1])
    }
    assert seen == everything


def test_a_video_shorter_than_the_span_gives_what_it_has() -> None:
    short = Clips((np.zeros((1, 4, 4, 4, 3), np.uint8),), ("short",))
    batch = draw(short, Sampling(videos=2, frames=6, span=20, views=1))
    assert batch.time.tolist() == [0, 1, 2, 3, 0, 1, 2, 3]


def test_too_few_views_are_a_value_error_that_names_the_video(clips: Clips) -> None:
    with pytest.raises(ValueError, match=r"a has 2 view\(s\) .* needs 3"):
        draw(clips.subset([0]), Sampling(videos=1, frames=2, span=5, views=3))


def test_a_subset_keeps_videos_and_names_together(clips: Clips) -> None:
    some = clips.subset([2, 0])
    assert len(some) == 2
    assert some.names == ("c", "a")
    assert [video[0, 0, 0, 0, 0] for video in some.videos] == [2, 0]


def write(folder: Path, name: str, grey: int, count: int = 4, size: int = 16) -> None:
    write_video(folder / f"{name}.mp4", np.full((count, size, size, 3), grey, np.uint8), 20)


def test_videos_are_loaded_in_the_order_of_names_and_cameras(tmp_path: Path) -> None:
    for grey, name in enumerate(["x_front", "x_side", "y_front", "y_side"]):
        write(tmp_path, name, 40 + 50 * grey, count=4 if name[0] == "x" else 6)
    clips = load_clips(tmp_path, ["y", "x"], ["side", "front"], 8)
    assert clips.names == ("y", "x")
    assert [video.shape for video in clips.videos] == [(2, 6, 8, 8, 3), (2, 4, 8, 8, 3)]
    greys = [[int(view.mean()) for view in video] for video in clips.videos]
    np.testing.assert_allclose(greys, [[190, 140], [90, 40]], atol=4)


def test_views_of_different_lengths_and_missing_views_are_named(tmp_path: Path) -> None:
    write(tmp_path, "x_front", 0, count=4)
    with pytest.raises(ValueError, match=r"x_side\.mp4"):
        load_clips(tmp_path, ["x"], ["front", "side"], 8)
    write(tmp_path, "x_side", 0, count=5)
    with pytest.raises(ValueError, match=r"views of x .* \[4, 5\]"):
        load_clips(tmp_path, ["x"], ["front", "side"], 8)
