"""Embeddings in observations: what the robot looks like, and what the demonstration does at this step."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray
from stable_baselines3.common.vec_env import VecEnv, VecEnvWrapper
from stable_baselines3.common.vec_env.base_vec_env import VecEnvObs, VecEnvStepReturn

from encoders.base import Encoder, channels_first
from envs.starts import begun_at

Observation = dict[str, NDArray[Any]]


def embed_pixels(encoder: Encoder, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Embeds a batch of observed frames, one or several views each.

    Args:
        encoder: A frozen encoder.
        pixels: (B, H, W, C) or (B, V, H, W, C) uint8.

    Returns:
        (B, D) or (B, V D) float32; several views are divided by sqrt(V), which makes squared
        distances the mean over the views.
    """
    if pixels.ndim == 4:
        return encoder.embed(channels_first(pixels)).numpy()
    batch, views = pixels.shape[:2]
    embeddings = encoder.embed(channels_first(pixels.reshape(batch * views, *pixels.shape[2:])))
    return (embeddings.reshape(batch, -1) / np.sqrt(views)).numpy()


def embedding_space(space: gym.Space[Any], encoder: Encoder, demonstration: NDArray[np.float32]) -> spaces.Space[Any]:
    """The observation space after ``pixels`` have become embeddings.

    Raises:
        ValueError: If there are no pixels, or they or the demonstration do not fit the encoder.
    """
    if not isinstance(space, spaces.Dict) or "pixels" not in space.spaces:
        raise ValueError("The environment observes no 'pixels' to embed; make it with a camera.")
    shape = space["pixels"].shape
    assert shape is not None
    views = shape[0] if len(shape) == 4 else 1
    encoder.check_frames((shape[-1], *shape[-3:-1]))
    width = views * encoder.embedding_dim
    if demonstration.ndim != 2 or demonstration.shape[1] != width:
        raise ValueError(
            f"The demonstration's embeddings have shape {demonstration.shape}; "
            f"{views} view(s) of this encoder need (T, {width})."
        )
    box = spaces.Box(-np.inf, np.inf, (width,), np.float32)
    kept = {key: part for key, part in space.spaces.items() if key not in ("pixels", "goal")}
    return spaces.Dict({**kept, "embedding": box, "demonstration": box})


def _with_pixels(space: spaces.Space[Any], before: gym.Space[Any], keep: bool) -> spaces.Space[Any]:
    """The space, with the pixels of the one before if they are kept."""
    if not keep:
        return space
    assert isinstance(space, spaces.Dict)
    assert isinstance(before, spaces.Dict)
    return spaces.Dict({**space.spaces, "pixels": before["pixels"]})


class EmbeddingObservation(gym.Wrapper[Observation, NDArray[np.float32], Observation, NDArray[np.float32]]):
    """Replaces ``pixels`` by ``embedding``, and adds the demonstration's embedding to be matched next.

    ``goal`` is left out too: a learner that watches is not told where the target is.

    Args:
        env: An environment that observes ``pixels``.
        encoder: A frozen encoder.
        demonstration: Embeddings of the demonstration, one a time step, (horizon + 1, D).
        keep_pixels: Whether ``pixels`` stay in the observation, for an agent that trains an encoder of its own.

    Raises:
        ValueError: If pixels, encoder and demonstration do not fit.
    """

    def __init__(
        self,
        env: gym.Env[Observation, NDArray[np.float32]],
        encoder: Encoder,
        demonstration: NDArray[np.float32],
        keep_pixels: bool = False,
    ) -> None:
        super().__init__(env)
        self.observation_space = _with_pixels(
            embedding_space(env.observation_space, encoder, demonstration), env.observation_space, keep_pixels
        )
        self._dropped = ("goal",) if keep_pixels else ("pixels", "goal")
        self._encoder = encoder
        self._demonstration = demonstration
        self._time = 0

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Observation, dict[str, Any]]:
        """Starts an episode at the demonstration's first frame, or at the one that ``options["time"]`` names."""
        self._time = begun_at(options)
        observation, info = self.env.reset(seed=seed, options=options)
        return self._embedded(observation), info

    def step(self, action: NDArray[np.float32]) -> tuple[Observation, Any, bool, bool, dict[str, Any]]:
        """Steps the environment and embeds what it then looks like."""
        observation, reward, terminated, truncated, info = self.env.step(action)
        self._time += 1
        return self._embedded(observation), reward, terminated, truncated, info

    def _embedded(self, observation: Observation) -> Observation:
        embedding = embed_pixels(self._encoder, observation["pixels"][None])[0]
        kept = {key: observation[key] for key in observation if key not in self._dropped}
        target = self._demonstration[next_frame(self._time, len(self._demonstration))]
        # A copy: whoever writes into an observation must not write into the demonstration.
        return {**kept, "embedding": embedding, "demonstration": target.copy()}


class VecEmbeddingObservation(VecEnvWrapper):
    """``EmbeddingObservation`` for a vectorised environment, with one forward pass a step.

    Episodes begin at the demonstration's first frame.
    The last frame of a finished episode is embedded in the same pass, into its ``terminal_observation``.

    Args:
        venv: A vectorised environment that observes ``pixels``.
        encoder: A frozen encoder.
        demonstration: Embeddings of the demonstration, one a time step, (horizon + 1, D).
        keep_pixels: Whether ``pixels`` stay in the observation, for a reward on them or an agent that trains an
            encoder of its own.

    Raises:
        ValueError: If pixels, encoder and demonstration do not fit.
    """

    def __init__(
        self, venv: VecEnv, encoder: Encoder, demonstration: NDArray[np.float32], keep_pixels: bool = False
    ) -> None:
        space = embedding_space(venv.observation_space, encoder, demonstration)
        super().__init__(venv, observation_space=_with_pixels(space, venv.observation_space, keep_pixels))
        self._encoder = encoder
        self._demonstration = demonstration
        self._dropped = ("goal",) if keep_pixels else ("pixels", "goal")
        self._time = np.zeros(venv.num_envs, np.int64)

    def reset(self) -> VecEnvObs:
        """Starts every episode at the demonstration's first frame."""
        self._time[:] = 0
        observations = self.venv.reset()
        assert isinstance(observations, dict)
        return self._observe(observations, embed_pixels(self._encoder, observations["pixels"]), self._time)

    def step_wait(self) -> VecEnvStepReturn:
        """Waits for the step and embeds every new frame."""
        observations, rewards, dones, infos = self.venv.step_wait()
        assert isinstance(observations, dict)
        self._time += 1
        ended = np.flatnonzero(dones)
        last = [infos[index]["terminal_observation"]["pixels"] for index in ended]
        pixels = observations["pixels"]
        embeddings = embed_pixels(self._encoder, np.concatenate([pixels, np.stack(last)]) if last else pixels)
        for position, index in enumerate(ended):
            terminal = {key: value[None] for key, value in infos[index]["terminal_observation"].items()}
            row = embeddings[len(pixels) + position][None]
            observed = self._observe(terminal, row, self._time[index : index + 1])
            infos[index]["terminal_observation"] = {key: value[0] for key, value in observed.items()}
        self._time[dones] = 0
        return self._observe(observations, embeddings[: len(pixels)], self._time), rewards, dones, infos

    def _observe(
        self, observations: Observation, embeddings: NDArray[np.float32], time: NDArray[np.int64]
    ) -> Observation:
        kept = {key: value for key, value in observations.items() if key not in self._dropped}
        target = self._demonstration[next_frame(time, len(self._demonstration))]
        return {**kept, "embedding": embeddings, "demonstration": target}


def next_frame(time: Any, length: int) -> Any:
    """Index of the demonstration frame that the step now to be chosen will be compared with."""
    return np.minimum(time + 1, length - 1)


class VecNamedObservation(VecEnvWrapper, ABC):
    """Observes what is made of named observations, the last ones of episodes included."""

    @abstractmethod
    def observation(self, observations: Observation) -> Any:
        """What is observed in place of named observations, of one environment or of all."""

    def reset(self) -> VecEnvObs:
        """Resets all environments."""
        observations = self.venv.reset()
        assert isinstance(observations, dict)
        observed: VecEnvObs = self.observation(observations)
        return observed

    def step_wait(self) -> VecEnvStepReturn:
        """Waits for the step."""
        observations, rewards, dones, infos = self.venv.step_wait()
        assert isinstance(observations, dict)
        for index in np.flatnonzero(dones):
            infos[index]["terminal_observation"] = self.observation(infos[index]["terminal_observation"])
        return self.observation(observations), rewards, dones, infos


class VecDropObservation(VecNamedObservation):
    """Leaves one observation out, after a reward has used it and before a buffer would store it.

    Args:
        venv: A vectorised environment with dictionary observations.
        key: The observation to leave out.

    Raises:
        ValueError: If there is no such observation.
    """

    def __init__(self, venv: VecEnv, key: str) -> None:
        space = venv.observation_space
        if not isinstance(space, spaces.Dict) or key not in space.spaces:
            raise ValueError(f"The environment has no observation {key!r} to leave out.")
        kept = {name: part for name, part in space.spaces.items() if name != key}
        super().__init__(venv, observation_space=spaces.Dict(kept))
        self._key = key

    def observation(self, observations: Observation) -> Observation:
        """Without the one that is left out."""
        return {name: value for name, value in observations.items() if name != self._key}


class VecVectorObservation(VecNamedObservation):
    """Observes several vectors by name as one, in the order of their names.

    Args:
        venv: A vectorised environment with a dictionary of vectors as observation.
        left_out: Names of those that are no part of it.

    Attributes:
        places: Where each is in the vector, by name.

    Raises:
        ValueError: If the observations are no dictionary of vectors.
    """

    def __init__(self, venv: VecEnv, left_out: Collection[str] = ()) -> None:
        space = venv.observation_space
        if not isinstance(space, spaces.Dict):
            raise ValueError(f"The environment must observe vectors by name; it observes {space}.")
        shapes = {key: space[key].shape for key in sorted(set(space.spaces) - set(left_out))}
        if not shapes or any(len(shape or ()) != 1 for shape in shapes.values()):
            raise ValueError(f"The environment must observe vectors; it observes {shapes}.")
        self.places: dict[str, slice] = {}
        width = 0
        for key in shapes:
            self.places[key] = slice(width, width + spaces.flatdim(space[key]))
            width = self.places[key].stop
        super().__init__(venv, observation_space=spaces.Box(-np.inf, np.inf, (width,), np.float32))

    def observation(self, observations: Observation) -> NDArray[np.float32]:
        """(D,) or (N, D) float32."""
        return np.concatenate([observations[key].astype(np.float32) for key in self.places], axis=-1)
