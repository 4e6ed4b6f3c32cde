"""An imitation on the cartpole, stage by stage: the video, the encoder, the training, the evaluation."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import torch
from stable_baselines3.common.monitor import Monitor
from stable_baselines3.common.vec_env import DummyVecEnv, VecEnv

from agents import factory
from agents.checkpoint import restore_checkpoint
from agents.shared_sac import SharedEncoderSAC
from agents.training import CURVE_FILE, read_curve
from encoders.base import Encoder
from encoders.device import choose_device
from encoders.files import read_object
from encoders.training.fit import calibrate
from envs.cartpole import Cartpole
from envs.embedding import EmbeddingObservation, VecVectorObservation, embed_pixels
from envs.observations import JOINT_STATE as OWN_STATE
from envs.phase import PhaseObservation
from envs.pixels import PixelObservation, SeededEpisodes, StateObservation
from envs.starts import DemonstrationStarts
from experiments.cartpole import swingup
from experiments.cartpole.config import SwingUpConfig
from experiments.cartpole.demonstration import Demonstration, filmed
from experiments.cartpole.figures import FILM_SIZE
from experiments.cartpole.imitation_config import EMBEDDING, STATE, ImitationConfig
from experiments.cartpole.page import imitation_page
from experiments.cartpole.pretraining import encoder_in, first_encoder, new_encoder, recorded
from experiments.cartpole.starts import recorded_starts
from experiments.cartpole.swingup import EVALUATION_SEED
from experiments.report import figures, run_page
from experiments.runs.folder import Stopwatch, completed, console, run_seeds, run_stages
from experiments.runs.pretraining import check_distance_scale
from experiments.runs.tables import print_results
from experiments.runs.tracking import tracking_of
from rewards.goal import ORACLE_SCALE, Goal, Scales
from rewards.lost import EndWhenLost, lost_reward
from rewards.sources import tracked
from rewards.wrappers import TrackingReward

ALIKE = ("observe", "preset", "task", "action_repeat", "learning")
"""What a teacher's configuration has in common with the one that would be trained in its place."""


def imitate_all(config: ImitationConfig) -> list[dict[str, Any]]:
    """Runs every seed and prints the table.

    Returns:
        The content of every ``result.json``.

    Raises:
        ValueError: If an input is wrong; everything that can be is checked before any long work.
    """
    choose_device(config.reward_run.device)
    check_inputs(config)
    results = run_seeds(config, imitate_seed)
    print_results(console, f"{config.variant}: {config.episodes} episodes", config, results, result_line)
    return results


def result_line(result: Mapping[str, Any]) -> dict[str, str]:
    """A run's line in the table that ends the runs."""
    return {
        "true return": f"{result['true_return']:.0f}",
        "learned return": f"{result['learned_return']:.0f}",
        "the video's true return": f"{result['demonstration_return']:.0f}",
    }


def check_inputs(config: ImitationConfig) -> None:
    """Refuses what would fail later.

    Raises:
        ValueError: If the teacher's folder holds no complete run or one that cannot be filmed for this imitation, an
            encoder cannot learn from the cartpole's frames or has no distance scale, or nothing can be drawn here.
    """
    if config.teacher is not None:
        check_teacher(config.teacher_run, config.teacher)
    swingup.check_inputs(config.reward_run)
    swingup.check_inputs(config.agent_run)
    folder = config.reward_run.frames.folder
    if folder is not None and config.source.trained:
        check_distance_scale(encoder_in(config.reward_run, folder), folder)


def check_teacher(wanted_run: SwingUpConfig, folder: Path) -> None:
    """Refuses a run that cannot be filmed.

    Args:
        wanted_run: The run that would do.
        folder: The one that is named.

    Raises:
        ValueError: If it is not complete, or differs in what makes up the environment or the network.
    """
    if not completed(folder):
        raise ValueError(f"{folder} holds no complete run; run swingup_cartpole.py, or leave --teacher out.")
    found = read_object(
        folder / "config.json", "teacher's configuration", "name the folder of a run, or leave --teacher out", ALIKE
    )
    wanted = json.loads(json.dumps(wanted_run.identity(0), default=str))
    for name in ALIKE:
        if found[name] != wanted[name]:
            raise ValueError(f"The teacher in {folder} has {name} {found[name]!r}; it takes {wanted[name]!r} here.")


def imitate_seed(config: ImitationConfig, seed: int) -> dict[str, Any]:
    """All stages of one run; returns the content of its ``result.json``."""
    title = f"{config.variant}, seed {seed}"
    return run_stages(
        config,
        seed,
        lambda folder, watch: _stages(config, seed, folder, watch),
        lambda folder, result: run_page.write(folder, title, imitation_page(result)),
    )


def _stages(config: ImitationConfig, seed: int, folder: Path, watch: Stopwatch) -> dict[str, Any]:
    torch.set_num_threads(1)
    with watch.stage("demonstration"):
        demonstration = filmed(config)
    with watch.stage("encoder"):
        encoder = fitted_encoder(config, seed)
        encoder.save(folder / "encoder")
        goal, scales = make_goal(demonstration, encoder)
        figures.plot_distance_matrix(goal.embeddings, folder / "distance_matrix.png")  # type: ignore[arg-type]
    with watch.stage("train"):
        agent = train(config, seed, folder, encoder, goal, scales)
    with watch.stage("evaluate"):
        figures_of = evaluate(config, agent, encoder, goal, scales, seed)
        distances, pictures = figures_of.pop("distances"), figures_of.pop("pictures")
        figures.side_by_side(
            demonstration.large[1:], pictures, distances, swingup.fps(config.reward_run), folder / "side_by_side.mp4"
        )
        figures.storyboard(demonstration.large[1:], pictures, folder / "storyboard.png")
    return {
        "status": "completed",
        "encoder": config.encoder,
        "encoder_settings": list(config.encoder_settings),
        "reward": config.reward,
        "learner": config.learner,
        "seed": seed,
        "agent_steps": agent.num_timesteps,
        "episodes": config.episodes,
        "demonstration_return": demonstration.true_return,
        **figures_of,
        "wall_seconds": watch.seconds,
    }


def fitted_encoder(config: ImitationConfig, seed: int) -> Encoder:
    """The encoder of a seed: trained on recorded random actions, or for the control only calibrated on them."""
    if config.source.trained:
        return first_encoder(config.reward_run, seed)
    torch.manual_seed(seed)
    validation = recorded(config.reward_run, seed).clips[1]
    encoder = new_encoder(config.reward_run).to(choose_device(config.reward_run.device))
    return calibrate(encoder, validation, config.run_folder(seed) / "encoder")


def make_goal(demonstration: Demonstration, encoder: Encoder) -> tuple[Goal, Scales]:
    """What is compared at every step, and the distances that count as 1."""
    goal = Goal(
        pixels=demonstration.pixels.astype(np.float64),
        embeddings=embed_pixels(encoder, demonstration.pixels),
        joints=demonstration.joints,
        links=None,
        start=demonstration.joints[0],
    )
    return goal, Scales(embedding=float(encoder.distance_scale), pixels=float("nan"), joints=ORACLE_SCALE)


def make_learner(
    config: ImitationConfig,
    encoder: Encoder,
    goal: Goal,
    scales: Scales,
    seed: int,
    ends: bool = True,
) -> VecEnv:
    """The environment as the learner sees it, with the distance from the video as reward.

    Args:
        config: The run.
        encoder: The reward's.
        goal: The video.
        scales: The distances that count as 1.
        seed: Seed of the episodes.
        ends: Whether episodes begin along the video and end when it is lost, as in training; else all are whole, and
            the reward is the Huber reward as it is.
    """
    assert goal.embeddings is not None
    key, path, scale = tracked(config.reward, goal, scales)
    floor = lost_reward(path, config.lost, config.huber, scale)
    embeddings, frozen = goal.embeddings, encoder.frozen()
    embedded = key == "embedding" or config.learner == EMBEDDING
    starts = recorded_starts(config, key, path, frozen, seed) if ends else None

    def make_env() -> gym.Env[Any, Any]:
        env: gym.Env[Any, Any] = swingup.make_cartpole(config.reward_run, embedded or config.sees_frames)
        if embedded:
            env = EmbeddingObservation(env, frozen, embeddings, keep_pixels=config.sees_frames)
        env = TrackingReward(env, key, path, config.huber, scale)
        env = EndWhenLost(env, floor) if ends else env
        if config.learner == STATE:
            env = PhaseObservation(env, config.reward_run.horizon)
        env = env if starts is None else DemonstrationStarts(env, starts, config.starts)
        env = SeededEpisodes(env, seed)
        if config.sees_frames:
            env = PixelObservation(env)
        elif config.learner == STATE:
            env = StateObservation(env, (*OWN_STATE, "phase"))
        return Monitor(env)

    venv = DummyVecEnv([make_env])
    return VecVectorObservation(venv, left_out=OWN_STATE) if config.learner == EMBEDDING else venv


def train(
    config: ImitationConfig, seed: int, folder: Path, encoder: Encoder, goal: Goal, scales: Scales
) -> SharedEncoderSAC:
    """Trains the agent, or brings a trained one back, and writes its curve, checkpoints and weights."""
    run = config.agent_run
    venv = make_learner(config, encoder, goal, scales, seed)
    torch.manual_seed(seed)
    agent = swingup.new_agent(run, venv, new_encoder(run) if run.trains_encoder else None, seed)
    restore_checkpoint(agent, folder / "checkpoint")

    def start_with(steps: int) -> None:
        # Episodes have no common length; the steps before one tell it from all others.
        venv.env_method("start_with", steps)

    swingup.learn(
        run,
        agent,
        seed,
        folder,
        lambda row: (
            f"{row['env_steps']:,.0f} steps: learned {row['learned_return']:.0f}, true {row['true_return']:.0f}"
        ),
        tracking=tracking_of(config, seed),
        restart=start_with,
        true_key="replaced_return",
    )
    venv.close()
    factory.save_policy(agent, {"learner": config.learner, "reward": config.reward}, folder / "agent")
    figures.plot_curves(read_curve(folder / CURVE_FILE), f"{config.variant}, seed {seed}", folder / "curves.png")
    return agent


def evaluate(
    config: ImitationConfig, agent: SharedEncoderSAC, encoder: Encoder, goal: Goal, scales: Scales, seed: int
) -> dict[str, Any]:
    """Whole episodes with the mean action: returns, and the pictures and distances of the first one."""
    venv = make_learner(config, encoder, goal, scales, EVALUATION_SEED + seed, ends=False)
    large = Cartpole(config.swingup.task, FILM_SIZE, stack=1, camera=config.swingup.frames.camera)
    physics = venv.get_attr("physics")[0]
    observation: Any = venv.reset()
    true: list[float] = []
    learned: list[float] = []
    pictures, distances = [], []
    while len(true) < config.episodes:
        action = agent.predict(observation, deterministic=True)[0]
        observation, _, dones, infos = venv.step(action)
        if not true:
            distances.append(infos[0]["distance"])
            if not dones[0]:
                pictures.append(large.reset(options={"joints": physics.data.qpos})[0]["pixels"])
        if dones[0]:
            true.append(float(infos[0]["replaced_return"]))
            learned.append(float(infos[0]["episode"]["r"]))
    venv.close()
    large.close()
    # The environment has been reset by the time the last step can be drawn.
    pictures.append(pictures[-1])
    return {
        "true_return": float(np.mean(true)),
        "learned_return": float(np.mean(learned)),
        "true_returns": true,
        "learned_returns": learned,
        "pictures": np.stack(pictures),
        "distances": np.array(distances),
    }
