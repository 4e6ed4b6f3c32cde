"""Standard units of an environment's state: as recorded play has it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

from encoders.files import FileError, read_object, reading, write_json
from envs.standard import StandardState
from experiments.any_environment.environment import Environment
from experiments.any_environment.play import Recording, moments_of

UNITS_FILE = "units.json"


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
        states = moments_of(play.states)
        spread = states.std(axis=0)
        return cls(states.mean(axis=0), np.where(spread > 1e-6, spread, 1.0))

    @classmethod
    def read(cls, folder: Path, width: int) -> Standard:
        """As an agent's folder has them: recorded play of another run has others.

        Args:
            folder: The agent's.
            width: Numbers of the state, D.

        Raises:
            FileError: If they are missing, damaged, or of another state.
        """
        path, remedy = folder / UNITS_FILE, "name the folder teachers/NAME/agent of a run's --out"
        found = read_object(path, "record of an agent's units", remedy, ["mean", "spread"])
        with reading(path, "record of an agent's units", remedy):
            mean, spread = (np.array(found[name], np.float64) for name in ("mean", "spread"))
        if not mean.shape == spread.shape == (width,) or not np.isfinite(mean).all() or not (spread > 0).all():
            raise FileError(f"{path} has units of another state than one of {width} finite numbers; {remedy}.")
        return cls(mean, spread)

    def write(self, folder: Path) -> None:
        """Writes them into an agent's folder."""
        write_json(folder / UNITS_FILE, {"mean": self.mean.tolist(), "spread": self.spread.tolist()})


def make_standard(environment: Environment, standard: Standard, drawn: bool) -> gym.Env[Any, Any]:
    """The environment with its state, where it has one, in standard units."""
    env = environment.make(drawn)
    return StandardState(env, standard.mean, standard.spread) if environment.observed else env
