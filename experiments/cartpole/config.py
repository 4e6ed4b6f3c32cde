"""What a run on the cartpole is configured with, and where it lives on disk."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import torch

import encoders
from agents import pixel_sac
from agents.auxiliary import AuxiliaryConfig
from agents.extractor import GATED, HINT, OBSERVED, ROLES
from agents.frame_buffer import RGB, check_memory
from agents.pixel_sac import LearningConfig
from encoders.base import EncoderConfig
from encoders.errors import check_choice, check_folder_name, check_seeds
from encoders.precision import PRECISIONS, native_bfloat16
from encoders.training.fit import FitConfig
from envs.cartpole import CAMERAS, CONTROL_STEPS, RENDER_QUALITIES, SUPERSAMPLING, TASKS
from experiments.runs.choices import NO_TRACKER, PROJECT, Tracker, check_unsettled, key_of

AUTO = "auto"

STARTS = ("scratch", "recorded")

JOINT, FROZEN = MODES = ("joint", "frozen")


@dataclass(frozen=True)
class PretrainingConfig:
    """How an encoder is trained before the agent is.

    Attributes:
        episodes: Episodes of random actions that are recorded, of the swing-up and of the balance together.
        fit: How the encoder is trained on them.
    """

    episodes: int = 80
    fit: FitConfig = field(
        default_factory=lambda: FitConfig(steps=2_000, learning_rate=3e-3, validate_every=250, patience=8)
    )

    def __post_init__(self) -> None:
        if self.episodes < 4:
            raise ValueError(f"episodes is {self.episodes}; an encoder needs at least 4, to train and to validate on.")


@dataclass(frozen=True)
class SwingConfig:
    """An agent swings up a pole that it sees.

    Attributes:
        variant: What the agent sees with and learns from: sac, sac_shift, sac_ae, sac_imm, sac_ae_imm,
            sac_shift_ae_imm; sac_landmarks, which sees where cart and pole's tip truly are in the frames; or
            sac_state, which sees the true state.
        preset: paper (84 pixels, for a graphics processor), cpu (64 pixels, a tenth of the work), or auto.
        task: swingup, swingup_sparse, balance or balance_sparse.
        encoder: Registered name of another encoder than the variant's; empty for the variant's own.
        encoder_settings: The encoder's own settings as NAME=VALUE, such as keypoints=4.
        encoder_start: scratch, or recorded: the encoder is first trained on recorded random actions.
        encoder_mode: joint, or frozen: then the encoder is trained on recorded random actions and stays as it is.
        encoder_folder: Folder of a trained encoder to start from, or to use as it is when frozen.
        beside: Registered name of a second encoder, such as imm, trained on recorded random actions and left as it is,
            whose embedding is beside the frames that the agent learns from. Empty for none.
        beside_settings: Its settings as NAME=VALUE.
        beside_role: What that embedding is for. gated: the agent sees it beside what its own encoder tells, which is
            behind gates that begin closed. observed: the agent sees both as they are. hint: the agent does not see it,
            and its encoder learns to tell it.
        hint_weight: Weight of the hint's squared error beside the critics'.
        label: Name of the runs' folder; empty for one made from the settings.
        seeds: One run a seed.
        steps: Steps of the agent, of ``action_repeat`` frames each; 12,500 of 8 are 100,000 frames.
        episodes: Episodes of the evaluation.
        out: Folder of all runs.
        resume: Go on with a run that was cut, or show one that is complete.
        track: Who follows the training beside TensorBoard's log: none, wandb or trackio, which have to be installed.
        track_project: What the tracker files the run under.
        row_episodes: Episodes between two rows of the learning curve.
        action_repeat: Control steps of 0.01 seconds that an action is held for.
        stack: Frames in an observation.
        camera: fixed, or lookatcart.
        render_quality: fast, or reference.
        landmark_noise: Standard deviation of what is added to the true places that sac_landmarks sees, pixels.
        landmarks_held: Whether sac_landmarks sees a place only while the frame shows it: what leaves the frame stays
            where it was last seen.
        landmark_places: How many true places sac_landmarks sees, evenly from the cart to the pole's tip.
        precision: In what the encoder calculates: float32, bfloat16, or auto: bfloat16 where it is faster.
        device: cpu, cuda, or auto.
        learning: How the agent learns.
        auxiliary: How the encoder's own loss is added; its weight is multiplied by the variant's.
        pretraining: How an encoder is trained before the agent is.
    """

    variant: str = "sac_shift"
    preset: str = AUTO
    task: str = "swingup"
    encoder: str = ""
    encoder_settings: tuple[str, ...] = ()
    encoder_start: str = "scratch"
    encoder_mode: str = "joint"
    encoder_folder: Path | None = None
    beside: str = ""
    beside_settings: tuple[str, ...] = ()
    beside_role: str = GATED
    hint_weight: float = 100.0
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
    stack: int = 3
    camera: str = "fixed"
    render_quality: str = "fast"
    landmark_noise: float = 0.0
    landmarks_held: bool = False
    landmark_places: int = 2
    precision: str = AUTO
    device: str = AUTO
    learning: LearningConfig = field(default_factory=LearningConfig)
    auxiliary: AuxiliaryConfig = field(default_factory=AuxiliaryConfig)
    pretraining: PretrainingConfig = field(default_factory=PretrainingConfig)

    def __post_init__(self) -> None:
        pixel_sac.variant(self.variant)
        check_choice("preset", self.preset, [*pixel_sac.PRESETS, AUTO])
        check_choice("cartpole task", self.task, TASKS)
        check_choice("camera", self.camera, CAMERAS)
        check_choice("render_quality", self.render_quality, RENDER_QUALITIES)
        check_choice("precision", self.precision, PRECISIONS)
        check_choice("device", self.device, ("cpu", "cuda", AUTO))
        if self.device == "cuda" and not torch.cuda.is_available():
            raise ValueError("device is 'cuda', and PyTorch finds none here; leave --device out, or use cpu.")
        check_choice("start of the encoder", self.encoder_start, STARTS)
        check_choice("encoder mode", self.encoder_mode, MODES)
        if not 1 <= self.action_repeat <= CONTROL_STEPS or self.stack < 1:
            raise ValueError(
                f"action_repeat is {self.action_repeat} and stack {self.stack}; both must be at least 1, and an action "
                f"can be held for the {CONTROL_STEPS} control steps of an episode at most."
            )
        check_seeds(self.seeds)
        check_folder_name("label", self.label)
        if min(self.episodes, self.row_episodes) < 1 or self.steps < self.row_steps:
            raise ValueError(
                f"steps is {self.steps}, episodes {self.episodes}, row_episodes {self.row_episodes}; a row takes "
                f"{self.row_steps} steps, and there must be at least one row and one episode of the evaluation."
            )
        if not 0 <= self.landmark_noise < math.inf or (self.landmark_noise and not self.landmarks):
            raise ValueError(
                f"landmark_noise is {self.landmark_noise} and the variant {self.variant!r}; it must be at least 0, and "
                "is for sac_landmarks alone."
            )
        if self.landmarks_held and not self.landmarks:
            raise ValueError(
                f"landmarks_held is for sac_landmarks alone, and the variant is {self.variant!r}; leave it out."
            )
        if self.landmark_places < 2 or (self.landmark_places > 2 and not self.landmarks):
            raise ValueError(
                f"landmark_places is {self.landmark_places} and the variant {self.variant!r}; it must be at least 2, "
                "and more are for sac_landmarks alone."
            )
        self._check_encoder()
        self._check_beside()

    def _check_beside(self) -> None:
        if self.beside_settings and not self.beside:
            raise ValueError(f"beside_settings are {self.beside_settings}, and no encoder is beside; add --beside imm.")
        check_choice("beside_role", self.beside_role, ROLES)
        if self.beside_role != GATED and not self.beside:
            raise ValueError(
                f"beside_role is {self.beside_role!r}, and no encoder is beside the agent's own; add --beside imm."
            )
        if not (math.isfinite(self.hint_weight) and self.hint_weight > 0):
            raise ValueError(f"hint_weight is {self.hint_weight}; it must be finite and above 0.")
        if self.beside and not self.trained_along:
            raise ValueError(
                f"The encoder {self.beside!r} can be beside one that the agent trains, and with variant "
                f"{self.variant!r} and encoder_mode {self.encoder_mode!r} it trains none; use sac_ae, for one."
            )
        self.second  # noqa: B018 - refuses wrong settings now

    def _check_encoder(self) -> None:
        if not self.seen:
            if self.encoder or self.encoder_settings or self.encoder_folder is not None or self.encoder_mode != JOINT:
                raise ValueError(
                    f"variant {self.variant!r} sees the truth and has no encoder; leave the encoder's flags out."
                )
            return
        self.encoder_config  # noqa: B018 - refuses wrong settings now
        if self.encoder_folder is not None and (self.encoder_settings or self.encoder_start != "scratch"):
            raise ValueError(
                "encoder_folder holds a trained encoder with settings of its own; leave --encoder-settings and "
                "--encoder-start out."
            )
        if self.encoder_mode == FROZEN and self.shift:
            raise ValueError(
                f"variant {self.variant!r} shifts what its encoder sees in training; a frozen one has none."
            )
        if self.trained_along:
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
    def seen(self) -> bool:
        """Whether the agent sees frames."""
        return pixel_sac.VARIANTS[self.variant].encoder is not None

    @property
    def trained_along(self) -> bool:
        """Whether the agent trains an encoder."""
        return self.seen and self.encoder_mode != FROZEN

    @property
    def landmarks(self) -> bool:
        """Whether the agent sees true places in frames."""
        return pixel_sac.VARIANTS[self.variant].landmarks

    @property
    def shift(self) -> int:
        """Pixels that frames are shifted by at most."""
        return pixel_sac.VARIANTS[self.variant].shift

    @property
    def preset_name(self) -> str:
        """The preset that ``auto`` stands for here."""
        return pixel_sac.default_preset() if self.preset == AUTO else self.preset

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
        if self.device != AUTO:
            return self.device
        return "cuda" if pixel_sac.default_preset() == "paper" else "cpu"

    @property
    def bfloat16(self) -> bool:
        """Whether the encoder calculates in bfloat16 on this machine."""
        if self.precision != AUTO:
            return self.precision == "bfloat16"
        return self.device_name == "cuda" or native_bfloat16()

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
    def encoder_name(self) -> str:
        """Registered name of the encoder."""
        return self.encoder or str(pixel_sac.VARIANTS[self.variant].encoder)

    @property
    def encoder_config(self) -> EncoderConfig:
        """The checked settings of the encoder for the preset's frames."""
        given = encoders.settings_of(self.encoder_name, self.encoder_settings)
        shape = {"image_size": self.sizes.image_size, "channels": RGB * self.stack}
        check_unsettled(shape, given)
        known = asdict(encoders.configure(self.encoder_name, **shape))
        own = {"second_stride": self.sizes.second_stride} if "second_stride" in known else {}
        return encoders.configure(self.encoder_name, **{**own, **given, **shape})

    @property
    def pretrained(self) -> bool:
        """Whether the encoder is trained on recorded random actions before the agent is."""
        if not self.seen or self.encoder_folder is not None:
            return False
        return self.encoder_mode != JOINT or self.encoder_start == "recorded"

    @property
    def second(self) -> SwingConfig | None:
        """The run whose frozen encoder is beside the one that the agent trains."""
        if not self.beside:
            return None
        return replace(
            self,
            variant="sac_imm",
            encoder=self.beside,
            encoder_settings=self.beside_settings,
            encoder_start="scratch",
            encoder_mode=FROZEN,
            encoder_folder=None,
            beside="",
            beside_settings=(),
            beside_role=GATED,
        )

    @property
    def role(self) -> str:
        """What vectors beside the agent's frames are for, where there are any."""
        return self.beside_role if self.beside else OBSERVED

    @property
    def fits(self) -> tuple[SwingConfig, ...]:
        """The runs whose encoders are trained on recorded random actions before this one: itself, and its second."""
        return (self,) * self.pretrained + ((self.second,) if self.second is not None else ())

    @property
    def own_loss(self) -> AuxiliaryConfig:
        """The encoder's own loss in this variant."""
        weight = self.auxiliary.weight * pixel_sac.VARIANTS[self.variant].weight
        return replace(self.auxiliary, weight=weight, videos=self.auxiliary.videos or self.sizes.auxiliary_videos)

    @property
    def name(self) -> str:
        """Folder name of everything but the seed."""
        if self.label:
            return f"{self.task}-{self.label}-{self.preset_name}"
        parts = [self.task, self.variant]
        if self.seen:
            parts += [self.encoder] * bool(self.encoder)
            parts += [text.replace("/", "_") for text in self.encoder_settings]
            parts += [self.encoder_start] * (self.encoder_start != "scratch")
            parts += ["given"] * (self.encoder_folder is not None)
            parts += [self.encoder_mode] * (self.encoder_mode != JOINT)
            parts += ["beside", self.beside] * bool(self.beside)
            parts += [text.replace("/", "_") for text in self.beside_settings]
            parts += [self.role] * bool(self.beside)
        parts += [f"noise={self.landmark_noise:g}"] * (self.landmark_noise > 0)
        parts += ["held"] * self.landmarks_held
        parts += [f"places={self.landmark_places}"] * (self.landmark_places > 2)
        return "-".join([*parts, self.preset_name])

    def bound_to(self, steps: int) -> str:
        """Why a run of so many steps cannot go on for more: its replay buffer may have lost some."""
        if steps % self.row_steps == 0 or steps >= self.learning.buffer_size:
            return ""
        return f"It ended after a whole row of {self.row_steps} steps, and its buffer has lost the first of them."

    def run_folder(self, seed: int) -> Path:
        """Where the run of a seed is."""
        return self.out / self.name / f"seed_{seed}"

    def identity(self, seed: int) -> dict[str, Any]:
        """What makes a run this run and no other."""
        left_out = {"seeds", "out", "resume", "track", "track_project", "label"}
        left_out |= set() if self.beside else {"beside", "beside_settings"}
        if not self.seen:
            left_out |= {"encoder_start", "auxiliary", "pretraining", "render_quality", "precision"}
            left_out |= set() if self.landmarks else {"camera", "stack"}
        elif not self.fits:
            left_out |= {"pretraining"}
        if self.role == OBSERVED:
            left_out |= {"beside_role"}
        if self.role != HINT:
            left_out |= {"hint_weight"}
        if not self.landmarks_held:
            left_out |= {"landmarks_held"}
        if self.landmark_places == 2:
            left_out |= {"landmark_places"}
        settings = asdict(self) | {
            "preset": self.preset_name,
            "learning": self.learning_content,
            "auxiliary": self.auxiliary_content,
        }
        return {key: value for key, value in settings.items() if key not in left_out} | {"seed": seed}

    @property
    def learning_content(self) -> dict[str, Any]:
        """The settings of the learning, without what this run does not go by."""
        left_out = set() if self.trained_along else {"mean_start"}
        return {key: value for key, value in asdict(self.learning).items() if key not in left_out}

    @property
    def auxiliary_content(self) -> dict[str, Any]:
        """The settings of the encoder's own loss, without what this run does not go by."""
        used = self.trained_along and self.own_loss.weight > 0
        return (self.auxiliary if used else replace(self.auxiliary, own_optimizer=False)).content

    @property
    def recordings_folder(self) -> Path:
        """Where recorded random actions are shared by all runs."""
        content = {
            "episodes": self.pretraining.episodes,
            "view": [self.sizes.image_size, self.action_repeat, self.stack, self.camera, self.render_quality],
            "supersampling": SUPERSAMPLING,
        }
        return self.out / "recordings" / key_of(content)

    def shared_encoder(self, seed: int) -> Path:
        """Where encoders trained on recorded actions are shared by all runs of a seed."""
        content = {
            "recordings": self.recordings_folder.name,
            "fit": asdict(self.pretraining.fit),
            "settings": asdict(self.encoder_config),
        }
        return self.out / "encoders" / f"{self.encoder_name}-{key_of(content)}" / f"seed_{seed}"
