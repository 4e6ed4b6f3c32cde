"""Figures and videos for judging an encoder."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from numpy.typing import NDArray
from sklearn.manifold import TSNE

from encoders.metrics import nearest_neighbours
from encoders.videos.video import write_video
from experiments.report.figures import save_figure

PERPLEXITY = 30.0
"""Perplexity of t-SNE for long videos, as in Blomqvist and Hämäläinen's figure 2."""

FEWEST_FRAMES = 5
"""Fewest frames of a t-SNE plot: with fewer, points have no neighbourhood."""

BLUE_TO_CYAN = LinearSegmentedColormap.from_list("blue to cyan", ["blue", "cyan"])

SMALLEST_SIDE = 192
"""Pixels below which frames are enlarged in a video to be looked at."""


def plot_attention(frames: NDArray[np.uint8], maps: Mapping[str, NDArray[np.floating]], path: Path) -> None:
    """Attention maps of an encoder: a row for each frame, with the map of each level over it.

    Figure 3 of Ramachandruni et al., SMAK-Net, 2019. Each level has a colour scale of its own, the same for
    all frames, so that rows compare and a level that looks everywhere alike says so on its scale.

    Args:
        frames: (N, H, W, 3) uint8, N at least 1.
        maps: For each level, by its title, (N, h, w): weights of any range and size, spread over the frame.
        path: The PNG file, in a folder that exists.

    Raises:
        ValueError: If there are no frames or no levels, or a level does not fit the frames or is not finite.
    """
    if len(frames) == 0 or not maps:
        raise ValueError(f"plot_attention needs at least one frame and one map; got {len(frames)} and {len(maps)}.")
    for level, weights in maps.items():
        if np.ndim(weights) != 3 or len(weights) != len(frames):
            raise ValueError(
                f"The map {level!r} has shape {np.shape(weights)}; it must be (frames, height, width), "
                f"for {len(frames)} frames."
            )
        if not np.isfinite(weights).all():
            raise ValueError(f"The map {level!r} is not finite; check the encoder that made it.")
    height, width = frames.shape[1:3]
    side = 1.7 * height / width
    figure = Figure(figsize=(1.7 * (1 + len(maps)), side * len(frames) + 0.7), layout="constrained")
    # The last row holds the colour scales.
    rows = [side] * len(frames) + [0.1]
    panels = figure.subplots(len(rows), 1 + len(maps), squeeze=False, height_ratios=rows)
    panels[-1, 0].set_axis_off()
    panels[0, 0].set_title("frame", fontsize=9)
    for row, frame in enumerate(frames):
        for panel in panels[row]:
            panel.imshow(frame)
            panel.set(xticks=[], yticks=[])
    for column, (level, weights) in enumerate(maps.items(), start=1):
        low, high = float(np.min(weights)), float(np.max(weights))
        for panel, weight in zip(panels[:-1, column], weights, strict=True):
            over = panel.imshow(
                weight,
                cmap="jet",
                vmin=low,
                vmax=high,
                alpha=0.5,
                interpolation="bilinear",
                extent=(-0.5, width - 0.5, height - 0.5, -0.5),
            )
        panels[0, column].set_title(level, fontsize=9)
        scale = figure.colorbar(over, cax=panels[-1, column], orientation="horizontal")
        scale.set_ticks([low, high], labels=[f"{low:.2g}", f"{high:.2g}"], fontsize=7)
    save_figure(figure, path)


def tsne(embeddings: NDArray[np.floating], seed: int) -> NDArray[np.float32]:
    """Embeddings of one video in the plane by t-SNE.

    Learning rate 200, 1000 iterations and perplexity 30, the settings of Blomqvist and Hämäläinen,
    Self-supervised learning from snaps, figure 2. The perplexity counts effective neighbours and must stay
    well below the number of frames: a video of T < 91 frames gets (T - 1) / 3 instead.

    Args:
        embeddings: (T, D), T at least 5.
        seed: Of the starting points; the same seed gives the same points.

    Returns:
        (T, 2) float32.

    Raises:
        ValueError: If there are fewer than 5 frames, or an embedding is not finite.
    """
    if np.ndim(embeddings) != 2 or len(embeddings) < FEWEST_FRAMES:
        raise ValueError(
            f"t-SNE got embeddings of shape {np.shape(embeddings)}; it takes (frames, dimensions) "
            f"of at least {FEWEST_FRAMES} frames."
        )
    if not np.isfinite(embeddings).all():
        raise ValueError("An embedding is not finite; t-SNE is undefined. Check the encoder that made it.")
    # Exact: for a video's few hundred frames it is faster than the approximation, and its sums do not
    # depend on the number of threads. Random: a start from principal components would ignore the seed and
    # fail where the embeddings are all equal.
    solver = TSNE(
        perplexity=perplexity(len(embeddings)),
        learning_rate=200.0,
        max_iter=1000,
        init="random",
        method="exact",
        random_state=seed,
    )
    return np.asarray(solver.fit_transform(np.asarray(embeddings, np.float64)), np.float32)


def perplexity(length: int) -> float:
    """Perplexity for a video of ``length`` frames: 30, or (length - 1) / 3 where that is less."""
    return min(PERPLEXITY, (length - 1) / 3)


def plot_tsne(embeddings: NDArray[np.floating], path: Path, seed: int) -> None:
    """The t-SNE plot of one video, coloured from blue to cyan by frame; ``tsne`` has the settings.

    Args:
        embeddings: (T, D), T at least 5.
        path: The PNG file, in a folder that exists.
        seed: Of the starting points.

    Raises:
        ValueError: As for ``tsne``.
    """
    points = tsne(embeddings, seed)
    figure = Figure(figsize=(5.2, 4.4), layout="constrained")
    panel = figure.subplots()
    # The path makes jumps visible that colours alone would hide.
    panel.plot(*points.T, color="0.85", linewidth=0.8, zorder=1)
    dots = panel.scatter(points[:, 0], points[:, 1], c=np.arange(len(points)), cmap=BLUE_TO_CYAN, s=18, zorder=2)
    panel.set(title=f"t-SNE of a video, perplexity {perplexity(len(points)):.3g}", xticks=[], yticks=[])
    figure.colorbar(dots, ax=panel, label="frame")
    save_figure(figure, path)


def nearest_neighbour_video(
    first: NDArray[np.uint8],
    second: NDArray[np.uint8],
    first_embeddings: NDArray[np.floating],
    second_embeddings: NDArray[np.floating],
    fps: float,
    path: Path,
) -> None:
    """A video next to its nearest neighbours in another video, by embedding.

    Left is the first video as it runs, right the frame of the second with the nearest embedding by Euclidean
    distance. Frames whose shorter side is below 192 pixels are enlarged by a whole factor, without blur.

    Args:
        first: (T, H, W, 3) uint8.
        second: (U, H, W, 3) uint8.
        first_embeddings: (T, D).
        second_embeddings: (U, D).
        fps: Frames a second.
        path: The mp4 file.

    Raises:
        ValueError: If the frames differ in size, do not match their embeddings, an embedding is not finite,
            or the file cannot be written.
    """
    if first.shape[1:] != second.shape[1:]:
        raise ValueError(
            f"The videos have frames of {first.shape[1:]} and {second.shape[1:]}; resize both to one size."
        )
    for name, frames, embeddings in (("first", first, first_embeddings), ("second", second, second_embeddings)):
        if len(frames) != len(embeddings):
            raise ValueError(
                f"The {name} video has {len(frames)} frames and {len(embeddings)} embeddings; give one for each frame."
            )
    nearest = nearest_neighbours(first_embeddings, second_embeddings)
    pair = np.concatenate([first, second[nearest]], axis=2)
    factor = _enlargement(*first.shape[1:3])
    write_video(path, pair.repeat(factor, axis=1).repeat(factor, axis=2), fps)


def _enlargement(height: int, width: int) -> int:
    """The least whole factor that gives a side of 192 pixels or more and, as H.264 asks, an even height.

    The width is even by itself: two frames lie side by side.
    """
    factor = max(1, -(-SMALLEST_SIDE // min(height, width)))
    return factor + height * factor % 2
