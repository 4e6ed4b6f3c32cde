"""The encoders that a run on the cartpole starts with, and the recordings that they were trained on."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import NamedTuple

import torch

import encoders
from agents.frame_buffer import check_memory
from encoders.base import Encoder
from encoders.training.fit import fit
from experiments.cartpole.config import SwingConfig
from experiments.cartpole.recordings import Recording, load_or_record
from experiments.runs.pretraining import given_encoder, shared_encoder


class Encoders(NamedTuple):
    """What an agent sees through.

    Attributes:
        trained: Trained with the agent, from here on.
        fixed: Stays as it is, in place of the one that is trained or beside it.
    """

    trained: Encoder | None = None
    fixed: Encoder | None = None

    @property
    def frozen(self) -> Encoder | None:
        """A copy of the one that stays, for embedding alone."""
        return None if self.fixed is None else self.fixed.frozen()


def check_encoders(config: SwingConfig) -> None:
    """Refuses encoders that would fail later.

    Raises:
        ValueError: If ``encoder_folder`` holds none that fits, one is to learn from more views than the cartpole has,
            or what the second one says would not fit in the replay buffer.
    """
    _checked(config)
    if config.second is not None:
        check_memory(config.kept_steps, config.frame_size, _checked(config.second).embedding_dim)


def _checked(config: SwingConfig) -> Encoder:
    folder = config.encoder_folder
    encoder = new_encoder(config) if folder is None else encoder_in(config, folder)
    views = encoder.sampling.views
    if views > 1 and (config.pretrained or config.trained_along):
        raise ValueError(
            f"The encoder {encoder.name!r} learns from {views} views of a moment, and the cartpole has one camera; "
            "choose one that learns from a single view, such as 'tcn' or 'imm'."
        )
    return encoder


def new_encoder(config: SwingConfig) -> Encoder:
    """An untrained encoder for a run's frames."""
    return encoders.make(config.encoder_name, **asdict(config.encoder_config))


def encoder_in(config: SwingConfig, folder: Path) -> Encoder:
    """The encoder in a folder that the user names.

    Raises:
        ValueError: If it is damaged, of another name, made for other frames, or has a distance scale that is none.
    """
    size = config.sizes.image_size
    return given_encoder(folder, config.encoder_name, (config.encoder_config.channels, size, size), fitted=False)


def first_encoders(config: SwingConfig, seed: int) -> Encoders:
    """The encoders that training starts with."""
    if not config.seen:
        return Encoders()
    encoder = first_encoder(config, seed)
    if not config.trained_along:
        return Encoders(fixed=encoder)
    return Encoders(encoder, None if config.second is None else first_encoder(config.second, seed))


def first_encoder(config: SwingConfig, seed: int) -> Encoder:
    """A run's own encoder to start with: new, given, or trained on recorded random actions."""
    if config.encoder_folder is not None:
        return encoder_in(config, config.encoder_folder)
    torch.manual_seed(seed)
    encoder = new_encoder(config)
    if not config.pretrained:
        return encoder
    folder = config.shared_encoder(seed)

    def prepare() -> Encoder:
        training, validation = recorded(config, seed).clips
        return fit(encoder, training, validation, config.pretraining.fit, seed, folder)

    return shared_encoder(folder, prepare)


def recorded(config: SwingConfig, seed: int) -> Recording:
    """Recorded random actions as a run sees them, shared by all runs of a seed."""
    return load_or_record(
        config.recordings_folder,
        config.pretraining.episodes,
        seed,
        config.sizes.image_size,
        config.action_repeat,
        config.stack,
        config.camera,
        config.render_quality,
        config.horizon,
    )
