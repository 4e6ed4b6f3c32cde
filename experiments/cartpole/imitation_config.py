"""What an imitation on the cartpole is configured with, and where it lives on disk."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import encoders
from agents import pixel_sac
from encoders.errors import check_choice, check_seeds
from experiments.cartpole.config import SwingConfig
from experiments.runs.choices import NO_TRACKER, PROJECT, Tracker, key_of
from rewards import sources
from rewards.huber import HuberConfig

REWARDS = ("tcn_huber", "oracle", "random")

EMBEDDING = "embedding"
"""A learner that sees what the reward compares, and what it is to be next."""

STATE = "sac_state"
"""A learner that feels its own place and speed, as robots do, is told where in the video it is to be, and by the reward
alone what the video shows."""

LEARNERS = (EMBEDDING, *(name for name, variant in pixel_sac.VARIANTS.items() if not variant.landmarks))


@dataclass(frozen=True)
class WatchConfig:
    """An agent imitates a video of a swing-up on the cartpole, by the distance of embeddings alone.

    Attributes:
        encoder: Registered name of the reward's encoder, trained on recorded random actions.
        encoder_settings: The encoder's own settings as NAME=VALUE.
        reward: tcn_huber, or a control: oracle (true distance of the joints), random (untrained encoder).
        learner: What the agent observes, by the variants of swingup_cartpole.py: sac_state, its own place and speed
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
        lost: Share of the largest distance between two moments of the video at which it counts as lost, which ends an
            episode of the training.
        starts: Share of the training's episodes that begin along the video, in a recorded state that looks like it
            there; the others, and all of the evaluation, begin where the task does.
        gamma: Discount.
        huber: Coefficients of the reward.
        world: How the cartpole is seen and the agent learns; its variant and encoder are not used, and no second
            encoder can be beside.
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
    lost: float = 0.25
    starts: float = 0.5
    gamma: float = 0.99
    huber: HuberConfig = field(default_factory=HuberConfig)
    world: SwingConfig = field(default_factory=SwingConfig)

    def __post_init__(self) -> None:
        check_choice("encoder", self.encoder, encoders.names())
        check_choice("reward", self.reward, REWARDS)
        check_choice("learner", self.learner, LEARNERS)
        check_seeds(self.seeds)
        if not 0.0 < self.gamma < 1.0 or self.episodes < 1:
            raise ValueError(f"gamma is {self.gamma} and episodes {self.episodes}; allowed: 0 to 1, and at least 1.")
        if not 0 <= self.starts <= 1:
            raise ValueError(f"starts is {self.starts}; it is a share of the episodes, from 0 to 1.")
        if not self.lost > 0:
            raise ValueError(f"lost is {self.lost}; it must be above 0: at 1 hardly any episode ends early.")
        if self.world.beside:
            raise ValueError(
                f"{self.world.beside!r} is to be beside the imitator's frames, and there it has no place; leave "
                "--world.beside out, or let the agent see the reward's embeddings with --learner embedding."
            )
        self.swing, self.learning  # noqa: B018 - refuses wrong settings now

    @property
    def swing(self) -> SwingConfig:
        """The cartpole, and the reward's encoder on it, as the swing-up experiment has them."""
        return replace(
            self.world,
            variant="sac_imm",
            encoder="" if self.encoder == "imm" else self.encoder,
            encoder_settings=self.encoder_settings,
            encoder_mode="frozen",
            steps=self.steps,
            episodes=self.episodes,
            seeds=self.seeds,
            out=self.out,
            learning=replace(self.world.learning, gamma=self.gamma),
        )

    @property
    def learning(self) -> SwingConfig:
        """The agent, as the swing-up experiment has it."""
        if self.learner == EMBEDDING:
            return self.swing
        return replace(self.swing, variant=self.learner, encoder="", encoder_settings=(), encoder_mode="joint")

    @property
    def sees_frames(self) -> bool:
        """Whether the learner observes frames, rather than its state or an embedding."""
        return self.learner not in (EMBEDDING, STATE)

    @property
    def teaching(self) -> SwingConfig:
        """The agent that is filmed where no other is named."""
        return SwingConfig(
            variant=STATE,
            task=self.world.task,
            action_repeat=self.world.action_repeat,
            preset=self.world.preset,
            device=self.world.device,
            steps=self.world.steps,
            row_episodes=self.world.row_episodes,
            learning=self.world.learning,
            out=self.out / "teacher",
            resume=True,
        )

    @property
    def film(self) -> Path:
        """Where the video is shared by all runs that see the same teacher in the same way."""
        teacher = self.teaching.identity(0) if self.teacher is None else str(self.teacher.resolve())
        key = key_of({"teacher": teacher, "seen": self.swing.recordings_folder.name, "task": self.world.task})
        return self.out / "demonstrations" / f"{self.world.task}-{key}.npz"

    @property
    def source(self) -> sources.Source:
        """What the reward compares."""
        return sources.SOURCES[self.reward]

    @property
    def variant(self) -> str:
        """Folder name of everything but the seed."""
        encoder = "+".join([self.encoder, *(text.replace("/", "_") for text in self.encoder_settings)])
        return f"{self.world.task}-{encoder}-{self.reward}-{self.learner}"

    def bound_to(self, steps: int) -> str:
        """Why a run of so many steps cannot go on for more: as a swing-up's."""
        return self.learning.bound_to(steps)

    def run_folder(self, seed: int) -> Path:
        """Where the run of a seed is."""
        return self.out / self.variant / f"seed_{seed}"

    def identity(self, seed: int) -> dict[str, Any]:
        """What makes a run this run and no other."""
        left_out = {"seeds", "out", "resume", "track", "track_project"}
        content = {key: value for key, value in asdict(self).items() if key not in left_out}
        for name in (
            "seeds",
            "out",
            "resume",
            "track",
            "track_project",
            "variant",
            "encoder",
            "label",
            "beside",
            "beside_settings",
            "beside_role",
            "hint_weight",
            "landmarks_held",
            "landmark_places",
        ):
            content["world"].pop(name)
        content["world"]["auxiliary"] = self.learning.auxiliary_content
        if not self.learning.trained_along:
            content["world"]["learning"].pop("mean_start")
        return content | {"seed": seed, "preset": self.swing.preset_name}
