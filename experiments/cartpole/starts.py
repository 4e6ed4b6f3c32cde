"""Where an imitation on the cartpole begins its episodes: in recorded random actions that look like the video."""

from __future__ import annotations

from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from encoders.base import Encoder
from envs.starts import Starts, nearest
from experiments.cartpole.imitation_config import CartpoleImitationConfig
from experiments.cartpole.pretraining import recorded
from experiments.cartpole.recordings import Recording, observed_joints
from rewards.lost import lost_distance

STATES = 10
"""Recorded states for a moment of the video at most."""

Number = TypeVar("Number", np.uint8, np.float64)


def recorded_starts(
    config: CartpoleImitationConfig, key: str, path: NDArray[np.floating], encoder: Encoder, seed: int
) -> Starts | None:
    """For every step of the video the recorded states that are near it by the reward; None if none is wanted.

    Args:
        config: The run.
        key: The observation that the reward compares.
        path: What it should be at every step, (T, D).
        encoder: The reward's.
        seed: Of the run, whose recording it is.
    """
    if not config.starts:
        return None
    recording = recorded(config.reward_run, seed)
    own = _compared(recording, key, encoder)
    # An episode that begins with the last frame has no step left.
    at = nearest(np.asarray(path[:-1], np.float64), own, STATES, lost_distance(path, config.lost))
    used = np.unique(np.concatenate(at))
    states = {
        "joints": _flat(recording.joints)[used],
        "velocities": _flat(recording.velocities)[used],
        "frames": _flat(recording.frames)[used],
    }
    return Starts(states, tuple(np.searchsorted(used, indices) for indices in at))


def _compared(recording: Recording, key: str, encoder: Encoder) -> NDArray[np.float64]:
    if key == "joint_positions":
        return observed_joints(_flat(recording.joints))
    return encoder.embed_video(_flat(recording.frames)).astype(np.float64)


def _flat(episodes: NDArray[Number]) -> NDArray[Number]:
    return episodes.reshape(-1, *episodes.shape[2:])
