"""What an imitation on the cartpole is configured with, and where it lives on disk."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any

from tyro.conf import AvoidSubcommands

import encoders
from agents.auxiliary import AuxiliaryConfig
from encoders.device import AUTO
from encoders.errors import check_choice
from experiments.cartpole.config import SwingUpConfig
from experiments.cartpole.observation import FROZEN, OBSERVATIONS, Frames, State, observation
from experiments.imitation.settings import ImitationSettings
from experiments.runs.choices import key_of

REWARDS = ("tcn_huber", "oracle", "random")

EMBEDDING = "embedding"
"""A learner that sees what the reward compares, and what it is to be next."""

STATE = "sac_state"
"""A learner that observes its own place and speed, as robots do, and the phase of the video; of what the video shows it
has the reward alone."""

LEARNERS = (EMBEDDING, *(name for name, observe in OBSERVATIONS.items() if isinstance(observe, Frames | State)))


DEFAULT = Frames("imm", auxiliary=AuxiliaryConfig())
"""How the cartpole is seen; of its encoder nothing is used."""


@dataclass(frozen=True)
class CartpoleImitationConfig(ImitationSettings):
    """An agent imitates a video of a swing-up on the cartpole, by the distance of embeddings alone.

    Attributes:
        learner: What the agent observes, by the names of swingup_cartpole.py: sac_state, its own place and speed
            and the phase; one on frames, which trains an encoder of its own; or embedding: the reward's embedding,
            frozen, beside that of the video at the next step.
        teacher: Folder of a complete run of swingup_cartpole.py whose agent is filmed; without one, an agent that sees
            the true state is trained first.
        episodes: Episodes of the evaluation.
        lost: Share of the largest distance between two moments of the video at which it counts as lost, which ends an
            episode of the training.
        starts: Share of the training's episodes that begin along the video, in a recorded state that looks like it
            there; the others, and all of the evaluation, begin where the task does.
        gamma: Discount.
        swingup: How the cartpole is seen and the agent learns. Of its frames the encoder is not used but for its
            training, and there can be no second encoder.
    """

    learner: str = STATE
    teacher: Path | None = None
    steps: int = 25_000
    episodes: int = 10
    out: Path = Path("runs/imitate_cartpole")
    lost: float = 0.25
    starts: float = 0.5
    gamma: float = 0.99
    swingup: Annotated[SwingUpConfig, AvoidSubcommands] = field(default_factory=lambda: SwingUpConfig(observe=DEFAULT))

    def __post_init__(self) -> None:
        super().__post_init__()
        check_choice("encoder", self.encoder, encoders.names())
        check_choice("reward", self.reward, REWARDS)
        check_choice("learner", self.learner, LEARNERS)
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
        self._check_without_effect()
        second = self.swingup.frames.second
        if second is not None:
            raise ValueError(
                f"{second.encoder!r} is to be a second encoder, and an imitator has none; leave it out, or let the "
                "agent see the reward's embeddings with --learner embedding."
            )
        self.reward_run, self.agent_run  # noqa: B018 - refuses wrong settings now

    def _check_without_effect(self) -> None:
        """Refuses what would be said of an encoder that is not used."""
        seen, plain = self.swingup.frames, Frames()
        given = {name: getattr(seen, name) for name in ("settings", "mode", "start", "shift")}
        wrong = {name: value for name, value in given.items() if value != getattr(plain, name)}
        if seen.encoder not in (plain.encoder, DEFAULT.encoder):
            wrong["encoder"] = seen.encoder
        if wrong:
            said = " and ".join(f"swingup.observe.{name} is {value!r}" for name, value in wrong.items())
            raise ValueError(
                f"{said}, which has no effect here: --encoder and --encoder-settings say what the reward compares, and "
                "--learner what the agent sees. Leave it out."
            )

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
    def frame_shape(self) -> tuple[int, int, int]:
        """A stack of frames in colour."""
        size = self.reward_run.sizes.image_size
        return 3 * self.reward_run.frames.stack, size, size

    @property
    def variant(self) -> str:
        """Folder name of everything but the seed."""
        return f"{self.swingup.task}-{self.method_name}-{self.reward}-{self.learner}"

    def shared_encoder(self, seed: int) -> Path:
        """Where the reward's encoder is; the control's is another one."""
        folder = self.reward_run.shared_encoder(seed)
        return folder if self.source.trained else folder.parent / "untrained" / folder.name

    def bound_to(self, steps: int) -> str:
        """Why a run of so many steps cannot go on for more: as a swing-up's."""
        return self.agent_run.bound_to(steps)

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
