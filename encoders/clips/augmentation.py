"""Augmentations of a batch's frames that keep what happens in them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from encoders.base import FrameBatch


def jitter_colours(batch: FrameBatch, strength: float, rng: np.random.Generator) -> FrameBatch:
    """Jitters the colours of every video and view of a batch, with one draw for all its frames.

    Channels are exchanged, stretched around mid grey and shifted, so that the same moment keeps its
    shapes and loses its palette.

    Args:
        batch: Frames with any number of channels.
        strength: 0 leaves the batch as it is; 1 stretches by up to a factor of 2 and shifts by up to 64 levels.
        rng: Source of the draws.

    Returns:
        The batch with other frames.

    Raises:
        ValueError: If ``strength`` is not from 0 to 1.
    """
    if not 0.0 <= strength <= 1.0:
        raise ValueError(f"The strength of the colour jitter is {strength}; it must be from 0 to 1.")
    if strength == 0.0:
        return batch
    frames = batch.frames.clone()
    channels = frames.shape[1]
    for pair in torch.unique(torch.stack([batch.video, batch.view]), dim=1).T:
        chosen = (batch.video == pair[0]) & (batch.view == pair[1])
        order = torch.from_numpy(rng.permutation(channels)).to(frames.device)
        gain = (
            torch.from_numpy(2.0 ** rng.uniform(-strength, strength, channels)).to(frames.device).float()[:, None, None]
        )
        shift = torch.from_numpy(rng.uniform(-64, 64, channels) * strength).to(frames.device).float()[:, None, None]
        pixels = (frames[chosen][:, order].float() - 127.5) * gain + 127.5 + shift
        frames[chosen] = pixels.round().clamp(0, 255).to(torch.uint8)
    return batch._replace(frames=frames)


def random_shift(frames: torch.Tensor, pixels: int, draw: Callable[..., NDArray[Any]]) -> torch.Tensor:
    """Shifts every frame by a random number of whole pixels; the edge is repeated.

    Kostrikov, Yarats and Fergus, Image Augmentation Is All You Need (DrQ), 2021: pad by repetition, crop at random.

    Args:
        frames: (B, C, H, W) uint8; all channels of a stack are shifted alike.
        pixels: Shift at most, in both directions.
        draw: Gives random integers, as ``numpy.random.Generator.integers``: (low, high, size).

    Returns:
        (B, C, H, W) uint8.
    """
    height, width = frames.shape[2:]
    padded = np.pad(frames.numpy(force=True), ((0, 0), (0, 0), (pixels, pixels), (pixels, pixels)), mode="edge")
    shifted = np.empty(tuple(frames.shape), np.uint8)
    for index, (down, right) in enumerate(draw(0, 2 * pixels + 1, (len(frames), 2)).tolist()):
        shifted[index] = padded[index, :, down : down + height, right : right + width]
    return torch.from_numpy(shifted).to(frames.device)
