"""Demonstrations: read, matched to a start, and spread over the horizon."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from counting_encoders import Small
from foreign_videos import by_ffmpeg, photograph
from small_recordings import TINY

from encoders.base import Encoder, EncoderConfig
from encoders.clips.clips import load_clips
from encoders.videos.video import write_video
from encoders.videos.video_file import VideoWarning
from envs.kuka import HOME
from experiments.imitation.demonstration import Demonstration, goal_of, measure_scales
from experiments.kuka.demonstrations import match_pose, read_demonstration, read_views
from experiments.kuka.imitation import film
from experiments.kuka.recordings import make_env, read_start

HORIZON = 15


def test_a_recorded_demonstration_is_read_with_its_start_and_truth(demonstration: Demonstration, folder: Path) -> None:
    assert demonstration.frames.shape == (16, 2, 32, 32, 3)
    assert demonstration.states is not None and demonstration.links is not None
    assert demonstration.links.shape == (16, 7, 3)
    start = read_start(folder / f"heldout_0001_{TINY.cameras[0]}.mp4", TINY)
    np.testing.assert_array_equal(start, demonstration.states[0])


def test_views_of_different_length_are_refused(folder: Path) -> None:
    videos = (folder / "demo_0000_front.mp4", folder / "play_0000_side.mp4")
    with pytest.raises(ValueError, match=r"differ in length: .*16.*20"):
        read_demonstration(videos, TINY)


def test_a_video_of_variable_rate_is_spread_by_its_time(tmp_path: Path) -> None:
    # 30 frames in the first second, then one a second: brighter with time.
    times = np.concatenate([np.arange(30) / 30, 1.0 + np.arange(16)])
    with av.open(str(tmp_path / "a.mp4"), "w") as container:
        stream = container.add_stream("libx264", rate=30)
        stream.width = stream.height = 32
        stream.codec_context.time_base = Fraction(1, 30)
        for time in times:
            frame = av.VideoFrame.from_ndarray(np.full((32, 32, 3), round(10 * time), np.uint8), format="rgb24")
            frame.pts = round(30 * time)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    frames, shown = read_views([tmp_path / "a.mp4"], 32)
    np.testing.assert_allclose(shown, times, atol=1e-3)
    goal = goal_of(Demonstration(frames, shown), None, 16)
    np.testing.assert_allclose(goal.pixels.mean(axis=(1, 2, 3, 4)), 10 * np.arange(17), atol=3)


def test_a_demonstration_in_which_nothing_moves_is_refused(tmp_path: Path) -> None:
    still, moving = photograph(tmp_path / "still.mp4"), by_ffmpeg(tmp_path / "moving.mp4", seconds=2.0)
    with pytest.raises(ValueError, match=rf"All frames of {still} are the same picture, so there is nothing to imit"):
        read_views([still], 32)
    with pytest.raises(ValueError, match=rf"All frames of {still} and of {still} are the same picture"):
        read_views([still, still], 32)
    # One camera may see nothing of it.
    with pytest.warns(VideoWarning):
        assert read_views([still, moving], 32)[0].shape == (50, 2, 32, 32, 3)


def test_a_demonstration_of_more_than_an_hour_is_refused(tmp_path: Path) -> None:
    slow = ["-vf", "setpts=N*10/TB", "-r", "1/10", "-frames:v", "400"]
    path = by_ffmpeg(tmp_path / "a.mp4", *slow, size="32x32", seconds=20.0)
    with pytest.raises(
        ValueError, match=r"a\.mp4 from 0 s to its end lasts 4000 s, and at most 3600 s .* cut the video"
    ):
        read_views([path], 32)


def test_a_frame_that_one_view_has_more_is_left_out_with_a_word(tmp_path: Path) -> None:
    paths = [
        by_ffmpeg(tmp_path / f"{count}.mp4", "-frames:v", str(count), size="32x32", seconds=2.0) for count in (31, 30)
    ]
    with pytest.warns(VideoWarning, match=r"31\.mp4 has 31 .*, 30\.mp4 has 30 .*; 30 moments \(1\.50 s\) are used"):
        frames, times = read_views(paths, 32)
    np.testing.assert_allclose(times, np.arange(30) / 20)
    assert np.abs(frames[:, 0].astype(int) - frames[:, 1]).mean() < 3


@pytest.mark.parametrize("length", [2, 9, 16, 40])
def test_a_goal_is_spread_over_the_horizon_whatever_the_videos_length(network: Encoder, length: int) -> None:
    rng = np.random.default_rng(length)
    frames = rng.integers(0, 256, (length, 2, 32, 32, 3), np.uint8)
    joints, links = rng.normal(size=(length, 7)), rng.normal(size=(length, 7, 3))
    goal = goal_of(Demonstration(frames, states=joints, links=links), network, HORIZON)
    assert goal.horizon == HORIZON
    assert goal.embeddings is not None
    assert goal.embeddings.shape == (HORIZON + 1, 2 * 8)
    assert goal.pixels.shape == (HORIZON + 1, 2, 32, 32, 3)
    for mine, whole in ((goal.joints, joints), (goal.links, links)):
        assert mine is not None
        assert len(mine) == HORIZON + 1
        np.testing.assert_allclose(mine[[0, -1]], whole[[0, -1]])
    np.testing.assert_allclose(goal.pixels[[0, -1]], frames[[0, -1]])
    # Several views are scaled to the norm of one.
    np.testing.assert_allclose(np.linalg.norm(goal.embeddings, axis=1), 10, rtol=1e-4)
    if length == HORIZON + 1:
        np.testing.assert_allclose(goal.pixels, frames)


def test_a_goal_without_truth_has_neither_joints_nor_links(demonstration: Demonstration, network: Encoder) -> None:
    goal = goal_of(replace(demonstration, states=None, links=None), network, HORIZON)
    assert goal.joints is None
    assert goal.links is None


def test_the_start_of_a_foreign_video_is_found_by_its_looks(tmp_path: Path) -> None:
    network = Small(EncoderConfig(image_size=32)).eval()
    config = replace(TINY, cameras=("front",))
    env = make_env(config)
    pose = HOME + np.array([0.5, -0.3, 0.4, 0.2, 0.0, -0.3, 0.1])
    shots = film(env, np.linspace(pose, HOME, 25), "front", 48)
    wide = np.zeros((25, 48, 64, 3), np.uint8)
    wide[:, :, 8:56] = shots
    write_video(tmp_path / "foreign.mp4", wide, 30)
    read = read_demonstration((tmp_path / "foreign.mp4",), config)
    assert read_start(tmp_path / "foreign.mp4", config) is None
    start, distance = match_pose(read.frames[0], config, network, np.random.default_rng(0))
    assert read.states is None
    assert read.frames.shape == (25, 1, 32, 32, 3)
    assert start.shape == (7,)
    assert (start >= env.joint_lower).all()
    assert (start <= env.joint_upper).all()
    # Nearer in looks than each of many random poses.
    env.np_random = np.random.default_rng(1)
    poses = [start, *(env.random_pose() for _ in range(200))]
    embedded = network.embed_video(film(env, np.stack(poses), "front", 32))
    distances = np.linalg.norm(embedded - network.embed_video(read.frames[:1, 0]), axis=1)
    assert distances.argmin() == 0
    assert distance <= distances[1:].min()
    goal = goal_of(read, network, HORIZON)
    assert goal.embeddings is not None
    assert goal.embeddings.shape == (HORIZON + 1, 192)
    env.close()


def test_scales_are_the_median_steps_of_the_videos(folder: Path, network: Encoder) -> None:
    clips = load_clips(folder, TINY.validating, TINY.cameras, 32)
    scales = measure_scales(network, clips)
    steps = []
    for video in map(np.asarray, clips.videos):
        for time in range(1, video.shape[1]):
            difference = video[:, time].astype(float) - video[:, time - 1]
            steps.append(np.sqrt((difference**2).sum()))
    assert scales.pixels == pytest.approx(np.median(steps), rel=1e-5)
    assert scales.joints > 0
