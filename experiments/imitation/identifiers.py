"""Ids of environments: found in Gymnasium's registry, after the package that registers them was imported."""

from __future__ import annotations

import importlib
from types import TracebackType

import gymnasium as gym
from gymnasium.envs.registration import EnvSpec

PACKAGES = {"dm_control": "shimmy", "ALE": "ale_py", "KukaReach-v0": "envs", "Cartpole": "envs"}
"""What registers ids that begin so, where the user need not name it."""


class Importing:
    """Turns whatever is raised while somebody else's module is imported into a user's error that names it.

    Args:
        module: Its name.
        flag: What asked for it.
    """

    def __init__(self, module: str, flag: str) -> None:
        self._module = module
        self._flag = flag

    def __enter__(self) -> None:
        return None

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if isinstance(error, Exception):
            raise ValueError(
                f"{self._flag} imports {self._module!r}, which fails: {type(error).__name__}: {error}. Install it, or "
                "mend it."
            ) from error


def registered(name: str) -> EnvSpec:
    """What Gymnasium knows of an environment.

    Args:
        name: Its id; ``package:Name-v0`` imports the package first.

    Raises:
        ValueError: If the package cannot be imported, or nothing is registered by that id.
    """
    module, colon, own = name.rpartition(":")
    known = module if colon else next((package for start, package in PACKAGES.items() if own.startswith(start)), "")
    if known:
        with Importing(known, f"--env.id {name}"):
            importlib.import_module(known)
    try:
        return gym.spec(own)
    except gym.error.Error as error:
        raise ValueError(
            f"{error} Name an id that Gymnasium knows, such as Reacher-v5, or package:Name-v0 for one that a package "
            "registers."
        ) from error
