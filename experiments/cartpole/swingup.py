"""A run on the cartpole, stage by stage: the encoder, the training, the evaluation."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import torch
from stable_baselines3.common.monitor import Monitor
from stable_baselines3.common.vec_env import DummyVecEnv, VecEnv

from agents import factory, pixel_sac
from agents.checkpoint import restore_checkpoint
from agents.extractor import OBSERVED, own_encoder
from agents.shared_sac import SharedEncoderSAC
from agents.training import CURVE_FILE, read_curve
from encoders.base import Encoder
from encoders.device import choose_device
from encoders.models.imm import IMM
from envs.cartpole import CONTROL_SECONDS, Cartpole
from envs.landmarks import LandmarkObservation
from envs.pixels import FrozenEmbedding, PixelObservation, SeededEpisodes, StateObservation
from experiments.cartpole.config import SwingUpConfig
from experiments.cartpole.figures import FILM_SIZE, film_keypoints, keypoint_network, keypoint_sheet
from experiments.cartpole.landmarks import Landmarks
from experiments.cartpole.observation import Frames, State, name_of
from experiments.cartpole.page import swingup_page
from experiments.cartpole.pretraining import Encoders, check_encoders, first_encoders, recorded
from experiments.cartpole.second_encoder import Distilled
from experiments.report import figures, run_page
from experiments.runs.folder import Stopwatch, console, run_seeds, run_stages
from experiments.runs.learning import OwnLoss, Row, learn_to_end, printed
from experiments.runs.tables import print_results
from experiments.runs.tracking import Tracking, tracking_of

EVALUATION_SEED = 1_000_000
"""Episodes of the evaluation are of another series than those of the training."""

CHECKPOINT_ROWS = 4
"""Rows of the curve between two checkpoints."""


def train_all(config: SwingUpConfig) -> list[dict[str, Any]]:
    """Runs every seed and prints the table.

    Returns:
        The content of every ``result.json``.

    Raises:
        ValueError: If an input is wrong; everything that can be is checked before any long work.
    """
    choose_device(config.device)
    check_inputs(config)
    results = run_seeds(config, run_seed)
    title = f"{config.variant}: mean return of {config.episodes} episodes"
    print_results(console, title, config, results, result_line)
    return results


def result_line(result: Mapping[str, Any]) -> dict[str, str]:
    """A run's line in the table that ends the runs."""
    return {
        "return": f"{result['true_return']:.0f}",
        "deviation": f"{np.std(result['returns']):.0f}",
        "updates/s": f"{result['updates_per_second']:.1f}",
    }


def check_inputs(config: SwingUpConfig) -> None:
    """Refuses what would fail later.

    Raises:
        ValueError: If its encoder would fail, or nothing can be drawn here.
    """
    if config.sees_frames:
        check_encoders(config)
    make_env(config, None, 0).close()


def run_seed(config: SwingUpConfig, seed: int) -> dict[str, Any]:
    """All stages of one run; returns the content of its ``result.json``."""
    title = f"{config.variant}, seed {seed}"
    return run_stages(
        config,
        seed,
        lambda folder, watch: _stages(config, seed, folder, watch),
        lambda folder, result: run_page.write(folder, title, swingup_page(result)),
    )


def _stages(config: SwingUpConfig, seed: int, folder: Path, watch: Stopwatch) -> dict[str, Any]:
    torch.set_num_threads(1)
    with watch.stage("encoder"):
        encoders = first_encoders(config, seed)
    with watch.stage("train"):
        agent = train(config, seed, folder, encoders)
    with watch.stage("evaluate"):
        returns = evaluate(config, agent, encoders.frozen, seed)
        own = own_encoder(agent) if config.trains_encoder else encoders.fixed
        if own is not None:
            own.save(folder / "encoder")
        if encoders.trained is not None and encoders.fixed is not None:
            encoders.fixed.save(folder / "second_encoder")
        network = keypoint_network(own) or keypoint_network(encoders.fixed)
        film(config, agent, encoders.frozen, network, seed, folder / "swingup.mp4")
        if network is not None:
            keypoint_sheet(network, recorded(config, seed).frames[0], folder / "keypoints.png")
    curve = read_curve(folder / CURVE_FILE)
    frames = config.observe if isinstance(config.observe, Frames) else None
    return {
        "status": "completed",
        "observe": name_of(config.observe),
        "preset": config.preset_name,
        "task": config.task,
        "encoder": None if frames is None else frames.encoder,
        "second_encoder": None if frames is None or frames.second is None else frames.second.encoder,
        "seed": seed,
        "agent_steps": agent.num_timesteps,
        "frames": agent.num_timesteps * config.action_repeat,
        "true_return": float(np.mean(returns)),
        "returns": returns,
        "precision": "bfloat16" if config.bfloat16 else "float32",
        "updates_per_second": agent.num_timesteps * config.learning.updates / curve[-1]["seconds"],
        "wall_seconds": watch.seconds,
    }


def make_cartpole(config: SwingUpConfig, pixels: bool, render_mode: str | None = None) -> Cartpole:
    """The cartpole of a run with all that it observes; much faster without frames."""
    seen = config.observe
    view: dict[str, Any] = {}
    if not isinstance(seen, State):
        view = {"stack": seen.stack, "camera": seen.camera}
    if isinstance(seen, Frames):
        view["render_quality"] = seen.render_quality
    return Cartpole(
        config.task, config.sizes.image_size, config.action_repeat, pixels=pixels, render_mode=render_mode, **view
    )


def make_env(config: SwingUpConfig, frozen: Encoder | None, seed: int, first: int = 0) -> gym.Env[Any, Any]:
    """The environment as the agent observes it.

    Args:
        config: The run.
        frozen: Whose embeddings the agent observes, with frames if it trains an encoder; None for frames alone, or
            the truth.
        seed: Seed of the episodes.
        first: Number of the first episode.
    """
    seen = config.observe
    # Where things would be in a frame is the camera's to say.
    cartpole = make_cartpole(config, isinstance(seen, Frames), "rgb_array" if isinstance(seen, Landmarks) else None)
    env: gym.Env[Any, Any] = SeededEpisodes(cartpole, seed, first)
    if isinstance(seen, State):
        return Monitor(StateObservation(env))
    if isinstance(seen, Landmarks):
        return Monitor(LandmarkObservation(env, seen.stack, seen.noise, seen.held, seen.places))
    env = PixelObservation(env)
    return Monitor(env if frozen is None else FrozenEmbedding(env, frozen, keep_pixels=seen.trained))


def train(config: SwingUpConfig, seed: int, folder: Path, encoders: Encoders) -> SharedEncoderSAC:
    """Trains the agent, or brings a trained one back, and writes its curve, checkpoints and weights."""
    frozen = encoders.frozen
    venv = DummyVecEnv([lambda: make_env(config, frozen, seed)])
    agent = new_agent(config, venv, encoders.trained, seed)
    restore_checkpoint(agent, folder / "checkpoint")
    venv.env_method("start_with", agent.num_timesteps // config.horizon)
    learn(
        config,
        agent,
        seed,
        folder,
        lambda row: f"{row['env_steps'] * config.action_repeat:,.0f} frames: {row['true_return']:.0f}",
        tracking_of(config, seed),
    )
    venv.close()
    factory.save_policy(agent, {"observe": name_of(config.observe), "preset": config.preset_name}, folder / "agent")
    figures.plot_curves(read_curve(folder / CURVE_FILE), f"{config.variant}, seed {seed}", folder / "curves.png")
    return agent


def new_agent(config: SwingUpConfig, venv: VecEnv, encoder: Encoder | None, seed: int) -> SharedEncoderSAC:
    """An untrained agent on frames, with the encoder that it is to train, or on vectors."""
    frames = config.observe if isinstance(config.observe, Frames) else None
    second = None if frames is None else frames.second
    return pixel_sac.make(
        venv,
        encoder,
        config.sizes,
        config.learning,
        config.kept_steps,
        0 if frames is None else frames.shift,
        seed,
        bfloat16=config.bfloat16,
        device=config.agent_device,
        role=OBSERVED if second is None else second.role,
        distillation_weight=second.weight if isinstance(second, Distilled) else 0.0,
    )


def learn(
    config: SwingUpConfig,
    agent: SharedEncoderSAC,
    seed: int,
    folder: Path,
    text: Callable[[Row], str],
    tracking: Tracking | None = None,
    restart: Callable[[int], None] | None = None,
    true_key: str = "",
) -> None:
    """Trains an agent, and with it its encoder, from where it is to the end of a run; writes curve and checkpoints.

    Args:
        config: The run.
        agent: With as many steps behind it as it has.
        seed: The run's.
        folder: The run's.
        text: What is printed of a row of the curve.
        tracking: As of ``learn_to_end``.
        restart: As of ``learn_to_end``, where episodes have no common length.
        true_key: As of ``learn_to_end``.
    """
    learn_to_end(
        agent,
        folder,
        seed,
        steps=config.steps,
        row_steps=config.row_steps,
        checkpoint_steps=CHECKPOINT_ROWS * config.row_steps,
        report=printed(text),
        own_loss=OwnLoss(config.own_loss, config.bfloat16) if config.trains_encoder else None,
        restart=restart,
        true_key=true_key,
        log_interval=config.row_episodes,
        tracking=tracking,
    )


def evaluate(config: SwingUpConfig, agent: SharedEncoderSAC, frozen: Encoder | None, seed: int) -> list[float]:
    """Returns of whole episodes with the mean action."""
    env = make_env(config, frozen, EVALUATION_SEED + seed)
    returns = []
    for _ in range(config.episodes):
        observation, _ = env.reset()
        total, truncated = 0.0, False
        while not truncated:
            action = agent.predict(observation, deterministic=True)[0]
            observation, reward, _, truncated, _ = env.step(action)
            total += float(reward)
        returns.append(total)
    env.close()
    return returns


def random_returns(config: SwingUpConfig, episodes: int) -> list[float]:
    """Returns of whole episodes with uniformly random actions."""
    rng = np.random.default_rng(0)
    env = SeededEpisodes(Cartpole(config.task, action_repeat=config.action_repeat, pixels=False), EVALUATION_SEED)
    returns = []
    for _ in range(episodes):
        env.reset()
        returns.append(sum(float(env.step(action)[1]) for action in rng.uniform(-1, 1, (config.horizon, 1))))
    env.close()
    return returns


def fps(config: SwingUpConfig) -> float:
    """Frames a second of a film in the simulation's own time."""
    return 1 / (config.action_repeat * CONTROL_SECONDS)


def film(
    config: SwingUpConfig,
    agent: SharedEncoderSAC,
    frozen: Encoder | None,
    network: IMM | None,
    seed: int,
    path: Path,
) -> None:
    """Films an episode with the mean action, drawn large, with the agent's keypoints in it."""
    env = make_env(config, frozen, EVALUATION_SEED + seed)
    cartpole = env.unwrapped
    assert isinstance(cartpole, Cartpole)
    camera = "fixed" if isinstance(config.observe, State) else config.observe.camera
    large = Cartpole(config.task, FILM_SIZE, camera=camera, stack=1)
    pictures, stacks, truncated = [], [], False
    observation, _ = env.reset()
    while not truncated:
        shown, _ = large.reset(options={"joints": cartpole.physics.data.qpos})
        pictures.append(shown["pixels"])
        if config.sees_frames:
            stacks.append(cartpole.seen())
        observation, _, _, truncated, _ = env.step(agent.predict(observation, deterministic=True)[0])
    env.close()
    large.close()
    film_keypoints(np.stack(pictures), np.stack(stacks) if stacks else None, network, fps(config), path)
