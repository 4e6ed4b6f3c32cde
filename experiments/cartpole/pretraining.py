"""The encoders that a run on the cartpole starts with, and the recordings that they were trained on."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import NamedTuple

import torch

import encoders
from agents.frame_buffer import check_memory
from encoders.base import Encoder
from encoders.device import choose_device
from encoders.training.fit import fit
from experiments.cartpole.config import SwingUpConfig
from experiments.cartpole.recordings import Recording, load_or_record
from experiments.runs.pretraining import given_encoder, shared_encoder


class Encoders(NamedTuple):
    """What an agent sees through.

    Attributes:
        trained: Trained with the agent, from here on.
        fixed: Stays as it is: the only one, or the second one.
    """

    trained: Encoder | None = None
    fixed: Encoder | None = None

    @property
    def frozen(self) -> Encoder | None:
        """A copy of the one that stays, for embedding alone."""
        return None if self.fixed is None else self.fixed.frozen()


def check_encoders(config: SwingUpConfig) -> None:
    """Refuses encoders that would fail later.

    Raises:
        ValueError: If the folder of a trained one holds none that fits, one is to learn from more views than the
            cartpole has, or the embeddings of the second one would not fit in the replay buffer.
    """
    _checked(config)
    if config.through_second is not None:
        check_memory(config.kept_steps, config.frame_size, _checked(config.through_second).embedding_dim)


def _checked(config: SwingUpConfig) -> Encoder:
    frames = config.frames
    folder = frames.folder
    encoder = new_encoder(config) if folder is None else encoder_in(config, folder)
    views = encoder.sampling.views
    if views > 1 and (frames.pretrained or frames.trained):
        raise ValueError(
            f"The encoder {encoder.name!r} learns from {views} views of a moment, and the cartpole has one camera; "
            "choose one that learns from a single view, such as 'tcn' or 'imm'."
        )
    return encoder


def new_encoder(config: SwingUpConfig) -> Encoder:
    """An untrained encoder for a run's frames."""
    return encoders.make(config.frames.encoder, **asdict(config.encoder_config))


def encoder_in(config: SwingUpConfig, folder: Path) -> Encoder:
    """The encoder in a folder that the user names.

    Raises:
        ValueError: If it is damaged, of another name, made for other frames, or has a distance scale that is none.
    """
    size = config.sizes.image_size
    return given_encoder(folder, config.frames.encoder, (config.encoder_config.channels, size, size), fitted=False)


def first_encoders(config: SwingUpConfig, seed: int) -> Encoders:
    """The encoders that training starts with."""
    if not config.sees_frames:
        return Encoders()
    encoder = first_encoder(config, seed)
    if not config.trains_encoder:
        return Encoders(fixed=encoder)
    return Encoders(encoder, None if config.through_second is None else first_encoder(config.through_second, seed))


def first_encoder(config: SwingUpConfig, seed: int) -> Encoder:
    """A run's own encoder to start with, on its device: new, given, or trained on recorded random actions."""
    frames, device = config.frames, choose_device(config.device)
    if frames.folder is not None:
        return encoder_in(config, frames.folder).to(device)
    torch.manual_seed(seed)
    encoder = new_encoder(config).to(device)
    if not frames.pretrained:
        return encoder
    folder = config.shared_encoder(seed)

    def prepare() -> Encoder:
        training, validation = recorded(config, seed).clips
        return fit(encoder, training, validation, frames.pretraining.fit, seed, folder)

    return shared_encoder(folder, prepare).to(device)


def recorded(config: SwingUpConfig, seed: int) -> Recording:
    """Recorded random actions as a run sees them, shared by all runs of a seed."""
    frames = config.frames
    return load_or_record(
        config.recordings_folder,
        frames.pretraining.episodes,
        seed,
        config.sizes.image_size,
        config.action_repeat,
        frames.stack,
        frames.camera,
        frames.render_quality,
        config.horizon,
    )
