"""A recorded two-view data set modelled on the pouring set: every video looks different.

``NAME_view0.mp4`` is filmed by a camera that stands still, ``NAME_view1.mp4`` by one that moves all the
time; ``labels.csv`` says what is true of every frame and is for judging alone.
"""

from __future__ import annotations

import csv
import io
import shutil
from collections.abc import Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.progress import track
from scipy.interpolate import CubicSpline

from encoders.clips.clips import LABELS_FILE
from encoders.files import write_atomically
from encoders.videos.video import write_video
from envs.kuka import CONTROL_SECONDS, JOINTS, MIN_HEIGHT, KukaReach
from envs.kuka_looks import fixed_camera, moving_camera, random_look
from experiments.comparison.config import ViewPairsConfig
from experiments.runs.arrays import Layout, read_layout
from experiments.runs.claims import claim
from experiments.sweep.launchers import spread

SCRIPT = np.array(
    [
        [-0.9, 0.2, 0.0, -1.0, 0.0, 0.6, 0.0],
        [-0.5, 0.6, 0.1, -0.7, 0.0, 0.3, 0.0],
        [0.0, 0.9, 0.0, -0.5, 0.0, 0.7, 0.0],
        [0.5, 0.2, -0.1, -0.9, 0.0, 0.2, 0.0],
        [0.9, -0.5, 0.0, 0.6, 0.0, -0.6, 0.0],
    ]
)
"""What every demonstration does, as pouring videos all pour: from one side, over a target in front, which the
third pose reaches, up and back to the other side; joint positions, radians."""

VISITS = np.array([0.0, 0.25, 0.5, 0.75, 1.0])
"""Times at which a demonstration reaches each pose of the script, as shares of its length."""

POSE_SPREAD = 0.12
"""Standard deviation of a demonstration's poses around the script's, radians."""

TIME_SPREAD = 0.05
"""Largest shift of a visit, as a share of the length."""


def reaching_path(
    env: KukaReach, frames: int, rng: np.random.Generator
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The script with poses and times of its own, without a halt in between.

    A halt would make moments that nothing can tell apart.

    Args:
        env: Checks that poses stay above the floor.
        frames: Number of poses.
        rng: Source of the variation.

    Returns:
        Joint positions, (frames, 7) radians, and those at the target, (7,) radians.
    """
    while True:
        poses = SCRIPT + rng.normal(0.0, POSE_SPREAD, SCRIPT.shape)
        visits = VISITS.copy()
        visits[1:-1] += rng.uniform(-TIME_SPREAD, TIME_SPREAD, len(visits) - 2)
        path = CubicSpline(visits, poses, bc_type="natural")(np.linspace(0.0, 1.0, frames))
        path = np.clip(path, env.joint_lower, env.joint_upper)
        heights = []
        for pose in path:
            env.set_pose(pose)
            heights.append(env.link_positions()[2:, 2].min())
        if min(heights) >= MIN_HEIGHT / 2:
            return path, poses[2]


ATTRIBUTES = ("reaching", "leaving", "near_target", "at_target", "elbow_high", "hand_high", "arm_stretched")


def attributes(links: NDArray[np.float64], target: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Binary attributes of every frame.

    Args:
        links: (T, 7, 3), metres.
        target: (3,), metres.

    Returns:
        (T, A) bool, in the order of ``ATTRIBUTES``.
    """
    hand = links[:, -1]
    distance = np.linalg.norm(hand - target, axis=1)
    approach = -np.gradient(distance)
    return np.stack(
        [
            approach > 0.004,
            approach < -0.004,
            distance < 0.25,
            distance < 0.1,
            links[:, 3, 2] > 0.75,
            hand[:, 2] > 0.85,
            np.linalg.norm(hand - links[:, 0], axis=1) > 0.89,
        ],
        axis=1,
    )


def record_pair(name: str, config: ViewPairsConfig, folder: Path) -> None:
    """Records one demonstration from both cameras; its truth is written last and marks it complete."""
    rng = np.random.default_rng([config.seed, int(name.rsplit("_", 1)[1])])
    env = KukaReach(camera=None, image_size=config.image_size, look=random_look(rng))
    try:
        cameras = (fixed_camera(rng), moving_camera(rng))
        path, at_target = reaching_path(env, config.frames, rng)
        target = env.hand_of(at_target)
        env.reset(options={"joint_positions": path[0], "goal": target})
        shots: list[list[NDArray[np.uint8]]] = [[], []]
        links = []
        for step, pose in enumerate(path):
            env.set_pose(pose)
            links.append(env.link_positions())
            for frames, camera in zip(shots, cameras, strict=True):
                frames.append(env.scene.render(camera, config.image_size, step * CONTROL_SECONDS))
    finally:
        env.close()
    for view, frames in enumerate(shots):
        write_video(folder / f"{name}_view{view}.mp4", np.stack(frames), 1 / CONTROL_SECONDS)
    content = io.BytesIO()
    np.savez(content, joint_positions=path, link_positions=np.stack(links), target=target)
    write_atomically(folder / f"{name}_truth.npz", content.getvalue())


def record_pairs(config: ViewPairsConfig, folder: Path, workers: int) -> None:
    """Records everything that a configuration asks for; what is there already is kept.

    Raises:
        ValueError: If the folder cannot be written, or holds recordings of another configuration.
        ChildProcessError: If a process dies.
    """
    claim(folder, "recordings.json", asdict(config))
    jobs = [name for name in config.names if not (folder / f"{name}_truth.npz").exists()]
    if jobs:
        for left in folder.glob(".video-*"):
            # What a killed process was writing; nothing else looks like this.
            shutil.rmtree(left)
        with spread(partial(record_pair, config=config, folder=folder), jobs, workers) as done:
            for _ in track(done, description="Recording", total=len(jobs), transient=True):
                pass
    if not (folder / LABELS_FILE).exists():
        write_labels(folder, config.names, config.frames)


def write_labels(folder: Path, names: Sequence[str], frames: int) -> None:
    """Derives the attributes of all recordings from their truth, and writes ``labels.csv``.

    Args:
        folder: Where the recordings are.
        names: Of the recordings.
        frames: Of each.

    Raises:
        ValueError: If a truth is damaged, or has not one row a frame; or the file cannot be written.
    """
    layout = {"link_positions": Layout((frames, JOINTS, 3)), "target": Layout((3,))}
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["name", "frame", *ATTRIBUTES])
    for name in names:
        path = folder / f"{name}_truth.npz"
        truth = read_layout(path, "truth", f"delete it, and {name} is recorded again", layout)
        rows = attributes(truth["link_positions"], truth["target"]).astype(int).tolist()
        writer.writerows([name, frame, *row] for frame, row in enumerate(rows))
    write_atomically(folder / LABELS_FILE, text.getvalue().encode())
