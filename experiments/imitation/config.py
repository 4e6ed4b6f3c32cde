"""What an imitation in any environment is configured with, and where it lives on disk."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from agents import factory
from encoders.device import AUTO, device_content
from encoders.errors import check_choice, check_seed
from encoders.training.fit import FitConfig
from experiments.imitation.environment import EnvironmentConfig
from experiments.imitation.play import PlayConfig
from experiments.imitation.settings import ParallelSettings
from experiments.runs.choices import key_of


@dataclass(frozen=True)
class TeacherConfig:
    """The agent that is filmed where no video is given; it learns from the true reward, and sees the true state.

    Attributes:
        folder: Folder of an agent that was trained before; none trains one.
        algo: ppo, sac or a2c; auto takes sac for real-valued actions and ppo for discrete ones.
        steps: Environment steps of its training.
        gamma: Discount.
        seed: Of its training, and of the episodes that are filmed.
        attempts: Episodes of which the best is filmed.
    """

    folder: Path | None = None
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


@dataclass(frozen=True)
class ImitationConfig(ParallelSettings):
    """An agent imitates a video in an environment.

    Attributes:
        env: Where.
        demo: The video; none films a teacher, which is trained first.
        demo_start: Seconds of the video that are left out at its beginning.
        demo_stop: Where the video ends, seconds from its beginning; none for its end.
        gamma: Discount of the learner.
        rollout: Steps of every environment between two updates of ppo or a2c, at most; 0 for the algorithm's own.
        starts: Share of the episodes of training that begin along the video, in a recorded state that looks like it
            there, where states can be set; the others, and all of the evaluation, begin where the video does.
        lost: Share of the largest distance between two moments of the video that counts as far from it.
        effort: What an action of full force costs the learner a step, where the distance ``lost`` costs 1; real-valued
            actions alone have a force.
        episodes: Episodes of the evaluation.
        play: What is recorded to learn the embedding from.
        teacher: The agent that is filmed where no video is given.
    """

    env: EnvironmentConfig = field(default_factory=EnvironmentConfig)
    demo: Path | None = None
    demo_start: float = 0.0
    demo_stop: float | None = None
    gamma: float = 0.95
    rollout: int = 25
    starts: float = 0.5
    lost: float = 0.5
    effort: float = 0.3
    episodes: int = 10
    play: PlayConfig = field(default_factory=PlayConfig)
    teacher: TeacherConfig = field(default_factory=TeacherConfig)
    fit: FitConfig = field(default_factory=lambda: FitConfig(steps=400))

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 <= self.starts <= 1 or not 0 < self.gamma < 1 or not self.lost > 0:
            raise ValueError(
                f"starts is {self.starts}, gamma {self.gamma} and lost {self.lost}; starts must be from 0 to 1, gamma "
                "between 0 and 1, lost above 0."
            )
        if not 0 <= self.effort < math.inf:
            raise ValueError(f"effort is {self.effort}; it must be finite and at least 0.")
        if self.episodes < 1:
            raise ValueError(f"episodes is {self.episodes}; it must be at least 1.")
        if self.demo is None and (self.demo_start or self.demo_stop is not None):
            raise ValueError("demo_start and demo_stop cut a video, and there is none; add --demo.")
        if self.demo_start < 0 or (self.demo_stop is not None and self.demo_stop <= self.demo_start):
            raise ValueError(
                f"demo_start is {self.demo_start} and demo_stop {self.demo_stop} seconds; the video must begin at 0 or "
                "later, and stop after that."
            )

    @property
    def frame_shape(self) -> tuple[int, int, int]:
        """Frames in colour."""
        return 3, self.env.image_size, self.env.image_size

    @property
    def variant(self) -> str:
        """Folder name of everything but the seed."""
        where = self.env.id.replace("/", "_").replace(":", "_")
        watched = "filmed" if self.demo is None else f"video-{self.demo.stem}"
        return f"{where}-{self.method_name}-{self.algo}-{self.reward}-{watched}"

    def identity(self, seed: int) -> dict[str, Any]:
        """The settings that determine the result of a run; a video from elsewhere needs no teacher."""
        kept = super().identity(seed)
        return kept if self.demo is None else {key: value for key, value in kept.items() if key != "teacher"}

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
        content = asdict(self.teacher) | {"play": self.play_file.stem}
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
            "settings": asdict(self.encoder_config),
            "trained": self.source.trained,
            **device_content(self.device),
        }
        return self.out / "encoders" / f"{self.encoder}-{key_of(content)}" / f"seed_{seed}"
