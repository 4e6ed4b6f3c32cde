"""The configuration of a run on an Atari game, and its folders."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import encoders
from agents import players
from agents.auxiliary import AuxiliaryConfig
from encoders.device import AUTO, check_device, device_content, device_type
from encoders.errors import check_choice, check_seeds
from encoders.models.attention import SMALLEST, AttentionConfig
from encoders.precision import PRECISIONS, native_bfloat16
from encoders.training.fit import FitConfig
from envs.atari import AtariConfig, rom_of
from experiments.runs.choices import ENCODER_MODES, NO_ENCODER, NO_TRACKER, PROJECT, Tracker, check_unsettled, key_of

MASKS: dict[str, tuple[str, ...]] = {
    "own": (),
    "universal": ("asteroids", "assault", "ms_pacman"),
    "transfer": ("journey_escape",),
    "untrained": (),
}
"""Games that a frozen mask was trained on: the run's own, the paper's three games of its multi-task setting, the
source of its transfer setting, or nothing, which is the control."""


CHECKPOINT_STEPS = 100_000
"""Agent steps between two checkpoints, at most half of the training; all games start anew after one, so that training
can go on from there."""


@dataclass(frozen=True)
class MaskConfig:
    """Settings of the pretraining of a mask.

    Attributes:
        frames: Observations of every game, gathered by a random policy.
        fit: How the attention module is trained on them.
    """

    frames: int = 6_000
    fit: FitConfig = field(default_factory=lambda: FitConfig(steps=1_200, validate_every=200, patience=6))

    def __post_init__(self) -> None:
        if self.frames < 1_000:
            raise ValueError(f"frames is {self.frames}; a mask needs at least 1000 of every game.")


@dataclass(frozen=True)
class AtariRunConfig:
    """An agent plays an Atari game, with or without self-supervised attention.

    Attributes:
        game: The game, in any spelling.
        algo: a2c or ppo.
        encoder: attention, or none for the plain agent.
        encoder_settings: The attention module's own settings as NAME=VALUE, such as sparsity=0.01.
        encoder_mode: joint trains the mask with the agent, frozen before it.
        mask: What a frozen mask is trained on: own (this game), universal (Asteroids, Assault and MsPacman), transfer
            (JourneyEscape), or untrained, the control.
        encoder_folder: Folder of a trained attention module to use, frozen, instead.
        seeds: One run a seed.
        steps: Agent steps of training, of four frames each; the paper's 10,000,000.
        episodes: Games of the evaluation.
        out: Folder of all runs.
        resume: Go on with a run that was cut, or show one that is complete.
        track: Who follows the training beside TensorBoard's log: none, wandb or trackio, which have to be installed.
        track_project: What the tracker files the run under.
        row_steps: Agent steps between two rows of the learning curve.
        precision: In what the agent's networks calculate: float32, bfloat16, or auto: bfloat16 where it is faster.
        device: Of the mask and the agent: cpu, cuda, or auto, a GPU where there is one.
        atari: How games are played.
        auxiliary: How the mask is trained with the agent.
        training: How a mask is trained before it.
    """

    game: str = "assault"
    algo: str = "a2c"
    encoder: str = "attention"
    encoder_settings: tuple[str, ...] = ()
    encoder_mode: str = "joint"
    mask: str = "own"
    encoder_folder: Path | None = None
    seeds: tuple[int, ...] = (0,)
    steps: int = 500_000
    episodes: int = 32
    out: Path = Path("runs/play_atari")
    resume: bool = False
    track: Tracker = NO_TRACKER
    track_project: str = PROJECT
    row_steps: int = 10_240
    precision: str = "auto"
    device: str = AUTO
    atari: AtariConfig = field(default_factory=AtariConfig)
    auxiliary: AuxiliaryConfig = field(default_factory=lambda: AuxiliaryConfig(videos=8))
    training: MaskConfig = field(default_factory=MaskConfig)

    def __post_init__(self) -> None:
        check_choice("encoder", self.encoder, ["attention", NO_ENCODER])
        check_choice("algorithm", self.algo, players.names())
        check_choice("encoder mode", self.encoder_mode, ENCODER_MODES)
        check_choice("mask", self.mask, MASKS)
        check_choice("precision", self.precision, PRECISIONS)
        check_device(self.device)
        rom_of(self.game)
        if self.atari.image_size < SMALLEST:
            raise ValueError(
                f"image_size is {self.atari.image_size}; the agents take frames of {SMALLEST} pixels or more."
            )
        if self.encoder == NO_ENCODER and (self.encoder_settings or self.encoder_folder is not None):
            raise ValueError("encoder 'none' has no folder and no settings; leave them out, or use 'attention'.")
        if self.encoder == NO_ENCODER and (self.encoder_mode, self.mask) != ("joint", "own"):
            raise ValueError("encoder 'none' has no mask; leave --encoder-mode and --mask out, or use 'attention'.")
        if self.encoder_folder is not None and (self.encoder_settings or self.mask != "own"):
            raise ValueError(
                "encoder_folder holds a mask with settings of its own; leave --encoder-settings and --mask out."
            )
        if self.encoder_folder is not None and self.encoder_mode == "joint":
            raise ValueError("encoder_folder holds a trained mask, which stays as it is; add --encoder-mode frozen.")
        if self.encoder_mode == "joint" and self.mask != "own":
            raise ValueError(
                f"mask is {self.mask!r}, and joint training starts without one; use --encoder-mode frozen."
            )
        # The random policy's games are seeded with 20,000 times the next seed, and the emulator's seeds have 31 bits.
        check_seeds(self.seeds, largest=(2**31 - 1) // 20_000 - 2)
        if self.row_steps % self.update_steps or self.row_steps < 1:
            raise ValueError(
                f"row_steps is {self.row_steps}; it must be a multiple of the {self.update_steps} steps of an update."
            )
        if self.steps < self.row_steps or self.episodes < 1:
            raise ValueError(
                f"steps is {self.steps} and episodes {self.episodes}; at least row_steps, {self.row_steps}, and 1 are "
                "needed."
            )
        if self.encoder != NO_ENCODER:
            self.attention  # noqa: B018 - refuses wrong settings now

    @property
    def bfloat16(self) -> bool:
        """Whether the agent's networks calculate in bfloat16 on this machine."""
        return self.precision == "bfloat16" or (self.precision == "auto" and native_bfloat16(device_type(self.device)))

    @property
    def update_steps(self) -> int:
        """Agent steps between two updates."""
        preset = players.GAME_ALGORITHMS[self.algo]
        return int(preset.envs * preset.settings["n_steps"])

    @property
    def rom(self) -> str:
        """The emulator's name of the game."""
        return rom_of(self.game)

    @property
    def mask_name(self) -> str:
        """Name of a frozen mask in folder names."""
        return "given" if self.encoder_folder is not None else self.mask

    @property
    def attention(self) -> AttentionConfig:
        """The validated settings of the attention module; it sees the latest frame of the stack."""
        settings = encoders.settings_of("attention", self.encoder_settings)
        shape = {"image_size": self.atari.image_size, "channels": self.atari.stack, "latest": 1}
        check_unsettled(shape, settings)
        config = encoders.configure("attention", **shape, **settings)
        assert isinstance(config, AttentionConfig)
        return config

    @property
    def variant(self) -> str:
        """Folder name of everything but the seed."""
        if self.encoder == NO_ENCODER:
            return f"{self.rom}-{self.algo}"
        mode = "joint" if self.encoder_mode == "joint" else f"frozen-{self.mask_name}"
        name = "+".join([self.encoder, *(text.replace("/", "_") for text in self.encoder_settings)])
        return f"{self.rom}-{self.algo}-{name}-{mode}"

    @property
    def mask_games(self) -> tuple[str, ...]:
        """The games that a frozen mask is trained on."""
        return MASKS[self.mask] or (self.rom,)

    @property
    def checkpoint_steps(self) -> int:
        """Agent steps between two checkpoints: whole rows."""
        return max(1, min(CHECKPOINT_STEPS, self.steps // 2) // self.row_steps) * self.row_steps

    def bound_to(self, steps: int) -> str:
        """Why a run of so many steps cannot be extended; empty if it can: short runs restart their games halfway."""
        if steps >= 2 * CHECKPOINT_STEPS:
            return ""
        return (
            f"With fewer than {2 * CHECKPOINT_STEPS:,} steps all games start anew halfway, so more of them are another "
            "training."
        )

    def run_folder(self, seed: int) -> Path:
        """Folder of the run of a seed."""
        return self.out / self.variant / f"seed_{seed}"

    def identity(self, seed: int) -> dict[str, Any]:
        """The settings that determine the result of a run."""
        left_out = {"seeds", "out", "resume", "track", "track_project", "device"}
        if self.encoder == NO_ENCODER:
            left_out |= {"encoder_settings", "encoder_mode", "mask", "encoder_folder", "auxiliary", "training"}
        elif self.encoder_mode == "joint":
            left_out |= {"mask", "encoder_folder", "training"}
        else:
            left_out |= {"auxiliary"}
        settings = asdict(self) | {"auxiliary": self.auxiliary.content}
        content = {key: value for key, value in settings.items() if key not in left_out}
        return content | device_content(self.device) | {"game": self.rom, "seed": seed}

    def mask_folder(self, seed: int) -> Path:
        """Folder of the mask of a seed, shared by all runs that use it."""
        content = {
            "training": asdict(self.training),
            "attention": asdict(self.attention),
            "atari": asdict(self.atari),
            **device_content(self.device),
        }
        games = "untrained" if self.mask == "untrained" else "+".join(self.mask_games)
        return self.out / "masks" / f"{games}-{key_of(content)}" / f"seed_{seed}"
