"""Demonstrations: videos to imitate, their goals at every step, and the scales of the rewards."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from encoders.base import Encoder
from encoders.clips.clips import Clips
from encoders.files import FileError
from encoders.videos.pictures import is_still
from encoders.videos.synchrony import LengthError, match_views
from encoders.videos.video import read_part
from envs.embedding import embed_views
from experiments.kuka.recordings import RecordConfig, Truth, make_env, read_start, read_truth
from rewards.goal import ORACLE_SCALE, Goal, Scales
from rewards.targets import resample, resample_embeddings


@dataclass(frozen=True)
class Demonstration:
    """A demonstration: frames, start pose, and true states where they are known.

    Attributes:
        frames: (T, V, S, S, 3) uint8, scaled to the encoder's size.
        start: Joint positions that the learner starts from, (7,) radians.
        truth: What really happened, for evaluation and the oracle; None for a video from elsewhere.
        times: When the frames are shown, (T,) seconds since the first one; None if they are evenly spaced.
    """

    frames: NDArray[np.uint8]
    start: NDArray[np.float64]
    truth: Truth | None
    times: NDArray[np.float64] | None = None


def read_demonstration(
    videos: tuple[Path, ...], config: RecordConfig, encoder: Encoder | None, rng: np.random.Generator
) -> Demonstration:
    """Reads the videos to imitate, one a camera.

    Args:
        videos: As many as the configuration has cameras, in its order.
        config: The learner's scene.
        encoder: Finds the start pose where no card beside the video tells it; None compares pixels.
        rng: Source of the poses tried then.

    Raises:
        ValueError: If a video cannot be read, or the views differ in length.
    """
    frames, times = read_views(videos, config.image_size)
    start = read_start(videos[0], config)
    if start is None:
        start = match_pose(frames[0], config, encoder, rng)
    truth = read_truth(videos[0], config.cameras[0])
    return Demonstration(frames, start, None if truth is None else truth.first(len(frames)), times)


def read_views(videos: Sequence[Path], size: int) -> tuple[NDArray[np.uint8], NDArray[np.float64]]:
    """Reads synchronised videos, matched by time; frames are scaled as they are decoded.

    Args:
        videos: One a view.
        size: Width and height of a frame, pixels.

    Returns:
        (T, V, size, size, 3) uint8, and when these moments are, (T,) seconds since the first one.

    Raises:
        ValueError: If one cannot be read or lasts longer than an hour, they differ in length by more than a little, or
            all frames of each are the same picture.
    """
    views = [read_part(video, size) for video in videos]
    try:
        moments = match_views(
            "one demonstration",
            [video.name for video in videos],
            [view.times for view in views],
            [view.duration for view in views],
        )
    except LengthError as error:
        lengths = {str(video): len(view.frames) for video, view in zip(videos, views, strict=True)}
        raise ValueError(
            f"The views of one demonstration differ in length: {lengths} frames, {error}; cut them to the same moments."
        ) from error
    frames = np.stack([view.frames[numbers] for view, numbers in zip(views, moments, strict=True)], axis=1)
    if is_still(frames):
        named = " and of ".join(map(str, videos))
        raise FileError(f"All frames of {named} are the same picture, so there is nothing to imitate; name another.")
    return frames, views[0].times[moments[0]]


def match_pose(
    frames: NDArray[np.uint8], config: RecordConfig, encoder: Encoder | None, rng: np.random.Generator
) -> NDArray[np.float64]:
    """Finds the pose that looks most like a frame, by the cross-entropy method in embedding space.

    Rubinstein and Kroese, The Cross-Entropy Method, 2004: sample poses, keep the best tenth, repeat
    around them.

    Args:
        frames: One moment, (V, S, S, 3) uint8.
        config: The learner's scene.
        encoder: Its distances are compared, or those of the pixels without one.
        rng: Source of the poses.

    Returns:
        Joint positions, (7,) radians.
    """
    target = embed_views(encoder, frames[None])[0]
    env = make_env(config)
    env.np_random = rng
    poses = np.stack([env.random_pose() for _ in range(1500)])
    for _ in range(8):
        shots = []
        for pose in poses:
            env.set_pose(pose)
            shots.append(np.stack([env.frame(camera) for camera in config.cameras]))
        best = np.argsort(np.linalg.norm(embed_views(encoder, np.stack(shots)) - target, axis=1))[:30]
        mean, spread = poses[best].mean(axis=0), poses[best].std(axis=0)
        poses = np.clip(rng.normal(mean, spread + 0.005, (300, len(mean))), env.joint_lower, env.joint_upper)
    env.close()
    return mean


def make_goal(demonstration: Demonstration, encoder: Encoder | None, horizon: int) -> Goal:
    """Embeds a demonstration once and resamples everything to the horizon, evenly in time."""
    truth, times, length = demonstration.truth, demonstration.times, horizon + 1
    embeddings = None
    if encoder is not None:
        embeddings = resample_embeddings(embed_views(encoder, demonstration.frames), length, times)
    return Goal(
        pixels=resample(demonstration.frames, length, times),
        embeddings=embeddings,
        joints=None if truth is None else resample(truth.joint_positions, length, times),
        links=None if truth is None else resample(truth.link_positions, length, times),
        start=demonstration.start,
    )


def measure_scales(encoder: Encoder | None, clips: Clips) -> Scales:
    """Measures the scales of the control rewards as ``fit`` measured the encoder's.

    Args:
        encoder: A fitted encoder, or None.
        clips: Validation videos.
    """
    pixels = [
        np.sqrt(np.square(np.diff(np.asarray(v, np.float32), axis=1)).sum(axis=(0, 2, 3, 4))) for v in clips.videos
    ]
    return Scales(
        embedding=None if encoder is None else float(encoder.distance_scale),
        pixels=float(np.median(np.concatenate(pixels))),
        joints=ORACLE_SCALE,
    )
