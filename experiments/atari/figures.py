"""Figures of a mask: over a game of the agent, and in the reconstruction that trains it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from matplotlib import colormaps
from matplotlib.figure import Figure
from numpy.typing import NDArray
from stable_baselines3.common.base_class import BaseAlgorithm

from encoders.base import Sampling
from encoders.clips.clips import Clips, sample_batch
from encoders.losses import source_frames
from encoders.models.attention import CENTRE, STRIDE, Attention, Reconstruction, keypoints
from encoders.videos.video import write_video
from envs.atari import FRAME_SKIP, AtariConfig, AtariVecEnv
from experiments.report.figures import save_figure

SCALE = 4
"""Enlargement of observations in a film."""

FILM_STEPS = 300

KEYPOINTS = 5


def spread(mask: NDArray[np.float32], size: int) -> NDArray[np.float32]:
    """Enlarges a mask to the size of the frame, by the nearest position.

    Args:
        mask: (..., h, w).
        size: Width and height of the frame, pixels.

    Returns:
        (..., size, size).
    """
    side = mask.shape[-1]
    index = np.clip(np.round((np.arange(size) - CENTRE) / STRIDE), 0, side - 1).astype(int)
    return mask[..., index[:, None], index]


def film_mask(
    agent: BaseAlgorithm, attention: Attention, game: str, config: AtariConfig, seed: int, path: Path
) -> None:
    """Films a game of the agent: the frame, the mask over it, the keypoints."""
    venv = AtariVecEnv(game, 1, config, training=False, seed=seed)
    observations = venv.reset()
    film = []
    for _ in range(FILM_STEPS):
        mask = attention.attention_maps(torch.from_numpy(observations).to(attention.device))["mask"].cpu()
        film.append(_shown(observations[0, -1], mask))
        observations, *_ = venv.step(agent.predict(observations)[0])  # type: ignore[assignment]
    write_video(path, np.stack(film), 60 / FRAME_SKIP)


def _shown(frame: NDArray[np.uint8], mask: torch.Tensor) -> NDArray[np.uint8]:
    """Frame, frame under its mask, frame with key points, side by side, enlarged."""
    size = frame.shape[-1]
    grey = np.repeat(frame[..., None], 3, axis=-1)
    heat = colormaps["inferno"](spread(mask[0].numpy(), size))[..., :3] * 255
    over = (0.5 * grey + 0.5 * heat).astype(np.uint8)
    marked = grey.copy()
    for x, y in _points(mask):
        marked[max(0, int(y) - 1) : int(y) + 2, max(0, int(x) - 1) : int(x) + 2] = (255, 64, 0)
    return np.concatenate([part.repeat(SCALE, 0).repeat(SCALE, 1) for part in (grey, over, marked)], axis=1)


def _points(mask: torch.Tensor) -> list[list[float]]:
    found = keypoints(mask, min(KEYPOINTS, mask[0].numel()))[0]
    points: list[list[float]] = found[torch.isfinite(found[:, 0])].tolist()
    return points


def reconstruction_sheet(
    attention: Attention, clips: Clips, rng: np.random.Generator, path: Path, rows: int = 5
) -> None:
    """Draws source, target, reconstruction, auto-encoding and mask of a few pairs in one sheet."""
    sampling = attention.sampling
    batch = sample_batch(clips, Sampling(rows, 2, sampling.span, 1), rng)
    source = source_frames(batch)
    with torch.no_grad():
        shown = attention.reconstruct(batch.frames.to(attention.device), source.to(attention.device))
    result = Reconstruction(*(part.cpu() for part in shown))
    titles = ("source", "target", "reconstruction", "auto-encoding", "mask")
    figure = Figure(figsize=(2 * len(titles), 2 * rows), layout="constrained")
    for row, panels in enumerate(figure.subplots(rows, len(titles), squeeze=False)):
        pair = 2 * row
        images = (
            batch.frames[source[pair], -1] / 255,
            batch.frames[pair, -1] / 255,
            result.mixed[pair, -1],
            result.auto[pair, -1],
            torch.from_numpy(spread(result.mask[pair, 0].numpy(), batch.frames.shape[-1])),
        )
        for panel, image, title in zip(panels, images, titles, strict=True):
            panel.imshow(image.clamp(0, 1), cmap="inferno" if title == "mask" else "gray", vmin=0, vmax=1)
            panel.set_axis_off()
            if row == 0:
                panel.set_title(title)
    save_figure(figure, path)
