"""The encoder that a run on the cartpole starts with, and the recordings that it was trained on."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import torch

import encoders
from encoders.autoencoder_imm import AutoencoderIMM
from encoders.base import Encoder
from encoders.fit import fit
from experiments.swing_recordings import Recording, load_or_record
from experiments.swing_settings import KEYPOINTS_FROZEN, SwingConfig


def check_encoder(config: SwingConfig) -> None:
    """Refuses an encoder that would fail later.

    Raises:
        ValueError: If ``encoder_folder`` holds none that fits, or the encoder is to learn from more views than the
            cartpole has, or to keep keypoints that it has not.
    """
    given = config.encoder_folder
    encoder = new_encoder(config) if given is None else given_encoder(config, given)
    if config.encoder_mode == KEYPOINTS_FROZEN:
        freeze_keypoints(encoder)
    views = encoder.sampling.views
    if views > 1 and (config.pretrained or config.trained_along):
        raise ValueError(
            f"The encoder {encoder.name!r} learns from {views} views of a moment, and the cartpole has one camera; "
            "choose one that learns from a single view, such as 'tcn' or 'imm'."
        )


def new_encoder(config: SwingConfig) -> Encoder:
    """An untrained encoder for a run's frames."""
    return encoders.make(config.encoder_name, **asdict(config.encoder_config))


def given_encoder(config: SwingConfig, folder: Path) -> Encoder:
    """The encoder in a folder that the user names.

    Raises:
        ValueError: If it is damaged, of another name, or made for other frames.
    """
    encoder = encoders.load(folder)
    if encoder.name != config.encoder_name:
        raise ValueError(
            f"{folder} holds the encoder {encoder.name!r}, not {config.encoder_name!r}; add --encoder {encoder.name}."
        )
    size = config.sizes.image_size
    encoder.check_frames((config.encoder_config.channels, size, size))
    return encoder


def freeze_keypoints(encoder: Encoder) -> None:
    """Leaves an encoder's keypoints as they are, while the agent trains the rest.

    Raises:
        ValueError: If it has none beside something else, or they stand on what is trained.
    """
    if not isinstance(encoder, AutoencoderIMM):
        raise ValueError(
            f"encoder_mode {KEYPOINTS_FROZEN!r} is for keypoints beside a latent, and the encoder is {encoder.name!r}; "
            "use --variant sac_ae_imm --encoder-settings shared=false."
        )
    encoder.freeze_keypoints()


def first_encoder(config: SwingConfig, seed: int) -> Encoder | None:
    """The encoder that training starts with: none, new, given, or trained on recorded random actions."""
    if not config.seen:
        return None
    encoder = _whole_encoder(config, seed)
    if config.encoder_mode == KEYPOINTS_FROZEN:
        freeze_keypoints(encoder)
    return encoder


def _whole_encoder(config: SwingConfig, seed: int) -> Encoder:
    if config.encoder_folder is not None:
        return given_encoder(config, config.encoder_folder)
    torch.manual_seed(seed)
    encoder = new_encoder(config)
    if not config.pretrained:
        return encoder
    folder = config.shared_encoder(seed)
    if (folder / "config.json").exists():
        return encoders.load(folder)
    training, validation = recorded(config, seed).clips
    return fit(encoder, training, validation, config.pretraining.fit, seed, folder)


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
    )
