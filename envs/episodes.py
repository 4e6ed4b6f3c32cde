"""Episodes of one length, whatever ends them: what imitation compares moment by moment."""

from __future__ import annotations

from typing import Any

import gymnasium as gym

from encoders.errors import is_whole


class FixedLength(gym.Wrapper[Any, Any, Any, Any], gym.utils.RecordConstructorArgs):
    """Truncates every episode after the same number of steps, and never earlier.

    An environment that ends its episode stays as it ended until the steps are over: the observation is the last one.
    One whose simulation goes on by itself is stepped on. Either way the reward is 0 from there. So nothing is won by
    ending early where rewards are penalties, and every moment of a demonstration has one of the episode's to be
    compared with.
    ``options={"time": 5}`` of a reset counts steps as done.

    Args:
        env: Any environment; its own step limit should not be below.
        horizon: Steps of an episode.
        action_repeat: Steps of the environment that an action is held for; their rewards are added.
        goes_on: Whether the environment can be stepped after its own end.

    Raises:
        ValueError: If horizon or repeat is not a whole number from 1 on.
    """

    def __init__(self, env: gym.Env[Any, Any], horizon: int, action_repeat: int = 1, goes_on: bool = False) -> None:
        if not (is_whole(horizon) and is_whole(action_repeat)) or min(horizon, action_repeat) < 1:
            raise ValueError(f"horizon is {horizon!r} and action_repeat {action_repeat!r}; both are whole, from 1 on.")
        gym.utils.RecordConstructorArgs.__init__(self, horizon=horizon, action_repeat=action_repeat, goes_on=goes_on)
        super().__init__(env)
        self._horizon = horizon
        self._repeat = action_repeat
        self._goes_on = goes_on
        self._time = 0
        self._last: Any = None
        self._over = False

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """Starts an episode."""
        self._time, self._over = int((options or {}).get("time", 0)), False
        self._last, info = self.env.reset(seed=seed, options=options)
        return self._last, info

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        """Steps the environment, unless its own episode is over and it cannot go on."""
        self._time += 1
        total = 0.0
        info: dict[str, Any] = {}
        for _ in range(self._repeat):
            if self._over and not self._goes_on:
                break
            self._last, reward, terminated, truncated, info = self.env.step(action)
            total += 0.0 if self._over else float(reward)
            self._over = self._over or terminated or truncated
        return self._last, total, False, self._time >= self._horizon, info
