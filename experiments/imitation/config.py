"""What an imitation in any environment is configured with, and where it lives on disk."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from typing import Any

import encoders
from agents import factory
from encoders.base import Encoder, EncoderConfig
from encoders.clips.recordings import contents, recordings_in
from encoders.device import AUTO, check_device, device_content
from encoders.errors import check_choice, check_seed, check_seeds
from encoders.files import read_bytes
from encoders.plugins import use as use_plugins
from encoders.precision import PRECISIONS
from encoders.training.fit import FitConfig
from experiments.imitation.environment import EnvironmentConfig
from experiments.imitation.play import PlayConfig
from experiments.runs.choices import (
    NO_ENCODER,
    NO_TRACKER,
    PROJECT,
    Plugins,
    Tracker,
    check_tracker,
    check_unsettled,
    key_of,
)
from rewards import sources
from rewards.clock import CLOCKS, FIXED
from rewards.huber import HuberConfig

MOST_AGENT = 2**31
"""Largest zip of an agent, bytes."""


@dataclass(frozen=True)
class TeacherConfig:
    """The agent that is filmed where no video is given; it learns from the true reward, and sees the true state.

    Attributes:
        folder: Folder of an agent that was trained before, such as teachers/NAME/agent of a run's --out; none trains
            one. It runs no code from there.
        trusted_zip: File of an agent that Stable-Baselines3 saved, trained by algo on the environment's own
            observations and actions. To load it runs the code in it: name only a file that you trust.
        algo: ppo, sac or a2c; auto takes sac for real-valued actions and ppo for discrete ones.
        steps: Environment steps of its training.
        gamma: Discount.
        seed: Of its training, and of the episodes that are filmed.
        attempts: Episodes of which the best is filmed.
    """

    folder: Path | None = None
    trusted_zip: Path | None = None
    algo: str = AUTO
    steps: int = 60_000
    gamma: float = 0.98
    seed: int = 0
    attempts: int = 5

    def __post_init__(self) -> None:
        check_choice("algorithm of the teacher", self.algo, [*factory.names(), AUTO])
        check_seed("teacher.seed", self.seed)
        if not 0 < self.gamma < 1 or min(self.steps, self.attempts) < 1:
            raise ValueError(
                f"teacher.gamma is {self.gamma}, teacher.steps {self.steps} and teacher.attempts {self.attempts}; "
                "gamma must be between 0 and 1, the others at least 1."
            )
        if self.folder is not None and self.trusted_zip is not None:
            raise ValueError("teacher.folder and teacher.trusted_zip both name a teacher; leave one of them out.")
        if self.folder is not None and self.folder.suffix == ".zip":
            raise ValueError(
                f"teacher.folder is {self.folder}, and to load a zip of Stable-Baselines3 runs the code in it. If you "
                "trust it, name it by --teacher.trusted-zip; else name a folder that a run of this project has left."
            )

    @property
    def content(self) -> dict[str, Any]:
        """What a teacher is: its settings, and a digest of the file that it is loaded from, if there is one.

        Raises:
            FileError: If there is one, and it cannot be read.
        """
        found = {key: value for key, value in asdict(self).items() if key != "trusted_zip"}
        if self.trusted_zip is not None:
            agent = read_bytes(self.trusted_zip, "agent", "name a zip that Stable-Baselines3 saved", MOST_AGENT)
            found["trusted_zip"] = sha256(agent).hexdigest()
        if self.folder is not None:
            card = read_bytes(self.folder / factory.AGENT_FILE, "agent", "name a folder that a run has left")
            found["folder"] = sha256(card).hexdigest()
        return found


@dataclass(frozen=True)
class ImitationConfig:
    """An agent imitates a video in an environment.

    Attributes:
        env: Where.
        demo: The video; none films a teacher, which is trained first.
        demo_start: Seconds of the video that are left out at its beginning.
        demo_stop: Where the video ends, seconds from its beginning; none for its end.
        encoder: Registered name of the encoder, or none: the learner then sees its own state and the phase alone.
        encoder_settings: The encoder's own settings as NAME=VALUE, such as embedding_dim=16.
        encoder_folder: Folder of a fitted encoder to use instead of training one.
        clips: Folder of videos of one's own that the encoder learns from too, beside what is recorded.
        algo: ppo, sac or a2c.
        reward: tcn_huber, or a control: oracle (true distance of the state), pixels (raw pixel distance), random
            (untrained encoder).
        clock: What moves the video on: fixed, the time; or progress, the agent that has caught up with it, for a video
            whose pace is not the robot's.
        gamma: Discount of the learner.
        seeds: One run a seed.
        steps: Environment steps of training.
        out: Folder of all runs.
        resume: Go on with a run that was cut, or show one that is complete.
        track: What logs the training beside TensorBoard's log: none, wandb or trackio, which have to be installed.
        track_project: What the tracker files the run under.
        envs: Environments stepped together.
        workers: Processes that they are spread over; 1 steps them in this one.
        starts: Share of the episodes of training that begin along the video, in a recorded state that looks like it
            there, where states can be set; the others, and all of the evaluation, begin where the video does.
        lost: Share of the largest distance between two moments of the video that counts as far from it.
        effort: What an action of full force costs the learner a step, where the distance ``lost`` costs 1; real-valued
            actions alone have a force.
        episodes: Episodes of the evaluation.
        precision: In what the frozen encoder calculates while the agent trains: float32, bfloat16, or auto.
        threads: Threads of the encoder's training; another number gives other rounding.
        plugin: Module that registers encoders, backbones, rewards, suites or environments; it may lie in the current
            folder, and more can be named by more such flags.
        device: cpu, cuda, or auto: a GPU for the encoder where there is one. The agent, a small network on vectors, is
            on a GPU only with cuda; the teacher never is.
        play: What is recorded to learn the embedding from.
        teacher: The agent that is filmed where no video is given.
        fit: How the encoder is trained.
        huber: Coefficients of the reward.
    """

    env: EnvironmentConfig = field(default_factory=EnvironmentConfig)
    demo: Path | None = None
    demo_start: float = 0.0
    demo_stop: float | None = None
    encoder: str = "tcn"
    encoder_settings: tuple[str, ...] = ()
    encoder_folder: Path | None = None
    clips: Path | None = None
    algo: str = "ppo"
    reward: str = "tcn_huber"
    clock: str = FIXED
    gamma: float = 0.95
    seeds: tuple[int, ...] = (0,)
    steps: int = 100_000
    out: Path = Path("runs/imitate")
    resume: bool = False
    track: Tracker = NO_TRACKER
    track_project: str = PROJECT
    envs: int = 32
    workers: int = 2
    starts: float = 0.5
    lost: float = 0.5
    effort: float = 0.3
    episodes: int = 10
    precision: str = "auto"
    threads: int = 2
    plugin: Plugins = ()
    device: str = AUTO
    play: PlayConfig = field(default_factory=PlayConfig)
    teacher: TeacherConfig = field(default_factory=TeacherConfig)
    fit: FitConfig = field(default_factory=lambda: FitConfig(steps=400))
    huber: HuberConfig = field(default_factory=HuberConfig)

    def __post_init__(self) -> None:
        use_plugins(self.plugin)
        check_choice("encoder", self.encoder, [*encoders.names(), NO_ENCODER])
        check_choice("algorithm", self.algo, factory.names())
        check_choice("reward", self.reward, sources.names())
        check_choice("clock", self.clock, CLOCKS)
        check_choice("precision", self.precision, PRECISIONS)
        check_device(self.device)
        check_seeds(self.seeds)
        check_tracker(self.track)
        if self.encoder == NO_ENCODER:
            if self.encoder_folder is not None or self.encoder_settings:
                raise ValueError("encoder 'none' has no folder and no settings; leave them out, or name an encoder.")
            if self.source.key == "embedding":
                raise ValueError(
                    f"reward {self.reward!r} compares embeddings, and encoder 'none' has none; use --reward pixels or "
                    "oracle."
                )
        else:
            encoder_config(self)
        if self.encoder_folder is not None and (self.encoder_settings or not self.source.trained):
            raise ValueError(
                "encoder_folder holds a fitted encoder with settings of its own; leave --encoder-settings and "
                "--reward random out."
            )
        if self.clips is not None and (
            self.encoder == NO_ENCODER or self.encoder_folder is not None or not self.source.trained
        ):
            raise ValueError(
                "clips are what an encoder learns from, and none is trained here; leave --clips out, or train one: "
                "without --encoder none, --encoder-folder and --reward random."
            )
        if not 0 <= self.starts <= 1 or not 0 < self.gamma < 1 or not self.lost > 0:
            raise ValueError(
                f"starts is {self.starts}, gamma {self.gamma} and lost {self.lost}; starts must be from 0 to 1, gamma "
                "between 0 and 1, lost above 0."
            )
        if not 0 <= self.effort < math.inf:
            raise ValueError(f"effort is {self.effort}; it must be finite and at least 0.")
        if min(self.steps, self.episodes, self.threads) < 1 or not 1 <= self.workers <= self.envs:
            raise ValueError(
                f"steps is {self.steps}, episodes {self.episodes}, threads {self.threads}, workers {self.workers} and "
                f"envs {self.envs}; all must be at least 1, and workers at most envs."
            )
        if self.demo is None and (self.demo_start or self.demo_stop is not None):
            raise ValueError("demo_start and demo_stop cut a video, and there is none; add --demo.")
        if self.demo_start < 0 or (self.demo_stop is not None and self.demo_stop <= self.demo_start):
            raise ValueError(
                f"demo_start is {self.demo_start} and demo_stop {self.demo_stop} seconds; the video must begin at 0 or "
                "later, and stop after that."
            )

    @property
    def source(self) -> sources.Source:
        """What the reward compares."""
        return sources.known()[self.reward]

    @cached_property
    def clip_contents(self) -> dict[str, dict[str, str]]:
        """What the folder of clips holds, as a part of what a run or an encoder is; empty without one.

        Raises:
            ValueError: If there is no video in it.
        """
        return {} if self.clips is None else {"clips": contents(recordings_in(self.clips))}

    @property
    def variant(self) -> str:
        """Folder name of everything but the seed."""
        where = self.env.id.replace("/", "_").replace(":", "_")
        encoder = "+".join([self.encoder, *(text.replace("/", "_") for text in self.encoder_settings)])
        watched = "filmed" if self.demo is None else f"video-{self.demo.stem}"
        clock = "" if self.clock == FIXED else f"-{self.clock}"
        return f"{where}-{encoder}-{self.algo}-{self.reward}-{watched}{clock}"

    def bound_to(self, steps: int) -> str:
        """Why a run of so many steps cannot go on for more: every preset's learning rate falls towards its end."""
        return f"The learning rate of {self.algo!r} falls along all {steps}, so more of them are another training."

    def run_folder(self, seed: int) -> Path:
        """Where the run of a seed is."""
        return self.out / self.variant / f"seed_{seed}"

    def identity(self, seed: int) -> dict[str, Any]:
        """What makes a run this run and no other."""
        left_out = {"seeds", "out", "resume", "workers", "track", "track_project", "device", "plugin", "teacher"}
        kept = {key: value for key, value in asdict(self).items() if key not in left_out}
        teacher = {"teacher": self.teacher.content} if self.demo is None else {}
        return kept | teacher | self.clip_contents | device_content(self.device) | {"seed": seed}

    @property
    def environment_key(self) -> str:
        """Short name of the environment as it is recorded."""
        return f"{self.env.id.replace('/', '_').replace(':', '_')}-{key_of(asdict(self.env))}"

    @property
    def play_file(self) -> Path:
        """Where recorded play is shared by all runs."""
        content = {"episodes": self.play.episodes, "seed": self.play.seed}
        return self.out / "recordings" / self.environment_key / f"play-{key_of(content)}.npz"

    @property
    def teacher_key(self) -> str:
        """Short name of the teacher, which learns in states as recorded play has them."""
        content = self.teacher.content | {"play": self.play_file.stem}
        return f"{self.environment_key}-{key_of(content)}"

    @property
    def teacher_folder(self) -> Path:
        """Where the teacher is trained, once for all runs."""
        return self.out / "teachers" / self.teacher_key

    @property
    def film_file(self) -> Path:
        """Where the filmed demonstration is shared by all runs."""
        return self.out / "demonstrations" / f"{self.teacher_key}.npz"

    @property
    def demonstrations_file(self) -> Path:
        """Where the teacher's other episodes are."""
        content = {"episodes": self.play.demonstrations, "seed": self.play.seed}
        return self.out / "demonstrations" / f"{self.teacher_key}-{key_of(content)}.npz"

    def shared_encoder(self, seed: int) -> Path:
        """Where encoders of this configuration are shared by all runs of a seed."""
        content: dict[str, Any] = {
            "play": asdict(self.play),
            "environment": self.environment_key,
            "watched": self.teacher_key
            if self.demo is None
            else [self.demo.resolve(), self.demo_start, self.demo_stop],
            "fit": asdict(self.fit),
            "threads": self.threads,
            "settings": asdict(encoder_config(self)),
            "trained": self.source.trained,
            **self.clip_contents,
            **device_content(self.device),
        }
        return self.out / "encoders" / f"{self.encoder}-{key_of(content)}" / f"seed_{seed}"


def encoder_config(config: ImitationConfig) -> EncoderConfig:
    """The checked settings of the encoder.

    Raises:
        ValueError: If one is unknown or refused.
    """
    settings = encoders.settings_of(config.encoder, config.encoder_settings)
    shape = {"image_size": config.env.image_size, "channels": 3}
    check_unsettled(shape, settings)
    return encoders.configure(config.encoder, **shape, **settings)


def new_encoder(config: ImitationConfig) -> Encoder:
    """An untrained encoder for the environment's frames."""
    return encoders.make(config.encoder, **asdict(encoder_config(config)))
