"""Random play on the cartpole: frames that an encoder is trained on, and where things are in them."""

from __future__ import annotations

import io
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from encoders.clips.clips import Clips
from encoders.files import write_atomically
from envs.cartpole import Cartpole
from experiments.runs.arrays import Layout, read_layout

TASKS = ("swingup", "balance")
"""Whose beginnings are recorded: a pole that hangs, and one that falls."""

VALIDATION_SHARE = 0.2

LONGEST_HELD = 5
"""Steps of the agent that an action is held for at most."""


@dataclass(frozen=True)
class Recording:
    """Episodes of random actions.

    Attributes:
        frames: (N, T, S, S, 3 stack) uint8.
        landmarks: (N, T, 2, 2) float64, the cart and the pole's tip, (x, y) in pixels; for judging alone.
        joints: (N, T, 2) float64, metres and radians; for the oracle, and to begin episodes in.
        velocities: (N, T, 2) float64, of the joints.
    """

    frames: NDArray[np.uint8]
    landmarks: NDArray[np.float64]
    joints: NDArray[np.float64]
    velocities: NDArray[np.float64]

    @property
    def clips(self) -> tuple[Clips, Clips]:
        """Training and validation episodes."""
        videos = [episode[None] for episode in self.frames]
        names = tuple(f"episode {index}" for index in range(len(videos)))
        # Both tasks are in both parts, since episodes alternate between them.
        cut = len(videos) - max(2, round(VALIDATION_SHARE * len(videos)))
        clips = Clips(videos, names)
        return clips.subset(range(cut)), clips.subset(range(cut, len(videos)))


def observed_joints(joints: NDArray[np.float64]) -> NDArray[np.float64]:
    """Place and angle as the cartpole observes them: (..., 2) -> place, cosine and sine, (..., 3)."""
    place, angle = np.moveaxis(joints, -1, 0)
    return np.stack([place, np.cos(angle), np.sin(angle)], axis=-1)


def back_and_forth(steps: int, rng: np.random.Generator) -> NDArray[np.float32]:
    """Random actions that bring a cart back to where it was: held, then reversed for twice as long, then held again.

    Independent actions let the cart drift: it is out of sight or at the end of its rail most of an episode.

    Args:
        steps: Number of actions.
        rng: Source of strengths, signs and durations.

    Returns:
        (steps, 1) in [-1, 1].
    """
    actions: list[float] = []
    while len(actions) < steps:
        held, strength = int(rng.integers(1, LONGEST_HELD + 1)), float(rng.uniform(-1, 1))
        actions += [strength] * held + [-strength] * 2 * held + [strength] * held
    return np.array(actions[:steps], np.float32)[:, None]


def record(
    episodes: int, seed: int, image_size: int, action_repeat: int, stack: int, camera: str, render_quality: str
) -> Recording:
    """Records episodes of random actions, in turn from the beginnings of both tasks."""
    rng = np.random.default_rng(seed)
    envs = [Cartpole(task, image_size, action_repeat, stack, camera, render_quality) for task in TASKS]
    made = []
    for episode in range(episodes):
        env = envs[episode % len(envs)]
        observation, _ = env.reset(seed=int(rng.integers(2**31)))
        moments = []
        for action in back_and_forth(env.horizon, rng):
            state = env.physics.data
            moments.append((observation["pixels"], env.landmarks(), state.qpos.copy(), state.qvel.copy()))
            observation, *_ = env.step(action)
        made.append([np.stack(values) for values in zip(*moments, strict=True)])
    for env in envs:
        env.close()
    return Recording(*(np.stack(values) for values in zip(*made, strict=True)))


def load_or_record(
    folder: Path,
    episodes: int,
    seed: int,
    image_size: int,
    action_repeat: int,
    stack: int,
    camera: str,
    render_quality: str,
    horizon: int,
) -> Recording:
    """The recording in a folder; made there if it is not.

    Args:
        folder: Where ``seed_N.npz`` is, or goes.
        episodes: How many there are.
        seed: Of actions and beginnings.
        image_size: Width and height of a frame, pixels.
        action_repeat: Control steps that an action is held for.
        stack: Frames a moment.
        camera: Name of the camera.
        render_quality: ``fast`` or ``reference``.
        horizon: Moments of an episode.

    Raises:
        ValueError: If the folder's recording is damaged, or is one of other episodes or frames.
    """
    path = folder / f"seed_{seed}.npz"
    if path.exists():
        return read_recording(path, (episodes, horizon, image_size, image_size, 3 * stack))
    made = record(episodes, seed, image_size, action_repeat, stack, camera, render_quality)
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **{part.name: getattr(made, part.name) for part in fields(Recording)})
    folder.mkdir(parents=True, exist_ok=True)
    write_atomically(path, buffer.getvalue())
    return made


def read_recording(path: Path, shape: tuple[int, ...]) -> Recording:
    """Reads a recording.

    Args:
        path: The file.
        shape: Of its frames, (N, T, S, S, 3 stack).

    Raises:
        ValueError: If it is missing or damaged, or holds anything but such frames and what was true of each.
    """
    layout = {
        "frames": Layout(shape, np.uint8),
        "landmarks": Layout((*shape[:2], 2, 2)),
        "joints": Layout((*shape[:2], 2)),
        "velocities": Layout((*shape[:2], 2)),
    }
    return Recording(**read_layout(path, "recording", "delete it, and it is recorded again", layout))
