"""An imitation by the Kuka: its recordings, its video, its agent and its errors."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.vec_env import VecEnv

from agents import factory
from encoders.base import Encoder
from encoders.clips.clips import Clips, load_clips
from experiments.imitation.audit import LIKENESS_VIDEOS, Evidence, spread
from experiments.imitation.demonstration import Demonstration, Start, goal_of
from experiments.imitation.parallel import ParallelPipeline
from experiments.imitation.pipeline import Evaluation, Task, experiment
from experiments.kuka.config import ImitateConfig
from experiments.kuka.demonstrations import match_pose, read_demonstration, read_views
from experiments.kuka.imitation import evaluate, film, make_learner, random_policy
from experiments.kuka.page import imitation_page
from experiments.kuka.recordings import (
    FPS,
    Truth,
    check_recording,
    make_env,
    read_start,
    read_truth,
    record_all,
    record_demonstration,
)
from experiments.runs.choices import NO_ENCODER
from experiments.runs.learning import OwnLoss
from rewards.targets import positions

SHOWN = 256
"""Width and height of the robot's frames that people look at, pixels."""


class KukaImitation(ParallelPipeline[ImitateConfig]):
    """An imitation by the Kuka.

    Args:
        config: The run.
        seed: Its seed.
    """

    @property
    def horizon(self) -> int:
        """As configured."""
        return self.config.horizon

    @property
    def fps(self) -> float:
        """Of the recordings."""
        return FPS

    @property
    def truth(self) -> bool:
        """Whether the video comes with it."""
        return self.demonstration.states is not None

    @property
    def trains_encoder(self) -> bool:
        """As configured."""
        return self.config.encoder_mode == "joint"

    @property
    def own_loss(self) -> OwnLoss | None:
        """As configured."""
        return OwnLoss(self.config.auxiliary) if self.trains_encoder else None

    def record(self) -> None:
        """Demonstrations and random play."""
        record_all(self.config.record, self.config.recordings_folder, self.config.workers)

    @cached_property
    def videos(self) -> tuple[Path, ...]:
        """What is imitated, one a camera: what the user names, or the demonstration of ``demo_seed``."""
        config = self.config
        if config.demo:
            return config.demo
        folder, cameras = config.recordings_folder / "demonstrations", config.record.cameras
        first = record_demonstration(config.record, config.demo_seed, folder)
        stem = first.name.removesuffix(f"_{cameras[0]}.mp4")
        return tuple(folder / f"{stem}_{camera}.mp4" for camera in cameras)

    @cached_property
    def demonstration(self) -> Demonstration:
        """The video; recorded, once for all runs, if there is none."""
        return read_demonstration(self.videos, self.config.scene)

    def training_clips(self, least: int) -> Clips:
        """Of all cameras."""
        record = self.config.record
        return load_clips(self.config.recordings_folder, record.training, record.cameras, record.image_size)

    def validation_clips(self, least: int) -> Clips:
        """Of all cameras."""
        record = self.config.record
        return load_clips(self.config.recordings_folder, record.validating, record.cameras, record.image_size)

    def _seen(self, names: list[str]) -> Clips:
        """Recordings by the cameras of the imitation."""
        scene = self.config.scene
        return load_clips(self.config.recordings_folder, names, scene.cameras, scene.image_size)

    def _truth(self, name: str) -> Truth:
        folder, camera = self.config.recordings_folder, self.config.record.cameras[0]
        truth = read_truth(folder / f"{name}_{camera}.mp4", camera)
        if truth is None:
            raise ValueError(f"{folder} has no {name}_truth.npz; delete {name}.json to record it again.")
        return truth

    def evidence(self) -> Evidence:
        """Held-out demonstrations, and validation videos of both kinds."""
        record = self.config.record
        held_out, validating, training = record.names["heldout"], record.validating, record.training
        truths = [self._truth(name) for name in (*held_out, *validating)]
        held, chosen = self._seen(held_out), self._seen(validating)
        return Evidence(
            held_out=held,
            validation=chosen,
            judged=Clips((*held.videos, *chosen.videos), (*held.names, *chosen.names)),
            recorded=self._seen([training[index] for index in spread(len(training), LIKENESS_VIDEOS)]),
            states=[truth.joint_positions for truth in truths],
            places=[truth.link_positions for truth in truths],
        )

    def start(self, encoder: Encoder | None) -> tuple[Start, float]:
        """The pose of the video's card, or the one that looks most like its first frame."""
        scene, frames = self.config.scene, self.demonstration.frames
        pose, distance = read_start(self.videos[0], scene), 0.0
        if pose is None:
            pose, distance = match_pose(frames[0], scene, encoder, np.random.default_rng([self.seed, 3]))
        return {"joint_positions": pose}, distance

    def learner(self, task: Task, bfloat16: bool) -> VecEnv:
        """The environments that the agent learns in."""
        config = self.config
        return make_learner(
            config.scene,
            task,
            config.reward,
            config.huber,
            config.envs,
            config.workers,
            bfloat16,
            self.trains_encoder,
        )

    def evaluate(self, agent: BaseAlgorithm, task: Task) -> Evaluation:
        """Ten episodes; the first is filmed in a larger size."""
        config, demonstration = self.config, self.demonstration
        errors = evaluate(agent, config.scene, task, self.evaluation_seed)
        moments = positions(len(demonstration.frames), self.horizon + 1, demonstration.times)
        env = make_env(config.scene)
        own = film(env, errors.joint_positions[1:], config.scene.cameras[0], SHOWN)
        env.close()
        figures = {key: value for key, value in asdict(errors).items() if key not in ("distances", "joint_positions")}
        shown = demonstration.frames[np.round(moments).astype(int)[1:], 0]
        return Evaluation(figures | {"scales": asdict(task.scales)}, errors.distances, shown, own)

    def random_figures(self) -> tuple[float, float]:
        """Minus the link error of random actions, and their true return."""
        goal = goal_of(self.demonstration, None, self.horizon)
        start, _ = self.start(None)
        link_error, true_return = random_policy(self.config.scene, goal, start, self.config.huber, seed=0)
        return -link_error, true_return

    def facts(self) -> dict[str, Any]:
        """What is imitated, and how the encoder is trained."""
        config = self.config
        return {
            **super().facts(),
            "encoder_mode": config.encoder_mode,
            "demo_seed": None if config.demo else config.demo_seed,
            "demo": [str(video) for video in config.demo],
        }


def check_inputs(config: ImitateConfig) -> None:
    """Refuses unusable files before any work.

    Raises:
        ValueError: If a video, its card or its truth, the encoder or its weights cannot be used, or the oracle's truth
            is missing.
    """
    if config.demo:
        read_views(config.demo, config.scene.image_size)
        truth = check_recording(config.demo[0], config.scene)
        if config.source.key == "joint_positions" and truth is None:
            raise ValueError(
                f"reward {config.reward!r} needs the true joint angles, and {config.demo[0]} comes without; "
                "use 'tcn_huber'."
            )
    if config.encoder == NO_ENCODER:
        return
    folder = config.encoder_folder
    encoder = config.new_encoder() if folder is None else KukaImitation(config, config.seeds[0]).given_encoder(folder)
    if config.encoder_mode == "joint":
        check_joint(config, encoder)
    if folder is None and (views := encoder.sampling.views) > len(config.record.cameras):
        raise ValueError(
            f"The encoder {config.encoder!r} learns from {views} views of a moment and "
            f"record.cameras names {len(config.record.cameras)}: {config.record.cameras}; name more."
        )


def check_joint(config: ImitateConfig, encoder: Encoder) -> None:
    """Refuses an encoder that cannot be trained with the agent.

    Raises:
        ValueError: If it has nothing to train, the agent has too few cameras for its loss, or an episode is too short.
    """
    if not any(part.requires_grad for part in encoder.parameters()):
        raise ValueError(f"Encoder {config.encoder!r} has nothing to train; leave --encoder-mode joint out.")
    if (views := encoder.sampling.views) > len(config.scene.cameras):
        raise ValueError(
            f"The encoder {config.encoder!r} learns from {views} views of a moment, and the agent that is to train it "
            f"sees {len(config.scene.cameras)}: {config.scene.cameras}; give a --demo a camera, or leave "
            "--encoder-mode joint out."
        )
    factory.part_of(config.horizon, config.horizon, encoder.sampling.least)


def result_line(result: Mapping[str, Any]) -> dict[str, str]:
    """A line of the final table of all seeds."""
    link, still = result["link_error_m"], result["stay_still_link_error_m"]
    known = link is not None
    return {
        "link error": f"{link * 100:.1f} cm" if known else "unknown",
        "standing still": f"{still * 100:.1f} cm" if known else "unknown",
        "share": f"{link / still:.0%}" if known else "",
        "joint error": f"{result['joint_error_rad']:.3f} rad" if known else "unknown",
        "audit": f"{result['reward_rank_correlation']:.2f}",
        "steps/s": f"{result['env_steps_per_second']:,.0f}",
    }


EXPERIMENT = experiment(
    KukaImitation,
    check_inputs,
    imitation_page,
    lambda config: f"{config.variant}: deterministic policy, 10 episodes",
    result_line,
)
"""Imitation of a video by the Kuka, run as ``imitate_kuka.py`` runs it."""
