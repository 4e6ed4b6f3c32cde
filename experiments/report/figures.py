"""Figures and videos of a run."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray

from encoders.files import write_atomically
from encoders.metrics import distance_matrix
from encoders.videos.video import write_video
from experiments.report.charts import DASHES, PALETTE, ChartBlock, assign_styles


def save_figure(figure: Figure, path: Path) -> None:
    """Writes a figure as PNG, whole or not at all."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=140)
    write_atomically(path, buffer.getvalue())


def plot_curves(rows: list[dict[str, float]], title: str, path: Path) -> None:
    """True and learned return over environment steps, in two panels."""
    figure = Figure(figsize=(9, 3.4), layout="constrained")
    steps = [row["env_steps"] for row in rows]
    for panel, (key, label) in zip(
        figure.subplots(1, 2), (("learned_return", "learned return"), ("true_return", "true return")), strict=True
    ):
        panel.plot(steps, [row[key] for row in rows], color="#0072B2")
        panel.set(xlabel="environment steps", ylabel=f"{label} of an episode")
        panel.grid(alpha=0.3)
    figure.suptitle(title)
    save_figure(figure, path)


def plot_charts(charts: Sequence[ChartBlock], path: Path) -> None:
    """Curves with their bands, side by side, in the looks that they have in a report."""
    figure = Figure(figsize=(6.2 * len(charts), 4.0), layout="constrained")
    styles = assign_styles(charts)
    for panel, chart in zip(figure.subplots(1, len(charts), squeeze=False)[0], charts, strict=True):
        for series in chart.series:
            style = styles[series.label]
            colour = PALETTE[style % len(PALETTE)]
            if series.low is not None and series.high is not None:
                panel.fill_between(series.x, series.low, series.high, color=colour, alpha=0.2, linewidth=0)
            panel.plot(series.x, series.y, color=colour, linestyle=DASHES[style % len(DASHES)], label=series.label)
        panel.set(title=chart.title, xlabel=chart.xlabel, ylabel=chart.ylabel)
        panel.grid(alpha=0.3)
        panel.legend(fontsize=8)
    save_figure(figure, path)


def plot_distance_matrix(embeddings: NDArray[np.floating], path: Path) -> None:
    """Embedding distance of every frame of the demonstration to every other."""
    figure = Figure(figsize=(4.6, 4), layout="constrained")
    panel = figure.subplots()
    image = panel.imshow(distance_matrix(embeddings), cmap="viridis")
    panel.set(xlabel="frame", ylabel="frame", title="Embedding distances within the demonstration")
    figure.colorbar(image, ax=panel, label="distance")
    save_figure(figure, path)


def storyboard(demonstration: NDArray[np.uint8], robot: NDArray[np.uint8], path: Path, moments: int = 7) -> None:
    """Demonstration above, robot below, at moments spread over the episode.

    Args:
        demonstration: (T, H, W, 3) uint8.
        robot: (T, H, W, 3) uint8, the same moments.
        path: The PNG file.
        moments: Columns of the figure.
    """
    figure = Figure(figsize=(1.5 * moments, 3.2), layout="constrained")
    panels = figure.subplots(2, moments)
    for column, time in enumerate(np.linspace(0, len(robot) - 1, moments).round().astype(int)):
        for row, (frames, label) in enumerate(((demonstration, "demonstration"), (robot, "robot"))):
            panels[row, column].imshow(frames[time])
            panels[row, column].set(xticks=[], yticks=[], ylabel=label if column == 0 else "")
        panels[0, column].set_title(f"step {time + 1}", fontsize=9)
    save_figure(figure, path)


def side_by_side(
    demonstration: NDArray[np.uint8],
    robot: NDArray[np.uint8],
    distances: NDArray[np.floating],
    fps: float,
    path: Path,
    embedded: bool = True,
) -> None:
    """A video of demonstration and robot beside the distance between them over time.

    Args:
        demonstration: (T, H, W, 3) uint8.
        robot: (T, H, W, 3) uint8, the same moments.
        distances: (T,) distance of the two.
        fps: Frames a second.
        path: The mp4 file.
        embedded: Whether it is a distance of embeddings, or else of raw pixels.
    """
    figure = Figure(figsize=(9.6, 3.2), dpi=100, layout="constrained")
    canvas = FigureCanvasAgg(figure)
    left, middle, right = figure.subplots(1, 3)
    pictures = []
    for panel, frames, title in ((left, demonstration, "demonstration"), (middle, robot, "robot")):
        pictures.append(panel.imshow(frames[0]))
        panel.set(title=title, xticks=[], yticks=[])
    right.set(
        xlim=(0, len(distances) - 1),
        ylim=(0, float(distances.max()) * 1.1 + 1e-6),
        xlabel="step",
        title="distance of the embeddings" if embedded else "distance of the pixels",
    )
    right.grid(alpha=0.3)
    (line,) = right.plot([], [], color="#D55E00")
    shots = []
    for time in range(len(distances)):
        pictures[0].set_data(demonstration[time])
        pictures[1].set_data(robot[time])
        line.set_data(np.arange(time + 1), distances[: time + 1])
        canvas.draw()
        shots.append(np.asarray(canvas.buffer_rgba())[:, :, :3].copy())
    write_video(path, np.stack(shots), fps)
