"""Clips: videos of one or several synchronised views, and batches drawn from them."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from encoders.base import FrameBatch, Sampling
from encoders.video import read_video, resize


@dataclass(frozen=True)
class Clips:
    """Videos in memory.

    Attributes:
        videos: One array a video, (V, T, H, W, 3) uint8; views and frames may differ between videos.
        names: One name a video, for messages.
    """

    videos: tuple[NDArray[np.uint8], ...]
    names: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.videos)

    def subset(self, indices: Sequence[int]) -> Clips:
        """The videos at these indices."""
        return Clips(tuple(self.videos[i] for i in indices), tuple(self.names[i] for i in indices))


def load_clips(folder: Path, names: Sequence[str], cameras: Sequence[str], size: int) -> Clips:
    """Reads ``NAME_CAMERA.mp4`` for every name and camera.

    Args:
        folder: Where the files are.
        names: One name a video.
        cameras: The views, in order.
        size: Width and height to scale to, pixels.

    Raises:
        ValueError: If a file is missing or damaged, or the views of a video differ in length.
    """

    def read(name: str) -> NDArray[np.uint8]:
        views = [resize(read_video(folder / f"{name}_{camera}.mp4"), size) for camera in cameras]
        lengths = [len(view) for view in views]
        if len(set(lengths)) > 1:
            raise ValueError(f"The views of {name} in {folder} have {lengths} frames; they must be equal.")
        return np.stack(views)

    # Decoding is ffmpeg's work in processes of its own; two threads keep two of them busy.
    with ThreadPoolExecutor(2) as pool:
        return Clips(tuple(pool.map(read, names)), tuple(names))


def sample_batch(clips: Clips, sampling: Sampling, rng: np.random.Generator) -> FrameBatch:
    """Draws moments from a stretch of each of a few videos.

    Args:
        clips: The videos.
        sampling: How many videos, moments and views, and how long the stretch.
        rng: Source of the draw.

    Returns:
        A batch of at most ``videos * frames * views`` frames; ``view`` counts the drawn views, 0 and up.

    Raises:
        ValueError: If a drawn video has fewer views than asked for.
    """
    frames, video, view, time = [], [], [], []
    for position in range(sampling.videos):
        index = int(rng.integers(len(clips)))
        clip = clips.videos[index]
        if len(clip) < sampling.views:
            raise ValueError(
                f"{clips.names[index]} has {len(clip)} view(s) and this encoder's objective needs {sampling.views}; "
                "record more cameras, or choose a single-view objective."
            )
        span = min(sampling.span, clip.shape[1])
        start = int(rng.integers(clip.shape[1] - span + 1))
        moments = start + np.sort(rng.choice(span, min(sampling.frames, span), replace=False))
        for order, camera in enumerate(rng.choice(len(clip), sampling.views, replace=False)):
            frames.append(clip[camera, moments])
            video.append(np.full(len(moments), position))
            view.append(np.full(len(moments), order))
            time.append(moments)
    pixels = torch.from_numpy(np.concatenate(frames)).permute(0, 3, 1, 2)
    return FrameBatch(pixels, *(torch.from_numpy(np.concatenate(part)) for part in (video, view, time)))
