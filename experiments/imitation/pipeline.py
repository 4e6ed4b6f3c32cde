"""An imitation, stage by stage, wherever it takes place; a stage that is done is not repeated."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.vec_env import VecEnv

from agents.checkpoint import restore_checkpoint
from agents.training import CURVE_FILE, read_curve
from encoders.base import Encoder, channels_first
from encoders.clips.clips import Clips
from encoders.device import choose_device
from encoders.files import write_atomically
from encoders.precision import uses_bfloat16
from encoders.training.fit import FitConfig, calibrate, fit
from envs.embedding import embed_views
from experiments.imitation.audit import Evidence, audited
from experiments.imitation.demonstration import Demonstration, Start, goal_of, measure_scales
from experiments.imitation.settings import ImitationSettings
from experiments.report import figures, run_page
from experiments.report.run_page import RunPage
from experiments.runs.choices import NO_ENCODER
from experiments.runs.experiment import Experiment
from experiments.runs.folder import Stopwatch, console
from experiments.runs.pretraining import check_distance_scale, given_encoder, shared_encoder
from experiments.runs.tables import Line
from rewards.goal import Goal, Scales

Config = TypeVar("Config", bound=ImitationSettings)


@dataclass(frozen=True)
class Task:
    """What an agent is to do.

    Attributes:
        goal: The demonstration, step by step.
        scales: The distances that count as 1.
        encoder: Frozen, or None.
        start: Where its episodes begin, as options of a reset; None for where the environment begins.
    """

    goal: Goal
    scales: Scales
    encoder: Encoder | None
    start: Start | None


@dataclass(frozen=True)
class Evaluation:
    """What the trained agent does, with its mean action.

    Attributes:
        figures: Of all episodes, by their names in ``result.json``.
        distances: From the demonstration after every step of the first episode, (horizon,).
        shown: The demonstration's frames of these steps, as large as people look at them, (horizon, H, W, 3) uint8.
        own: The agent's, of any size.
    """

    figures: Mapping[str, Any]
    distances: NDArray[np.float64]
    shown: NDArray[np.uint8]
    own: NDArray[np.uint8]


class Pipeline(ABC, Generic[Config]):
    """The stages of one run; a subclass says what is particular to where it takes place.

    Args:
        config: The run.
        seed: Its seed.
    """

    def __init__(self, config: Config, seed: int) -> None:
        self.config = config
        self.seed = seed

    @property
    def folder(self) -> Path:
        """The run's."""
        return self.config.run_folder(self.seed)

    @property
    def evaluation_seed(self) -> int:
        """Of the first episode of the evaluation; training has seen none of them."""
        return 10_000 * (self.seed + 1)

    @property
    @abstractmethod
    def horizon(self) -> int:
        """Steps of an episode."""

    @property
    @abstractmethod
    def fps(self) -> float:
        """Frames a second of what is shown."""

    @abstractmethod
    def record(self) -> None:
        """Records what the embedding is learned from, unless it is there."""

    @property
    @abstractmethod
    def demonstration(self) -> Demonstration:
        """The video, made if there is none."""

    @abstractmethod
    def training_clips(self, least: int) -> Clips:
        """What an encoder learns from.

        Args:
            least: Moments that its loss needs of a clip.
        """

    @abstractmethod
    def validation_clips(self, least: int) -> Clips:
        """What chooses an encoder's best weights; of as many moments."""

    @abstractmethod
    def evidence(self) -> Evidence:
        """What reward and video are judged by."""

    @abstractmethod
    def start(self, encoder: Encoder | None) -> tuple[Start | None, float]:
        """Where episodes begin, as options of a reset, and how far that is from the video's first frame."""

    @abstractmethod
    def learner(self, task: Task, bfloat16: bool) -> VecEnv:
        """The environments that the agent learns in."""

    @abstractmethod
    def new_agent(self, venv: VecEnv, task: Task) -> BaseAlgorithm:
        """An untrained agent."""

    @abstractmethod
    def learn(self, agent: BaseAlgorithm) -> None:
        """Trains an agent from where it is to the end of the run, and writes its curve and checkpoints."""

    @abstractmethod
    def save(self, agent: BaseAlgorithm) -> None:
        """Writes the agent into the run's folder."""

    @abstractmethod
    def evaluate(self, agent: BaseAlgorithm, task: Task) -> Evaluation:
        """Has the agent imitate."""

    @abstractmethod
    def random_figures(self) -> tuple[float, float]:
        """Score and true return of random actions on the demonstration."""

    @abstractmethod
    def facts(self) -> dict[str, Any]:
        """What ``result.json`` tells of where the run takes place."""

    @property
    @abstractmethod
    def fit(self) -> FitConfig:
        """How the encoder is trained."""

    @property
    def threads(self) -> int:
        """Of the encoder's training."""
        return 1

    @property
    def precision(self) -> str:
        """In what the frozen encoder calculates while the agent trains."""
        return "float32"

    @property
    def encoder_folder(self) -> Path | None:
        """Of a fitted encoder that the user names."""
        return None

    def run(self, watch: Stopwatch) -> dict[str, Any]:
        """All stages.

        Args:
            watch: Measures them.

        Returns:
            The content of ``result.json``.
        """
        config = self.config
        # Frames are too small to be scaled by several threads.
        torch.set_num_threads(1)
        with watch.stage("record"):
            self.record()
        with watch.stage("demonstrate"):
            frames = self.demonstration.frames
        with watch.stage("fit"):
            encoder = None if config.encoder == NO_ENCODER else self.fitted_encoder()
            if encoder is not None:
                encoder.save(self.folder / "encoder")
        with watch.stage("audit"):
            known, task = self.audit(encoder)
        with watch.stage("train"):
            bfloat16 = encoder is not None and uses_bfloat16(self.precision, encoder, channels_first(frames[:, 0]))
            agent = self.train(task, bfloat16)
        with watch.stage("evaluate"):
            evaluation = self.evaluate(agent, task)
            self._show(evaluation, embedded=task.encoder is not None)
        agent.env.close()  # type: ignore[union-attr]
        curve = read_curve(self.folder / CURVE_FILE)
        return {
            "status": "completed",
            "encoder": config.encoder,
            "encoder_settings": list(config.encoder_settings),
            "reward": config.reward,
            "seed": self.seed,
            **self.facts(),
            "env_steps": agent.num_timesteps,
            **evaluation.figures,
            "final_distance": float(evaluation.distances[-1]),
            **known,
            "precision": "bfloat16" if bfloat16 else "float32",
            "env_steps_per_second": curve[-1]["env_steps"] / curve[-1]["seconds"],
            "wall_seconds": watch.seconds,
        }

    def given_encoder(self, folder: Path) -> Encoder:
        """The encoder in a folder that the user names.

        Raises:
            ValueError: If it is damaged, of another name, made for other frames, or was never fitted.
        """
        return given_encoder(folder, self.config.encoder, self.config.frame_shape)

    def fitted_encoder(self) -> Encoder:
        """The encoder, on its device: given, loaded if it is there, else trained (the control is only calibrated).

        Raises:
            ValueError: If it is damaged, or has a distance scale that is none.
        """
        # A fixed number of threads gives the same sums every time.
        torch.set_num_threads(self.threads)
        device = choose_device(self.config.device)
        if self.encoder_folder is not None:
            return self.given_encoder(self.encoder_folder).to(device)
        folder = self.config.shared_encoder(self.seed)
        encoder = shared_encoder(folder, lambda: self._fit(folder)).to(device)
        check_distance_scale(encoder, folder)
        return encoder

    def _fit(self, folder: Path) -> Encoder:
        torch.manual_seed(self.seed)
        encoder = self.config.new_encoder().to(choose_device(self.config.device))
        validation = self.validation_clips(encoder.sampling.least)
        if not self.config.source.trained:
            return calibrate(encoder, validation, folder)
        return fit(encoder, self.training_clips(encoder.sampling.least), validation, self.fit, self.seed, folder)

    def audit(self, encoder: Encoder | None) -> tuple[dict[str, Any], Task]:
        """What is known before the training, told and kept, and what the agent is to do.

        Raises:
            ValueError: If a figure is no number, or the video is unlike what was recorded and that is to be refused.
        """
        config, demonstration, evidence = self.config, self.demonstration, self.evidence()
        scales = measure_scales(encoder, evidence.validation)
        start, distance = self.start(encoder)
        known, warnings = audited(config, self.seed, encoder, demonstration.frames, evidence, scales)
        if start is None:
            warnings["start"] = (
                "The state of this environment cannot be set, so episodes begin where it begins; the video's first "
                f"frame is {distance:.3g} from the nearest recorded moment."
            )
        known |= {"start_distance": distance, "starts_where_the_video_does": start is not None}
        write_atomically(self.folder / "audit.json", json.dumps(known, indent=2).encode())
        for name, value in known.items():
            if value is not None:
                console.print(f"  {name.replace('_', ' ')}: {value if isinstance(value, bool) else f'{value:.3g}'}")
        task = Task(goal_of(demonstration, encoder, self.horizon), scales, encoder, start)
        for warning in (warnings | self.warnings(task, known)).values():
            console.print(f"  [bold yellow]warning:[/] {warning}")
        if config.refuse_unlike and "video" in warnings:
            raise ValueError(f"{warnings['video']} Leave --refuse-unlike out to imitate it all the same.")
        figures.plot_distance_matrix(embed_views(encoder, demonstration.frames), self.folder / "distance_matrix.png")
        return known, task

    def warnings(self, task: Task, known: dict[str, Any]) -> dict[str, str]:
        """What else is to be warned of before the training.

        Args:
            task: What the agent is to do.
            known: Figures of the audit.
        """
        return {}

    def train(self, task: Task, bfloat16: bool) -> BaseAlgorithm:
        """Trains the agent, or brings a trained one back, and writes its curve, checkpoints and weights.

        Args:
            task: What it is to do.
            bfloat16: Whether the frozen encoder calculates in bfloat16.
        """
        # Workers have the cores; threads that wait for one of them would wait for milliseconds at every layer.
        torch.set_num_threads(1)
        agent = self.new_agent(self.learner(task, bfloat16), task)
        restore_checkpoint(agent, self.folder / "checkpoint")
        self.learn(agent)
        self.save(agent)
        curve = read_curve(self.folder / CURVE_FILE)
        figures.plot_curves(curve, f"{self.config.variant}, seed {self.seed}", self.folder / "curves.png")
        return agent

    def _show(self, evaluation: Evaluation, embedded: bool) -> None:
        """The video and the imitation side by side."""
        shown, own, folder = evaluation.shown, evaluation.own, self.folder
        figures.storyboard(shown, own, folder / "storyboard.png")
        figures.side_by_side(shown, own, evaluation.distances, self.fps, folder / "side_by_side.mp4", embedded)


def experiment(
    pipeline: Callable[[Config, int], Pipeline[Config]],
    check_inputs: Callable[[Config], None],
    page: Callable[[Mapping[str, Any]], RunPage],
    title: Callable[[Config], str],
    line: Callable[[Mapping[str, Any]], Line],
) -> Experiment[Config]:
    """The experiment of a pipeline.

    Args:
        pipeline: Makes the stages of a run from its config and seed.
        check_inputs: Refuses inputs that would fail later.
        page: The page of a result.
        title: The title of the table of all seeds.
        line: The texts of one result in that table.
    """
    return Experiment(
        check_inputs,
        lambda config, seed, _, watch: pipeline(config, seed).run(watch),
        run_page.writer(page),
        title,
        line,
    )
