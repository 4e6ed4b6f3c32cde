"""What an agent on the cartpole observes: frames through an encoder, true places in frames, or the true state."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from tyro.extras import subcommand_type_from_defaults

import encoders
from agents.auxiliary import AuxiliaryConfig
from agents.frame_buffer import RGB
from agents.pixel_sac import Preset
from encoders.base import EncoderConfig
from encoders.errors import check_at_least, check_choice
from encoders.precision import PRECISIONS
from encoders.training.fit import FitConfig
from envs.cartpole import CAMERAS, RENDER_QUALITIES
from experiments.cartpole.landmarks import Landmarks
from experiments.cartpole.second_encoder import Second
from experiments.runs.choices import check_unsettled

AUTO = "auto"

SCRATCH, RECORDED = STARTS = ("scratch", "recorded")

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
class State:
    """The agent observes the true state."""

    name = "state"
    """In the name of a run's folder."""

    @property
    def content(self) -> dict[str, Any]:
        """What distinguishes runs."""
        return {"kind": "state"}


@dataclass(frozen=True)
class Frames:
    """The agent observes frames through an encoder.

    Attributes:
        encoder: Registered name of the encoder.
        settings: The encoder's own settings as NAME=VALUE, such as keypoints=4.
        mode: joint trains the encoder with the agent; frozen leaves it as recorded random actions trained it.
        start: What a joint encoder starts as: scratch, or recorded: trained on recorded random actions.
        folder: Folder of a trained encoder to start from, or to use as it is when frozen.
        shift: Pixels that frames are shifted by at most, at random, in every batch; 0 for none.
        auxiliary: How the encoder's own loss is added to the agent's; a weight of 0 for none.
        second: A second encoder beside the one that the agent trains, and what it is for.
        camera: fixed, or lookatcart.
        stack: Frames in an observation.
        render_quality: fast, or reference.
        precision: In what the encoder calculates: float32, bfloat16, or auto: bfloat16 where it is faster.
        pretraining: How an encoder is trained on recorded random actions.
    """

    encoder: str = "autoencoder"
    settings: tuple[str, ...] = ()
    mode: str = JOINT
    start: str = SCRATCH
    folder: Path | None = None
    shift: int = 0
    auxiliary: AuxiliaryConfig = field(default_factory=lambda: AuxiliaryConfig(weight=0.0))
    second: Second | None = None
    camera: str = "fixed"
    stack: int = 3
    render_quality: str = "fast"
    precision: str = AUTO
    pretraining: PretrainingConfig = field(default_factory=PretrainingConfig)

    def __post_init__(self) -> None:
        check_choice("encoder", self.encoder, encoders.names())
        check_choice("encoder mode", self.mode, MODES)
        check_choice("start of the encoder", self.start, STARTS)
        check_choice("camera", self.camera, CAMERAS)
        check_choice("render_quality", self.render_quality, RENDER_QUALITIES)
        check_choice("precision", self.precision, PRECISIONS)
        check_at_least(1, {"stack": self.stack})
        check_at_least(0, {"shift": self.shift})
        if self.folder is not None and (self.settings or self.start != SCRATCH):
            raise ValueError(
                f"{self.folder} holds a trained encoder with settings of its own; leave the encoder's settings and its "
                "start out."
            )
        if not self.trained and (self.shift or self.second is not None):
            given = f"a shift of {self.shift}" if self.second is None else f"a second encoder, {self.second.encoder!r},"
            raise ValueError(
                f"The encoder's mode is {self.mode!r}, and {given} is for an encoder that the agent trains; leave it "
                f"out, or use the mode {JOINT!r}."
            )

    @property
    def trained(self) -> bool:
        """Whether the agent trains the encoder."""
        return self.mode == JOINT

    @property
    def pretrained(self) -> bool:
        """Whether the encoder is trained on recorded random actions before the agent is."""
        return self.folder is None and (not self.trained or self.start == RECORDED)

    @property
    def through_second(self) -> Frames | None:
        """The same frames through the second encoder alone."""
        if self.second is None:
            return None
        return replace(
            self,
            encoder=self.second.encoder,
            settings=self.second.settings,
            mode=FROZEN,
            start=SCRATCH,
            folder=None,
            shift=0,
            second=None,
        )

    def as_in(self, other: Frames) -> Frames:
        """The same encoder on frames that look as in another observation, and trained as there.

        Args:
            other: Whose camera, stack and quality it has, and whose training: the weights of the encoder's own loss are
                multiplied.
        """
        weight = self.auxiliary.weight * other.auxiliary.weight
        return replace(
            self,
            auxiliary=replace(other.auxiliary, weight=weight),
            camera=other.camera,
            stack=other.stack,
            render_quality=other.render_quality,
            precision=other.precision,
            pretraining=other.pretraining,
        )

    def encoder_config(self, sizes: Preset) -> EncoderConfig:
        """The checked settings of the encoder for a preset's frames.

        Raises:
            ValueError: If a setting is unknown, wrong, or settled by the frames.
        """
        given = encoders.settings_of(self.encoder, self.settings)
        shape = {"image_size": sizes.image_size, "channels": RGB * self.stack}
        check_unsettled(shape, given)
        known = asdict(encoders.configure(self.encoder, **shape))
        own = {"second_stride": sizes.second_stride} if "second_stride" in known else {}
        return encoders.configure(self.encoder, **{**own, **given, **shape})

    @property
    def name(self) -> str:
        """In the name of a run's folder."""
        parts = [self.encoder, *self.settings]
        parts += [self.start] * (self.start != SCRATCH)
        parts += ["given"] * (self.folder is not None)
        parts += [self.mode] * (self.mode != JOINT)
        parts += [f"shift={self.shift}"] * (self.shift > 0)
        parts += [f"loss={self.auxiliary.weight:g}"] * (self.trained and self.auxiliary.weight > 0)
        if self.second is not None:
            parts += [self.second.role, self.second.encoder, *self.second.settings]
        return "-".join(part.replace("/", "_") for part in parts)

    @property
    def content(self) -> dict[str, Any]:
        """What distinguishes runs: what applies to the encoder's mode."""
        content: dict[str, Any] = {
            "kind": "frames",
            "encoder": self.encoder,
            "settings": self.settings,
            "mode": self.mode,
            "folder": self.folder,
            "camera": self.camera,
            "stack": self.stack,
            "render_quality": self.render_quality,
        }
        if self.trained:
            content |= {
                "start": self.start,
                "shift": self.shift,
                "auxiliary": asdict(self.auxiliary) if self.auxiliary.weight > 0 else None,
                "second": None if self.second is None else self.second.content,
                "precision": self.precision,
            }
        if self.pretrained or self.second is not None:
            content["pretraining"] = asdict(self.pretraining)
        return content


def _with_loss(encoder: str, shift: int = 0) -> Frames:
    """Frames through an encoder that learns from its own loss too."""
    return Frames(encoder, shift=shift, auxiliary=AuxiliaryConfig())


OBSERVATIONS: Mapping[str, Frames | Landmarks | State] = {
    "sac": Frames(),
    "sac_shift": Frames(shift=4),
    "sac_ae": _with_loss("autoencoder"),
    "sac_imm": _with_loss("imm"),
    "sac_ae_imm": _with_loss("autoencoder_imm"),
    "sac_shift_ae_imm": _with_loss("autoencoder_imm", shift=4),
    "sac_landmarks": Landmarks(),
    "sac_state": State(),
}
"""What agents observe by default, by the names of the tables."""

DESCRIPTIONS: Mapping[str, str] = {
    "sac": "Frames; the encoder learns from the critic alone.",
    "sac_shift": "Frames, shifted at random; the encoder learns from the critic alone.",
    "sac_ae": "Frames; the encoder learns from the critic and as an auto-encoder.",
    "sac_imm": "Frames, as keypoints; the encoder learns from the critic and by IMM's reconstruction.",
    "sac_ae_imm": "Frames, as a latent and keypoints; the encoder learns from the critic and by both losses.",
    "sac_shift_ae_imm": "The same, shifted at random.",
    "sac_landmarks": "True places of cart and pole in the frames: what perfect keypoints would show.",
    "sac_state": "The true state: the upper bound.",
}
"""What each is, for the command line."""

if TYPE_CHECKING:
    Observe: TypeAlias = Frames | Landmarks | State
else:
    Observe = subcommand_type_from_defaults(dict(OBSERVATIONS), dict(DESCRIPTIONS))
"""What an agent observes; on the command line one of the names, and what is changed of it."""


def observation(name: str) -> Observe:
    """A named observation.

    Raises:
        ValueError: If there is none of that name.
    """
    check_choice("observation", name, OBSERVATIONS)
    return OBSERVATIONS[name]


def name_of(observe: Observe) -> str:
    """The name in the tables of what is as it is there; else what it is made of."""
    return next((name for name, known in OBSERVATIONS.items() if known == observe), observe.name)
