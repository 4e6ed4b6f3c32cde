"""Compatibility: every encoder, frozen and joint, with every agent in every environment, by name alone."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import torch
from rich.console import Console
from rich.progress import track
from stable_baselines3 import A2C, PPO
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.vec_env import DummyVecEnv, VecEnv

import encoders
from agents.auxiliary import AuxiliaryConfig, AuxiliaryLossCallback
from agents.extractor import frame_space, own_encoder, policy_arguments, view_frames
from agents.policies import SharedEncoderPolicy
from agents.shared_sac import SharedEncoderSAC
from encoders.base import Encoder
from encoders.errors import check_choice
from encoders.files import write_csv
from experiments.runs import command_line
from experiments.runs.folder import make_folder

ENVIRONMENTS = ("kuka", "cartpole", "atari")

AGENTS = {"kuka": ("ppo", "a2c", "sac"), "cartpole": ("ppo", "a2c", "sac"), "atari": ("ppo", "a2c")}
"""Agents that fit the actions of an environment: SAC needs continuous ones, and those of a game are discrete."""

MODES = ("frozen", "joint")

IMAGE_SIZE = 64

COPIES = 2
"""Environments stepped together."""


class Fit(NamedTuple):
    """A combination of names.

    Attributes:
        encoder: Registered name.
        env: One of ``ENVIRONMENTS``.
        agent: One that fits the actions of the environment.
        mode: frozen or joint.
    """

    encoder: str
    env: str
    agent: str
    mode: str


@dataclass(frozen=True)
class CompatibilityConfig:
    """Settings of the trials.

    Attributes:
        steps: Environment steps of every combination.
        encoders: Registered names; empty for all.
        envs: kuka, cartpole, atari.
        out: The table, CSV.
    """

    steps: int = 300
    encoders: tuple[str, ...] = ()
    envs: tuple[str, ...] = ENVIRONMENTS
    out: Path = Path("runs/compatibility.csv")

    def __post_init__(self) -> None:
        for name in self.encoders:
            encoders.configure(name)
        for env in self.envs:
            check_choice("environment", env, ENVIRONMENTS)
        if not self.envs or self.steps < 1:
            raise ValueError(f"envs are {self.envs} and steps {self.steps}; at least one of each is needed.")


def combinations(names: tuple[str, ...], envs: tuple[str, ...] = ENVIRONMENTS) -> Iterator[Fit]:
    """Every combination of names."""
    for encoder in names:
        for env in envs:
            for agent in AGENTS[env]:
                for mode in MODES:
                    yield Fit(encoder, env, agent, mode)


def make_venv(name: str) -> VecEnv:
    """Vectorised environments that observe frames."""
    # The simulator of this environment alone; the table of what was found needs none.
    if name == "atari":
        from envs.atari import AtariConfig, AtariVecEnv

        return AtariVecEnv("assault", COPIES, AtariConfig(image_size=IMAGE_SIZE))
    if name == "kuka":
        from envs.kuka import KukaReach

        return DummyVecEnv([lambda: KukaReach(camera=("front", "side"), image_size=IMAGE_SIZE)] * COPIES)
    from envs.cartpole import Cartpole
    from envs.pixels import PixelObservation

    return DummyVecEnv([lambda: PixelObservation(Cartpole(image_size=IMAGE_SIZE))] * COPIES)


def make_encoder(name: str, venv: VecEnv) -> Encoder:
    """An untrained encoder for the frames of an environment, by its name and their shape alone."""
    frame = observed_frames(venv).shape
    return encoders.make(name, image_size=frame[-1], channels=frame[1])


def observed_frames(venv: VecEnv) -> torch.Tensor:
    """One observation's frames as encoders take them: (V, C, S, S) uint8."""
    shape = frame_space(venv.observation_space).shape
    # Frames have the channels last where there are several views, first where SB3 would put them, and few of them.
    return view_frames(torch.zeros((1, *shape), dtype=torch.uint8), min(shape[-3], shape[-1]))


def make_agent(name: str, venv: VecEnv, encoder: Encoder, steps: int) -> BaseAlgorithm:
    """An agent with an encoder as its features extractor."""
    least = max(16, encoder.sampling.least)
    common: dict[str, Any] = {"seed": 0, "device": "cpu"}
    policy = {**policy_arguments(encoder), "net_arch": [32]}
    if name == "sac":
        return SharedEncoderSAC(
            SharedEncoderPolicy,
            venv,
            policy_kwargs=policy,
            buffer_size=steps,
            learning_starts=4 * least,
            batch_size=16,
            # An update for every few steps is enough to see that it works.
            train_freq=8,
            **common,
        )
    kind = "CnnPolicy" if len(venv.observation_space.shape or ()) == 3 else "MultiInputPolicy"
    if name == "a2c":
        return A2C(kind, venv, n_steps=least, policy_kwargs=policy, **common)
    return PPO(kind, venv, n_steps=2 * least, batch_size=2 * least, n_epochs=1, policy_kwargs=policy, **common)


def attempt(fit: Fit, steps: int) -> str:
    """Trains a combination for some steps.

    Returns:
        ``runs``, or why it does not fit.
    """
    venv = make_venv(fit.env)
    try:
        torch.manual_seed(0)
        try:
            encoder = make_encoder(fit.encoder, venv)
        except ValueError as error:
            # What is behind the last semicolon is what would do.
            return str(error).rsplit("; ", 1)[-1].rstrip(".")
        if fit.mode == "joint" and not any(part.requires_grad for part in encoder.parameters()):
            return "nothing to train"
        encoder.requires_grad_(fit.mode == "joint")
        if fit.mode == "joint" and encoder.sampling.views > len(observed_frames(venv)):
            return f"learns from {encoder.sampling.views} views"
        agent = make_agent(fit.agent, venv, encoder, steps)
        callback = AuxiliaryLossCallback(AuxiliaryConfig(videos=2)) if fit.mode == "joint" else None
        before = _weights(agent)
        agent.learn(steps, callback=callback)
        changed = any(not torch.equal(first, second) for first, second in zip(before, _weights(agent), strict=True))
        if changed != (fit.mode == "joint"):
            return "the encoder stays as it is" if fit.mode == "joint" else "the encoder changes"
        return "runs"
    finally:
        venv.close()


def _weights(agent: BaseAlgorithm) -> list[torch.Tensor]:
    encoder = own_encoder(agent)
    assert encoder is not None
    return [part.detach().clone() for part in encoder.parameters()]


def try_all(config: CompatibilityConfig) -> list[dict[str, str]]:
    """Tries every combination and writes the table."""
    torch.set_num_threads(1)
    make_folder(config.out.parent, "--out")
    rows: list[dict[str, str]] = []
    for fit in track(list(combinations(config.encoders or tuple(encoders.names()), config.envs))):
        rows.append({**fit._asdict(), "steps": str(config.steps), "status": attempt(fit, config.steps)})
        write_csv(config.out, rows, list(rows[0]))
    Console().print(markdown(rows), highlight=False)
    return rows


def markdown(rows: list[dict[str, str]]) -> str:
    """The table: a row per encoder, a column per environment, with the agents in both modes or the reason."""
    envs = list(dict.fromkeys(row["env"] for row in rows))
    lines = [f"| encoder | {' | '.join(envs)} |", "|---" * (len(envs) + 1) + "|"]
    for encoder in dict.fromkeys(row["encoder"] for row in rows):
        cells = []
        for env in envs:
            here = [row for row in rows if (row["encoder"], row["env"]) == (encoder, env)]
            parts = []
            for mode in MODES:
                mine = [row for row in here if row["mode"] == mode]
                running = [row["agent"].upper() for row in mine if row["status"] == "runs"]
                reasons = sorted({row["status"] for row in mine if row["status"] != "runs"})
                parts.append(f"{mode}: {', '.join([*running, *reasons])}")
            cells.append("; ".join(parts))
        lines.append(f"| {encoder} | {' | '.join(cells)} |")
    return "\n".join(lines)


def main() -> int:
    """Tries; 0 if it worked, 2 if the user has something to mend."""
    return command_line.run(CompatibilityConfig, try_all, __doc__)


if __name__ == "__main__":
    sys.exit(main())
