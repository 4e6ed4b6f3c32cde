"""Encoders that a run starts with: what makes one fit to give a reward."""

from __future__ import annotations

import math
from pathlib import Path

from encoders.base import Encoder


def check_scale(encoder: Encoder, folder: Path) -> None:
    """Refuses an encoder whose distances have no unit, so that no reward can be made of them.

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
