"""True positions of objects in the frames, with optional noise: a control for learned keypoints."""

from __future__ import annotations

import math
from collections import deque
from typing import Any

import gymnasium as gym
import numpy as np
import torch
from gymnasium import spaces
from numpy.typing import NDArray

from encoders.models.imm import MOTION_GAIN, motion_of
from envs.cartpole import Cartpole


class LandmarkObservation(
    gym.Wrapper[NDArray[np.float32], NDArray[np.float32], Any, NDArray[np.float32]], gym.utils.RecordConstructorArgs
):
    """Observes true positions of cart and pole tip in the newest frames, in the format of IMM's keypoints.

    A control for agents on keypoints: what can be had from places at all, and how exact they must be. What is beside
    the frame is at its edge, at its true height, so an agent knows how a pole swings that no frame shows; ``held``
    keeps that from it.

    Args:
        env: A cartpole, or wrappers around one.
        frames: Successive frames whose places are observed.
        noise: Standard deviation of what is added to every place, pixels; drawn once for a frame.
        held: Whether what leaves the frame stays where it was last seen, and does not move.
        places: How many places are observed, evenly from the cart to the pole's tip.

    Raises:
        ValueError: If ``frames`` is below 1, ``places`` below 2, ``noise`` negative or not finite, or the environment
            no cartpole.
    """

    def __init__(
        self,
        env: gym.Env[Any, NDArray[np.float32]],
        frames: int,
        noise: float = 0.0,
        held: bool = False,
        places: int = 2,
    ) -> None:
        gym.utils.RecordConstructorArgs.__init__(self, frames=frames, noise=noise, held=held, places=places)
        super().__init__(env)
        if places < 2:
            raise ValueError(f"places is {places}; it must be at least 2, the cart and the pole's tip.")
        if frames < 1 or not (math.isfinite(noise) and noise >= 0):
            raise ValueError(f"frames is {frames} and noise {noise}; frames must be at least 1, noise at least 0.")
        cartpole = env.unwrapped
        if not isinstance(cartpole, Cartpole):
            raise ValueError(f"The environment is a {type(cartpole).__name__}; it must be this project's Cartpole.")
        self._cartpole = cartpole
        self._noise = noise
        self._held = held
        self._count = places
        self._last: NDArray[np.float64] | None = None
        self._places: deque[NDArray[np.float32]] = deque(maxlen=frames)
        self.observation_space = spaces.Box(-np.inf, np.inf, (frames * 2 * places,), np.float32)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[NDArray[np.float32], dict[str, Any]]:
        """Starts an episode."""
        _, info = self.env.reset(seed=seed, options=options)
        self._places.clear()
        self._last = None
        return self._observe(), info

    def step(self, action: NDArray[np.float32]) -> tuple[NDArray[np.float32], Any, bool, bool, dict[str, Any]]:
        """Steps the cartpole."""
        _, reward, terminated, truncated, info = self.env.step(action)
        return self._observe(), reward, terminated, truncated, info

    def _observe(self) -> NDArray[np.float32]:
        size = self._cartpole.image_size
        cart, tip = self._cartpole.landmarks()
        true = np.linspace(cart, tip, self._count)
        exact = np.clip(true, -0.5, size - 0.5)
        if self._held and self._last is not None:
            exact = np.where((exact == true).all(axis=1, keepdims=True), exact, self._last)
        self._last = exact
        seen = exact + self._noise * self._cartpole.np_random.standard_normal(exact.shape)
        place = ((seen + 0.5) * (2 / size) - 1).astype(np.float32)
        self._places.extend([place] * ((self._places.maxlen or 1) - len(self._places)) or [place])
        return motion_of(torch.from_numpy(np.stack(self._places)[None]), MOTION_GAIN)[0].numpy()
