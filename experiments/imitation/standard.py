"""Standard units of an environment's state: as recorded play has it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

from envs.standard import StandardState
from experiments.imitation.environment import Environment
from experiments.imitation.play import Recording


@dataclass(frozen=True)
class Standard:
    """Mean and standard deviation of the state in recorded play.

    Attributes:
        mean: (D,).
        spread: (D,), above 0.
    """

    mean: NDArray[np.float64]
    spread: NDArray[np.float64]

    def units(self, states: NDArray[np.float64]) -> NDArray[np.float64]:
        """States in these units, (..., D)."""
        units: NDArray[np.float64] = (states - self.mean) / self.spread
        return units

    @classmethod
    def of(cls, play: Recording) -> Standard:
        """As a recording has them; what never changes has a spread of 1."""
        states = play.states.reshape(-1, play.states.shape[-1])
        spread = states.std(axis=0)
        return cls(states.mean(axis=0), np.where(spread > 1e-6, spread, 1.0))


def make_standard(environment: Environment, standard: Standard, drawn: bool) -> gym.Env[Any, Any]:
    """The environment with its state, where it has one, in standard units."""
    env = environment.make(drawn)
    return StandardState(env, standard.mean, standard.spread) if environment.observed else env
