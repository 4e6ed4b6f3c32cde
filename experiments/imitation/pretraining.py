"""The encoder of an imitation: given, or trained on what moves in recorded play, other episodes and the video."""

from __future__ import annotations

from pathlib import Path

import torch

from encoders.base import Encoder
from encoders.clips.clips import Clips
from encoders.device import choose_device
from encoders.training.fit import calibrate, fit
from experiments.imitation.clips import with_own
from experiments.imitation.config import ImitationConfig, new_encoder
from experiments.imitation.motion import clips_of, moving
from experiments.imitation.shared import Shared
from experiments.runs.pretraining import check_distance_scale, given_encoder, shared_encoder

DEMONSTRATION_SHARE = 0.1
"""Of the episodes that an encoder learns from, how many are the demonstration itself, over and over."""


def encoder_in(config: ImitationConfig, folder: Path) -> Encoder:
    """The encoder in a folder that the user names.

    Raises:
        ValueError: If it is damaged, of another name, made for other frames, or was never fitted.
    """
    return given_encoder(folder, config.encoder, (3, config.env.image_size, config.env.image_size))


def fitted_encoder(config: ImitationConfig, seed: int, shared: Shared) -> Encoder:
    """The encoder of a seed, on its device: loaded if it is there, else trained (or only calibrated, for the control).

    Raises:
        ValueError: If it is damaged, or has a distance scale that is none.
    """
    device = choose_device(config.device)
    if config.encoder_folder is not None:
        return encoder_in(config, config.encoder_folder).to(device)
    folder = config.shared_encoder(seed)

    def prepare() -> Encoder:
        torch.manual_seed(seed)
        encoder = new_encoder(config).to(device)
        learned, held_out = shared.episodes
        validation = clips_of(held_out, encoder.sampling.least)
        if not len(validation):
            raise ValueError(
                f"The loss of {config.encoder!r} compares {encoder.sampling.least} successive moments, and held-out "
                f"episodes have at most {max(len(episode.frames) for episode in held_out)} in which something moves; "
                "narrow the encoder's ranges, such as --encoder-settings negative_range=3 positive_range=1."
            )
        if not config.source.trained:
            return calibrate(encoder, validation, folder)
        training = _with_video(clips_of(learned, encoder.sampling.least), shared, encoder.sampling.least)
        if config.clips is not None:
            training = with_own(training, config.clips, config.env.image_size, encoder.sampling.least, shared.fps)
        return fit(encoder, training, validation, config.fit, seed, folder)

    encoder = shared_encoder(folder, prepare).to(device)
    check_distance_scale(encoder, folder)
    return encoder


def _with_video(recorded: Clips, shared: Shared, least: int) -> Clips:
    """Recorded clips, and the video, where enough moves in it, as often as makes it a share of all."""
    frames = shared.demonstration.frames
    video = frames[moving(frames, shared.least_change)][None]
    copies = max(1, round(DEMONSTRATION_SHARE * len(recorded))) if video.shape[1] >= least else 0
    return Clips([*recorded.videos, *[video] * copies], (*recorded.names, *["the video"] * copies))
