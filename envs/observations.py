"""Names of observations: which stay when some are left out, and whether a name is free for another."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import gymnasium as gym
from gymnasium import spaces

JOINT_STATE = ("joint_positions", "joint_velocities")
"""Names of the observations that hold the state of the joints."""


def left_over(space: gym.Space[Any], drop: Collection[str]) -> dict[str, gym.Space[Any]]:
    """The observations that stay when some are left out, in their order.

    Args:
        space: A dictionary of observations.
        drop: Names of those that are left out.

    Raises:
        ValueError: If the space is no dictionary, or has no observation of such a name.
    """
    if not isinstance(space, spaces.Dict):
        raise ValueError(f"The environment must observe by name, in a dictionary; this environment has {space}.")
    if isinstance(drop, str):
        raise ValueError(f"drop is {drop!r}; name the observations to leave out in a tuple: drop=({drop!r},).")
    unknown = sorted(set(drop) - set(space.spaces))
    if unknown:
        raise ValueError(f"The environment has no observation {unknown} to leave out; it has {list(space.spaces)}.")
    return {name: part for name, part in space.spaces.items() if name not in drop}


def check_free(kept: Collection[str], names: Collection[str]) -> None:
    """Refuses to add observations whose names are taken.

    Args:
        kept: Names of the observations that stay.
        names: Names of those to be added.

    Raises:
        ValueError: If one would hide another.
    """
    taken = sorted(set(kept) & set(names))
    if taken:
        raise ValueError(
            f"The environment observes {taken} already, which this would hide; rename what it observes, or leave it "
            f"out: drop={tuple(taken)}."
        )
