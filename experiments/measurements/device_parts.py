"""What is timed on a GPU against the processor: encoders and agents as the experiments train them."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.on_policy_algorithm import OnPolicyAlgorithm
from stable_baselines3.common.vec_env import DummyVecEnv
from torch import Tensor

import encoders
from agents import factory, players
from agents.auxiliary import AuxiliaryConfig, AuxiliaryLossCallback
from agents.shared_sac import SharedEncoderSAC, values_of
from encoders.base import Encoder, channels_first
from encoders.clips.clips import Clips
from encoders.device import agent_device, choose_device
from encoders.precision import uses_bfloat16
from encoders.training.fit import FitConfig, fit
from envs.atari import AtariVecEnv
from experiments.atari.config import AtariRunConfig
from experiments.atari.pretraining import new_attention
from experiments.cartpole import swingup
from experiments.cartpole.config import SwingUpConfig
from experiments.cartpole.observation import observation
from experiments.cartpole.pretraining import new_encoder
from experiments.imitation.demonstration import Demonstration, goal_of
from experiments.imitation.pipeline import Task
from experiments.kuka.imitation import film, make_learner
from experiments.kuka.motions import minimum_jerk
from experiments.kuka.recordings import RecordConfig, make_env
from rewards.goal import Scales
from rewards.huber import HuberConfig

Weights = dict[str, Tensor]


@dataclass(frozen=True)
class Sizes:
    """How much is calculated.

    Attributes:
        image_size: Of the frames that an encoder is fitted on and embeds, pixels.
        fit_steps: Steps of the fit.
        frames: Frames that are embedded.
        arms: Kuka environments.
        arm_steps: Steps of their episodes.
        rollouts: Rollouts of PPO.
        preset: Of the cartpole's agent.
        played: Steps on the cartpole before the updates.
        updates: Updates of SAC.
        game_updates: Updates of A2C.
    """

    image_size: int = 64
    fit_steps: int = 200
    frames: int = 10_000
    arms: int = 32
    arm_steps: int = 50
    rollouts: int = 3
    preset: str = "paper"
    played: int = 300
    updates: int = 40
    game_updates: int = 100


TINY = Sizes(32, 2, 64, 2, 8, 1, "cpu", 16, 1, 1)
"""Seconds on a processor."""


@dataclass(frozen=True)
class Measured:
    """What came of a part on one device.

    Attributes:
        seconds: That it took, without its preparation.
        outputs: What is compared with the other device's.
        weights: Of the agent, on the CPU; the other device's outputs are calculated with them.
    """

    seconds: float
    outputs: NDArray[np.floating]
    weights: Weights | None = None


@dataclass(frozen=True)
class Part:
    """A part of the check.

    Attributes:
        run: (device, sizes, weights of the agent on the other device or None) -> what came of it.
        tolerance: Norm of the difference of two devices' outputs at most, as a share of the outputs'.
        compared: What the outputs are.
    """

    run: Callable[[str, Sizes, Weights | None], Measured]
    tolerance: float
    compared: str


def wandering(count: int, length: int, size: int) -> Clips:
    """Videos of a bright square that circles over grey."""
    rng, side = np.random.default_rng(0), size // 4
    videos = np.full((count, 1, length, size, size, 3), 60, np.uint8)
    for video in videos:
        phase, speed = rng.uniform(0, 6), rng.uniform(0.1, 0.2)
        for moment in range(length):
            angle = phase + speed * moment
            row, column = (int((size - side) * (1 + wave) / 2) for wave in (np.sin(angle), np.cos(angle)))
            video[0, moment, row : row + side, column : column + side] = (250, 200, 30)
    return Clips(list(videos), tuple(f"wandering {index}" for index in range(count)))


def _encoder(device: str, size: int) -> Encoder:
    torch.manual_seed(0)
    return encoders.make("tcn", image_size=size, channels=3).to(choose_device(device))


def fit_encoder(device: str, sizes: Sizes, _: Weights | None) -> Measured:
    """Fits a time-contrastive network; compares the losses of its validations."""
    torch.set_num_threads(os.cpu_count() or 1)
    encoder, losses = _encoder(device, sizes.image_size), []
    training, validation = wandering(16, 50, sizes.image_size), wandering(4, 50, sizes.image_size)
    config = FitConfig(steps=sizes.fit_steps, validate_every=max(1, sizes.fit_steps // 2), validation_batches=5)
    _warm(encoder)
    started = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        fit(encoder, training, validation, config, 0, Path(folder), lambda figures: losses.append(figures["loss"]))
    return Measured(time.perf_counter() - started, np.array(losses))


def embed_frames(device: str, sizes: Sizes, _: Weights | None) -> Measured:
    """Embeds frames with a frozen encoder, in the precision that suits the device; compares the embeddings."""
    torch.set_num_threads(os.cpu_count() or 1)
    encoder = _encoder(device, sizes.image_size).eval()
    frames = wandering(1, 200, sizes.image_size).videos[0][0]
    steps = np.linalg.norm(np.diff(encoder.embed_video(frames), axis=0), axis=1)
    encoder.distance_scale.fill_(float(np.median(steps)))
    frozen = encoder.frozen(uses_bfloat16("auto", encoder, channels_first(frames)))
    many = np.resize(frames, (sizes.frames, *frames.shape[1:]))
    _warm(frozen)
    started = time.perf_counter()
    embeddings = frozen.embed_video(many)
    return Measured(time.perf_counter() - started, embeddings)


def train_kuka(device: str, sizes: Sizes, weights: Weights | None) -> Measured:
    """Trains PPO to imitate with a Kuka, on embeddings of two cameras; compares values of the first observations."""
    torch.set_num_threads(1)
    horizon, record = sizes.arm_steps, RecordConfig(image_size=sizes.image_size)
    env = make_env(record, record.cameras, horizon)
    env.reset(seed=0)
    path = minimum_jerk(env.random_pose(), env.random_pose(), horizon + 1)
    frames = np.stack([film(env, path, camera, record.image_size) for camera in record.cameras], axis=1)
    env.close()
    encoder = _encoder(device, record.image_size).eval()
    encoder.distance_scale.fill_(1.0)
    goal = goal_of(Demonstration(frames), encoder, horizon)
    workers = min(sizes.arms, os.cpu_count() or 1)
    task = Task(goal, Scales(1.0, 1.0, 1.0), encoder, {"joint_positions": path[0]})
    venv = make_learner(record, task, "tcn_huber", HuberConfig(), sizes.arms, workers)
    agent = factory.make("ppo", venv, horizon, seed=0, device=agent_device(device, trains_convolutions=False))
    rollout = sizes.arms * horizon
    agent.learn(rollout)
    started = time.perf_counter()
    agent.learn(rollout * sizes.rollouts, reset_num_timesteps=False)
    seconds = time.perf_counter() - started
    found = _values(agent, venv.reset(), weights)
    venv.close()
    return Measured(seconds, *found)


def train_cartpole(device: str, sizes: Sizes, weights: Weights | None) -> Measured:
    """Updates SAC with an auto-encoder on frames of the cartpole; compares what the critics say of an observation."""
    torch.set_num_threads(os.cpu_count() or 1)
    config = SwingUpConfig(observe=observation("sac_ae"), preset=sizes.preset, device=device)
    torch.manual_seed(0)
    venv = DummyVecEnv([lambda: swingup.make_env(config, None, 0)])
    agent = swingup.new_agent(config, venv, new_encoder(config), seed=0)
    agent.learning_starts = sizes.played
    callback = AuxiliaryLossCallback(config.own_loss, bfloat16=config.bfloat16)
    agent.learn(sizes.played, callback=callback)
    # The hook goes when training ends; what is timed are the updates alone.
    callback.on_training_start({}, {})
    agent.train(gradient_steps=2, batch_size=config.sizes.batch_size)
    started = time.perf_counter()
    agent.train(gradient_steps=sizes.updates, batch_size=config.sizes.batch_size)
    seconds = time.perf_counter() - started
    callback.on_training_end()
    found = _values(agent, venv.reset(), weights)
    venv.close()
    return Measured(seconds, *found)


def train_game(device: str, sizes: Sizes, weights: Weights | None) -> Measured:
    """Trains A2C and its attention on a game; compares values of the first observations."""
    torch.set_num_threads(os.cpu_count() or 1)
    config = AtariRunConfig(device=device)
    venv = AtariVecEnv(config.game, players.GAME_ALGORITHMS["a2c"].envs, config.atari, seed=0)
    torch.manual_seed(0)
    attention = new_attention(config)
    chosen = agent_device(device, trains_convolutions=True)
    agent = players.make("a2c", venv, attention, False, 0, config.bfloat16, chosen)
    loss = AuxiliaryConfig(videos=config.auxiliary.videos)
    agent.learn(config.update_steps, callback=AuxiliaryLossCallback(loss, bfloat16=config.bfloat16))
    callback = AuxiliaryLossCallback(loss, bfloat16=config.bfloat16)
    started = time.perf_counter()
    agent.learn(config.update_steps * sizes.game_updates, callback=callback, reset_num_timesteps=False)
    seconds = time.perf_counter() - started
    venv.seed(0)
    found = _values(agent, venv.reset(), weights)
    venv.close()
    return Measured(seconds, *found)


@torch.no_grad()
def _values(agent: BaseAlgorithm, observed: Any, weights: Weights | None) -> tuple[NDArray[np.floating], Weights]:
    """Values of observations, with the agent's own weights or those of another device, and these weights."""
    if weights is not None:
        agent.policy.load_state_dict(weights)
    kept = {name: value.cpu().clone() for name, value in agent.policy.state_dict().items()}
    agent.policy.set_training_mode(False)
    tensors, _ = agent.policy.obs_to_tensor(observed)
    if isinstance(agent, OnPolicyAlgorithm):
        values = agent.policy.predict_values(tensors)
    else:
        assert isinstance(agent, SharedEncoderSAC)
        features = agent._features(agent.critic, tensors)
        values = values_of(agent.critic, features, agent.actor.mu(agent.actor.latent_pi(features)).tanh())
    return values.cpu().numpy(), kept


def _warm(encoder: Encoder) -> None:
    """Lets a device load its libraries before the clock runs."""
    size = encoder.config.image_size
    encoder.embed(torch.zeros(2, 3, size, size, dtype=torch.uint8, device="cpu"))


PARTS: dict[str, Part] = {
    "fit": Part(fit_encoder, 0.25, "losses of the validations"),
    "embed": Part(embed_frames, 0.02, "embeddings"),
    "ppo_kuka": Part(train_kuka, 0.02, "values under the same weights"),
    "sac_cartpole": Part(train_cartpole, 0.05, "values under the same weights"),
    "a2c_atari": Part(train_game, 0.05, "values under the same weights"),
}
"""Every part by its name; each is run on both devices. Agents that round to bfloat16 have a tolerance of 0.05; a fit
is compared by its losses, as small differences grow from step to step."""
