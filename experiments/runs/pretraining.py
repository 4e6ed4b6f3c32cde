"""The encoder that a run starts with: given by the user, or shared by all runs that would train the same one."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import encoders
from encoders.base import CONFIG_FILE, Encoder


def given_encoder(folder: Path, name: str, shape: tuple[int, int, int], fitted: bool = True) -> Encoder:
    """The encoder in a folder that the user names.

    Args:
        folder: Which.
        name: The one that the run is configured with.
        shape: Channels, height and width of the frames that it is to see.
        fitted: As of ``check_given``.

    Raises:
        ValueError: If it is damaged or of another name; and as ``check_given``.
    """
    encoder = encoders.load(folder)
    if encoder.name != name:
        raise ValueError(f"{folder} holds the encoder {encoder.name!r}, not {name!r}; add --encoder {encoder.name}.")
    check_given(encoder, folder, shape, fitted)
    return encoder


def check_given(encoder: Encoder, folder: Path, shape: tuple[int, int, int], fitted: bool = True) -> None:
    """Refuses an encoder from a folder that a run cannot use.

    Args:
        encoder: From the folder.
        folder: Where it is, for the message.
        shape: Channels, height and width of the frames that it is to see.
        fitted: Whether it needs a distance scale. One that was trained with an agent alone has none; one that has one
            needs a good one.

    Raises:
        ValueError: If it was made for other frames, or has a distance scale that is none.
    """
    encoder.check_frames(shape)
    if fitted or not math.isnan(float(encoder.distance_scale)):
        check_distance_scale(encoder, folder)


def shared_encoder(folder: Path, prepare: Callable[[], Encoder]) -> Encoder:
    """The encoder that runs share in a folder: loaded if it is there, else prepared.

    Args:
        folder: Where it is.
        prepare: Fits or calibrates it, and leaves it in the folder.

    Raises:
        ValueError: If it is damaged; and as ``prepare``.
    """
    return encoders.load(folder) if (folder / CONFIG_FILE).exists() else prepare()


def check_distance_scale(encoder: Encoder, folder: Path) -> None:
    """Refuses an encoder without a distance scale, which rewards need.

    Args:
        encoder: From a folder.
        folder: Where it is, for the message.

    Raises:
        ValueError: If its distance scale is not finite and above 0.
    """
    scale = float(encoder.distance_scale)
    if math.isnan(scale):
        raise ValueError(f"The encoder in {folder} was never fitted: it has no distance scale. Fit it first.")
    if not 0 < scale < math.inf:
        raise ValueError(
            f"The encoder in {folder} has the distance scale {scale}; it must be finite and above 0. At 0 the frames "
            "of the validation videos all look the same to it: fit it again, longer or on other videos."
        )
