"""Frames of any environment beside what it observes: from its own pixels, or from what it renders."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from encoders.videos.pictures import resize

Observation = dict[str, NDArray[Any]]

PIXELS, STATE = "pixels", "state"

LEAST_SIDE = 16
"""Pixels along the shorter side of a Box of bytes that is taken for a picture."""


class DrawnObservation(gym.Wrapper[Observation, Any, Any, Any], gym.utils.RecordConstructorArgs):
    """Observes ``pixels``, (size, size, 3) uint8 RGB, and ``state``, all else that the environment observes.

    Frames are what the environment observes itself, where it does: ``pixels`` of a dictionary, or a Box of bytes; else
    what it renders. They are cropped to a square and scaled as videos are. ``state`` is a vector, (D,) float32, by
    Gymnasium's ``flatten``; it is absent where the environment observes frames alone.

    Args:
        env: Any environment; one that observes no frames is made with ``render_mode="rgb_array"``.
        size: Width and height of a frame, pixels.
        hidden: Names of what is left out of the state, of an environment that observes by name.
        drawn: Whether ``pixels`` are observed; without, nothing is ever drawn.

    Raises:
        ValueError: If there are no frames to be had, there is no observation of a name in ``hidden``, or ``state``
            cannot be a vector; at a reset or a step, if what is rendered is no picture.
    """

    def __init__(
        self, env: gym.Env[Any, Any], size: int = 64, hidden: tuple[str, ...] = (), drawn: bool = True
    ) -> None:
        gym.utils.RecordConstructorArgs.__init__(self, size=size, hidden=hidden, drawn=drawn)
        super().__init__(env)
        self._size = size
        self._drawn = drawn
        self._own = _own_pixels(env.observation_space)
        self._rest, self._kept = _without_pixels(env.observation_space, hidden)
        if drawn and self._own is None and env.render_mode != "rgb_array":
            raise ValueError(
                f"{_name(env)} observes no frames and has the render mode {env.render_mode!r}; make it with "
                "render_mode='rgb_array'."
            )
        parts: dict[str, spaces.Space[Any]] = {}
        if drawn:
            parts[PIXELS] = spaces.Box(0, 255, (size, size, 3), np.uint8)
        if self._rest is not None:
            if not self._rest.is_np_flattenable:
                raise ValueError(f"{_name(env)} observes {self._rest}, which is no vector; hide it by its name.")
            width = spaces.flatdim(self._rest)
            parts[STATE] = spaces.Box(-np.inf, np.inf, (width,), np.float32)
        if not parts:
            raise ValueError(f"{_name(env)} observes frames alone, and without them nothing is left.")
        self.observation_space: spaces.Space[Any] = spaces.Dict(parts)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Observation, Any]:
        """Starts an episode."""
        observation, info = self.env.reset(seed=seed, options=options)
        return self.observe(observation), info

    def step(self, action: Any) -> tuple[Observation, Any, bool, bool, dict[str, Any]]:
        """Steps the environment."""
        observation, reward, terminated, truncated, info = self.env.step(action)
        return self.observe(observation), reward, terminated, truncated, info

    def observe(self, observation: Any) -> Observation:
        """What is observed where the environment observes something of its own."""
        seen: Observation = {}
        if self._drawn:
            seen[PIXELS] = self.frame(observation)
        if self._rest is not None:
            rest = {name: observation[name] for name in self._kept} if self._kept else observation
            seen[STATE] = np.asarray(spaces.flatten(self._rest, rest), np.float32)
        return seen

    def frame(self, observation: Any) -> NDArray[np.uint8]:
        """The picture of the moment, (size, size, 3) uint8."""
        if self._own == PIXELS:
            picture = observation[PIXELS]
        elif self._own is not None:
            picture = observation
        else:
            picture = self.env.render()
        return resize(checked_picture(picture, _name(self.env))[None], self._size)[0]


def checked_picture(picture: Any, who: str) -> NDArray[np.uint8]:
    """A picture as (H, W, 3) uint8.

    Args:
        picture: What an environment observes or renders: grey, or with a channel for transparency, will do.
        who: The environment's name, for the message.

    Raises:
        ValueError: If it is None, has values other than bytes, or another shape.
    """
    if picture is None:
        raise ValueError(f"render() of {who} gives None; it must give the frame: make it with render_mode='rgb_array'.")
    array = np.asarray(picture)
    if array.dtype != np.uint8:
        raise ValueError(
            f"A frame of {who} has values of type {array.dtype}; frames are (H, W, 3) uint8, 0 to 255: convert them "
            "in its render()."
        )
    if array.ndim == 2:
        array = array[..., None]
    if array.ndim != 3 or min(array.shape[:2]) < 1 or array.shape[2] not in (1, 3, 4):
        raise ValueError(f"A frame of {who} has the shape {array.shape}; frames are (H, W, 3) uint8.")
    # The newest of stacked frames would be a guess, so that more than 4 channels are refused above.
    return np.repeat(array, 3, axis=2) if array.shape[2] == 1 else np.ascontiguousarray(array[..., :3])


def _own_pixels(space: gym.Space[Any]) -> str | None:
    """Where an environment's own frames are: ``pixels`` by name, the whole observation (empty), or nowhere."""
    if isinstance(space, spaces.Dict) and PIXELS in space.spaces:
        return PIXELS
    shape = space.shape or ()
    picture = isinstance(space, spaces.Box) and space.dtype == np.uint8 and len(shape) in (2, 3)
    return "" if picture and min(shape[:2]) >= LEAST_SIDE else None


def _without_pixels(space: gym.Space[Any], hidden: tuple[str, ...]) -> tuple[gym.Space[Any] | None, tuple[str, ...]]:
    """What is observed beside frames, and its names where it has any."""
    if not isinstance(space, spaces.Dict):
        if hidden:
            raise ValueError(f"hidden is {hidden}, and the environment observes {space}, without names; leave it out.")
        return (None if _own_pixels(space) == "" else space), ()
    missing = sorted(set(hidden) - set(space.spaces))
    if missing:
        raise ValueError(f"The environment has no observation {missing} to hide; it has {list(space.spaces)}.")
    kept = {name: part for name, part in space.spaces.items() if name not in {PIXELS, *hidden}}
    return (spaces.Dict(kept) if kept else None), tuple(kept)


def _name(env: gym.Env[Any, Any]) -> str:
    return type(env.unwrapped).__name__ if env.spec is None else env.spec.id
