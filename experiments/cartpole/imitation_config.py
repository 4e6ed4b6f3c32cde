"""What an imitation on the cartpole is configured with, and where it lives on disk."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any

from tyro.conf import AvoidSubcommands

import encoders
from encoders.device import AUTO, check_device
from encoders.errors import check_choice, check_seeds
from encoders.plugins import use as use_plugins
from experiments.cartpole.config import SwingUpConfig
from experiments.cartpole.observation import FROZEN, OBSERVATIONS, Frames, State, observation
from experiments.runs.choices import NO_TRACKER, PROJECT, Plugins, Tracker, key_of
from rewards import sources
from rewards.huber import HuberConfig

REWARDS = ("tcn_huber", "oracle", "random")

EMBEDDING = "embedding"
"""A learner that sees what the reward compares, and what it is to be next."""

STATE = "sac_state"
"""A learner that observes its own place and speed, as robots do, and the phase of the video; of what the video shows it
has the reward alone."""

LEARNERS = (EMBEDDING, *(name for name, observe in OBSERVATIONS.items() if isinstance(observe, Frames | State)))


@dataclass(frozen=True)
class ImitationConfig:
    """An agent imitates a video of a swing-up on the cartpole, by the distance of embeddings alone.

    Attributes:
        encoder: Registered name of the reward's encoder, trained on recorded random actions.
        encoder_settings: The encoder's own settings as NAME=VALUE.
        reward: tcn_huber, or a control: oracle (true distance of the joints), random (untrained encoder).
        learner: What the agent observes, by the names of swingup_cartpole.py: sac_state, its own place and speed
            and the phase; one on frames, which trains an encoder of its own; or embedding: the reward's embedding,
            frozen, beside that of the video at the next step.
        teacher: Folder of a complete run of swingup_cartpole.py whose agent is filmed; without one, an agent that sees
            the true state is trained first.
        seeds: One run a seed.
        steps: Steps of the agent.
        episodes: Episodes of the evaluation.
        out: Folder of all runs.
        resume: Go on with a run that was cut, or show one that is complete.
        track: Who follows the training beside TensorBoard's log: none, wandb or trackio, which have to be installed.
        track_project: What the tracker files the run under.
        plugin: Module that registers encoders, backbones, rewards, suites or environments; it may lie in the current
            folder, and more can be named by more such flags.
        lost: Share of the largest distance between two moments of the video at which it counts as lost, which ends an
            episode of the training.
        starts: Share of the training's episodes that begin along the video, in a recorded state that looks like it
            there; the others, and all of the evaluation, begin where the task does.
        gamma: Discount.
        huber: Coefficients of the reward.
        device: cpu, cuda, or auto: a GPU, where there is one, for encoders and agents that train one; an agent on
            vectors is on a GPU only with cuda.
        swingup: How the cartpole is seen and the agent learns. Of its frames the encoder is not used but for its
            training, and there can be no second encoder.
    """

    encoder: str = "tcn"
    encoder_settings: tuple[str, ...] = ()
    reward: str = "tcn_huber"
    learner: str = STATE
    teacher: Path | None = None
    seeds: tuple[int, ...] = (0,)
    steps: int = 25_000
    episodes: int = 10
    out: Path = Path("runs/imitate_cartpole")
    resume: bool = False
    track: Tracker = NO_TRACKER
    track_project: str = PROJECT
    plugin: Plugins = ()
    lost: float = 0.25
    starts: float = 0.5
    gamma: float = 0.99
    huber: HuberConfig = field(default_factory=HuberConfig)
    device: str = AUTO
    swingup: Annotated[SwingUpConfig, AvoidSubcommands] = field(
        default_factory=lambda: SwingUpConfig(observe=OBSERVATIONS["sac_imm"])
    )

    def __post_init__(self) -> None:
        use_plugins(self.plugin)
        check_choice("encoder", self.encoder, encoders.names())
        check_choice("reward", self.reward, REWARDS)
        check_choice("learner", self.learner, LEARNERS)
        check_seeds(self.seeds)
        check_device(self.device)
        if AUTO not in (self.device, self.swingup.device) and self.device != self.swingup.device:
            raise ValueError(
                f"device is {self.device!r} and swingup.device {self.swingup.device!r}; leave the second out."
            )
        if not 0.0 < self.gamma < 1.0 or self.episodes < 1:
            raise ValueError(f"gamma is {self.gamma} and episodes {self.episodes}; allowed: 0 to 1, and at least 1.")
        if not 0 <= self.starts <= 1:
            raise ValueError(f"starts is {self.starts}; it is a share of the episodes, from 0 to 1.")
        if not self.lost > 0:
            raise ValueError(f"lost is {self.lost}; it must be above 0: at 1 hardly any episode ends early.")
        second = self.swingup.frames.second
        if second is not None:
            raise ValueError(
                f"{second.encoder!r} is to be a second encoder, and an imitator has none; leave it out, or let the "
                "agent see the reward's embeddings with --learner embedding."
            )
        self.reward_run, self.agent_run  # noqa: B018 - refuses wrong settings now

    @property
    def device_in_effect(self) -> str:
        """The device of everything, by either of its two flags."""
        return self.swingup.device if self.device == AUTO else self.device

    @property
    def reward_run(self) -> SwingUpConfig:
        """The cartpole, and the reward's encoder on it, as the swing-up experiment has them."""
        return replace(
            self.swingup,
            observe=replace(
                self.swingup.frames, encoder=self.encoder, settings=self.encoder_settings, mode=FROZEN, shift=0
            ),
            steps=self.steps,
            episodes=self.episodes,
            seeds=self.seeds,
            out=self.out,
            device=self.device_in_effect,
            learning=replace(self.swingup.learning, gamma=self.gamma),
        )

    @property
    def agent_run(self) -> SwingUpConfig:
        """The agent, as the swing-up experiment has it."""
        if self.learner == EMBEDDING:
            return self.reward_run
        observe = observation(self.learner)
        if isinstance(observe, Frames):
            observe = observe.as_in(self.swingup.frames)
        return replace(self.reward_run, observe=observe)

    @property
    def sees_frames(self) -> bool:
        """Whether the learner observes frames, rather than its state or an embedding."""
        return self.learner not in (EMBEDDING, STATE)

    @property
    def teacher_run(self) -> SwingUpConfig:
        """The agent that is filmed where no other is named."""
        return SwingUpConfig(
            observe=observation(STATE),
            task=self.swingup.task,
            action_repeat=self.swingup.action_repeat,
            preset=self.swingup.preset,
            device=self.device_in_effect,
            steps=self.swingup.steps,
            row_episodes=self.swingup.row_episodes,
            learning=self.swingup.learning,
            out=self.out / "teacher",
            resume=True,
        )

    @property
    def film(self) -> Path:
        """Where the video is shared by all runs that see the same teacher in the same way."""
        teacher = self.teacher_run.identity(0) if self.teacher is None else str(self.teacher.resolve())
        key = key_of({"teacher": teacher, "seen": self.reward_run.recordings_folder.name, "task": self.swingup.task})
        return self.out / "demonstrations" / f"{self.swingup.task}-{key}.npz"

    @property
    def source(self) -> sources.Source:
        """What the reward compares."""
        return sources.known()[self.reward]

    @property
    def variant(self) -> str:
        """Folder name of everything but the seed."""
        encoder = "+".join([self.encoder, *(text.replace("/", "_") for text in self.encoder_settings)])
        return f"{self.swingup.task}-{encoder}-{self.reward}-{self.learner}"

    def bound_to(self, steps: int) -> str:
        """Why a run of so many steps cannot go on for more: as a swing-up's."""
        return self.agent_run.bound_to(steps)

    def run_folder(self, seed: int) -> Path:
        """Where the run of a seed is."""
        return self.out / self.variant / f"seed_{seed}"

    def identity(self, seed: int) -> dict[str, Any]:
        """What makes a run this run and no other."""
        seen, agent = self.swingup.frames, self.agent_run
        swingup = {
            **replace(self.swingup, observe=agent.observe, device=self.device_in_effect).content,
            "camera": seen.camera,
            "stack": seen.stack,
            "render_quality": seen.render_quality,
            "precision": seen.precision,
            "folder": seen.folder,
            "pretraining": asdict(seen.pretraining),
        }
        if agent.trains_encoder:
            swingup["auxiliary"] = asdict(agent.own_loss)
        return {
            "encoder": self.encoder,
            "encoder_settings": self.encoder_settings,
            "reward": self.reward,
            "learner": self.learner,
            "teacher": self.teacher,
            "steps": self.steps,
            "episodes": self.episodes,
            "lost": self.lost,
            "starts": self.starts,
            "gamma": self.gamma,
            "huber": asdict(self.huber),
            "swingup": swingup,
            "seed": seed,
        }
