"""Swing-ups of seconds: how they are configured."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from agents import pixel_sac
from agents.auxiliary import AuxiliaryConfig
from agents.pixel_sac import LearningConfig, Preset
from encoders.training.fit import FitConfig
from experiments.cartpole import swingup
from experiments.cartpole.config import SwingUpConfig
from experiments.cartpole.observation import Frames, PretrainingConfig

KEYPOINTS = Frames(
    "imm",
    ("keypoints=2",),
    auxiliary=AuxiliaryConfig(videos=2, own_optimizer=True),
    precision="float32",
    pretraining=PretrainingConfig(4, FitConfig(steps=4, validate_every=2, validation_batches=1)),
)

LATENT = replace(KEYPOINTS, encoder="autoencoder", settings=())

SHIFTED = replace(LATENT, auxiliary=AuxiliaryConfig(weight=0.0), shift=4)

TINY = SwingUpConfig(
    KEYPOINTS,
    preset="cpu",
    action_repeat=125,
    steps=48,
    row_episodes=1,
    episodes=2,
    device="cpu",
    learning=LearningConfig(learning_starts=12),
)


def seeing(**changes: Any) -> SwingUpConfig:
    """The run on keypoints, with some of what it observes changed."""
    return replace(TINY, observe=replace(KEYPOINTS, **changes))


def shrink(patch: pytest.MonkeyPatch) -> None:
    """Frames of 16 pixels, episodes of 8 steps, small films."""
    patch.setitem(pixel_sac.PRESETS, "cpu", Preset(16, 2, 8, 16, 4))
    patch.setattr("experiments.cartpole.figures.MOMENTS", (2, 6))
    patch.setattr("experiments.cartpole.figures.FILM_SIZE", 32)
    patch.setattr(swingup, "FILM_SIZE", 32)
