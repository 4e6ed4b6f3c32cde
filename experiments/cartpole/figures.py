"""What keypoints see: over the frames as the agent acts, and in the reconstruction that trains them."""

from __future__ import annotations

import copy
from pathlib import Path

import numpy as np
import torch
from matplotlib import colormaps
from matplotlib.figure import Figure
from numpy.typing import NDArray

from encoders.base import Encoder, channels_first
from encoders.device import CPU
from encoders.models.autoencoder_imm import AutoencoderIMM
from encoders.models.imm import IMM, RGB, heat_maps
from encoders.videos.video import write_video
from experiments.report.figures import save_figure

FILM_SIZE = 256
"""Width and height of a film, pixels."""

RADIUS = 4

MOMENTS = (20, 60)
"""Steps of a recorded episode that are source and target of the sheet."""


def keypoint_network(encoder: Encoder | None) -> IMM | None:
    """The keypoint network in an encoder, if it has one; a copy on the CPU if it is elsewhere."""
    network = encoder.imm if isinstance(encoder, AutoencoderIMM) else encoder
    if not isinstance(network, IMM):
        return None
    return network if network.device.type == CPU else copy.deepcopy(network).cpu()


def colour(index: int) -> NDArray[np.uint8]:
    """The colour of a keypoint, (3,) uint8."""
    return (np.array(colormaps["tab10"](index % 10)[:3]) * 255).astype(np.uint8)


@torch.no_grad()
def newest_points(network: IMM, stacks: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Keypoints of the newest frames: (T, S, S, 3 stack) uint8 -> (T, K, 2), (x, y) in [0, 1] of the frame."""
    points = network.keypoints(channels_first(stacks)).points[network.config.frames - 1 :: network.config.frames]
    return (points.double().numpy() + 1.0) / 2.0


def draw_points(frame: NDArray[np.uint8], points: NDArray[np.float64]) -> NDArray[np.uint8]:
    """A frame with a disc at every keypoint: (S, S, 3) uint8, (K, 2) in [0, 1]."""
    size = frame.shape[0]
    drawn = frame.copy()
    rows, columns = np.mgrid[:size, :size]
    for index, (x, y) in enumerate(points * size - 0.5):
        drawn[(columns - x) ** 2 + (rows - y) ** 2 <= RADIUS**2] = colour(index)
    return drawn


def film_keypoints(
    large: NDArray[np.uint8], stacks: NDArray[np.uint8] | None, network: IMM | None, fps: float, path: Path
) -> None:
    """Films an episode, with keypoints drawn in.

    Args:
        large: (T, FILM_SIZE, FILM_SIZE, 3) uint8.
        stacks: (T, S, S, 3 stack) uint8, what the agent saw at the same moments; None if it saw none.
        network: Whose keypoints are drawn; None for none.
        fps: Frames a second.
        path: The mp4 file.
    """
    if network is not None and stacks is not None:
        places = newest_points(network, stacks)
        large = np.stack([draw_points(frame, points) for frame, points in zip(large, places, strict=True)])
    write_video(path, large, fps)


@torch.no_grad()
def keypoint_sheet(network: IMM, episode: NDArray[np.uint8], path: Path) -> None:
    """Input, target and generated image; then every score map with its marginals; then the heat maps.

    Args:
        network: Trained.
        episode: (T, S, S, 3 stack) uint8.
        path: The PNG file.
    """
    pair = channels_first(episode[list(MOMENTS)])[:, -network.config.frame_channels :]
    generated, found = network.generate(pair, torch.tensor([1, 0], device=pair.device))
    pictures = [pair[0], pair[1], ((generated[1] + 0.5) * 255).clamp(0, 255).to(torch.uint8)]
    count, side = network.config.keypoints, network.config.sides[-1]
    columns = max(3, count)
    figure = Figure(figsize=(2.0 * columns, 6.2), layout="constrained")
    panels = figure.subplots(3, columns, squeeze=False)
    for panel in panels.ravel():
        panel.set_axis_off()
    size = network.config.image_size
    points = (found.points[1].double().numpy() + 1.0) / 2.0 * size - 0.5
    for panel, picture, title in zip(panels[0], pictures, ("input", "target", "generated"), strict=False):
        panel.imshow(picture[-RGB:].permute(1, 2, 0).numpy())
        panel.set_title(title, fontsize=9)
        if title != "input":
            for index, (x, y) in enumerate(points):
                panel.plot(x, y, "+", color=colour(index) / 255, markersize=9, markeredgewidth=2)
    heat = heat_maps(found.points[1:], side, side, network.config.sigma)[0]
    for index in range(count):
        panel = panels[1, index]
        panel.imshow(found.scores[1, index].numpy(), cmap="viridis", extent=(0, 1, 1, 0))
        cells = (np.arange(side) + 0.5) / side
        panel.plot(cells, 1.0 + 0.4 * found.columns[1, index].numpy(), color=colour(index) / 255)
        panel.plot(-0.4 * found.rows[1, index].numpy(), cells, color=colour(index) / 255)
        panel.set(xlim=(-0.45, 1), ylim=(1.45, 0))
        panel.set_title(f"scores {index}", fontsize=9)
        panels[2, index].imshow(heat[index].numpy(), cmap="magma", vmin=0, vmax=1)
        panels[2, index].set_title(f"heat map {index}", fontsize=9)
    save_figure(figure, path)
