"""Cost of imitation: environments with a frozen encoder and the reward, against the same ones that are only drawn."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import torch
from rich.console import Console
from stable_baselines3.common.vec_env import VecEnv

import encoders
from encoders.base import channels_first
from encoders.errors import check_at_least
from encoders.files import write_json
from encoders.precision import uses_bfloat16
from envs.drawn import PIXELS
from envs.embedding import VecDropObservation
from envs.workers import vectorised
from experiments.any_environment.config import ImitationConfig
from experiments.any_environment.environment import Environment, EnvironmentConfig, find
from experiments.any_environment.learner import Place, make_learner
from experiments.any_environment.standard import Standard
from experiments.imitation.demonstration import Demonstration, goal_of
from experiments.imitation.pipeline import Task
from experiments.runs import command_line
from experiments.runs.provenance import provenance
from experiments.runs.tables import print_table
from rewards.goal import ORACLE_SCALE, Scales


@dataclass(frozen=True)
class CostConfig:
    """Settings of the measurement.

    Attributes:
        ids: Environments that are measured.
        image_size: Width and height of a frame, pixels.
        encoder: Registered name of the encoder, untrained: training does not change its speed.
        envs: Environments stepped together.
        workers: Processes that they are spread over.
        steps: Steps of all of them in a turn.
        turns: Turns; either kind has one in each, and the median counts.
        out: JSON file of the figures, or None.
    """

    ids: tuple[str, ...] = ("Reacher-v5", "Pendulum-v1", "dm_control/finger-spin-v0", "KukaReach-v0")
    image_size: int = 64
    encoder: str = "tcn"
    envs: int = 32
    workers: int = 2
    steps: int = 40
    turns: int = 3
    out: Path | None = None

    def __post_init__(self) -> None:
        check_at_least(1, {"steps": self.steps, "turns": self.turns, "ids": len(self.ids)})
        for env_id in self.ids:
            self.run_of(env_id)

    def run_of(self, env_id: str) -> ImitationConfig:
        """The imitation whose environments are measured."""
        env = EnvironmentConfig(env_id, image_size=self.image_size)
        return ImitationConfig(env=env, encoder=self.encoder, envs=self.envs, workers=self.workers)


def drawn_alone(config: ImitationConfig, environment: Environment) -> VecEnv:
    """Environments that are drawn at every step, in as many workers; their frames go no further, as an imitation's."""
    factories: list[Callable[[], gym.Env[Any, Any]]] = [environment.make] * config.envs
    return vectorised(factories, config.workers, partial(VecDropObservation, key=PIXELS), None)


def imitating(config: ImitationConfig, environment: Environment) -> VecEnv:
    """The learner's environments: embeddings of their frames, phase and reward."""
    env = environment.make()
    env.action_space.seed(0)
    frames = [env.reset(seed=0)[0][PIXELS]]
    frames += [env.step(env.action_space.sample())[0][PIXELS] for _ in range(environment.horizon)]
    env.close()
    demonstration = Demonstration(np.stack(frames)[:, None])
    torch.manual_seed(0)
    encoder = encoders.make(config.encoder, image_size=config.env.image_size, channels=3).eval()
    encoder.distance_scale.fill_(1.0)
    goal = goal_of(demonstration, encoder, environment.horizon)
    standard = Standard(np.zeros(environment.observed), np.ones(environment.observed))
    place = Place(environment, standard, Task(goal, Scales(1.0, 1.0, ORACLE_SCALE), encoder, None))
    bfloat16 = uses_bfloat16(config.precision, encoder, channels_first(demonstration.frames[:, 0]))
    return make_learner(config, place, None, 1.0, bfloat16, seed=0)


def steps_a_second(venv: VecEnv, steps: int, rng: np.random.Generator) -> float:
    """Speed of environments with random actions, steps of one environment a second."""
    space = venv.action_space
    if isinstance(space, gym.spaces.Discrete):
        actions = space.start + rng.integers(space.n, size=(steps, venv.num_envs))
    else:
        actions = rng.uniform(-1.0, 1.0, (steps, venv.num_envs, *(space.shape or ()))).astype(np.float32)
    started = time.perf_counter()
    for action in actions:
        venv.step(action)
    return steps * venv.num_envs / (time.perf_counter() - started)


def cost(config: CostConfig, env_id: str) -> dict[str, Any]:
    """Times one environment in turns.

    Returns:
        ``drawn`` and ``imitating``, steps a second in the median turn, and ``ratio``, the median turn's time with
        encoder and reward over that without.
    """
    run = config.run_of(env_id)
    environment = find(run.env)
    rates: dict[str, list[float]] = {"drawn": [], "imitating": []}
    made = {"drawn": drawn_alone(run, environment), "imitating": imitating(run, environment)}
    rng = np.random.default_rng(0)
    for venv in made.values():
        venv.reset()
        steps_a_second(venv, 5, rng)
    for _ in range(config.turns):
        for name, venv in made.items():
            rates[name].append(steps_a_second(venv, config.steps, rng))
    for venv in made.values():
        venv.close()
    ratios = np.array(rates["drawn"]) / np.array(rates["imitating"])
    return {**{name: float(np.median(found)) for name, found in rates.items()}, "ratio": float(np.median(ratios))}


def measure(config: CostConfig) -> None:
    """Times every environment and prints it."""
    # As in a run: the workers have the cores.
    torch.set_num_threads(1)
    measured = provenance()
    found = {env_id: cost(config, env_id) for env_id in config.ids}
    lines = [
        {
            "environment": env_id,
            "drawn, steps/s": f"{figures['drawn']:,.0f}",
            "imitating, steps/s": f"{figures['imitating']:,.0f}",
            "ratio": f"{figures['ratio']:.2f}",
        }
        for env_id, figures in found.items()
    ]
    title = f"{config.envs} environments of {config.image_size} px in {config.workers} workers, {config.encoder}"
    print_table(Console(), title, lines)
    if config.out is not None:
        settings = {**asdict(config), "out": None}
        write_json(config.out, {"config": settings, "commit": measured["commit"], "environments": found})


def main() -> int:
    """Measures; 0 if it worked, 2 if the user has something to mend."""
    return command_line.run(CostConfig, measure, __doc__)


if __name__ == "__main__":
    sys.exit(main())
