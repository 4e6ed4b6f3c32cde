"""The configuration of an imitation run, and its folders."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import encoders
from agents import factory
from agents.auxiliary import AuxiliaryConfig
from encoders.base import Encoder, EncoderConfig
from encoders.device import AUTO, check_device, device_content
from encoders.errors import check_choice, check_seed, check_seeds
from encoders.plugins import use as use_plugins
from encoders.precision import PRECISIONS
from encoders.training.fit import FitConfig
from envs.kuka_scene import CAMERAS
from experiments.kuka.recordings import RecordConfig
from experiments.runs.choices import (
    ENCODER_MODES,
    NO_ENCODER,
    NO_TRACKER,
    PROJECT,
    Plugins,
    Tracker,
    check_unsettled,
    key_of,
)
from rewards import sources
from rewards.huber import HuberConfig

POSITIVE_RANGE = 3
NEGATIVE_RANGE = 10
"""Ranges that triplets are judged at: Blomqvist and Hämäläinen's 10 and 30 frames, at 20 instead of (by
assumption) 60 frames a second."""


@dataclass(frozen=True)
class ImitateConfig:
    """A Kuka arm imitates a video.

    Attributes:
        encoder: Registered name of the encoder, or none: the learner then observes its own state and the phase alone.
        encoder_settings: The encoder's own settings as NAME=VALUE, such as backbone=efficientnet_lite0.
        encoder_folder: Folder of a fitted encoder to use instead of training one.
        encoder_mode: frozen, or joint: the agent trains a copy of the encoder, by its own loss and the encoder's, while
            the reward's stays as it is.
        algo: ppo, sac or a2c.
        reward: tcn_huber, or a control: oracle (true joint distance), pixels (raw pixel distance), random (untrained
            encoder).
        seeds: One run a seed.
        demo_seed: Which held-out demonstration is recorded and imitated.
        demo: Videos to imitate instead, at most one a camera; any size, frame rate and length.
        refuse_unlike: Stop before training if the video looks like nothing that was recorded, instead of warning.
        steps: Environment steps of training.
        horizon: Steps of an episode; the video is spread over them.
        out: Folder of all runs.
        resume: Go on with a run that was cut, or show one that is complete.
        track: Who follows the training beside TensorBoard's log: none, wandb or trackio, which have to be installed.
        track_project: What the tracker files the run under.
        envs: Environments stepped together.
        workers: Processes that they are spread over; 1 steps them in this one.
        precision: In what the frozen encoder calculates while the agent trains: float32, bfloat16, or auto: bfloat16
            where it is faster on this machine and exact enough for the encoder.
        threads: Threads of the encoder's training; another number gives other rounding.
        plugin: Module that registers encoders, backbones, rewards, suites or environments; it may lie in the current
            folder, and more can be named by more such flags.
        device: cpu, cuda, or auto: a GPU, where there is one, for the encoder and an agent that trains one. An agent on
            embeddings, a small network on vectors, is on a GPU only with cuda.
        record: What is recorded to learn the embedding from.
        fit: How the encoder is trained.
        huber: Coefficients of the reward.
        auxiliary: How an encoder is trained with the agent.
    """

    encoder: str = "tcn"
    encoder_settings: tuple[str, ...] = ()
    encoder_folder: Path | None = None
    encoder_mode: str = "frozen"
    algo: str = "ppo"
    reward: str = "tcn_huber"
    seeds: tuple[int, ...] = (0,)
    demo_seed: int = 0
    demo: tuple[Path, ...] = ()
    refuse_unlike: bool = False
    steps: int = 48_000
    horizon: int = 50
    out: Path = Path("runs/imitate_kuka")
    resume: bool = False
    track: Tracker = NO_TRACKER
    track_project: str = PROJECT
    envs: int = 32
    workers: int = 2
    precision: str = "auto"
    threads: int = 2
    plugin: Plugins = ()
    device: str = AUTO
    record: RecordConfig = field(default_factory=RecordConfig)
    fit: FitConfig = field(default_factory=FitConfig)
    huber: HuberConfig = field(default_factory=HuberConfig)
    auxiliary: AuxiliaryConfig = field(default_factory=AuxiliaryConfig)

    def __post_init__(self) -> None:
        use_plugins(self.plugin)
        check_choice("encoder", self.encoder, [*encoders.names(), NO_ENCODER])
        check_choice("algorithm", self.algo, factory.names())
        check_choice("reward", self.reward, sources.names())
        check_choice("precision", self.precision, PRECISIONS)
        check_choice("encoder mode", self.encoder_mode, ENCODER_MODES)
        self._check_encoder()
        check_device(self.device)
        check_seeds(self.seeds)
        check_seed("demo_seed", self.demo_seed)
        check_seed("record.seed", self.record.seed)
        if len(self.demo) > len(self.record.cameras):
            raise ValueError(
                f"{len(self.demo)} videos for {len(self.record.cameras)} camera(s) {self.record.cameras}; "
                "give at most one --demo a camera, or name more --record.cameras."
            )
        for camera in self.watching:
            if camera not in self.record.cameras:
                raise ValueError(
                    f"A video from the camera {camera!r} is to be imitated, and the encoder learns from "
                    f"{self.record.cameras} alone; add it to --record.cameras."
                )
        if len(set(self.watching)) < len(self.watching):
            raise ValueError(f"The videos to imitate are of the cameras {self.watching}; give each camera once.")
        if self.record.demo_frames < NEGATIVE_RANGE + 2:
            raise ValueError(
                f"record.demo_frames is {self.record.demo_frames}; triplets are judged with negatives more than "
                f"{NEGATIVE_RANGE} frames away, so it must be at least {NEGATIVE_RANGE + 2}."
            )
        if self.horizon < 2:
            raise ValueError(f"horizon is {self.horizon}; it must be at least 2 steps.")
        if self.threads < 1:
            raise ValueError(f"threads is {self.threads}; it must be at least 1.")
        if not 1 <= self.workers <= self.envs:
            raise ValueError(f"workers is {self.workers}; it must be from 1 to envs, {self.envs}.")
        if self.steps < self.envs * self.horizon:
            raise ValueError(
                f"steps is {self.steps}; one episode in every environment takes {self.envs * self.horizon}."
            )

    def _check_encoder(self) -> None:
        if self.encoder_folder is not None and self.encoder_settings:
            raise ValueError("encoder_folder holds an encoder with settings of its own; leave --encoder-settings out.")
        if self.encoder_folder is not None and not self.source.trained:
            raise ValueError(
                f"reward {self.reward!r} is the control of an untrained encoder; leave --encoder-folder out."
            )
        if self.encoder != NO_ENCODER:
            encoder_config(self)
            return
        if self.encoder_mode == "joint":
            raise ValueError("encoder 'none' has nothing to train; leave --encoder-mode joint out, or name an encoder.")
        if self.encoder_folder is not None or self.encoder_settings:
            raise ValueError("encoder 'none' has no folder and no settings; leave them out, or name an encoder.")
        if self.source.key == "embedding":
            raise ValueError(
                f"reward {self.reward!r} compares embeddings, and encoder 'none' has none; "
                "use --reward pixels or oracle."
            )

    @property
    def source(self) -> sources.Source:
        """The observation that the reward compares, and its path."""
        return sources.known()[self.reward]

    @property
    def watching(self) -> tuple[str, ...]:
        """The cameras of the imitation: all, or one a ``demo`` video, by its ending ``_CAMERA.mp4`` or by order."""
        if not self.demo:
            return self.record.cameras
        endings = [video.stem.rsplit("_", 1)[-1] for video in self.demo]
        return tuple(
            name if name in CAMERAS else camera for name, camera in zip(endings, self.record.cameras, strict=False)
        )

    @property
    def scene(self) -> RecordConfig:
        """The learner's scene: that of the recordings, seen by the cameras of the imitation."""
        return replace(self.record, cameras=self.watching)

    @property
    def variant(self) -> str:
        """Folder name of everything but the seed."""
        watched = f"demo{self.demo_seed}" if not self.demo else f"video-{self.demo[0].stem}"
        encoder = "+".join([self.encoder, *(text.replace("/", "_") for text in self.encoder_settings)])
        mode = "-joint" if self.encoder_mode == "joint" else ""
        return f"{encoder}{mode}-{self.algo}-{self.reward}-{watched}"

    def bound_to(self, steps: int) -> str:
        """Why a run of so many steps cannot be extended: every learning rate decays towards the last step."""
        preset = factory.ALGORITHMS[self.algo]
        if preset.learning_rate == preset.final_learning_rate:
            return ""
        return f"The learning rate of {self.algo!r} falls along all {steps}, so more of them are another training."

    def run_folder(self, seed: int) -> Path:
        """Folder of the run of a seed."""
        return self.out / self.variant / f"seed_{seed}"

    def identity(self, seed: int) -> dict[str, Any]:
        """The settings that determine the result of a run."""
        content = asdict(self) | {"auxiliary": self.auxiliary.content}
        left_out = {"seeds", "out", "resume", "track", "track_project", "workers", "refuse_unlike", "device", "plugin"}
        if self.encoder_mode == "frozen":
            left_out |= {"encoder_mode", "auxiliary"}
        kept = {key: value for key, value in content.items() if key not in left_out}
        return kept | device_content(self.device) | {"seed": seed}

    @property
    def recordings_folder(self) -> Path:
        """Folder of the recordings, shared by all runs with this configuration."""
        return self.out / "recordings" / key_of(asdict(self.record))

    def shared_encoder(self, seed: int) -> Path:
        """Folder of the encoder of a seed, shared by all runs with this configuration."""
        content: dict[str, Any] = {
            "record": asdict(self.record),
            "fit": asdict(self.fit),
            "threads": self.threads,
            "name": self.encoder,
            "settings": asdict(encoder_config(self)),
            **device_content(self.device),
        }
        if not self.source.trained:
            content["untrained"] = True
        return self.out / "encoders" / f"{self.encoder}-{key_of(content)}" / f"seed_{seed}"


def encoder_config(config: ImitateConfig) -> EncoderConfig:
    """The validated settings of the encoder.

    Raises:
        ValueError: If one is unknown or refused.
    """
    settings = encoders.settings_of(config.encoder, config.encoder_settings)
    shape = {"image_size": config.record.image_size, "channels": 3}
    check_unsettled(shape, settings)
    return encoders.configure(config.encoder, **shape, **settings)


def new_encoder(config: ImitateConfig) -> Encoder:
    """An untrained encoder for the recordings' frames."""
    return encoders.make(config.encoder, **asdict(encoder_config(config)))
