"""An imitation in any environment, stage by stage; a stage that is done is not repeated."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from stable_baselines3.common.base_class import BaseAlgorithm

from agents import factory
from agents.checkpoint import restore_checkpoint
from agents.training import CURVE_FILE, read_curve
from encoders.base import Encoder, channels_first
from encoders.clips.recordings import open_recordings, recordings_in
from encoders.device import agent_device
from encoders.files import write_atomically
from encoders.precision import uses_bfloat16
from envs.embedding import embed_views
from experiments.imitation import learner
from experiments.imitation.audit import audit
from experiments.imitation.config import ImitationConfig, new_encoder
from experiments.imitation.demonstration import Demonstration, goal_of, most_alike, of_video, scales_of
from experiments.imitation.environment import Environment, find
from experiments.imitation.page import imitation_page
from experiments.imitation.play import Recording
from experiments.imitation.pretraining import encoder_in, fitted_encoder
from experiments.imitation.shared import Shared
from experiments.imitation.teacher import check_actions, teacher_algo
from experiments.imitation.trusted import check_given_teacher
from experiments.report import figures, run_page
from experiments.runs.choices import NO_ENCODER
from experiments.runs.experiment import Experiment
from experiments.runs.folder import Stopwatch, console
from experiments.runs.learning import learn_to_end, progress_bar
from experiments.runs.tracking import tracking_of
from rewards.clock import PROGRESS
from rewards.targets import positions

REFERENCE_EPISODES = 20
"""Episodes of random actions that are a run's reference."""


def check_inputs(config: ImitationConfig) -> None:
    """Refuses inputs that would fail later.

    Raises:
        ValueError: If the environment, the video, the clips or the encoder cannot be used, an agent does not take the
            environment's actions, or the reward needs a truth that is not there.
    """
    environment = find(config.env)
    check_actions(config.algo, environment, "--algo")
    factory.part_of(environment.horizon, environment.horizon)
    if config.demo is None:
        teacher_algo(config, environment)
        check_given_teacher(config, environment)
    else:
        of_video(config.demo, config.env.image_size, config.demo_start, config.demo_stop)
    if config.source.key == "joint_positions" and (config.demo is not None or not environment.observed):
        raise ValueError(
            f"reward {config.reward!r} needs the true state, and nothing tells it of this video; use 'tcn_huber'."
        )
    if config.encoder_folder is not None:
        encoder_in(config, config.encoder_folder)
    if config.clips is not None:
        open_recordings(recordings_in(config.clips), config.env.image_size)
    if config.encoder != NO_ENCODER and (views := new_encoder(config).sampling.views) > 1:
        raise ValueError(
            f"The encoder {config.encoder!r} learns from {views} views of a moment, and an environment shows one; "
            "choose an objective of a single view."
        )


class Stages:
    """The stages of one run.

    Args:
        config: The run.
        seed: Its seed.
        folder: Its folder.
        environment: Where.
    """

    def __init__(self, config: ImitationConfig, seed: int, folder: Path, environment: Environment) -> None:
        self._config = config
        self._seed = seed
        self._folder = folder
        self._environment = environment
        self._shared = Shared(config, environment)

    def run(self, watch: Stopwatch) -> dict[str, Any]:
        """All of them; gives the content of ``result.json``."""
        config, seed, shared = self._config, self._seed, self._shared
        # Frames are too small to be scaled by several threads.
        torch.set_num_threads(1)
        with watch.stage("record"):
            play = shared.play
        with watch.stage("demonstrate"):
            demonstration, _ = shared.demonstration, shared.others
        torch.set_num_threads(config.threads)
        with watch.stage("fit"):
            encoder = None if config.encoder == NO_ENCODER else fitted_encoder(config, seed, shared)
            if encoder is not None:
                encoder.save(self._folder / "encoder")
        with watch.stage("audit"):
            audited, task = self._audit(encoder, demonstration)
        with watch.stage("train"):
            frames = channels_first(demonstration.frames)
            bfloat16 = encoder is not None and uses_bfloat16(config.precision, encoder, frames)
            agent = self._train(task, play, bfloat16)
        with watch.stage("evaluate"):
            progress = learner.tracking_reward(config, task) if config.clock == PROGRESS else None
            own = learner.evaluate(
                task, learner.mean_action(agent), config.episodes, 10_000 * (seed + 1), progress=progress
            )
            random = learner.evaluate(
                task, learner.random_actions(self._environment, seed), REFERENCE_EPISODES, seed, drawn=False
            )
            self._show(demonstration, own)
        agent.env.close()  # type: ignore[union-attr]
        curve = read_curve(self._folder / CURVE_FILE)
        return {
            "status": "completed",
            "env": config.env.id,
            "encoder": config.encoder,
            "encoder_settings": list(config.encoder_settings),
            "algo": config.algo,
            "reward": config.reward,
            "seed": seed,
            "demo": None if config.demo is None else str(config.demo),
            "env_steps": agent.num_timesteps,
            "true_return": own.true_return,
            "true_returns": own.true_returns,
            "random_return": random.true_return,
            "demonstration_return": demonstration.true_return,
            "share": share(own.true_return, random.true_return, demonstration.true_return),
            "state_error": own.state_error,
            "random_state_error": random.state_error,
            "final_distance": float(own.distances[-1]),
            "clock": config.clock,
            "progress": own.progress,
            **audited,
            "precision": "bfloat16" if bfloat16 else "float32",
            "env_steps_per_second": curve[-1]["env_steps"] / curve[-1]["seconds"],
            "wall_seconds": watch.seconds,
        }

    def _audit(self, encoder: Encoder | None, demonstration: Demonstration) -> tuple[dict[str, Any], learner.Task]:
        """What is known before the training, told and kept, and the learner's environments."""
        shared, environment = self._shared, self._environment
        scales = scales_of(encoder, shared.episodes[1])
        audited, warnings = audit(self._config, self._seed, encoder, shared, scales)
        start, start_distance = demonstration.start, 0.0
        if start is None:
            states, start_distance = most_alike(demonstration.frames[0], shared.play, encoder)
            start = states or None
        if start is None:
            warnings.append(
                f"The state of {self._config.env.id} cannot be set, so episodes begin where it begins; the video's "
                f"first frame is {start_distance:.3g} from the nearest recorded moment."
            )
        audited |= {"start_distance": start_distance, "starts_where_the_video_does": start is not None}
        write_atomically(self._folder / "audit.json", json.dumps(audited, indent=2).encode())
        for name, value in audited.items():
            if value is not None:
                console.print(f"  {name.replace('_', ' ')}: {value if isinstance(value, bool) else f'{value:.3g}'}")
        truth = learner.demonstration_states(demonstration, shared.standard)
        goal = goal_of(demonstration, encoder, environment.horizon, truth)
        task = learner.Task(environment, shared.standard, start, goal, scales, encoder)
        for warning in [*warnings, learner.pace_warning(self._config, task, audited["video_distance"])]:
            if warning is not None:
                console.print(f"  [bold yellow]warning:[/] {warning}")
        embedded = embed_views(encoder, demonstration.frames[:, None])
        figures.plot_distance_matrix(embedded, self._folder / "distance_matrix.png")
        return audited, task

    def _train(self, task: learner.Task, play: Recording, bfloat16: bool) -> BaseAlgorithm:
        """Trains the agent, or brings a trained one back, and writes its curve, checkpoints and weights."""
        config, seed, folder = self._config, self._seed, self._folder
        starts = learner.recorded_starts(config, task, play)
        # The workers have the cores; threads that wait for one of them would wait for milliseconds at every layer.
        torch.set_num_threads(1)
        venv = learner.make_learner(config, task, starts, bfloat16, seed)
        horizon = self._environment.horizon
        device = agent_device(config.device, trains_convolutions=False)
        agent = factory.make(config.algo, venv, horizon, seed, gamma=config.gamma, device=device)
        restore_checkpoint(agent, folder / "checkpoint")

        def restart(steps: int) -> None:
            # Episodes that begin along the video have no common length; the steps before one tell it from all others.
            venv.env_method("start_with", steps)

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
                row_steps=config.envs * horizon,
                checkpoint_steps=config.steps // 10,
                report=report,
                tracking=tracking_of(config, seed),
                restart=restart,
            )
        factory.save_agent(agent, config.algo, horizon, folder / "agent")
        figures.plot_curves(read_curve(folder / CURVE_FILE), f"{config.variant}, seed {seed}", folder / "curves.png")
        return agent

    def _show(self, demonstration: Demonstration, own: learner.Evaluation) -> None:
        """The video and the imitation side by side."""
        horizon, config = self._environment.horizon, self._config
        moments = positions(len(demonstration.frames), horizon + 1, demonstration.times)
        watched = demonstration.frames[np.round(moments).astype(int)][1:]
        figures.storyboard(watched, own.frames[1:], self._folder / "storyboard.png")
        figures.side_by_side(
            _enlarged(watched),
            _enlarged(own.frames[1:]),
            own.distances,
            self._environment.fps,
            self._folder / "side_by_side.mp4",
            config.encoder != NO_ENCODER,
        )


def share(own: float, random: float, demonstration: float | None) -> float | None:
    """Where a return lies between those of random actions, 0, and of the demonstration, 1; None if that is unknown."""
    if demonstration is None or demonstration == random:
        return None
    return (own - random) / (demonstration - random)


def _enlarged(frames: NDArray[np.uint8], side: int = 192) -> NDArray[np.uint8]:
    """Frames as large as people like to look at them, pixel by pixel."""
    times = max(1, side // frames.shape[1])
    return frames.repeat(times, axis=1).repeat(times, axis=2)


def result_line(result: Mapping[str, Any]) -> dict[str, str]:
    """What the table that ends the runs tells of one."""
    known = result["demonstration_return"] is not None
    return {
        "true return": f"{result['true_return']:.2f}",
        "random actions": f"{result['random_return']:.2f}",
        "the demonstration": f"{result['demonstration_return']:.2f}" if known else "unknown",
        "share": f"{result['share']:.0%}" if result["share"] is not None else "",
        "steps/s": f"{result['env_steps_per_second']:,.0f}",
    }


def _stages(config: ImitationConfig, seed: int, folder: Path, watch: Stopwatch) -> dict[str, Any]:
    return Stages(config, seed, folder, find(config.env)).run(watch)


EXPERIMENT = Experiment(
    check_inputs=check_inputs,
    stages=_stages,
    write_page=lambda folder, title, result: run_page.write(folder, title, imitation_page(result)),
    title=lambda config: f"{config.variant}: {config.episodes} episodes",
    line=result_line,
)
"""Imitations in any environment, as runs."""
