"""The parts of an imitation run: the learner's environment, its reward, its evaluation."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.monitor import Monitor
from stable_baselines3.common.vec_env import VecEnv

from envs.embedding import EmbeddingObservation, embed_views
from envs.kuka import JOINTS, KukaReach
from envs.phase import PhaseObservation
from envs.starts import StartsAt
from experiments.imitation.demonstration import Start
from experiments.imitation.parallel import rewarded
from experiments.imitation.pipeline import Task
from experiments.kuka.recordings import RecordConfig, make_env
from rewards.goal import ORACLE_SCALE, Goal
from rewards.huber import HuberConfig
from rewards.sources import tracked
from rewards.wrappers import TrackingReward, VecTrackingReward

NOT_SHOWN = ("goal",)
"""Observations that the learner does not get: an imitator must not see where the target is."""


def _learner(
    config: RecordConfig, task: Task, huber: HuberConfig, camera: str | tuple[str, ...] | None
) -> gym.Env[Any, Any]:
    """One environment of the learner; its reward is the true one, which is logged but never learned from."""
    goal = task.goal
    env: gym.Env[Any, Any] = _begun(make_env(config, camera, goal.horizon), task)
    if goal.joints is not None:
        env = TrackingReward(env, "joint_positions", goal.joints, huber, task.scales.joints)
    return Monitor(env)


def _begun(env: KukaReach, task: Task) -> gym.Env[Any, Any]:
    """Every episode begins in the demonstration's pose."""
    assert task.start is not None  # the Kuka can be set to any pose, and the pipeline finds one
    return StartsAt(env, task.start)


def _cameras(config: RecordConfig) -> str | tuple[str, ...]:
    return config.cameras[0] if len(config.cameras) == 1 else config.cameras


def make_learner(
    config: RecordConfig,
    task: Task,
    reward: str,
    huber: HuberConfig,
    envs: int,
    workers: int,
    bfloat16: bool = False,
    joint: bool = False,
) -> VecEnv:
    """The learner's vectorised environment.

    Args:
        config: The scene.
        task: What to imitate, and the encoder.
        reward: A reward's name.
        huber: Coefficients of every reward.
        envs: Number of environments.
        workers: Number of processes; 1 steps all of them in this one.
        bfloat16: As of ``rewarded``.
        joint: As of ``rewarded``.

    Raises:
        ValueError: If the goal lacks the path that the reward needs.
    """
    key, path, scale = tracked(reward, task.goal, task.scales)
    seen = task.encoder is not None or key == "pixels"
    tracking = partial(VecTrackingReward, key=key, path=path, config=huber, scale=scale)
    # What is only used in the parent does not travel to the workers.
    make = partial(_learner, config, replace(task, encoder=None), huber, _cameras(config) if seen else None)
    return rewarded([make] * envs, workers, task, key, tracking, bfloat16=bfloat16, joint=joint, hidden=NOT_SHOWN)


def random_policy(
    config: RecordConfig, goal: Goal, start: Start, huber: HuberConfig, seed: int, episodes: int = 20
) -> tuple[float, float]:
    """Link error and true return of a uniformly random policy.

    Args:
        config: The scene.
        goal: What is to be imitated; with truth.
        start: Where every episode begins.
        huber: Coefficients of the true reward.
        seed: Seed of the actions.
        episodes: Number of episodes.

    Returns:
        Mean distance of the links from the demonstration's, metres, and the mean true return.

    Raises:
        ValueError: If the goal comes without truth.
    """
    if goal.joints is None or goal.links is None:
        raise ValueError("A random policy is measured by the truth, and this video comes without.")
    rng = np.random.default_rng(seed)
    arm = make_env(config, None, goal.horizon)
    env = TrackingReward(StartsAt(arm, start), "joint_positions", goal.joints, huber, ORACLE_SCALE)
    errors, rewards = [], []
    for _ in range(episodes):
        env.reset()
        for step in range(1, goal.horizon + 1):
            _, reward, *_ = env.step(rng.uniform(-1, 1, JOINTS).astype(np.float32))
            rewards.append(float(reward))
            errors.append(np.linalg.norm(arm.link_positions() - goal.links[step], axis=-1).mean())
    env.close()
    return float(np.mean(errors)), float(np.sum(rewards)) / episodes


@dataclass(frozen=True)
class Errors:
    """Errors of the deterministic policy, compared with the demonstration.

    Attributes:
        link_error_m: Mean distance of the seven links from the demonstration's, over time, metres; None without truth.
        final_link_error_m: The same at the last step.
        joint_error_rad: Mean absolute joint error over time, radians; None without truth.
        final_joint_error_rad: The same at the last step.
        stay_still_link_error_m: What ``link_error_m`` would be without any movement.
        distances: Distance of the embeddings (without an encoder, of the pixels) after every step of the first
            episode, (horizon,).
        joint_positions: What the first episode did, (horizon + 1, 7) radians.
    """

    link_error_m: float | None
    final_link_error_m: float | None
    joint_error_rad: float | None
    final_joint_error_rad: float | None
    stay_still_link_error_m: float | None
    distances: NDArray[np.float64]
    joint_positions: NDArray[np.float64]


def evaluate(agent: BaseAlgorithm, config: RecordConfig, task: Task, seed: int, episodes: int = 10) -> Errors:
    """Runs the deterministic policy and compares it with the truth.

    Args:
        agent: The trained agent.
        config: The scene.
        task: What it was to imitate, and the encoder of its observations.
        seed: Seed of the first episode.
        episodes: Number of episodes.
    """
    goal, encoder = task.goal, task.encoder
    arm = make_env(config, None if encoder is None else _cameras(config), goal.horizon)
    env = _begun(arm, task)
    if encoder is None or goal.embeddings is None:
        env, path = PhaseObservation(env, goal.horizon, NOT_SHOWN), goal.pixels
    else:
        env = EmbeddingObservation(env, encoder, goal.embeddings, keep_pixels=True, drop=NOT_SHOWN)
        path = np.asarray(goal.embeddings, np.float64)
    assert isinstance(agent.observation_space, gym.spaces.Dict)
    observed = agent.observation_space.spaces
    links, joints, shots = [], [], []
    for episode in range(episodes):
        observation, _ = env.reset(seed=seed + episode)
        own_links, own_joints = [arm.link_positions()], [arm.joint_positions()]
        for _ in range(goal.horizon):
            seen = {key: observation[key] for key in observed}
            action, _ = agent.predict(seen, deterministic=True)
            observation, *_ = env.step(action)
            own_links.append(arm.link_positions())
            own_joints.append(arm.joint_positions())
            if episode == 0:
                shots.append(np.stack([arm.frame(camera) for camera in config.cameras]))
        links.append(np.stack(own_links))
        joints.append(np.stack(own_joints))
    env.close()
    distances = np.linalg.norm(embed_views(encoder, np.stack(shots)) - path[1:].reshape(goal.horizon, -1), axis=1)
    first = {"distances": distances, "joint_positions": joints[0]}
    if goal.links is None or goal.joints is None:
        return Errors(None, None, None, None, None, **first)
    # The first frame is given, not imitated: errors count from the first step on.
    link_errors = np.linalg.norm(np.stack(links)[:, 1:] - goal.links[1:], axis=-1).mean(axis=(0, 2))
    joint_errors = np.abs(np.stack(joints)[:, 1:] - goal.joints[1:]).mean(axis=(0, 2))
    still = np.linalg.norm(links[0][0] - goal.links[1:], axis=-1).mean()
    return Errors(
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
