"""Embeddings in observations: of the current frames, and of the demonstration's next frame."""

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
from encoders.errors import beyond_path
from envs.observations import check_free, left_over
from envs.starts import all_begun_at, begun_at

Observation = dict[str, NDArray[Any]]

ADDED = ("embedding", "demonstration")
"""Observations that the wrappers add."""


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


def embed_views(encoder: Encoder | None, frames: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Embeds the frames of several cameras in bounded batches; without an encoder, flattens the pixels.

    Args:
        encoder: A fitted encoder, or None.
        frames: (T, V, S, S, 3) uint8.

    Returns:
        (T, D) float32.
    """
    if encoder is None:
        return frames.reshape(len(frames), -1).astype(np.float32)
    return np.concatenate([embed_pixels(encoder, frames[i : i + 128]) for i in range(0, len(frames), 128)])


def embedding_space(
    space: gym.Space[Any],
    encoder: Encoder,
    demonstration: NDArray[np.float32],
    keep_pixels: bool = False,
    drop: Collection[str] = (),
) -> spaces.Space[Any]:
    """The observation space with ``pixels`` replaced by embeddings.

    Raises:
        ValueError: If there are no pixels, they or the demonstration do not fit the encoder, there is no observation of
            a name in ``drop``, or one that stays has the name of one that is added.
    """
    if not isinstance(space, spaces.Dict) or "pixels" not in space.spaces:
        raise ValueError("The environment observes no 'pixels' to embed; make it with a camera.")
    shape = space["pixels"].shape
    assert shape is not None
    views = shape[0] if len(shape) == 4 else 1
    encoder.check_frames((shape[-1], *shape[-3:-1]))
    width = views * encoder.embedding_dim
    if demonstration.ndim != 2 or len(demonstration) < 2 or demonstration.shape[1] != width:
        raise ValueError(
            f"The demonstration's embeddings have shape {demonstration.shape}; "
            f"{views} view(s) of this encoder need (T, {width}), T at least 2."
        )
    if not np.isfinite(demonstration).all():
        raise ValueError("The demonstration's embeddings are not all finite; the video or the encoder is damaged.")
    box = spaces.Box(-np.inf, np.inf, (width,), np.float32)
    kept = left_over(space, _left_out(keep_pixels, drop))
    check_free(kept, ADDED)
    return spaces.Dict({**kept, **dict.fromkeys(ADDED, box)})


def _left_out(keep_pixels: bool, drop: Collection[str]) -> Collection[str]:
    """Names of the observations that are dropped."""
    return drop if keep_pixels or isinstance(drop, str) else {*drop, "pixels"}


def upcoming(demonstration: NDArray[np.floating]) -> NDArray[np.float32]:
    """For each number of steps done, the index of the demonstration's entry that the next step is compared with.

    Args:
        demonstration: Embeddings, one a time step, (horizon + 1, D).

    Returns:
        (horizon + 1, D) float32; after the last step there is none, and the last entry stays.
    """
    return np.concatenate([demonstration[1:], demonstration[-1:]]).astype(np.float32)


class EmbeddingObservation(
    gym.Wrapper[Observation, NDArray[np.float32], Observation, NDArray[np.float32]], gym.utils.RecordConstructorArgs
):
    """Replaces ``pixels`` by ``embedding``, and adds the demonstration's embedding to be matched next.

    Whatever else is observed stays, but for what ``drop`` names. An imitator usually must not see where the
    target is: ``drop=("goal",)``.

    Args:
        env: An environment that observes ``pixels``. ``options={"time": 5}`` of a reset is for it too, and it has to
            know what that means, as this project's environments do.
        encoder: A frozen encoder.
        demonstration: Embeddings of the demonstration, one a time step, (horizon + 1, D).
        keep_pixels: Whether ``pixels`` stay in the observation, for an agent that trains an encoder of its own.
        drop: Names of observations that are left out.

    Raises:
        ValueError: If pixels, encoder and demonstration do not fit, an observation to drop is not there, or one that
            stays has the name of one that is added; at a step, if the episode is longer than the demonstration.
    """

    def __init__(
        self,
        env: gym.Env[Observation, NDArray[np.float32]],
        encoder: Encoder,
        demonstration: NDArray[np.float32],
        keep_pixels: bool = False,
        drop: Collection[str] = (),
    ) -> None:
        gym.utils.RecordConstructorArgs.__init__(
            self,
            encoder=encoder,
            demonstration=demonstration,
            keep_pixels=keep_pixels,
            drop=drop,
            _disable_deepcopy=True,
        )
        super().__init__(env)
        self.observation_space = embedding_space(env.observation_space, encoder, demonstration, keep_pixels, drop)
        self._dropped = frozenset(_left_out(keep_pixels, drop))
        self._encoder = encoder
        self._upcoming = upcoming(demonstration)
        self._time = 0

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Observation, dict[str, Any]]:
        """Starts an episode at the demonstration's first frame, or at the one that ``options["time"]`` names."""
        self._time = begun_at(options, len(self._upcoming) - 1)
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
        if self._time >= len(self._upcoming):
            raise beyond_path(self._time, len(self._upcoming))
        # A copy: whoever writes into an observation must not write into the demonstration.
        return {**kept, "embedding": embedding, "demonstration": self._upcoming[self._time].copy()}


class VecEmbeddingObservation(VecEnvWrapper):
    """``EmbeddingObservation`` for a vectorised environment, with one forward pass a step.

    Episodes begin at the demonstration's first frame, or at the one that ``time`` in the info of their reset names.
    The last frame of a finished episode is embedded in the same pass, into its ``terminal_observation``.

    Args:
        venv: A vectorised environment that observes ``pixels``.
        encoder: A frozen encoder.
        demonstration: Embeddings of the demonstration, one a time step, (horizon + 1, D).
        keep_pixels: Whether ``pixels`` stay in the observation, for a reward on them or an agent that trains an
            encoder of its own.
        drop: Names of observations that are left out.

    Raises:
        ValueError: As ``EmbeddingObservation`` does.
    """

    def __init__(
        self,
        venv: VecEnv,
        encoder: Encoder,
        demonstration: NDArray[np.float32],
        keep_pixels: bool = False,
        drop: Collection[str] = (),
    ) -> None:
        space = embedding_space(venv.observation_space, encoder, demonstration, keep_pixels, drop)
        super().__init__(venv, observation_space=space)
        self._encoder = encoder
        self._upcoming = upcoming(demonstration)
        self._dropped = frozenset(_left_out(keep_pixels, drop))
        self._time = np.zeros(venv.num_envs, np.int64)

    def reset(self) -> VecEnvObs:
        """Starts every episode."""
        observations = self.venv.reset()
        assert isinstance(observations, dict)
        self._time[:] = all_begun_at(self.venv, len(self._upcoming) - 1)
        return self._observe(observations, embed_pixels(self._encoder, observations["pixels"]), self._time)

    def step_wait(self) -> VecEnvStepReturn:
        """Waits for the step and embeds the new frames."""
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
        if len(ended):
            self._time[dones] = all_begun_at(self.venv, len(self._upcoming) - 1)[dones]
        return self._observe(observations, embeddings[: len(pixels)], self._time), rewards, dones, infos

    def _observe(
        self, observations: Observation, embeddings: NDArray[np.float32], time: NDArray[np.int64]
    ) -> Observation:
        kept = {key: value for key, value in observations.items() if key not in self._dropped}
        try:
            targets = self._upcoming[time]
        except IndexError:
            raise beyond_path(int(time.max()), len(self._upcoming)) from None
        return {**kept, "embedding": embeddings, "demonstration": targets}


class VecNamedObservation(VecEnvWrapper, ABC):
    """Base of wrappers that transform named observations, including the last ones of episodes."""

    @abstractmethod
    def observation(self, observations: Observation) -> Any:
        """The transformed observation, of one environment or of all."""

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
    """Drops one observation, after a reward has used it and before a buffer stores it.

    Args:
        venv: A vectorised environment with dictionary observations.
        key: The observation to leave out.

    Raises:
        ValueError: If there is no such observation.
    """

    def __init__(self, venv: VecEnv, key: str) -> None:
        super().__init__(venv, observation_space=spaces.Dict(left_over(venv.observation_space, (key,))))
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
        ValueError: If the observations are no dictionary of vectors, or one that is left out is not there.
    """

    def __init__(self, venv: VecEnv, left_out: Collection[str] = ()) -> None:
        kept = left_over(venv.observation_space, left_out)
        shapes = {key: kept[key].shape for key in sorted(kept)}
        if not shapes or any(len(shape or ()) != 1 for shape in shapes.values()):
            raise ValueError(f"The environment must observe vectors; it observes {shapes}.")
        self.places: dict[str, slice] = {}
        width = 0
        for key in shapes:
            self.places[key] = slice(width, width + spaces.flatdim(kept[key]))
            width = self.places[key].stop
        super().__init__(venv, observation_space=spaces.Box(-np.inf, np.inf, (width,), np.float32))

    def observation(self, observations: Observation) -> NDArray[np.float32]:
        """(D,) or (N, D) float32."""
        return np.concatenate([observations[key].astype(np.float32) for key in self.places], axis=-1)
