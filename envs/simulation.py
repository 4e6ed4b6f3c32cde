"""Base of the simulated environments: order of calls, a window, a specification, no copies."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, NoReturn

import gymnasium as gym
import numpy as np
from gymnasium.envs.registration import EnvSpec
from numpy.typing import NDArray

from encoders.errors import is_whole
from envs.window import Window

RENDER_MODES = ("rgb_array", "human")

_TOLERANCE = 1e-6
"""How far an action may be out of range: rounding to float32."""


class Uncopied:
    """Refuses to be copied and pickled: a copy would share the simulation's memory, and lose it with the first."""

    def __getstate__(self) -> NoReturn:
        raise TypeError(
            f"This {type(self).__name__} cannot be copied or pickled, since its simulation cannot. Make another with "
            "the same arguments and reset it with the same seed; vectorised environments take functions that make one."
        )


class Simulation(Uncopied, gym.Env[dict[str, NDArray[Any]], NDArray[np.float32]]):
    """An environment that truncates its own episodes, whose actions are in [-1, 1].

    Args:
        render_mode: ``rgb_array``, ``human`` for a window that shows every step, or None.

    Attributes:
        horizon: Steps of an episode.
    """

    horizon: int

    def __init__(self, render_mode: str | None) -> None:
        self.render_mode = render_mode
        self._spec: EnvSpec | None = None
        self._begun = False
        self._window = Window(type(self).__name__, self.metadata["render_fps"]) if render_mode == "human" else None

    @property
    def spec(self) -> EnvSpec | None:
        """The Gymnasium specification it was made from, with its own horizon."""
        return self._spec

    @spec.setter
    def spec(self, spec: EnvSpec | None) -> None:
        self._spec = None if spec is None else replace(spec, max_episode_steps=self.horizon)

    def _command(self, action: Any) -> NDArray[np.float64]:
        """Validates an action and converts it for the simulation.

        Raises:
            ValueError: If no episode has begun, or the action has another shape or is not in [-1, 1].
        """
        if not self._begun:
            raise ValueError(f"No episode of this {type(self).__name__} has begun, or it is over; call reset() first.")
        command = np.asarray(action, dtype=np.float64)
        (size,) = self.action_space.shape or ()
        if command.shape != (size,) or not (abs(command) <= 1.0 + _TOLERANCE).all():
            raise ValueError(
                f"An action must be {size} finite numbers in [-1, 1]; got {command.tolist()}. "
                "Clip it or scale it to that range."
            )
        return command

    def picture(self) -> NDArray[np.uint8]:
        """The image for ``render`` and the window: (size, size, 3) uint8, RGB."""
        raise NotImplementedError

    def render(self) -> NDArray[np.uint8] | None:
        """The picture, or None: in a window, or with a warning where there is no render mode."""
        if self.render_mode is None:
            name = type(self).__name__
            gym.logger.warn(f"render() was called on {name} without a render_mode; pass render_mode='rgb_array'.")
            return None
        if self._window is None:
            return self.picture()
        self._show()
        return None

    def _show(self) -> None:
        """Shows the picture, if there is a window."""
        if self._window is not None:
            self._window.show(self.picture())

    def close(self) -> None:
        """Closes the window, if there is one."""
        if self._window is not None:
            self._window.close()
            self._window = None


def check_reset_seed(seed: int | None, most: int | None = None) -> None:
    """Refuses a seed that a generator does not take.

    Args:
        seed: The seed received; None for none.
        most: The largest that will do; None for any.

    Raises:
        ValueError: If it is not a whole number from 0 to ``most``.
    """
    if seed is not None and not (is_whole(seed) and seed >= 0 and (most is None or seed <= most)):
        limit = "0 on" if most is None else f"0 to {most}"
        raise ValueError(f"seed is {seed!r}; it must be a whole number from {limit}, or None for one that is drawn.")
