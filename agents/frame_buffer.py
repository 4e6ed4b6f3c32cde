"""A replay buffer of stacked frames that holds every frame once."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import gymnasium as gym
import numpy as np
import psutil
import torch
from gymnasium import spaces
from numpy.typing import NDArray
from stable_baselines3.common.buffers import NStepReplayBuffer
from stable_baselines3.common.type_aliases import ReplayBufferSamples
from stable_baselines3.common.vec_env import VecNormalize

from agents.extractor import PIXELS

RGB = 3


Vectors = dict[str, NDArray[np.float32]]
"""Vectors that are observed with frames, by name."""


class StackedFrames:
    """The stacked frames of a buffer, assembled when they are indexed.

    Args:
        stacks: Puts them together: (B,) rows, (B,) environments -> (B, C, S, S) uint8.
    """

    def __init__(self, stacks: Callable[[NDArray[np.int64], NDArray[np.int64]], NDArray[np.uint8]]) -> None:
        self._stacks = stacks

    def __getitem__(self, index: tuple[NDArray[np.int64], NDArray[np.int64] | int]) -> NDArray[np.uint8]:
        """Stacks of some steps: (rows, environments or the one of them all) -> (B, C, S, S) uint8."""
        rows, envs = index
        return self._stacks(np.asarray(rows), np.broadcast_to(envs, np.shape(rows)))


class Observations:
    """The observations of a buffer as Stable-Baselines3 asks for them: stacks, or stacks and vectors by name.

    Args:
        pixels: The stacks.
        vectors: (steps, environments, D) float32 each.
    """

    nbytes = 0
    """Of its own."""

    def __init__(self, pixels: StackedFrames, vectors: Vectors) -> None:
        self.pixels = pixels
        self._vectors = vectors

    def __getitem__(self, index: tuple[NDArray[np.int64], NDArray[np.int64]]) -> Any:
        """Of some steps: (B, C, S, S) uint8, or a dictionary of it and vectors (B, D)."""
        stacks = self.pixels[index]
        if not self._vectors:
            return stacks
        return {PIXELS: stacks, **{name: values[index] for name, values in self._vectors.items()}}

    def __setitem__(self, row: int, observations: NDArray[np.uint8]) -> None:
        """Nothing: the buffer has stored what is new when Stable-Baselines3 stores a step."""


class FrameReplayBuffer(NStepReplayBuffer):
    """Transitions between stacks of frames, of which the newest frame of each is stored.

    The usual buffer stores a stack of three frames twice a step, as observation and as next observation: six frames
    where one is new. Here the older frames of a stack are those of the steps before, the first one repeated at the
    start of an episode, as environments do. The last frame of an episode is kept apart, and so are the older frames of
    a first stack that are not the first one repeated, as where an episode begins in the middle of another.

    A sample is a step, the rewards of ``n_steps`` from there, and what is observed after them.

    Vectors that are observed with the frames are stored as they are.

    Args:
        buffer_size: Steps of all environments together.
        observation_space: Stacks of RGB frames (3 stack, S, S) uint8, the newest last; or ``pixels`` that are such
            stacks, with vectors.
        action_space: A box.
        device: Where samples go.
        n_envs: Number of environments.
        optimize_memory_usage: Stable-Baselines3's own way to store frames once; this one's is always in use.
        n_steps: Steps whose rewards are summed; fewer where an episode ends.
        gamma: Discount of the second and later rewards.
        memory: Bytes that it may take; None for what is free.

    Raises:
        ValueError: If the observations are no stacks of RGB frames, or the buffer would not fit in memory.
    """

    def __init__(
        self,
        buffer_size: int,
        observation_space: gym.Space[Any],
        action_space: gym.Space[Any],
        device: torch.device | str = "auto",
        n_envs: int = 1,
        optimize_memory_usage: bool = False,
        n_steps: int = 1,
        gamma: float = 0.99,
        memory: int | None = None,
    ) -> None:
        frames, widths = _parts(observation_space)
        shape = frames.shape
        if not isinstance(frames, spaces.Box) or frames.dtype != np.uint8:
            raise ValueError(f"Frames are stored as uint8; the environment observes {observation_space}.")
        if shape is None or len(shape) != 3 or shape[0] % RGB:
            raise ValueError(f"Stacks of RGB frames have the shape (3 stack, S, S); the environment observes {shape}.")
        steps = max(1, buffer_size // n_envs)
        check_memory(steps * n_envs, shape[1:], sum(widths.values()), memory)
        # The observations of the base class would take the memory that this one saves.
        nothing = spaces.Box(0, 255, (0,), np.uint8)
        super().__init__(buffer_size, nothing, action_space, device, n_envs, n_steps=n_steps, gamma=gamma)
        self.vectors, self.next_vectors = (
            {name: np.zeros((self.buffer_size, n_envs, width), np.float32) for name, width in widths.items()}
            for _ in range(2)
        )
        self.observations = Observations(StackedFrames(self.stacks), self.vectors)  # type: ignore[assignment]
        self.next_observations = Observations(StackedFrames(self.next_stacks), self.next_vectors)  # type: ignore[assignment]
        self.observation_space = observation_space
        self.obs_shape = shape
        self.stack = shape[0] // RGB
        self.frames = np.zeros((self.buffer_size, n_envs, RGB, *shape[1:]), np.uint8)
        self.ages = np.zeros((self.buffer_size, n_envs), np.int64)
        self._last: dict[tuple[int, int], NDArray[np.uint8]] = {}
        self._older: dict[tuple[int, int], NDArray[np.uint8]] = {}
        self._age = np.zeros(n_envs, np.int64)

    def add(
        self,
        obs: Any,
        next_obs: Any,
        action: NDArray[Any],
        reward: NDArray[Any],
        done: NDArray[Any],
        infos: list[dict[str, Any]],
    ) -> None:
        """Stores a step of every environment."""
        here = self.pos
        for name in self.vectors:
            self.vectors[name][here], self.next_vectors[name][here] = obs[name], next_obs[name]
        if self.vectors:
            obs, next_obs = obs[PIXELS], next_obs[PIXELS]
        before = (here - 1) % self.buffer_size
        for env in range(self.n_envs):
            # The frame after the step before is stored now, unless that step ended its episode.
            if self._age[env] > 0:
                self._last.pop((before, env), None)
            self._last[here, env] = np.array(next_obs[env, -RGB:])
            self._older.pop((here, env), None)
            older = obs[env, :-RGB].reshape(-1, RGB, *self.obs_shape[1:])
            if self._age[env] == 0 and (older != obs[env, -RGB:]).any():
                self._older[here, env] = older.copy()
        self.frames[here] = obs[:, -RGB:]
        self.ages[here] = self._age
        self._age = np.where(np.asarray(done) > 0, 0, self._age + 1)
        super().add(obs, next_obs, action, reward, done, infos)

    def start_episodes(self) -> None:
        """Makes the next step of every environment the first of an episode, even if the last one did not end."""
        self._age[:] = 0

    @property
    def _first(self) -> int:
        """Row of the oldest step."""
        return self.pos if self.full else 0

    def stacks(self, rows: NDArray[np.int64], envs: NDArray[np.int64]) -> NDArray[np.uint8]:
        """The observations of some steps.

        Args:
            rows: (B,) rows of the buffer.
            envs: (B,) environments.

        Returns:
            (B, 3 stack, S, S) uint8.
        """
        ages = np.minimum(self.ages[rows, envs], (rows - self._first) % self.buffer_size)
        back = np.minimum(np.arange(self.stack - 1, -1, -1)[None], ages[:, None])
        taken = self.frames[(rows[:, None] - back) % self.buffer_size, envs[:, None]]
        young = np.flatnonzero(ages < self.stack - 1) if self._older else np.zeros(0, np.int64)
        for index in young.tolist():
            age = int(ages[index])
            older = self._older.get((int(rows[index] - age) % self.buffer_size, int(envs[index])))
            if older is not None:
                taken[index, : self.stack - 1 - age] = older[age:]
        return taken.reshape(len(rows), *self.obs_shape)

    def next_stacks(self, rows: NDArray[np.int64], envs: NDArray[np.int64]) -> NDArray[np.uint8]:
        """The observations after some steps, the last of an episode included: as ``stacks``."""
        stacks = np.empty((len(rows), *self.obs_shape), np.uint8)
        stacks[:, :-RGB] = self.stacks(rows, envs)[:, RGB:]
        stacks[:, -RGB:] = self.frames[(rows + 1) % self.buffer_size, envs]
        for index, key in enumerate(zip(rows.tolist(), envs.tolist(), strict=True)):
            if key in self._last:
                stacks[index, -RGB:] = self._last[key]
        return stacks

    def sample(self, batch_size: int, env: VecNormalize | None = None) -> ReplayBufferSamples:
        """Draws transitions whose stacks are whole.

        The oldest steps of a full buffer are left out, whose older frames have been overwritten.
        """
        left_out = self.stack - 1 if self.full else 0
        if self.size() - left_out < 1:
            raise ValueError(f"The buffer holds {self.size()} step(s); sampling takes at least {left_out + 1}.")
        drawn = np.random.randint(left_out, self.size(), size=batch_size)  # noqa: NPY002 - SB3's own generator
        return self._get_samples((drawn + self._first) % self.buffer_size, env)

    def to_torch(self, array: Any, copy: bool = True) -> Any:
        """Tensors on the samples' device, of an array or of several by name."""
        if isinstance(array, dict):
            return {name: super(FrameReplayBuffer, self).to_torch(part, copy) for name, part in array.items()}
        return super().to_torch(array, copy)

    def arrays(self) -> dict[str, NDArray[Any]]:
        """All that the buffer holds, to be written to a file."""
        size = self.size()
        whole = {name: getattr(self, name)[:size] for name in ("frames", "ages", *_PLAIN)}
        for name in self.vectors:
            whole[f"vectors.{name}"] = self.vectors[name][:size]
            whole[f"next_vectors.{name}"] = self.next_vectors[name][:size]
        return whole | {
            "pos": np.array(self.pos),
            "full": np.array(self.full),
            "age": self._age,
            **_listed("last", self._last),
            **_listed("older", self._older),
        }

    def restore(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        """Restores what ``arrays`` gave into a buffer of the same settings.

        Raises:
            ValueError: If an array has another shape or type; KeyError if one is missing.
        """
        self.pos, self.full = place_of(arrays, self.buffer_size)
        size = self.size()
        for name in ("frames", "ages", *_PLAIN):
            fill_rows(getattr(self, name), arrays[name], size)
        for name in self.vectors:
            fill_rows(self.vectors[name], arrays[f"vectors.{name}"], size)
            fill_rows(self.next_vectors[name], arrays[f"next_vectors.{name}"], size)
        fill_rows(self._age, arrays["age"], self.n_envs)
        frame = self.frames.shape[2:]
        self._last = _pairs(arrays["last_keys"], arrays["last"], frame)
        self._older = _pairs(arrays["older_keys"], arrays["older"], (self.stack - 1, *frame))


def place_of(arrays: Mapping[str, NDArray[Any]], size: int) -> tuple[int, bool]:
    """The write position of a buffer and whether it is full, from the file of one of the same size or smaller.

    A smaller one that has just been filled is not full here, and the next step goes where it would have gone.

    Raises:
        ValueError: If there is no such row.
    """
    pos, full, rows = arrays["pos"], arrays["full"], len(arrays["rewards"])
    if pos.shape != () or pos.dtype.kind not in "iu" or full.shape != () or full.dtype != bool or not 0 <= pos < size:
        raise ValueError(f"a buffer of {size} rows has no place {pos}, full: {full}")
    return (rows, False) if full and pos == 0 and rows < size else (int(pos), bool(full))


def fill_rows(kept: NDArray[Any], rows: NDArray[Any], size: int) -> None:
    """Restores the first rows of a buffer's array.

    Args:
        kept: (rows, ...), filled in place.
        rows: (size, ...) of the same type.
        size: Rows that are filled.

    Raises:
        ValueError: If the shape or the type is another, which numpy would adapt.
    """
    if rows.dtype != kept.dtype or rows.shape != (size, *kept.shape[1:]):
        raise ValueError(f"an array {rows.shape} of {rows.dtype} is no {(size, *kept.shape[1:])} of {kept.dtype}")
    kept[:size] = rows


def _parts(space: gym.Space[Any]) -> tuple[gym.Space[Any], dict[str, int]]:
    """The frames of an observation space, and the widths of the vectors observed with them.

    Raises:
        ValueError: If something else than vectors is observed with them, or nothing is.
    """
    if not isinstance(space, spaces.Dict) or PIXELS not in space.spaces:
        return space, {}
    vectors = {name: part for name, part in space.spaces.items() if name != PIXELS}
    if not vectors or any(not isinstance(part, spaces.Box) or len(part.shape) != 1 for part in vectors.values()):
        raise ValueError(f"Frames and vectors are stored; the environment observes {space}.")
    return space[PIXELS], {name: spaces.flatdim(part) for name, part in vectors.items()}


_PLAIN = ("actions", "rewards", "dones", "timeouts")


def _listed(name: str, frames: dict[tuple[int, int], NDArray[np.uint8]]) -> dict[str, NDArray[Any]]:
    """Frames by row and environment as two arrays."""
    keys = sorted(frames)
    return {f"{name}_keys": np.array(keys, np.int64).reshape(-1, 2), name: np.array([frames[key] for key in keys])}


def _pairs(
    keys: NDArray[np.int64], frames: NDArray[np.uint8], shape: tuple[int, ...]
) -> dict[tuple[int, int], NDArray[np.uint8]]:
    """Frames by row and environment, as ``_listed`` wrote them."""
    if len(keys) and (frames.dtype != np.uint8 or frames.shape != (len(keys), *shape)):
        raise ValueError(f"frames {frames.shape} of {frames.dtype} are no {(len(keys), *shape)} of uint8")
    return {(int(row), int(env)): np.array(frame) for (row, env), frame in zip(keys, frames, strict=True)}


def check_memory(steps: int, size: tuple[int, ...], width: int = 0, memory: int | None = None) -> None:
    """Refuses a buffer that would not fit in memory.

    Args:
        steps: That it is to hold.
        size: Height and width of a frame, pixels.
        width: Numbers in the vectors that are observed with a stack; stored twice, as SB3 stores observations.
        memory: Bytes that there are; None for what is free.

    Raises:
        ValueError: If it needs more.
    """
    frames, vectors = steps * RGB * math.prod(size), steps * 2 * np.dtype(np.float32).itemsize * width
    free = psutil.virtual_memory().available if memory is None else memory
    if frames + vectors > free:
        parts = f"{frames / 1e9:.1f} GB for its frames" + bool(width) * f", {vectors / 1e9:.1f} GB for its vectors,"
        raise ValueError(
            f"A replay buffer of {steps:,} steps takes {parts} and {free / 1e9:.1f} GB are free; choose a smaller "
            "buffer_size or image_size" + bool(width) * ", or an encoder with a shorter embedding" + "."
        )
