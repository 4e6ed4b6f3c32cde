"""Episode starts along a demonstration, in known states that look like it (reference state initialisation)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray
from stable_baselines3.common.vec_env import VecEnv

from encoders.errors import check_steps_done


def nearest(path: NDArray[np.floating], own: NDArray[np.floating], count: int, farthest: float) -> list[NDArray[Any]]:
    """For every moment of a path, the nearest states.

    Args:
        path: What is to be followed, (T, D).
        own: What one's own states look like, (N, D), in the same units.
        count: States a moment at most.
        farthest: Distance above which a state does not count.

    Returns:
        T arrays of indices into ``own``, the nearest first; some may be empty.

    Raises:
        ValueError: If path and states differ in size.
    """
    if path.ndim != 2 or own.ndim != 2 or path.shape[1] != own.shape[1]:
        raise ValueError(f"path and own are {path.shape} and {own.shape}; they must be (T, D) and (N, D).")
    # A quarter of a second to import, for what is done once a run.
    from scipy.spatial.distance import cdist

    distances = cdist(path, own)
    order = np.argsort(distances, axis=1, kind="stable")[:, :count]
    return [row[distances[time, row] <= farthest] for time, row in enumerate(order)]


def begun_at(options: Mapping[str, Any] | None, horizon: int) -> int:
    """Steps that count as done when an episode begins, from its reset's options or info; 0 by default.

    Args:
        options: Of the reset, or its info.
        horizon: Steps of a whole episode.

    Raises:
        ValueError: If no step would be left, or what they say is no number of steps.
    """
    return check_steps_done((options or {}).get("time", 0), horizon)


def all_begun_at(venv: VecEnv, horizon: int) -> NDArray[np.int64]:
    """``begun_at`` of the newest episode of each environment, from the reset infos; (N,)."""
    return np.array([begun_at(info, horizon) for info in venv.unwrapped.reset_infos])


@dataclass(frozen=True)
class Starts:
    """States that an episode may begin in.

    Attributes:
        states: Options of the environment's reset, one entry a state in each.
        at: The states for every step of the demonstration, as indices; empty where there is none.
    """

    states: Mapping[str, NDArray[Any]]
    at: tuple[NDArray[np.integer], ...]

    @property
    def times(self) -> list[int]:
        """The steps that an episode may begin at."""
        return [time for time, states in enumerate(self.at) if len(states)]


class StartsAt(gym.Wrapper[Any, Any, Any, Any], gym.utils.RecordConstructorArgs):
    """Begins every episode in one state, unless the options of its reset name another.

    Args:
        env: Its reset takes the state as options.
        start: The state.
    """

    def __init__(self, env: gym.Env[Any, Any], start: Mapping[str, NDArray[Any]]) -> None:
        gym.utils.RecordConstructorArgs.__init__(self, start=start)
        super().__init__(env)
        self._start = dict(start)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """Adds the state to the options."""
        return self.env.reset(seed=seed, options={**self._start, **(options or {})})


class DemonstrationStarts(gym.Wrapper[Any, Any, Any, Any], gym.utils.RecordConstructorArgs):
    """Begins a share of the episodes somewhere along a demonstration, in a state that looks like it there.

    Whoever has to follow from the beginning learns nothing about the end before it has mastered the middle, and gets
    stuck where the nearest way on leads nowhere. The step that an episode begins at is drawn first, all alike, then one
    of its states; ``options["time"]`` tells the environment and the wrappers inside, and the info of the reset has it.
    Peng et al., DeepMimic, 2018, section 6.1 (reference state initialisation), but for the states, which are one's own:
    a video does not tell its.

    Args:
        env: Its reset takes ``time`` and the options that ``starts`` names.
        starts: Where an episode may begin.
        share: Of the episodes, from 0 to 1; the others begin as the environment has it.

    Raises:
        ValueError: If the share is not from 0 to 1, or no state looks like any moment of the demonstration.
    """

    def __init__(self, env: gym.Env[Any, Any], starts: Starts, share: float) -> None:
        if not 0 <= share <= 1:
            raise ValueError(f"share is {share}; it must be from 0 to 1.")
        if not starts.times:
            raise ValueError(
                "No state looks like any moment of the demonstration; record more of them, let them be farther, or "
                "begin no episode there (a share of 0)."
            )
        gym.utils.RecordConstructorArgs.__init__(self, starts=starts, share=share, _disable_deepcopy=True)
        super().__init__(env)
        self._starts = starts
        self._share = share
        self._rng = np.random.default_rng()

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """Starts an episode; the seed determines where it and later unseeded episodes begin."""
        if seed is not None:
            self._rng = np.random.default_rng(seed)
        rng = self._rng
        if options or rng.random() >= self._share:
            return self.env.reset(seed=seed, options=options)
        time = int(rng.choice(self._starts.times))
        state = rng.choice(self._starts.at[time])
        placed = {name: values[state] for name, values in self._starts.states.items()}
        observation, info = self.env.reset(seed=seed, options={**placed, "time": time})
        return observation, {**info, "time": time}
