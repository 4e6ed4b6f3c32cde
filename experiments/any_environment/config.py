"""What an imitation in any environment is configured with, and where it lives on disk."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from typing import Any

from agents import factory
from encoders.clips.recordings import contents, recordings_in
from encoders.device import AUTO, device_content
from encoders.errors import check_at_least, check_choice, check_seed
from encoders.files import read_bytes
from encoders.training.fit import FitConfig
from experiments.any_environment.environment import EnvironmentConfig
from experiments.any_environment.play import PlayConfig
from experiments.imitation.settings import ParallelSettings
from experiments.runs.choices import NO_ENCODER, key_of
from rewards.clock import CLOCKS, FIXED

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
        attempts: Episodes of which the one is filmed in which it gains most over random actions from the same start.
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
class ImitationConfig(ParallelSettings):
    """An agent imitates a video in an environment.

    Attributes:
        env: Where.
        algo: sac, which takes real-valued actions and needs the fewest steps; ppo or a2c, which take discrete ones too.
        demo: The video; none films a teacher, which is trained first.
        demo_start: Seconds of the video that are left out at its beginning.
        demo_stop: Where the video ends, seconds from its beginning; none for its end.
        clips: Folder of videos of one's own that the encoder learns from too, beside what is recorded.
        clock: What moves the video on: fixed, the time; or progress, the agent that has caught up with it, for a video
            whose pace is not the robot's.
        gamma: Discount of the learner.
        rollout: Steps of every environment between two updates of ppo or a2c, at most; 0 for the algorithm's own.
        starts: Share of the episodes of training that begin along the video, in a recorded state that looks like it
            there, where states can be set; the others, and all of the evaluation, begin where the video does.
        lost: Share of the largest distance between two moments of the video, or of the median one in recorded play if
            that is more, that counts as far from it.
        effort: What an action of full force costs the learner a step, where the distance ``lost`` costs 1; real-valued
            actions alone have a force.
        episodes: Episodes of the evaluation.
        play: What is recorded to learn the embedding from.
        teacher: The agent that is filmed where no video is given.
    """

    env: EnvironmentConfig = field(default_factory=EnvironmentConfig)
    algo: str = "sac"
    steps: int = 40_000
    demo: Path | None = None
    demo_start: float = 0.0
    demo_stop: float | None = None
    clips: Path | None = None
    clock: str = FIXED
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
        check_choice("clock", self.clock, CLOCKS)
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
        check_at_least(1, {"episodes": self.episodes})
        check_at_least(0, {"rollout": self.rollout})
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
        watched = "filmed" if self.demo is None else f"video-{self.demo.stem}"
        clock = "" if self.clock == FIXED else f"-{self.clock}"
        return f"{where}-{self.method_name}-{self.algo}-{self.reward}-{watched}{clock}"

    def identity(self, seed: int) -> dict[str, Any]:
        """The settings that determine the result of a run; a video from elsewhere needs no teacher."""
        kept = {key: value for key, value in super().identity(seed).items() if key != "teacher"}
        teacher = {"teacher": self.teacher.content} if self.demo is None else {}
        return kept | teacher | self.clip_contents

    @property
    def environment_key(self) -> str:
        """Short name of the environment as it is recorded."""
        return f"{self.env.id.replace('/', '_').replace(':', '_')}-{key_of(asdict(self.env) | self.env.view)}"

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
            "settings": asdict(self.encoder_config),
            "trained": self.source.trained,
            **self.clip_contents,
            **device_content(self.device),
        }
        return self.out / "encoders" / f"{self.encoder}-{key_of(content)}" / f"seed_{seed}"
