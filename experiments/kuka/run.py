"""The imitation experiment, stage by stage; a stage that is done is not repeated."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from stable_baselines3.common.base_class import BaseAlgorithm

from agents import factory
from agents.checkpoint import restore_checkpoint
from agents.training import CURVE_FILE, read_curve
from encoders.base import Encoder, channels_first
from encoders.clips.clips import load_clips
from encoders.device import agent_device, choose_device
from encoders.errors import check_figures
from encoders.files import write_atomically
from encoders.precision import uses_bfloat16
from encoders.training.fit import calibrate, fit
from envs.embedding import embed_views
from experiments.kuka.audit import judge_likeness, judge_reward, judge_triplets
from experiments.kuka.config import ImitateConfig, new_encoder
from experiments.kuka.demonstrations import Demonstration, make_goal, measure_scales, read_demonstration, read_views
from experiments.kuka.imitation import evaluate, film, make_learner
from experiments.kuka.page import imitation_page
from experiments.kuka.recordings import FPS, check_recording, make_env, record_all, record_demonstration
from experiments.report import figures, run_page
from experiments.runs.choices import NO_ENCODER
from experiments.runs.experiment import Experiment
from experiments.runs.folder import Stopwatch, console
from experiments.runs.learning import OwnLoss, learn_to_end, progress_bar
from experiments.runs.pretraining import check_distance_scale, given_encoder, shared_encoder
from experiments.runs.tracking import tracking_of
from rewards.goal import Goal, Scales
from rewards.targets import positions


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
    encoder = new_encoder(config) if folder is None else encoder_in(config, folder)
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


def _stages(config: ImitateConfig, seed: int, folder: Path, watch: Stopwatch) -> dict[str, Any]:
    record, scene = config.record, config.scene
    with watch.stage("record"):
        record_all(record, config.recordings_folder, config.workers)
        videos = config.demo or recorded_demonstration(config)
    with watch.stage("fit"):
        encoder = None if config.encoder == NO_ENCODER else prepared_encoder(config, seed)
        if encoder is not None:
            encoder.save(folder / "encoder")
    with watch.stage("audit"):
        held_out = load_clips(config.recordings_folder, record.names["heldout"], scene.cameras, scene.image_size)
        validation = load_clips(config.recordings_folder, record.validating, scene.cameras, scene.image_size)
        scales = measure_scales(encoder, validation)
        triplets = judge_triplets(encoder, held_out, np.random.default_rng([seed, 1]))
        audit = judge_reward(config, encoder, scales, held_out, validation, np.random.default_rng([seed, 2]))
        console.print(f"  rank correlation of reward and true distance {audit.rank_correlation:.3f}")
        for name, accuracy in triplets.items():
            if accuracy is not None:
                console.print(f"  {name.replace('_', ' ')} {accuracy:.1%}")
        demonstration = read_demonstration(tuple(videos), scene, encoder, np.random.default_rng([seed, 3]))
        likeness = judge_likeness(config, encoder, demonstration.frames, held_out)
        console.print(
            f"  distance of the video to the nearest recorded state {likeness.distance:.3g}; "
            f"of held-out videos within {likeness.held_out:.3g}"
        )
        audited = {
            **asdict(audit),
            **triplets,
            "video_distance": likeness.distance,
            "held_out_distance": likeness.held_out,
        }
        check_figures("The audit", audited)
        write_atomically(folder / "audit.json", json.dumps(audited, indent=2).encode())
        for warning in (audit.warning, likeness.warning):
            if warning is not None:
                console.print(f"  [bold yellow]warning:[/] {warning}")
        if config.refuse_unlike and likeness.warning is not None:
            raise ValueError(f"{likeness.warning} Leave --refuse-unlike out to imitate it all the same.")
        goal = make_goal(demonstration, encoder, config.horizon)
        figures.plot_distance_matrix(embed_views(encoder, demonstration.frames), folder / "distance_matrix.png")
    with watch.stage("train"):
        bfloat16 = encoder is not None and uses_bfloat16(
            config.precision, encoder, channels_first(demonstration.frames[:, 0])
        )
        agent = train(config, seed, folder, goal, encoder, scales, bfloat16)
    with watch.stage("evaluate"):
        evaluation = evaluate(agent, scene, goal, encoder, seed=10_000 * (seed + 1))
        _show(config, folder, demonstration, evaluation.joint_positions, evaluation.distances)
    agent.env.close()  # type: ignore[union-attr]
    curve = read_curve(folder / CURVE_FILE)
    return {
        "status": "completed",
        "encoder": config.encoder,
        "encoder_settings": list(config.encoder_settings),
        "encoder_mode": config.encoder_mode,
        "algo": config.algo,
        "reward": config.reward,
        "seed": seed,
        "demo_seed": None if config.demo else config.demo_seed,
        "demo": [str(video) for video in config.demo],
        "env_steps": agent.num_timesteps,
        **{
            key: value
            for key, value in dataclasses.asdict(evaluation).items()
            if key not in ("distances", "joint_positions")
        },
        "final_distance": float(evaluation.distances[-1]),
        **triplets,
        "reward_rank_correlation": audit.rank_correlation,
        "reward_rank_correlation_within_videos": audit.within_videos,
        "reward_rank_correlation_across_videos": audit.across_videos,
        "video_distance": likeness.distance,
        "held_out_distance": likeness.held_out,
        "scales": asdict(scales),
        "precision": "bfloat16" if bfloat16 else "float32",
        "env_steps_per_second": curve[-1]["env_steps"] / curve[-1]["seconds"],
        "wall_seconds": watch.seconds,
    }


def recorded_demonstration(config: ImitateConfig) -> list[Path]:
    """Records the demonstration of ``demo_seed``, once for all runs; one video a camera."""
    folder = config.recordings_folder / "demonstrations"
    first = record_demonstration(config.record, config.demo_seed, folder)
    stem = first.name.removesuffix(f"_{config.record.cameras[0]}.mp4")
    return [folder / f"{stem}_{camera}.mp4" for camera in config.record.cameras]


def encoder_in(config: ImitateConfig, folder: Path) -> Encoder:
    """The encoder in a folder that the user names.

    Raises:
        ValueError: If it is damaged, of another name, made for other frames, was never fitted, or has a distance scale
            that is none.
    """
    return given_encoder(folder, config.encoder, (3, config.record.image_size, config.record.image_size))


def prepared_encoder(config: ImitateConfig, seed: int) -> Encoder:
    """The encoder of a seed, on its device: given, loaded if it is there, else trained (the control only calibrated).

    Raises:
        ValueError: If it is damaged, or has a distance scale that is none.
    """
    # A fixed number of threads gives the same sums every time.
    torch.set_num_threads(config.threads)
    device = choose_device(config.device)
    if config.encoder_folder is not None:
        return encoder_in(config, config.encoder_folder).to(device)
    folder = config.shared_encoder(seed)
    encoder = shared_encoder(folder, lambda: _fit(config, seed, folder)).to(device)
    check_distance_scale(encoder, folder)
    return encoder


def _fit(config: ImitateConfig, seed: int, folder: Path) -> Encoder:
    record = config.record
    torch.manual_seed(seed)
    encoder = new_encoder(config).to(choose_device(config.device))
    validation = load_clips(config.recordings_folder, record.validating, record.cameras, record.image_size)
    if not config.source.trained:
        return calibrate(encoder, validation, folder)
    training = load_clips(config.recordings_folder, record.training, record.cameras, record.image_size)
    return fit(encoder, training, validation, config.fit, seed, folder)


def train(
    config: ImitateConfig,
    seed: int,
    folder: Path,
    goal: Goal,
    encoder: Encoder | None,
    scales: Scales,
    bfloat16: bool,
) -> BaseAlgorithm:
    """Trains the agent, or resumes it, and writes its curve, checkpoints and weights."""
    # The workers have the cores; threads that wait for one of them would wait for milliseconds at every layer.
    torch.set_num_threads(1)
    joint = config.encoder_mode == "joint"
    venv = make_learner(
        config.scene,
        goal,
        encoder,
        config.reward,
        config.huber,
        scales,
        config.envs,
        config.workers,
        bfloat16,
        joint,
    )
    device = agent_device(config.device, trains_convolutions=joint)
    agent = factory.make(config.algo, venv, config.horizon, seed, encoder if joint else None, device=device)
    restore_checkpoint(agent, folder / "checkpoint")
    with progress_bar(
        config.steps,
        agent.num_timesteps,
        lambda row: f"learned return {row['learned_return']:.2f}, true {row['true_return']:.2f}",
    ) as report:
        learn_to_end(
            agent,
            folder,
            seed,
            steps=config.steps,
            row_steps=config.envs * config.horizon,
            checkpoint_steps=config.steps // 10,
            report=report,
            own_loss=OwnLoss(config.auxiliary) if joint else None,
            truth=goal.joints is not None,
            tracking=tracking_of(config, seed),
        )
    factory.save_agent(agent, config.algo, config.horizon, folder / "agent")
    figures.plot_curves(read_curve(folder / CURVE_FILE), f"{config.variant}, seed {seed}", folder / "curves.png")
    return agent


def _show(config: ImitateConfig, folder: Path, demonstration: Demonstration, path: Any, distances: Any) -> None:
    """Draws storyboard and side-by-side video: the resampled demonstration, and the robot in a larger size."""
    moments = positions(len(demonstration.frames), config.horizon + 1, demonstration.times)
    indices = np.round(moments).astype(int)
    env = make_env(config.scene)
    robot = film(env, path[1:], config.scene.cameras[0], 256)
    env.close()
    watched = demonstration.frames[indices[1:], 0]
    figures.storyboard(watched, robot, folder / "storyboard.png")
    embedded = config.encoder != NO_ENCODER
    figures.side_by_side(watched, robot, distances, FPS, folder / "side_by_side.mp4", embedded)


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


EXPERIMENT = Experiment(
    check_inputs,
    _stages,
    run_page.writer(imitation_page),
    lambda config: f"{config.variant}: deterministic policy, 10 episodes",
    result_line,
)
"""Imitation of a video by the Kuka, run as ``imitate_kuka.py`` runs it."""
