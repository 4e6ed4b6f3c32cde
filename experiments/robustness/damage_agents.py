"""Originals of agents and checkpoints for the damage check, from short trainings that go on from them."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.logger import configure
from stable_baselines3.common.monitor import Monitor
from stable_baselines3.common.vec_env import DummyVecEnv, VecEnv

import encoders
from agents import factory, pixel_sac
from agents.auxiliary import AuxiliaryConfig, AuxiliaryLossCallback
from agents.checkpoint import restore_checkpoint
from agents.pixel_sac import LearningConfig
from agents.training import CURVE_FILE, CurveAndCheckpoint, read_curve
from envs.cartpole import Cartpole
from envs.kuka import KukaReach
from envs.pixels import PixelObservation
from experiments.robustness.damage_originals import Original
from experiments.robustness.damage_records import sound_json

HORIZON = 8

ROWS = 3
"""Episodes behind a checkpoint."""

SIZES = pixel_sac.Preset(image_size=16, second_stride=2, batch_size=8, hidden=16, auxiliary_videos=4)


def _kuka() -> VecEnv:
    return DummyVecEnv([lambda: Monitor(KukaReach(camera=None, horizon=HORIZON))])


def _cartpole() -> VecEnv:
    return DummyVecEnv(
        [lambda: Monitor(PixelObservation(Cartpole(image_size=SIZES.image_size, action_repeat=1_000 // HORIZON)))]
    )


def _ppo(venv: VecEnv) -> BaseAlgorithm:
    return factory.make("ppo", venv, HORIZON, 0)


def _sac(venv: VecEnv) -> BaseAlgorithm:
    agent = factory.make("sac", venv, HORIZON, 0)
    agent.learning_starts = HORIZON  # type: ignore[attr-defined]
    return agent


def _seeing_sac(venv: VecEnv) -> BaseAlgorithm:
    torch.manual_seed(0)
    encoder = encoders.make("autoencoder", image_size=SIZES.image_size, channels=9, embedding_dim=4, second_stride=2)
    learning = LearningConfig(learning_starts=2 * HORIZON)
    return pixel_sac.make(venv, encoder, SIZES, learning, kept_steps=100, shift=0, seed=0)


def train(
    folder: Path, rows: int, make_envs: Callable[[], VecEnv], start: Callable[[VecEnv], BaseAlgorithm], auxiliary: bool
) -> dict[str, Any]:
    """Trains an agent for so many episodes in all, from its checkpoint if there is one.

    Args:
        folder: Of the run.
        rows: Episodes in all.
        make_envs: Makes the environments.
        start: Makes an untrained agent.
        auxiliary: Whether its encoder's own loss is added.

    Returns:
        What it ends in: weights and curve.
    """
    venv = make_envs()
    try:
        agent = start(venv)
        restore_checkpoint(agent, folder / "checkpoint")
        agent.set_logger(configure(None, []))

        def seed_games(steps: int) -> None:
            venv.seed(steps)

        seed_games(agent.num_timesteps)
        callbacks: list[BaseCallback] = [CurveAndCheckpoint(folder, HORIZON, HORIZON, restart=seed_games)]
        if auxiliary:
            own = AuxiliaryConfig(videos=2, own_optimizer=True)
            callbacks.append(AuxiliaryLossCallback(own, 0, folder / "checkpoint"))
        agent.learn(rows * HORIZON - agent.num_timesteps, callback=callbacks, reset_num_timesteps=False)
    finally:
        venv.close()
    curve = [{**row, "seconds": 0.0} for row in read_curve(folder / CURVE_FILE)]
    return {"curve": curve, "weights": agent.policy.state_dict(), "steps": agent.num_timesteps}


def make_agent(folder: Path) -> None:
    """Saves an agent that was hardly trained."""
    venv = _kuka()
    factory.save_agent(_ppo(venv), "ppo", HORIZON, folder)
    venv.close()


def read_agent(folder: Path) -> object:
    """Loads it."""
    venv = _kuka()
    try:
        agent = factory.load_agent(folder, venv)
    finally:
        venv.close()
    return {"algorithm": type(agent), "steps": vars(agent)["n_steps"], "weights": agent.policy.state_dict()}


def read_curve_file(folder: Path) -> object:
    """Reads a learning curve."""
    return read_curve(folder / CURVE_FILE)


def make_curve(folder: Path) -> None:
    """The curve of a short training alone."""
    numbers = np.random.default_rng(0).normal(-20, 3, (12, 2)).tolist()
    lines = [
        f"{float(row * 1_600)},{float(row * 32)},{true},{learned},{4.25 * row}"
        for row, (true, learned) in enumerate(numbers, 1)
    ]
    (folder / CURVE_FILE).write_text("\n".join(["env_steps,episodes,true_return,learned_return,seconds", *lines, ""]))


def sound_curve(undamaged: Path, damaged: Path) -> bool:
    """Whether a text is a valid curve: five numbers a row, rising steps, whole counts, no negative times."""
    try:
        heading, *lines = damaged.read_text("utf-8").splitlines()
        rows = [[float(cell) for cell in line.split(",")] for line in lines if line]
    except (ValueError, UnicodeDecodeError):
        return False
    if heading != undamaged.read_text().splitlines()[0] or any(len(row) != heading.count(",") + 1 for row in rows):
        return False
    table = np.array(rows).reshape(len(rows), -1)
    counts = table[:, :2]
    return bool(
        not len(table)
        or (
            np.isfinite(table).all()
            and (counts == counts.round()).all()
            and (counts >= 0).all()
            and (np.diff(counts[:, 0]) > 0).all()
            and (table[:, -1] >= 0).all()
        )
    )


def sound_checkpoint(undamaged: Path, damaged: Path) -> bool:
    """As JSON, or as a curve with all rows up to the checkpoint, where it is one; archives have checksums."""
    if undamaged.suffix == ".csv":
        return sound_curve(undamaged, damaged) and _first_cells(undamaged) == _first_cells(damaged)
    return undamaged.suffix == ".json" and sound_json(undamaged, damaged)


def _first_cells(path: Path) -> list[str]:
    return [line.partition(",")[0] for line in path.read_text("utf-8").splitlines()]


def sound_agent(undamaged: Path, damaged: Path) -> bool:
    """As JSON with a horizon that an episode can have."""
    if undamaged.suffix != ".json" or not sound_json(undamaged, damaged):
        return False
    return bool(json.loads(damaged.read_text())["horizon"] >= 1)


def _checkpoint(
    name: str, make_envs: Callable[[], VecEnv], start: Callable[[VecEnv], BaseAlgorithm], own: bool
) -> Original:
    training = partial(train, make_envs=make_envs, start=start, auxiliary=own)
    return Original(
        f"{name} checkpoint",
        partial(training, rows=ROWS),
        partial(training, rows=ROWS + 1),
        sound_checkpoint,
        ("checkpoint/*", CURVE_FILE),
    )


ORIGINALS = (
    Original("agent", make_agent, read_agent, sound_agent, ("*.*",), weight=2),
    Original("curve", make_curve, read_curve_file, sound_curve, weight=2),
    _checkpoint("PPO", _kuka, _ppo, False),
    _checkpoint("SAC", _kuka, _sac, False),
    _checkpoint("pixel SAC", _cartpole, _seeing_sac, True),
)
