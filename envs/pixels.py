"""Observations of one kind alone: frames with channels first, or the state as one vector."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
import torch
from gymnasium import spaces
from numpy.typing import NDArray

from encoders.base import Encoder
from envs.observations import JOINT_STATE

Observation = dict[str, NDArray[Any]]


def check_keys(space: gym.Space[Any], keys: tuple[str, ...]) -> spaces.Dict:
    """The space, if it is a dictionary with these observations.

    Raises:
        ValueError: If it is not.
    """
    if not isinstance(space, spaces.Dict) or not set(keys) <= set(space.spaces):
        raise ValueError(f"The environment must observe {', '.join(keys)}; it observes {space}.")
    return space


class PixelObservation(
    gym.ObservationWrapper[NDArray[np.uint8], NDArray[np.float32], Observation], gym.utils.RecordConstructorArgs
):
    """Observes ``pixels`` alone, channels first: (H, W, C) uint8 -> (C, H, W) uint8.

    Args:
        env: An environment that observes ``pixels`` from one camera.

    Raises:
        ValueError: If it does not.
    """

    def __init__(self, env: gym.Env[Observation, NDArray[np.float32]]) -> None:
        gym.utils.RecordConstructorArgs.__init__(self)
        super().__init__(env)
        shape = check_keys(env.observation_space, ("pixels",))["pixels"].shape or ()
        if len(shape) != 3:
            raise ValueError(f"'pixels' has shape {shape}; one camera's frames are needed, (H, W, C).")
        height, width, channels = shape
        self.observation_space = spaces.Box(0, 255, (channels, height, width), np.uint8)

    def observation(self, observation: Observation) -> NDArray[np.uint8]:
        """(C, H, W) uint8."""
        return np.ascontiguousarray(observation["pixels"].transpose(2, 0, 1))


class StateObservation(
    gym.ObservationWrapper[NDArray[np.float32], NDArray[np.float32], Observation], gym.utils.RecordConstructorArgs
):
    """Observes the true state alone, as one vector.

    Args:
        env: An environment that observes the keys.
        keys: What the vector is made of, in order.

    Raises:
        ValueError: If an observation is missing.
    """

    def __init__(
        self,
        env: gym.Env[Observation, NDArray[np.float32]],
        keys: tuple[str, ...] = JOINT_STATE,
    ) -> None:
        gym.utils.RecordConstructorArgs.__init__(self, keys=keys)
        super().__init__(env)
        space = check_keys(env.observation_space, keys)
        self._keys = keys
        width = sum(spaces.flatdim(space[key]) for key in keys)
        self.observation_space = spaces.Box(-np.inf, np.inf, (width,), np.float32)

    def observation(self, observation: Observation) -> NDArray[np.float32]:
        """(D,) float32."""
        return np.concatenate([observation[key].astype(np.float32).ravel() for key in self._keys])


class SeededEpisodes(gym.Wrapper[Any, Any, Any, Any], gym.utils.RecordConstructorArgs):
    """Seeds every episode by its number, so that a resumed training sees the same episodes.

    Args:
        env: Any environment.
        seed: Seed of all episodes.
        first: Number of the episode that a series begins with.
    """

    def __init__(self, env: gym.Env[Any, Any], seed: int, first: int = 0) -> None:
        gym.utils.RecordConstructorArgs.__init__(self, seed=seed, first=first)
        super().__init__(env)
        self._seed = seed
        self._first = first
        self.episode = first

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """Starts the next episode; a seed starts a new series of episodes."""
        if seed is not None:
            self._seed, self.episode = seed, self._first
        drawn = int(np.random.default_rng([self._seed, self.episode]).integers(2**31))
        self.episode += 1
        return self.env.reset(seed=drawn, options=options)

    def start_with(self, episode: int) -> None:
        """Sets the number of the episode that the next reset starts, with a seed or without."""
        self._first = self.episode = episode


class FrozenEmbedding(
    gym.ObservationWrapper[Any, NDArray[np.float32], NDArray[np.uint8]], gym.utils.RecordConstructorArgs
):
    """Observes a frozen embedding, in place of the frames or as ``embedding`` next to ``pixels``.

    Args:
        env: An environment that observes frames alone, channels first.
        encoder: Frozen.
        keep_pixels: Whether the frames stay, for an agent that trains an encoder of its own.

    Raises:
        ValueError: If the frames do not fit the encoder.
    """

    def __init__(
        self, env: gym.Env[NDArray[np.uint8], NDArray[np.float32]], encoder: Encoder, keep_pixels: bool = False
    ) -> None:
        gym.utils.RecordConstructorArgs.__init__(self, encoder=encoder, keep_pixels=keep_pixels, _disable_deepcopy=True)
        super().__init__(env)
        frames = env.observation_space
        if not isinstance(frames, spaces.Box):
            raise ValueError(f"The environment must observe frames alone, channels first; it observes {frames}.")
        encoder.check_frames(frames.shape)
        self._encoder = encoder
        self._keep_pixels = keep_pixels
        box = spaces.Box(-np.inf, np.inf, (encoder.embedding_dim,), np.float32)
        self.observation_space = spaces.Dict({"pixels": frames, "embedding": box}) if keep_pixels else box

    def observation(self, observation: NDArray[np.uint8]) -> NDArray[np.float32] | Observation:
        """(D,) float32, or both by name."""
        embedding = self._encoder.embed(torch.from_numpy(observation[None]))[0].numpy()
        return {"pixels": observation, "embedding": embedding} if self._keep_pixels else embedding
