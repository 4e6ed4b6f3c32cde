"""Features of a frozen stem, extracted once, so that training runs on them instead of on frames."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from rich.progress import track

from encoders.base import Encoder, FrameBatch, channels_first
from encoders.clips.augmentation import jitter_colours
from encoders.clips.clips import Clips

BATCH = 128
"""Frames per forward pass of the stem."""


def extract_clips(encoder: Encoder, clips: Clips, copies: int, colour_jitter: float, rng: np.random.Generator) -> Clips:
    """Features of every frame, several times with jittered colours, as clips to draw batches from.

    Args:
        encoder: With a frozen stem.
        clips: Videos of frames.
        copies: Times that every video is extracted, each with colours of its own.
        colour_jitter: Strength of the colours' difference, 0 to 1.
        rng: Source of the colours.

    Returns:
        ``copies`` times as many videos, (V, T, h, w, F) float16.

    Raises:
        ValueError: If the encoder has no frozen stem.
    """
    extractor = encoder.frozen()
    videos, names = [], []
    for _ in range(copies):
        for video, name in zip(
            track(clips.videos, description="Extracting features", transient=True), clips.names, strict=True
        ):
            videos.append(np.stack([_extract(extractor, view, colour_jitter, rng) for view in video]))
            names.append(name)
    return Clips(videos, tuple(names))


def _extract(
    encoder: Encoder, frames: NDArray[np.uint8], colour_jitter: float, rng: np.random.Generator
) -> NDArray[np.float16]:
    """(T, H, W, C) uint8 -> (T, h, w, F) float16, one draw of colours for all frames."""
    alike = torch.zeros(len(frames), dtype=torch.int64, device="cpu")
    batch = jitter_colours(FrameBatch(channels_first(frames), alike, alike, alike), colour_jitter, rng)
    parts = [encoder.extract(part.to(encoder.device)).cpu() for part in torch.split(batch.frames, BATCH)]
    return torch.cat(parts).permute(0, 2, 3, 1).contiguous().numpy()
