"""Speed of Atari agents: plain, with a frozen mask, with a joint mask; and of the games alone."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import torch
from rich.console import Console
from stable_baselines3.common.atari_wrappers import AtariWrapper
from stable_baselines3.common.vec_env import DummyVecEnv, VecFrameStack
from stable_baselines3.common.vec_env.base_vec_env import VecEnv

from agents import players
from agents.auxiliary import AuxiliaryLossCallback
from encoders.errors import check_at_least
from encoders.files import write_json
from envs.atari import AtariConfig, AtariVecEnv, env_id
from experiments.atari.config import AtariRunConfig
from experiments.atari.pretraining import new_attention
from experiments.runs import command_line

VARIANTS = ("plain", "frozen", "joint")
PARTS = ("games", "act", "auxiliary", "update", "rest")


@dataclass(frozen=True)
class AtariThroughputConfig:
    """Settings of the measurement.

    Attributes:
        steps: Agent steps of each variant in a turn.
        turns: Times that all variants are timed, one after another; the fastest turn of each counts.
        out: JSON file of the figures, or None.
        run: The run; its masks are untrained, which changes no speed.
    """

    steps: int = 4_000
    turns: int = 3
    out: Path | None = None
    run: AtariRunConfig = field(default_factory=AtariRunConfig)

    def __post_init__(self) -> None:
        check_at_least(self.run.update_steps, {"steps": self.steps})
        check_at_least(1, {"turns": self.turns})


class Clock:
    """Seconds spent in functions."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = dict.fromkeys(PARTS, 0.0)

    def timed(self, part: str, call: Callable[..., Any]) -> Callable[..., Any]:
        """The function, its time added to a part."""

        def run(*args: Any, **kwargs: Any) -> Any:
            started = time.perf_counter()
            try:
                return call(*args, **kwargs)
            finally:
                self.seconds[part] += time.perf_counter() - started

        return run


def loop(config: AtariRunConfig, variant: str, steps: int) -> dict[str, Any]:
    """Steps a second of a training, and the share of its parts."""
    torch.manual_seed(0)
    attention = new_attention(config) if variant != "plain" else None
    venv = AtariVecEnv(config.game, players.GAME_ALGORITHMS[config.algo].envs, config.atari, seed=0)
    agent: Any = players.make(config.algo, venv, attention, variant == "frozen", 0, config.bfloat16)
    callback = None
    clock = Clock()
    if variant == "joint":
        callback = AuxiliaryLossCallback(config.auxiliary, bfloat16=config.bfloat16)
        # The optimizer calls what it was given when training starts.
        callback._add_loss = clock.timed("auxiliary", callback._add_loss)  # type: ignore[method-assign]
    agent.learn(config.update_steps, callback=callback)
    venv.step_wait = clock.timed("games", venv.step_wait)  # type: ignore[method-assign]
    agent.policy.forward = clock.timed("act", agent.policy.forward)
    agent.train = clock.timed("update", agent.train)
    clock.seconds = dict.fromkeys(PARTS, 0.0)
    started = time.perf_counter()
    agent.learn(steps, callback=callback)
    whole = time.perf_counter() - started
    clock.seconds["update"] -= clock.seconds["auxiliary"]
    clock.seconds["rest"] = whole - sum(clock.seconds.values())
    return {
        "steps_per_second": agent.num_timesteps / whole,
        "share": {part: value / whole for part, value in clock.seconds.items()},
    }


def emulators(game: str, config: AtariConfig, envs: int, steps: int) -> dict[str, float]:
    """Agent steps a second of the games alone: ours, and Stable-Baselines3's wrappers around single games."""

    def single() -> gym.Env[Any, Any]:
        return AtariWrapper(gym.make(env_id(game), frameskip=1, repeat_action_probability=config.sticky))

    candidates: dict[str, VecEnv] = {
        "ours": AtariVecEnv(game, envs, config, seed=0),
        "stable_baselines3": VecFrameStack(DummyVecEnv([single] * envs), config.stack),
    }
    figures = {}
    for name, venv in candidates.items():
        rng = np.random.default_rng(0)
        venv.reset()
        started = time.perf_counter()
        for _ in range(max(1, steps // envs)):
            venv.step(rng.integers(venv.action_space.n, size=envs))  # type: ignore[attr-defined]
        figures[name] = max(1, steps // envs) * envs / (time.perf_counter() - started)
        venv.close()
    return figures


def measure(config: AtariThroughputConfig) -> None:
    """Times everything in turns and prints it."""
    torch.set_num_threads(1)
    console = Console(stderr=True)
    best: dict[str, dict[str, Any]] = {}
    for _ in range(config.turns):
        for variant in VARIANTS:
            found = loop(config.run, variant, config.steps)
            if variant not in best or found["steps_per_second"] > best[variant]["steps_per_second"]:
                best[variant] = found
    plain = best["plain"]["steps_per_second"]
    for variant, found in best.items():
        found["times_plain"] = plain / found["steps_per_second"]
        shares = ", ".join(f"{part} {share:.0%}" for part, share in found["share"].items())
        console.print(
            f"{variant}: {found['steps_per_second']:,.0f} steps/s, {found['times_plain']:.2f} times plain; {shares}",
            highlight=False,
        )
    games = emulators(config.run.game, config.run.atari, players.GAME_ALGORITHMS[config.run.algo].envs, config.steps)
    console.print(f"games alone: {', '.join(f'{name} {rate:,.0f} steps/s' for name, rate in games.items())}")
    figures = {
        "loops": best,
        "games": games,
        "precision": "bfloat16" if config.run.bfloat16 else "float32",
        "config": {"steps": config.steps, "turns": config.turns, "run": asdict(config.run)},
    }
    if config.out is not None:
        write_json(config.out, figures)


def main() -> int:
    """Measures; 0 if it worked, 2 if the user has something to mend."""
    return command_line.run(AtariThroughputConfig, measure, __doc__)


if __name__ == "__main__":
    sys.exit(main())
