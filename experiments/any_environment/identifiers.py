"""Ids of environments: found in Gymnasium's registry, after the package that registers them was imported."""

from __future__ import annotations

import gymnasium as gym
from gymnasium.envs.registration import EnvSpec

from encoders.plugins import import_named, import_plugins

PACKAGES = {"dm_control": "shimmy", "ALE": "ale_py", "KukaReach-v0": "envs", "Cartpole": "envs"}
"""What registers ids that begin so, where the user need not name it."""


def registered(name: str) -> EnvSpec:
    """What Gymnasium knows of an environment.

    Args:
        name: Its id; ``package:Name-v0`` imports the package first.

    Raises:
        ValueError: If the package cannot be imported, or nothing is registered by that id.
    """
    import_plugins()
    module, colon, own = name.rpartition(":")
    known = module if colon else next((package for start, package in PACKAGES.items() if own.startswith(start)), "")
    if known:
        import_named(known, f"--env.id {name}")
    try:
        return gym.spec(own)
    except gym.error.Error as error:
        raise ValueError(
            f"{error} Name an id that Gymnasium knows, such as Reacher-v5, or package:Name-v0 for one that a package "
            "registers."
        ) from error
