"""What every imitation is configured with, wherever it takes place."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import encoders
from agents import factory
from encoders.base import Encoder, EncoderConfig
from encoders.device import AUTO, check_device, device_content
from encoders.errors import check_at_least, check_choice, check_seeds
from encoders.plugins import use as use_plugins
from encoders.precision import PRECISIONS
from encoders.training.fit import FitConfig
from experiments.runs.choices import NO_ENCODER, NO_TRACKER, PROJECT, Plugins, Tracker, check_unsettled
from rewards import sources
from rewards.huber import HuberConfig

POSITIVE_RANGE = 3
NEGATIVE_RANGE = 10
"""Ranges that triplets are judged at: Blomqvist and Hämäläinen's 10 and 30 frames, at 20 instead of (by
assumption) 60 frames a second."""

UNIMPORTANT = frozenset(
    {"seeds", "out", "resume", "refuse_unlike", "workers", "track", "track_project", "device", "plugin"}
)
"""Settings that do not determine the result of a run."""


@dataclass(frozen=True)
class ImitationSettings:
    """What every imitation is configured with.

    Attributes:
        encoder: Registered name of the encoder, or none: the learner then observes its own state and the phase alone.
        encoder_settings: The encoder's own settings as NAME=VALUE, such as embedding_dim=16.
        reward: tcn_huber, or a control: oracle (true distance of the state), pixels (raw pixel distance), random
            (untrained encoder).
        seeds: One run a seed.
        steps: Environment steps of training.
        out: Folder of all runs.
        resume: Go on with a run that was cut, or show one that is complete.
        refuse_unlike: Stop before training if the video looks like nothing that was recorded, instead of warning.
        track: What logs the training beside TensorBoard's log: none, wandb or trackio, which have to be installed.
        track_project: What the tracker files the run under.
        plugin: Module that registers encoders, backbones, rewards, suites or environments; it may lie in the current
            folder, and more can be named by more such flags.
        device: cpu, cuda, or auto: a GPU, where there is one, for the encoder and an agent that trains one. An agent on
            vectors, a small network, is on a GPU only with cuda.
        huber: Coefficients of the reward.
    """

    encoder: str = "tcn"
    encoder_settings: tuple[str, ...] = ()
    reward: str = "tcn_huber"
    seeds: tuple[int, ...] = (0,)
    steps: int = 100_000
    out: Path = Path("runs/imitate")
    resume: bool = False
    refuse_unlike: bool = False
    track: Tracker = NO_TRACKER
    track_project: str = PROJECT
    plugin: Plugins = ()
    device: str = AUTO
    huber: HuberConfig = field(default_factory=HuberConfig)

    def __post_init__(self) -> None:
        use_plugins(self.plugin)
        check_choice("encoder", self.encoder, [*encoders.names(), NO_ENCODER])
        check_choice("reward", self.reward, sources.names())
        check_device(self.device)
        check_seeds(self.seeds)

    @property
    def source(self) -> sources.Source:
        """What the reward compares."""
        return sources.known()[self.reward]

    @property
    def method_name(self) -> str:
        """Short name of encoder and settings, as part of a folder's name."""
        return "+".join([self.encoder, *(text.replace("/", "_") for text in self.encoder_settings)])

    @property
    @abstractmethod
    def frame_shape(self) -> tuple[int, int, int]:
        """Channels, height and width of what the encoder sees."""

    @property
    @abstractmethod
    def variant(self) -> str:
        """Folder name of everything but the seed."""

    @abstractmethod
    def bound_to(self, steps: int) -> str:
        """Why a run of so many steps cannot be extended, as a sentence; empty if it can."""

    @abstractmethod
    def identity(self, seed: int) -> dict[str, Any]:
        """The settings that determine the result of a run."""

    @abstractmethod
    def shared_encoder(self, seed: int) -> Path:
        """Where the encoder of a seed is, for all runs with this configuration."""

    @property
    def encoder_config(self) -> EncoderConfig:
        """The checked settings of the encoder.

        Raises:
            ValueError: If one is unknown or refused.
        """
        settings = encoders.settings_of(self.encoder, self.encoder_settings)
        channels, size, _ = self.frame_shape
        shape = {"image_size": size, "channels": channels}
        check_unsettled(shape, settings)
        return encoders.configure(self.encoder, **shape, **settings)

    def new_encoder(self) -> Encoder:
        """An untrained encoder for the frames."""
        return encoders.make(self.encoder, **asdict(self.encoder_config))

    def run_folder(self, seed: int) -> Path:
        """Where the run of a seed is."""
        return self.out / self.variant / f"seed_{seed}"


@dataclass(frozen=True)
class ParallelSettings(ImitationSettings):
    """What an imitation in many environments at a time is configured with.

    Attributes:
        encoder_folder: Folder of a fitted encoder to use instead of training one.
        algo: ppo, sac or a2c.
        envs: Environments stepped together.
        workers: Processes that they are spread over; 1 steps them in this one.
        precision: In what the frozen encoder calculates while the agent trains: float32, bfloat16, or auto: bfloat16
            where it is faster on this machine and exact enough for the encoder.
        threads: Threads of the encoder's training; another number gives other rounding.
        fit: How the encoder is trained.
    """

    encoder_folder: Path | None = None
    algo: str = "ppo"
    envs: int = 32
    workers: int = 2
    precision: str = "auto"
    threads: int = 2
    fit: FitConfig = field(default_factory=FitConfig)

    def __post_init__(self) -> None:
        super().__post_init__()
        check_choice("algorithm", self.algo, factory.names())
        check_choice("precision", self.precision, PRECISIONS)
        self._check_encoder()
        check_at_least(1, {"steps": self.steps, "threads": self.threads, "envs": self.envs})
        if not 1 <= self.workers <= self.envs:
            raise ValueError(f"workers is {self.workers}; it must be from 1 to envs, {self.envs}.")

    def _check_encoder(self) -> None:
        if self.encoder == NO_ENCODER:
            if self.encoder_folder is not None or self.encoder_settings:
                raise ValueError("encoder 'none' has no folder and no settings; leave them out, or name an encoder.")
            if self.source.key == "embedding":
                raise ValueError(
                    f"reward {self.reward!r} compares embeddings, and encoder 'none' has none; "
                    "use --reward pixels or oracle."
                )
            return
        self.encoder_config  # noqa: B018 - refuses wrong settings now
        if self.encoder_folder is not None and self.encoder_settings:
            raise ValueError("encoder_folder holds an encoder with settings of its own; leave --encoder-settings out.")
        if self.encoder_folder is not None and not self.source.trained:
            raise ValueError(
                f"reward {self.reward!r} is the control of an untrained encoder; leave --encoder-folder out."
            )

    def bound_to(self, steps: int) -> str:
        """Why a run of so many steps cannot be extended: every learning rate decays towards the last step."""
        preset = factory.ALGORITHMS[self.algo]
        if preset.learning_rate == preset.final_learning_rate:
            return ""
        return f"The learning rate of {self.algo!r} falls along all {steps}, so more of them are another training."

    def identity(self, seed: int) -> dict[str, Any]:
        """All but what does not matter to the result."""
        kept = {key: value for key, value in asdict(self).items() if key not in UNIMPORTANT}
        return kept | device_content(self.device) | {"seed": seed}
