"""What holds of every batch that is drawn: of videos, of their pool, and of an agent's trajectories."""

from __future__ import annotations

from typing import Any, cast

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import encoders
from agents.trajectories import Steps, draw_batch, stretch
from encoders.base import Encoder, FrameBatch, Sampling
from encoders.clips.clip_pool import ClipPool, Piece, cover, random_piece
from encoders.clips.clips import Clips, sample_batch
from encoders.videos.frame_cache import FileVideo

few = settings(max_examples=40, deadline=None)

SAMPLINGS = st.builds(
    Sampling,
    videos=st.integers(1, 4),
    frames=st.integers(1, 6),
    span=st.integers(1, 12),
    views=st.integers(1, 2),
    least=st.integers(1, 4),
)


@st.composite
def any_clips(draw: st.DrawFn) -> Clips:
    """Videos, contiguous or not, whose colours say which video, view and moment a frame is."""
    videos = []
    for number in range(draw(st.integers(1, 4))):
        views, length = draw(st.integers(1, 3)), draw(st.integers(1, 20))
        video = np.zeros((views, length, 2, 2, 3), np.uint8)
        video[..., 0] = number
        video[..., 1] = np.arange(views)[:, None, None, None]
        video[..., 2] = np.arange(length)[:, None, None]
        if draw(st.booleans()):
            video = np.repeat(video, 2, axis=1)[:, ::2]
        videos.append(video)
    return Clips(videos, tuple(f"video {number}" for number in range(len(videos))))


def check(batch: FrameBatch, clips: Clips, sampling: Sampling) -> None:
    """Every frame is the one that its indices say, and moments of a video lie within a span."""
    assert batch.frames.dtype == torch.uint8
    assert len(batch.frames) == len(batch.video) == len(batch.view) == len(batch.time)
    assert 0 < len(batch.frames) <= sampling.videos * sampling.frames * sampling.views
    for position in range(sampling.videos):
        of = batch.video == position
        numbers = batch.frames[of][:, 0].unique()
        assert len(numbers) == 1
        clip = clips.videos[int(numbers[0])]
        cameras = []
        for view in range(sampling.views):
            members = of & (batch.view == view)
            times = batch.time[members]
            assert len(times) == min(sampling.frames, sampling.span, clip.shape[1])
            assert (times.diff() > 0).all()
            assert int(times[0]) >= 0 and int(times[-1]) < clip.shape[1]
            assert int(times[-1]) - int(times[0]) < sampling.span
            assert (batch.frames[members][:, 2] == times[:, None, None]).all()
            cameras += batch.frames[members][:, 1].unique().tolist()
        # As many cameras as were asked for, each once.
        assert len(set(cameras)) == len(cameras) == sampling.views


@few
@given(any_clips(), SAMPLINGS, st.integers(0, 2**32))
def test_a_batch_of_videos_holds_what_its_indices_say_or_is_refused(
    clips: Clips, sampling: Sampling, seed: int
) -> None:
    if min(len(video) for video in clips.videos) < sampling.views:
        with pytest.raises(ValueError, match=r"has 1 view\(s\)"):
            for again in range(200):
                sample_batch(clips, sampling, np.random.default_rng([seed, again]))
        return
    batch = sample_batch(clips, sampling, np.random.default_rng(seed))
    check(batch, clips, sampling)
    for left, right in zip(batch, sample_batch(clips, sampling, np.random.default_rng(seed)), strict=True):
        assert torch.equal(left, right)


@few
@given(any_clips(), SAMPLINGS, st.integers(0, 100))
def test_clips_in_memory_are_drawn_from_as_they_are(clips: Clips, sampling: Sampling, number: int) -> None:
    with ClipPool(clips, sampling, 0) as pool:
        assert pool.at(number) is clips


class Shaped:
    """A video of which only the shape is asked for."""

    def __init__(self, views: int, length: int) -> None:
        self.shape = (views, length, 2, 2, 3)

    def __len__(self) -> int:
        return self.shape[0]


SHAPED = st.lists(st.builds(Shaped, st.integers(1, 3), st.integers(1, 30)), min_size=1, max_size=4)


@few
@given(SHAPED, st.integers(1, 2), st.integers(1, 12))
def test_a_cover_holds_every_frame_of_every_view_once(videos: list[Any], views: int, length: int) -> None:
    counts = [np.zeros(video.shape[:2], int) for video in videos]
    for piece in cover(cast(list[FileVideo], videos), views, length):
        counts[piece.video][list(piece.views), piece.start : piece.stop] += 1
        assert piece.stop - piece.start >= min(length, videos[piece.video].shape[1])
        assert piece.stop - piece.start < 2 * length or piece.stop - piece.start == videos[piece.video].shape[1]
    assert all((count == 1).all() for count in counts)


@few
@given(SHAPED, st.integers(1, 2), st.integers(1, 12), st.integers(0, 2**32), st.integers(0, 1000))
def test_random_pieces_lie_in_their_videos_each_of_which_has_its_turn(
    videos: list[Any], views: int, length: int, seed: int, turn: int
) -> None:
    def piece(number: int) -> Piece:
        return random_piece(cast(list[FileVideo], videos), views, length, seed, number)

    pieces = [piece(turn * len(videos) + place) for place in range(len(videos))]
    assert sorted(one.video for one in pieces) == list(range(len(videos)))
    for one in pieces:
        cameras, frames = videos[one.video].shape[:2]
        assert 0 <= one.start < one.stop <= frames
        assert one.stop - one.start == min(length, frames)
        assert len(set(one.views)) == len(one.views) == min(views, cameras)
        assert set(one.views) <= set(range(cameras))
    assert piece(turn) == piece(turn)


@st.composite
def any_steps(draw: st.DrawFn) -> Steps:
    """Steps whose pixels say which environment and row they are of, with ends anywhere, begun at any row."""
    count, envs = draw(st.integers(1, 20)), draw(st.integers(1, 3))
    ends = np.array(draw(st.lists(st.booleans(), min_size=count * envs, max_size=count * envs))).reshape(count, envs)
    first = draw(st.integers(0, count - 1))
    ends[(first - 1) % count] = True
    pixels = np.zeros((count, envs, 3, 8, 8), np.uint8)
    pixels[:, :, 0] = np.arange(envs)[:, None, None]
    pixels[:, :, 1] = ((np.arange(count) - first) % count)[:, None, None, None]
    return Steps(pixels, ends, first)


@few
@given(any_steps(), st.integers(1, 8), st.integers(0, 2**32), st.data())
def test_a_stretch_is_of_one_trajectory_in_order(steps: Steps, span: int, seed: int, data: st.DataObject) -> None:
    count, envs = steps.ends.shape
    env, anchor = data.draw(st.integers(0, envs - 1)), data.draw(st.integers(0, count - 1))
    rows = stretch(steps, env, anchor, span, np.random.default_rng(seed))
    assert 1 <= len(rows) <= span
    places = (rows - steps.first) % count
    assert (np.diff(places) == 1).all()
    # A trajectory may end at its last step alone.
    assert not steps.ends[rows[:-1], env].any()


@few
@given(any_steps(), st.integers(1, 3), st.integers(0, 2**32), SAMPLINGS)
def test_a_batch_of_trajectories_is_within_each_of_them_or_there_is_none(
    steps: Steps, videos: int, seed: int, sampling: Sampling
) -> None:
    class Sampled:
        config = encoders.configure("tcn", image_size=16)

    encoder = Sampled()
    one_view = Sampling(sampling.videos, max(2, sampling.frames), sampling.span, 1, sampling.least)
    encoder.sampling = one_view  # type: ignore[attr-defined]
    batch = draw_batch(steps, cast(Encoder, encoder), videos, np.random.default_rng(seed))
    if batch is None:
        return
    for number in batch.video.unique():
        members = batch.video == number
        pixels = batch.frames[members]
        assert len(pixels[:, 0].unique()) == 1
        places = pixels[:, 1, 0, 0].to(torch.int64)
        assert (places.diff() > 0).all()
        assert torch.equal(places.diff(), batch.time[members].diff())
        assert int(places[-1] - places[0]) < one_view.span
        assert len(places) <= one_view.frames
        env = int(pixels[0, 0, 0, 0])
        rows = (torch.arange(int(places[0]), int(places[-1])) + steps.first) % len(steps.ends)
        assert not steps.ends[rows.numpy(), env].any()
