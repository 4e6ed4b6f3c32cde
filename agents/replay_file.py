"""A replay buffer as a file of arrays."""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from stable_baselines3.common.buffers import ReplayBuffer

from agents.frame_buffer import FrameReplayBuffer, fill_rows, place_of
from agents.trajectories import arrays_of
from encoders.files import open_arrays

HEADERS = 2**20
"""Largest size of the names and shapes of arrays, bytes."""

_OBSERVATIONS = ("observations", "next_observations")

_PLAIN = ("actions", "rewards", "dones", "timeouts")


def replay_bytes(replay: ReplayBuffer) -> bytes:
    """The filled part of a replay buffer."""
    content = io.BytesIO()
    np.savez(content, **(replay.arrays() if isinstance(replay, FrameReplayBuffer) else _arrays(replay)))
    return content.getvalue()


def read_replay(replay: ReplayBuffer, path: Path, remedy: str) -> None:
    """Restores what ``replay_bytes`` gave into a buffer of the same settings.

    Args:
        replay: Filled in place.
        path: The file.
        remedy: What to do if it cannot be used, as the end of a sentence.

    Raises:
        FileError: If it is missing, damaged, of another buffer, or would take more memory than this one.
    """
    most = sum(array.nbytes for array in arrays_of(replay)) + HEADERS
    if isinstance(replay, FrameReplayBuffer):
        # Beside every step: the frame after it, and those before it in its stack.
        most += (1 + replay.stack) * replay.frames.nbytes
    with open_arrays(path, "replay buffer", remedy, most) as arrays:
        if isinstance(replay, FrameReplayBuffer):
            replay.restore(arrays)
        else:
            _fill(replay, arrays)


def _arrays(replay: ReplayBuffer) -> dict[str, Any]:
    """The arrays of a Stable-Baselines3 replay buffer, by name."""
    size = replay.size()
    arrays = {"pos": np.array(replay.pos), "full": np.array(replay.full)}
    return arrays | {name: part[:size] for name, part in _parts(replay).items()}


def _fill(replay: ReplayBuffer, arrays: Mapping[str, NDArray[Any]]) -> None:
    """Restores what ``_arrays`` gave."""
    replay.pos, replay.full = place_of(arrays, replay.buffer_size)
    for name, part in _parts(replay).items():
        fill_rows(part, arrays[name], replay.size())


def _parts(replay: ReplayBuffer) -> dict[str, NDArray[Any]]:
    """The arrays of one of Stable-Baselines3's replay buffers, those of several observations by their names."""
    parts: dict[str, NDArray[Any]] = {}
    for name in _OBSERVATIONS:
        part = getattr(replay, name)
        parts |= {f"{name}.{key}": value for key, value in part.items()} if isinstance(part, dict) else {name: part}
    return parts | {name: getattr(replay, name) for name in _PLAIN}
