"""Recordings of the Kuka: demonstrations and random play, as one mp4 a camera, with the true states.

``NAME_CAMERA.mp4`` are the videos, ``NAME.json`` is the card that says how the scene was set up, and
``NAME_truth.npz`` holds the joint angles and link positions that evaluation alone may read.
"""

from __future__ import annotations

import contextlib
import io
import json
import reprlib
import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.progress import track

from encoders.errors import check_choice
from encoders.files import FileError, read_object, write_atomically
from encoders.videos.video import write_video
from encoders.videos.video_index import index_video
from envs.kuka import CONTROL_SECONDS, JOINTS, KukaReach
from envs.kuka_meshes import MODELS
from envs.kuka_scene import CAMERAS, LOOKS, RENDER_QUALITIES
from experiments.kuka.motions import minimum_jerk, smooth_noise
from experiments.runs.arrays import Layout, read_layout
from experiments.runs.claims import claim
from experiments.sweep.launchers import spread

FPS = 1 / CONTROL_SECONDS
"""Frames a second of a recording: one frame a control step."""

STRAY_SHARE = 0.3
"""Share of random play that strays around a path; the rest moves one or two joints."""

KINDS = ("demo", "play", "heldout")

REMEDY = (
    "copy it again, or delete it with the card: a recording is then made again, and a video from elsewhere imitated by "
    "its looks alone"
)
"""What to do about a damaged file of a recording."""


@dataclass(frozen=True)
class RecordConfig:
    """Settings of the recordings.

    Attributes:
        demos: Demonstrations to learn the embedding from.
        play: Recordings of random play, to learn the embedding from: smooth random motions around demonstrations.
        heldout: Demonstrations to judge the embedding on, never learned from.
        validation: How many of the demonstrations, and of random play, choose the best weights instead of training.
        demo_frames: Frames of a demonstration.
        play_frames: Frames of a recording of random play.
        cameras: Names of the cameras that film every moment.
        image_size: Width and height, pixels; even.
        robot: The arm.
        look: Colours and light.
        render_quality: ``fast`` or ``reference``.
        seed: Seed of all poses.
    """

    demos: int = 250
    play: int = 130
    heldout: int = 10
    validation: int = 20
    demo_frames: int = 51
    play_frames: int = 150
    cameras: tuple[str, ...] = ("front", "side")
    image_size: int = 64
    robot: str = "iiwa"
    look: str = "bare"
    render_quality: str = "fast"
    seed: int = 0

    def __post_init__(self) -> None:
        check_choice("robot", self.robot, MODELS)
        check_choice("look", self.look, LOOKS)
        check_choice("render_quality", self.render_quality, RENDER_QUALITIES)
        if not self.cameras:
            raise ValueError("cameras is empty; name at least one.")
        for camera in self.cameras:
            check_choice("camera", camera, CAMERAS)
        if self.image_size % 2 or not 16 <= self.image_size <= 1024:
            raise ValueError(f"image_size is {self.image_size}; mp4 needs an even number, from 16 to 1024 pixels.")
        if self.demos <= self.validation or self.play <= self.validation or self.validation < 1 or self.heldout < 2:
            raise ValueError(
                "demos and play must each be more than validation (at least 1), and heldout at least 2; "
                f"got {self.demos}, {self.play}, {self.validation} and {self.heldout}."
            )
        if min(self.demo_frames, self.play_frames) < 2:
            raise ValueError(f"A video needs at least 2 frames; got {self.demo_frames} and {self.play_frames}.")

    @property
    def names(self) -> dict[str, list[str]]:
        """Names of the recordings of every kind."""
        counts = {"demo": self.demos, "play": self.play, "heldout": self.heldout}
        return {kind: [f"{kind}_{index:04d}" for index in range(count)] for kind, count in counts.items()}

    @property
    def training(self) -> list[str]:
        """Names that an encoder learns from."""
        return self.names["demo"][self.validation :] + self.names["play"][self.validation :]

    @property
    def validating(self) -> list[str]:
        """Names that choose its best weights."""
        return self.names["demo"][: self.validation] + self.names["play"][: self.validation]


@dataclass(frozen=True)
class Truth:
    """True states of a recording; for evaluation, and for the oracle control.

    Attributes:
        joint_positions: (T, 7) radians.
        link_positions: (T, 7, 3) metres.
    """

    joint_positions: NDArray[np.float64]
    link_positions: NDArray[np.float64]

    def first(self, frames: int) -> Truth:
        """The first states: matched views may end before the file of the first one does."""
        return Truth(self.joint_positions[:frames], self.link_positions[:frames])


def make_env(config: RecordConfig, camera: str | tuple[str, ...] | None = None, horizon: int = 50) -> KukaReach:
    """The environment that is recorded and that the learner acts in."""
    return KukaReach(
        robot=config.robot,
        camera=camera,
        image_size=config.image_size,
        render_quality=config.render_quality,
        look=config.look,
        horizon=horizon,
    )


def joint_path(env: KukaReach, kind: str, frames: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """Joint positions of one recording, (frames, 7) radians.

    Args:
        env: Checks that poses stay above the floor.
        kind: ``demo`` and ``heldout`` go smoothly from one random pose to another. ``play`` strays
            around such a path, or stays by a pose and moves one or two joints alone: a joint that
            never moves alone is one that the embedding may overlook.
        frames: Number of poses.
        rng: Source of everything random.
    """
    env.np_random = rng
    start, goal = env.random_pose(), env.random_pose()
    path = minimum_jerk(start, goal, frames)
    if kind == "play":
        amplitude = rng.uniform(0.2, 0.7)
        noise = smooth_noise(rng, frames, JOINTS, period=rng.uniform(8, 25), amplitude=amplitude)
        moving = rng.choice(JOINTS, rng.integers(1, 3), replace=False)
        strays = rng.random() < STRAY_SHARE
        path = path + 0.7 * noise if strays else start + noise * np.isin(np.arange(JOINTS), moving)
    return np.clip(path, env.joint_lower, env.joint_upper)


def record(env: KukaReach, path: NDArray[np.float64], config: RecordConfig, folder: Path, name: str) -> None:
    """Films a joint path; the card is written last and marks the recording complete."""
    frames: dict[str, list[NDArray[np.uint8]]] = {camera: [] for camera in config.cameras}
    links = []
    for step, pose in enumerate(path):
        env.set_pose(pose)
        links.append(env.link_positions())
        for camera in config.cameras:
            frames[camera].append(env.scene.render(CAMERAS[camera], config.image_size, step * CONTROL_SECONDS))
    for camera, shots in frames.items():
        write_video(folder / f"{name}_{camera}.mp4", np.stack(shots), FPS)
    truth = io.BytesIO()
    np.savez(truth, joint_positions=path, link_positions=np.stack(links))
    write_atomically(folder / f"{name}_truth.npz", truth.getvalue())
    card = {
        "cameras": config.cameras,
        "robot": config.robot,
        "look": config.look,
        "render_quality": config.render_quality,
        "fps": FPS,
        "start": path[0].tolist(),
    }
    write_atomically(folder / f"{name}.json", json.dumps(card, indent=2).encode())


def record_one(name: str, seed: Sequence[int], frames: int, config: RecordConfig, folder: Path) -> None:
    """Records one video with a seed of its own, unless its card says that it is there."""
    if (folder / f"{name}.json").exists():
        return
    env = make_env(config)
    try:
        kind = name.split("_")[0]
        record(env, joint_path(env, kind, frames, np.random.default_rng(seed)), config, folder, name)
    finally:
        env.close()


def _record_job(job: tuple[str, tuple[int, ...], int], config: RecordConfig, folder: Path) -> None:
    record_one(*job, config, folder)


def record_all(config: RecordConfig, folder: Path, workers: int) -> None:
    """Records everything that a configuration asks for; what is there already is kept.

    Args:
        config: What to record.
        folder: Where the files go.
        workers: Processes to record in; 1 records in this one.

    Raises:
        ValueError: If the folder cannot be written, or holds recordings of another configuration.
        ChildProcessError: If a process dies.
    """
    claim(folder, "recordings.json", asdict(config))
    frames = {"demo": config.demo_frames, "play": config.play_frames, "heldout": config.demo_frames}
    jobs = [
        (name, (config.seed, KINDS.index(kind), index), frames[kind])
        for kind, names in config.names.items()
        for index, name in enumerate(names)
        if not (folder / f"{name}.json").exists()
    ]
    if not jobs:
        return
    for left in folder.glob(".video-*"):
        # What a killed process was writing; nothing else looks like this.
        shutil.rmtree(left)
    work = partial(_record_job, config=config, folder=folder)
    with spread(work, jobs, workers) if workers > 1 else contextlib.nullcontext(map(work, jobs)) as done:
        for _ in track(done, description="Recording", total=len(jobs), transient=True):
            pass


def record_demonstration(config: RecordConfig, demo_seed: int, folder: Path) -> Path:
    """Records the demonstration to be imitated, which no encoder learns from; returns its first camera's video."""
    folder.mkdir(parents=True, exist_ok=True)
    name = f"heldout_{demo_seed:04d}"
    # Offset from the recordings' own held-out videos, which choose nothing but are looked at.
    record_one(name, (config.seed, len(KINDS), demo_seed), config.demo_frames, config, folder)
    return folder / f"{name}_{config.cameras[0]}.mp4"


def _sibling(video: Path, camera: str, ending: str) -> Path:
    """The file of the same recording that ends otherwise than in ``_CAMERA.mp4``."""
    return video.with_name(video.name.removesuffix(f"_{camera}{video.suffix}") + ending)


def read_truth(video: Path, camera: str) -> Truth | None:
    """The true states of a recorded video, or None for a video from elsewhere.

    Args:
        video: ``NAME_CAMERA.mp4``.
        camera: The one that filmed it.

    Raises:
        ValueError: If the truth is damaged, or has not one row a frame of the video.
    """
    path = _sibling(video, camera, "_truth.npz")
    if not path.exists():
        return None
    frames = len(index_video(video))
    layout = {"joint_positions": Layout((frames, JOINTS)), "link_positions": Layout((frames, JOINTS, 3))}
    return Truth(**read_layout(path, "truth", REMEDY, layout))


def read_start(video: Path, config: RecordConfig) -> NDArray[np.float64] | None:
    """The pose that a recorded video's card says the arm was set up in, or None for a video from elsewhere.

    Args:
        video: ``NAME_CAMERA.mp4``, of the scene's first camera.
        config: The scene.

    Returns:
        Joint positions, (7,) radians, within the limits of the scene's robot.

    Raises:
        ValueError: If the card is damaged, or the pose is none of the robot's.
    """
    path = _sibling(video, config.cameras[0], ".json")
    if not path.exists():
        return None
    start = read_object(path, "card", REMEDY, ["start"])["start"]
    env = make_env(config)
    lower, upper = env.joint_lower.tolist(), env.joint_upper.tolist()
    env.close()
    bounds = list(zip(lower, upper, strict=True))
    numbers = isinstance(start, list) and all(type(value) in (int, float) for value in start)
    if (
        not numbers
        or len(start) != len(bounds)
        or not all(low <= value <= high for value, (low, high) in zip(start, bounds, strict=True))
    ):
        limits = ", ".join(f"{low:.2f} to {high:.2f}" for low, high in bounds)
        raise FileError(
            f"The card {path} starts the arm at {reprlib.repr(start)}; it takes {len(bounds)} joint positions "
            f"in radians, {limits}; {REMEDY}."
        )
    return np.array(start, np.float64)


def check_recording(video: Path, config: RecordConfig) -> Truth | None:
    """Reads card and truth of a video to imitate, to refuse damaged ones before any work.

    Args:
        video: ``NAME_CAMERA.mp4``, of the scene's first camera.
        config: The scene.

    Returns:
        The truth, or None for a video from elsewhere.

    Raises:
        ValueError: If card or truth is damaged, or they differ in where the arm starts.
    """
    start, truth = read_start(video, config), read_truth(video, config.cameras[0])
    if start is not None and truth is not None and not np.allclose(start, truth.joint_positions[0], rtol=0, atol=1e-6):
        raise FileError(
            f"The card of {video} starts the arm at {start.tolist()}, and the truth at "
            f"{truth.joint_positions[0].tolist()}; {REMEDY}."
        )
    return truth
