"""What a run of the swing-up is configured with, and where it lives on disk."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import torch

from agents import pixel_sac
from agents.auxiliary import AuxiliaryConfig
from agents.frame_buffer import check_memory
from agents.pixel_sac import LearningConfig
from encoders.base import EncoderConfig
from encoders.device import AUTO, CUDA, agent_device, check_device, device_content, device_type
from encoders.errors import check_choice, check_folder_name, check_seeds
from encoders.precision import native_bfloat16
from envs.cartpole import CONTROL_STEPS, SUPERSAMPLING, TASKS
from experiments.cartpole.observation import OBSERVATIONS, Frames, Observe, name_of
from experiments.runs.choices import NO_TRACKER, PROJECT, Tracker, key_of


@dataclass(frozen=True)
class SwingUpConfig:
    """An agent swings up a pole.

    Attributes:
        observe: What the agent observes, and what it sees it through.
        preset: Sizes: paper (84 pixels, for a graphics processor), cpu (64 pixels, a tenth of the work), or auto.
        task: swingup, swingup_sparse, balance or balance_sparse.
        label: Name of the runs' folder; empty for one made from what the agent observes.
        seeds: One run a seed.
        steps: Steps of the agent, of ``action_repeat`` frames each; 12,500 of 8 are 100,000 frames.
        episodes: Episodes of the evaluation.
        out: Folder of all runs.
        resume: Go on with a run that was cut, or show one that is complete.
        track: Who follows the training beside TensorBoard's log: none, wandb or trackio, which have to be installed.
        track_project: What the tracker files the run under.
        row_episodes: Episodes between two rows of the learning curve.
        action_repeat: Control steps of 0.01 seconds that an action is held for.
        device: cpu, cuda, or auto: a GPU, where there is one, for encoders and agents that train one; an agent on
            vectors is on a GPU only with cuda.
        learning: How the agent learns.
    """

    observe: Observe = field(default_factory=lambda: OBSERVATIONS["sac_shift"])
    preset: str = AUTO
    task: str = "swingup"
    label: str = ""
    seeds: tuple[int, ...] = (0,)
    steps: int = 12_500
    episodes: int = 10
    out: Path = Path("runs/swingup_cartpole")
    resume: bool = False
    track: Tracker = NO_TRACKER
    track_project: str = PROJECT
    row_episodes: int = 5
    action_repeat: int = 8
    device: str = AUTO
    learning: LearningConfig = field(default_factory=LearningConfig)

    def __post_init__(self) -> None:
        check_choice("preset", self.preset, [*pixel_sac.PRESETS, AUTO])
        check_choice("cartpole task", self.task, TASKS)
        check_device(self.device)
        if not 1 <= self.action_repeat <= CONTROL_STEPS:
            raise ValueError(
                f"action_repeat is {self.action_repeat}; it must be at least 1, and an action can be held for the "
                f"{CONTROL_STEPS} control steps of an episode at most."
            )
        check_seeds(self.seeds)
        check_folder_name("label", self.label)
        if min(self.episodes, self.row_episodes) < 1 or self.steps < self.row_steps:
            raise ValueError(
                f"steps is {self.steps}, episodes {self.episodes}, row_episodes {self.row_episodes}; a row takes "
                f"{self.row_steps} steps, and there must be at least one row and one episode of the evaluation."
            )
        if isinstance(self.observe, Frames):
            self._check_frames()

    def _check_frames(self) -> None:
        for frames in (self.frames, self.frames.through_second):
            if frames is not None:
                frames.encoder_config(self.sizes)
        if self.trains_encoder:
            self._check_start()
            check_memory(self.kept_steps, self.frame_size)

    def _check_start(self) -> None:
        gamma, starts = self.learning.gamma, self.learning.learning_starts
        if self.learning.mean_start and (gamma == 1.0 or starts < 1):
            raise ValueError(
                f"mean_start takes the mean value of random steps, and with gamma {gamma} and learning_starts {starts} "
                "there is none; use a gamma below 1 and at least one step, or set mean_start to false."
            )

    @property
    def frames(self) -> Frames:
        """The frames that the agent observes, and the encoder that it sees them through.

        Raises:
            ValueError: If it observes none.
        """
        if not isinstance(self.observe, Frames):
            raise ValueError(f"{self.variant} observes no frames; choose an observation that does, such as sac_shift.")
        return self.observe

    @property
    def sees_frames(self) -> bool:
        """Whether the agent observes frames."""
        return isinstance(self.observe, Frames)

    @property
    def trains_encoder(self) -> bool:
        """Whether the agent trains an encoder."""
        return isinstance(self.observe, Frames) and self.observe.trained

    @property
    def preset_name(self) -> str:
        """The preset that ``auto`` stands for here."""
        return pixel_sac.default_preset(self.device_name) if self.preset == AUTO else self.preset

    @property
    def sizes(self) -> pixel_sac.Preset:
        """Sizes of networks and batches."""
        return pixel_sac.PRESETS[self.preset_name]

    @property
    def frame_size(self) -> tuple[int, int]:
        """Height and width of a frame, pixels."""
        return self.sizes.image_size, self.sizes.image_size

    @property
    def device_name(self) -> str:
        """The device that ``auto`` stands for here."""
        return device_type(self.device)

    @property
    def agent_device(self) -> torch.device:
        """Where the agent's networks calculate.

        Raises:
            ValueError: If a GPU is asked for and there is none.
        """
        return agent_device(self.device, self.trains_encoder)

    @property
    def bfloat16(self) -> bool:
        """Whether the agent's encoder calculates in bfloat16 on this machine."""
        if not self.trains_encoder:
            return False
        if self.frames.precision != AUTO:
            return self.frames.precision == "bfloat16"
        return native_bfloat16(self.device_name)

    @property
    def kept_steps(self) -> int:
        """Steps in the replay buffer: never more than there will be."""
        return min(self.learning.buffer_size, self.steps)

    @property
    def horizon(self) -> int:
        """Steps of an episode."""
        return -(-CONTROL_STEPS // self.action_repeat)

    @property
    def row_steps(self) -> int:
        """Steps between two rows of the learning curve."""
        return self.row_episodes * self.horizon

    @property
    def encoder_config(self) -> EncoderConfig:
        """The checked settings of the encoder."""
        return self.frames.encoder_config(self.sizes)

    @property
    def through_second(self) -> SwingUpConfig | None:
        """The run on the second encoder alone, if there is one."""
        frames = self.observe.through_second if isinstance(self.observe, Frames) else None
        return None if frames is None else replace(self, observe=frames)

    @property
    def fits(self) -> tuple[SwingUpConfig, ...]:
        """The runs whose encoders are trained on recorded random actions before this one: itself, and its second."""
        second = self.through_second
        own = isinstance(self.observe, Frames) and self.observe.pretrained
        return (self,) * own + (() if second is None else (second,))

    @property
    def own_loss(self) -> AuxiliaryConfig:
        """The encoder's own loss, with the preset's batches where it names none."""
        auxiliary = self.frames.auxiliary
        return replace(auxiliary, videos=auxiliary.videos or self.sizes.auxiliary_videos)

    @property
    def variant(self) -> str:
        """Folder name of everything but the seed."""
        return f"{self.task}-{self.label or name_of(self.observe)}-{self.preset_name}"

    def bound_to(self, steps: int) -> str:
        """Why a run of so many steps cannot go on for more: its replay buffer may have lost some."""
        if steps % self.row_steps == 0 or steps >= self.learning.buffer_size:
            return ""
        return f"It ended after a whole row of {self.row_steps} steps, and its buffer has lost the first of them."

    def run_folder(self, seed: int) -> Path:
        """Where the run of a seed is."""
        return self.out / self.variant / f"seed_{seed}"

    @property
    def content(self) -> dict[str, Any]:
        """What distinguishes runs, besides what they observe and their seeds."""
        return {
            "preset": self.preset_name,
            "task": self.task,
            "steps": self.steps,
            "episodes": self.episodes,
            "row_episodes": self.row_episodes,
            "action_repeat": self.action_repeat,
            # Runs on the processor have always had the name that was given.
            "device": "auto on cuda" if (self.device, self.device_name) == (AUTO, CUDA) else self.device,
            "learning": asdict(self.learning_in_effect),
        }

    def identity(self, seed: int) -> dict[str, Any]:
        """What makes a run this run and no other."""
        return {"observe": self.observe.content, **self.content, "seed": seed}

    @property
    def learning_in_effect(self) -> LearningConfig:
        """How the agent learns: critics begin at a mean value only where an encoder learns from them."""
        return replace(self.learning, mean_start=self.learning.mean_start and self.trains_encoder)

    @property
    def recordings_folder(self) -> Path:
        """Where recorded random actions are shared by all runs."""
        frames = self.frames
        content = {
            "episodes": frames.pretraining.episodes,
            "view": [self.sizes.image_size, self.action_repeat, frames.stack, frames.camera, frames.render_quality],
            "supersampling": SUPERSAMPLING,
        }
        return self.out / "recordings" / key_of(content)

    def shared_encoder(self, seed: int) -> Path:
        """Where encoders trained on recorded actions are shared by all runs of a seed."""
        content = {
            "recordings": self.recordings_folder.name,
            "fit": asdict(self.frames.pretraining.fit),
            "settings": asdict(self.encoder_config),
            **device_content(self.device),
        }
        return self.out / "encoders" / f"{self.frames.encoder}-{key_of(content)}" / f"seed_{seed}"
