"""Leak check of environments: memory, files, threads and processes, over many resets and copies."""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import psutil
from rich.table import Table

from encoders.errors import check_choice
from encoders.files import write_json
from envs.atari import AtariConfig, AtariVecEnv
from envs.cartpole import Cartpole
from envs.kuka import KukaReach
from experiments.runs import command_line
from experiments.runs.folder import console
from experiments.runs.provenance import provenance

MEGABYTE = 2**20

ENVIRONMENTS: dict[str, Callable[[], Any]] = {
    "kuka": lambda: KukaReach(camera=("front", "side"), render_mode="rgb_array"),
    "cartpole": lambda: Cartpole(render_mode="rgb_array"),
    "atari": lambda: AtariVecEnv("assault", 1, AtariConfig()),
}
"""Every environment, as runs have it."""


@dataclass(frozen=True)
class LeakConfig:
    """Settings of the check.

    Attributes:
        envs: Those that are tried.
        resets: Episodes that one environment begins.
        copies: Environments that are made and closed, and as many that are made and dropped.
        warm_up: Episodes, and environments, before the first count: libraries keep some memory for good.
        out: JSON file of the figures, or None.
    """

    envs: tuple[str, ...] = tuple(ENVIRONMENTS)
    resets: int = 2_000
    copies: int = 200
    warm_up: int = 50
    out: Path | None = None

    def __post_init__(self) -> None:
        for env in self.envs:
            check_choice("environment", env, ENVIRONMENTS)
        if not self.envs or min(self.resets, self.copies) < 1 or self.warm_up < 0:
            raise ValueError(f"There must be an environment, and at least 1 reset and 1 environment; got {self}.")


def counts() -> dict[str, float]:
    """Resources of this process: ``memory_mb``, open ``files``, ``threads``, and child ``processes``."""
    gc.collect()
    process = psutil.Process()
    return {
        "memory_mb": process.memory_info().rss / MEGABYTE,
        "files": process.num_fds(),
        "threads": process.num_threads(),
        "processes": len(process.children(recursive=True)),
    }


def use(env: Any) -> None:
    """Begins an episode, steps and draws."""
    env.reset()
    action = env.action_space.sample()
    env.step(np.repeat(action, env.num_envs) if isinstance(env, AtariVecEnv) else action)
    env.render()


def close(env: Any) -> None:
    """Uses an environment and closes it."""
    use(env)
    env.close()


def growth(work: Callable[[], object], times: int, warm_up: int) -> dict[str, dict[str, float]]:
    """Resources before, during and after many repetitions of a piece of work.

    Args:
        work: What is done.
        times: How often between both counts.
        warm_up: How often before the first.

    Returns:
        ``before``, ``middle`` and ``after``, as ``counts`` gives them: what leaks grows in both halves.
    """
    for _ in range(warm_up):
        work()
    seen = {"before": counts()}
    for name, share in (("middle", times // 2), ("after", times - times // 2)):
        for _ in range(share):
            work()
        seen[name] = counts()
    return seen


def tried(make: Callable[[], Any], config: LeakConfig) -> dict[str, Any]:
    """Counts for one environment: while it is reset, while copies are closed, while copies are dropped."""
    env = make()
    resets = growth(lambda: use(env), config.resets, config.warm_up)
    env.close()
    return {
        "resets": resets,
        "closed": growth(lambda: close(make()), config.copies, config.warm_up),
        "dropped": growth(lambda: use(make()), config.copies, config.warm_up),
    }


def measure(config: LeakConfig) -> dict[str, Any]:
    """Counts for every environment, and prints a table.

    Returns:
        Environment -> ``resets``, ``closed`` and ``dropped`` -> as ``growth`` gives it.
    """
    figures = {env: tried(ENVIRONMENTS[env], config) for env in config.envs}
    table = Table(title=f"{config.resets:,} resets, {config.copies} environments: before, in the middle, after")
    for column in ("environment", "work", "memory MB", "files", "threads", "processes"):
        table.add_column(column, justify="left" if column in ("environment", "work") else "right")
    for env, works in figures.items():
        for work, seen in works.items():
            cells = [", ".join(f"{count[name]:.0f}" for count in seen.values()) for name in seen["before"]]
            table.add_row(env, work, *cells)
    console.print(table)
    if config.out is not None:
        write_json(config.out, {"config": asdict(config), "envs": figures, "provenance": provenance()})
    return figures


def main() -> int:
    """Counts; 0 if it worked, 2 if the user has something to mend."""
    return command_line.run(LeakConfig, measure, __doc__)


if __name__ == "__main__":
    sys.exit(main())
