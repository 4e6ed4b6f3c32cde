"""The video of a teacher's swing-up, as the learner sees the cartpole, and the truth beside it."""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from stable_baselines3.common.vec_env import DummyVecEnv

from agents import factory, pixel_sac
from encoders.files import write_atomically
from encoders.videos.video import write_video
from envs.cartpole import Cartpole
from envs.observations import JOINT_STATE as OWN_STATE
from experiments.cartpole import swingup
from experiments.cartpole.config import SwingUpConfig
from experiments.cartpole.figures import FILM_SIZE
from experiments.cartpole.imitation_config import CartpoleImitationConfig
from experiments.cartpole.swingup import EVALUATION_SEED
from experiments.runs.arrays import Layout, read_layout


@dataclass(frozen=True)
class Film:
    """A swing-up as it was filmed.

    Attributes:
        pixels: (T, S, S, 3 stack) uint8, as the learner sees the cartpole.
        large: (T, FILM_SIZE, FILM_SIZE, 3) uint8.
        joints: (T, 3) place, cosine and sine; for the oracle and for judging alone.
        true_return: What the teacher got.
    """

    pixels: NDArray[np.uint8]
    large: NDArray[np.uint8]
    joints: NDArray[np.float64]
    true_return: float


def filmed(config: CartpoleImitationConfig) -> Film:
    """The video of the teacher's swing-up; made once for all runs.

    Raises:
        ValueError: If the teacher's agent or the video is damaged.
    """
    path = config.film
    if not path.exists():
        teacher, folder = config.teacher_run, config.teacher
        if folder is None:
            swingup.train_all(teacher)
            folder = teacher.run_folder(0)
        _film(teacher, folder, config.reward_run, path)
    seen = config.reward_run
    size, moments = seen.sizes.image_size, seen.horizon + 1
    layout = {
        "pixels": Layout((moments, size, size, 3 * seen.frames.stack), np.uint8),
        "large": Layout((moments, FILM_SIZE, FILM_SIZE, 3), np.uint8),
        "joints": Layout((moments, 3)),
        "true_return": Layout(()),
    }
    arrays = read_layout(path, "demonstration", "delete it, and the teacher is filmed again", layout)
    return Film(arrays["pixels"], arrays["large"], arrays["joints"], float(arrays["true_return"]))


def _film(teacher: SwingUpConfig, folder: Path, seen: SwingUpConfig, path: Path) -> None:
    agent = pixel_sac.make(
        DummyVecEnv([lambda: swingup.make_env(teacher, None, 0)]), None, teacher.sizes, teacher.learning, 1, 0, 0
    )
    factory.load_policy(agent, folder / "agent")
    env = swingup.make_cartpole(seen, pixels=True)
    large = Cartpole(seen.task, FILM_SIZE, stack=1, camera=seen.frames.camera)
    observation, _ = env.reset(seed=EVALUATION_SEED)
    pixels, pictures, joints, total, truncated = [], [], [], 0.0, False
    while True:
        pixels.append(observation["pixels"])
        joints.append(observation["joint_positions"])
        pictures.append(large.reset(options={"joints": env.physics.data.qpos})[0]["pixels"])
        if truncated:
            break
        state = np.concatenate([observation[key] for key in OWN_STATE])
        action = agent.predict(state, deterministic=True)[0]
        observation, reward, _, truncated, _ = env.step(action)
        total += reward
    env.close()
    large.close()
    buffer = io.BytesIO()
    np.savez_compressed(
        buffer,
        pixels=np.stack(pixels),
        large=np.stack(pictures),
        joints=np.stack(joints).astype(np.float64),
        true_return=np.array(total),
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    write_video(path.with_suffix(".mp4"), np.stack(pictures), swingup.fps(seen))
    write_atomically(path, buffer.getvalue())
