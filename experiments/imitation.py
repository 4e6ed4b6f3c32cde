"""The parts of an imitation run: the demonstration, the reward, the learner's world, its evaluation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.monitor import Monitor
from stable_baselines3.common.vec_env import VecEnv

from encoders.base import Encoder
from encoders.clips import Clips
from encoders.video import read_video, resize
from envs.embedding import EmbeddingObservation, VecDropObservation, VecEmbeddingObservation, embed_pixels
from envs.kuka import KukaReach
from envs.workers import WorkerVecEnv
from experiments.recordings import RecordConfig, Truth, make_env, read_start, read_truth
from rewards.huber import HuberConfig
from rewards.targets import resample, resample_embeddings
from rewards.wrappers import TrackingReward, VecTrackingReward

REWARDS = ("tcn_huber", "oracle", "pixels", "random")
"""The reward on embeddings, and its controls: true joint distance, raw pixel distance, an untrained encoder."""


ORACLE_SCALE = 1.0
"""Joint distance that counts as 1 in the oracle's reward, radians over all joints; it learns worse at 0.3 and 3."""


@dataclass(frozen=True)
class Demonstration:
    """What is to be imitated.

    Attributes:
        frames: (T, V, S, S, 3) uint8, scaled to the encoder's size.
        start: Joint positions that the learner starts from, (7,) radians.
        truth: What really happened, for evaluation and the oracle; None for a video from elsewhere.
    """

    frames: NDArray[np.uint8]
    start: NDArray[np.float64]
    truth: Truth | None


def read_demonstration(
    videos: tuple[Path, ...], config: RecordConfig, encoder: Encoder, rng: np.random.Generator
) -> Demonstration:
    """Reads the videos to imitate, one a camera.

    Args:
        videos: As many as the configuration has cameras, in its order.
        config: The learner's scene.
        encoder: Finds the start pose where no card beside the video tells it.
        rng: Source of the poses tried then.

    Raises:
        ValueError: If a video cannot be read, or the views differ in length.
    """
    frames = np.stack([resize(view, config.image_size) for view in read_views(videos)], axis=1)
    start = read_start(videos[0], config.cameras[0])
    if start is None:
        start = match_pose(frames[0], config, encoder, rng)
    return Demonstration(frames, start, read_truth(videos[0], config.cameras[0]))


def read_views(videos: Sequence[Path]) -> list[NDArray[np.uint8]]:
    """Reads synchronised videos, each (T, H, W, 3) uint8.

    Raises:
        ValueError: If one cannot be read, or they differ in length.
    """
    views = [read_video(video) for video in videos]
    lengths = {str(video): len(view) for video, view in zip(videos, views, strict=True)}
    if len(set(lengths.values())) > 1:
        raise ValueError(
            f"The views of one demonstration differ in length: {lengths} frames; cut them to the same moments."
        )
    return views


def match_pose(
    frames: NDArray[np.uint8], config: RecordConfig, encoder: Encoder, rng: np.random.Generator
) -> NDArray[np.float64]:
    """Finds the pose that looks most like a frame, by the cross-entropy method in embedding space.

    Rubinstein and Kroese, The Cross-Entropy Method, 2004: sample poses, keep the best tenth, repeat
    around them.

    Args:
        frames: One moment, (V, S, S, 3) uint8.
        config: The learner's scene.
        encoder: Its distances are compared.
        rng: Source of the poses.

    Returns:
        Joint positions, (7,) radians.
    """
    target = embed_pixels(encoder, frames[None])[0]
    env = make_env(config)
    env.np_random = rng
    poses = np.stack([env.random_pose() for _ in range(1500)])
    for _ in range(8):
        shots = []
        for pose in poses:
            env.set_pose(pose)
            shots.append(np.stack([env.frame(camera) for camera in config.cameras]))
        best = np.argsort(np.linalg.norm(embed_pixels(encoder, np.stack(shots)) - target, axis=1))[:30]
        mean, spread = poses[best].mean(axis=0), poses[best].std(axis=0)
        poses = np.clip(rng.normal(mean, spread + 0.005, (300, len(mean))), env.joint_lower, env.joint_upper)
    env.close()
    return mean


@dataclass(frozen=True)
class Goal:
    """What the learner's observation and reward are compared with at every step.

    Attributes:
        embeddings: (horizon + 1, D) float32.
        pixels: (horizon + 1, V, S, S, 3), the demonstration's frames.
        joints: (horizon + 1, 7) radians, or None without truth.
        links: (horizon + 1, 7, 3) metres, or None without truth.
        start: (7,) radians.
    """

    embeddings: NDArray[np.float32]
    pixels: NDArray[np.float64]
    joints: NDArray[np.float64] | None
    links: NDArray[np.float64] | None
    start: NDArray[np.float64]


def make_goal(demonstration: Demonstration, encoder: Encoder, horizon: int) -> Goal:
    """Embeds a demonstration once and spreads everything over the horizon."""
    truth = demonstration.truth
    length = horizon + 1
    embeddings = np.concatenate(
        [embed_pixels(encoder, demonstration.frames[i : i + 128]) for i in range(0, len(demonstration.frames), 128)]
    )
    return Goal(
        embeddings=resample_embeddings(embeddings, length),
        pixels=resample(demonstration.frames, length),
        joints=None if truth is None else resample(truth.joint_positions, length),
        links=None if truth is None else resample(truth.link_positions, length),
        start=demonstration.start,
    )


@dataclass(frozen=True)
class Scales:
    """The distance that counts as 1 in every reward.

    Attributes:
        embedding: Median between successive frames, in the encoder's units.
        pixels: Median between successive frames, root of the summed squared differences of pixel values.
        joints: Root of the summed squared differences of joint angles, radians.
    """

    embedding: float
    pixels: float
    joints: float


def measure_scales(encoder: Encoder, clips: Clips) -> Scales:
    """Measures the scales of the control rewards as ``fit`` measured the encoder's.

    Args:
        encoder: A fitted encoder.
        clips: Validation videos.
    """
    pixels = [
        np.sqrt(np.square(np.diff(np.asarray(v, np.float32), axis=1)).sum(axis=(0, 2, 3, 4))) for v in clips.videos
    ]
    return Scales(
        embedding=float(encoder.distance_scale),
        pixels=float(np.median(np.concatenate(pixels))),
        joints=ORACLE_SCALE,
    )


class FixedStart(gym.Wrapper[Any, Any, Any, Any]):
    """Starts every episode in one pose; (7,) radians."""

    def __init__(self, env: gym.Env[Any, Any], start: NDArray[np.float64]) -> None:
        super().__init__(env)
        self._start = start

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """Adds the pose to the options."""
        return self.env.reset(seed=seed, options={**(options or {}), "joint_positions": self._start})


def _learner(config: RecordConfig, goal: Goal, huber: HuberConfig, scales: Scales, horizon: int) -> gym.Env[Any, Any]:
    """One environment of the learner; its own reward is the true one, which Monitor logs and PPO never sees."""
    env: gym.Env[Any, Any] = FixedStart(make_env(config, _cameras(config), horizon), goal.start)
    if goal.joints is not None:
        env = TrackingReward(env, "joint_positions", goal.joints, huber, scales.joints)
    return Monitor(env)


def _cameras(config: RecordConfig) -> str | tuple[str, ...]:
    return config.cameras[0] if len(config.cameras) == 1 else config.cameras


def make_learner(
    config: RecordConfig,
    goal: Goal,
    encoder: Encoder,
    reward: str,
    huber: HuberConfig,
    scales: Scales,
    envs: int,
    workers: int,
) -> VecEnv:
    """The vectorised world of the learner: workers, and in each of them embeddings, then the reward.

    Args:
        config: The scene.
        goal: What to imitate.
        encoder: Frozen; its one forward pass a step in each worker serves observation and reward.
        reward: One of ``REWARDS``.
        huber: Coefficients of every reward.
        scales: The distances that count as 1.
        envs: Number of environments.
        workers: Number of processes.

    Raises:
        ValueError: If the oracle is asked for without the truth of the demonstration.
    """
    horizon = len(goal.embeddings) - 1
    if reward == "oracle" and goal.joints is None:
        raise ValueError(
            "reward 'oracle' needs the true joint angles, and there are none beside this video; use 'tcn_huber'."
        )
    return WorkerVecEnv(
        [partial(_learner, config, goal, huber, scales, horizon)] * envs,
        workers,
        partial(
            _embed_and_reward,
            config=config,
            goal=goal,
            encoder=encoder.frozen(),
            reward=reward,
            huber=huber,
            scales=scales,
        ),
    )


def _embed_and_reward(
    venv: VecEnv, config: RecordConfig, goal: Goal, encoder: Encoder, reward: str, huber: HuberConfig, scales: Scales
) -> VecEnv:
    """Embeddings, then the reward, around the environments of one worker."""
    venv = VecEmbeddingObservation(venv, encoder, goal.embeddings, keep_pixels=reward == "pixels")
    if reward == "oracle":
        return venv
    if reward == "pixels":
        pixels = goal.pixels if len(config.cameras) > 1 else goal.pixels[:, 0]
        return VecDropObservation(VecTrackingReward(venv, "pixels", pixels, huber, scales.pixels), "pixels")
    return VecTrackingReward(venv, "embedding", goal.embeddings, huber, scales.embedding)


@dataclass(frozen=True)
class Evaluation:
    """How well the deterministic policy does what the video shows.

    Attributes:
        link_error_m: Mean distance of the seven links from the demonstration's, over time, metres; None without truth.
        final_link_error_m: The same at the last step.
        joint_error_rad: Mean absolute joint error over time, radians; None without truth.
        final_joint_error_rad: The same at the last step.
        stay_still_link_error_m: What ``link_error_m`` would be without any movement.
        embedding_distances: Distance of the embeddings after every step of the first episode, (horizon,).
        joint_positions: What the first episode did, (horizon + 1, 7) radians.
    """

    link_error_m: float | None
    final_link_error_m: float | None
    joint_error_rad: float | None
    final_joint_error_rad: float | None
    stay_still_link_error_m: float | None
    embedding_distances: NDArray[np.float64]
    joint_positions: NDArray[np.float64]


def evaluate(
    agent: BaseAlgorithm, config: RecordConfig, goal: Goal, encoder: Encoder, seed: int, episodes: int = 10
) -> Evaluation:
    """Runs the deterministic policy and compares it with the truth.

    Args:
        agent: The trained agent.
        config: The scene.
        goal: What it was to imitate.
        encoder: Its observations' encoder.
        seed: Seed of the first episode.
        episodes: Number of episodes.
    """
    horizon = len(goal.embeddings) - 1
    arm = make_env(config, _cameras(config), horizon)
    env = EmbeddingObservation(FixedStart(arm, goal.start), encoder, goal.embeddings)
    links, joints, distances = [], [], []
    for episode in range(episodes):
        observation, _ = env.reset(seed=seed + episode)
        own_links, own_joints = [arm.link_positions()], [arm.joint_positions()]
        for step in range(horizon):
            action, _ = agent.predict(observation, deterministic=True)
            observation, *_ = env.step(action)
            own_links.append(arm.link_positions())
            own_joints.append(arm.joint_positions())
            if episode == 0:
                distances.append(float(np.linalg.norm(observation["embedding"] - goal.embeddings[step + 1])))
        links.append(np.stack(own_links))
        joints.append(np.stack(own_joints))
    env.close()
    first = {"embedding_distances": np.array(distances), "joint_positions": joints[0]}
    if goal.links is None or goal.joints is None:
        return Evaluation(None, None, None, None, None, **first)
    # The first frame is given, not imitated: errors count from the first step on.
    link_errors = np.linalg.norm(np.stack(links)[:, 1:] - goal.links[1:], axis=-1).mean(axis=(0, 2))
    joint_errors = np.abs(np.stack(joints)[:, 1:] - goal.joints[1:]).mean(axis=(0, 2))
    still = np.linalg.norm(links[0][0] - goal.links[1:], axis=-1).mean()
    return Evaluation(
        link_error_m=float(link_errors.mean()),
        final_link_error_m=float(link_errors[-1]),
        joint_error_rad=float(joint_errors.mean()),
        final_joint_error_rad=float(joint_errors[-1]),
        stay_still_link_error_m=float(still),
        **first,
    )


def film(env: KukaReach, path: NDArray[np.float64], camera: str, size: int) -> NDArray[np.uint8]:
    """Frames of a joint path at any size, (T, size, size, 3) uint8."""
    frames = []
    for pose in path:
        env.set_pose(pose)
        frames.append(env.frame(camera, size))
    return np.stack(frames)
