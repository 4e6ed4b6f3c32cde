"""Demonstrations of the Kuka: videos to imitate, one a camera, and the pose that they begin in."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from encoders.base import Encoder
from encoders.files import FileError
from encoders.videos.pictures import is_still
from encoders.videos.synchrony import LengthError, match_views
from encoders.videos.video import read_part
from envs.embedding import embed_views
from experiments.imitation.demonstration import Demonstration
from experiments.kuka.recordings import RecordConfig, make_env, read_truth


def read_demonstration(videos: tuple[Path, ...], config: RecordConfig) -> Demonstration:
    """Reads the videos to imitate, one a camera, with what is known to be true of them.

    Args:
        videos: As many as the configuration has cameras, in its order.
        config: The learner's scene.

    Raises:
        ValueError: If a video cannot be read, or the views differ in length.
    """
    frames, times = read_views(videos, config.image_size)
    truth = read_truth(videos[0], config.cameras[0])
    if truth is None:
        return Demonstration(frames, times)
    truth = truth.first(len(frames))
    return Demonstration(frames, times, truth.joint_positions, truth.link_positions)


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
) -> tuple[NDArray[np.float64], float]:
    """Finds the pose that looks most like a frame, by the cross-entropy method in embedding space.

    Rubinstein and Kroese, The Cross-Entropy Method, 2004: sample poses, keep the best tenth, repeat
    around them.

    Args:
        frames: One moment, (V, S, S, 3) uint8.
        config: The learner's scene.
        encoder: Its distances are compared, or those of the pixels without one.
        rng: Source of the poses.

    Returns:
        Joint positions, (7,) radians, and how far the best ones looked from the frame.
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
        apart = np.linalg.norm(embed_views(encoder, np.stack(shots)) - target, axis=1)
        best = np.argsort(apart)[:30]
        mean, spread = poses[best].mean(axis=0), poses[best].std(axis=0)
        poses = np.clip(rng.normal(mean, spread + 0.005, (300, len(mean))), env.joint_lower, env.joint_upper)
    env.close()
    return mean, float(apart.min())
