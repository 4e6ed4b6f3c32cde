"""A picture and a film for pages."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure

from encoders.videos.video import write_video
from experiments.report.figures import save_figure


@pytest.fixture(scope="module")
def picture(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("figures") / "matrix.png"
    figure = Figure(figsize=(4, 3))
    figure.subplots().imshow(np.random.default_rng(0).random((50, 50)))
    save_figure(figure, path)
    return path


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("films") / "robot.mp4"
    frames = np.zeros((30, 96, 160, 3), np.uint8)
    for time_, frame in enumerate(frames):
        frame[:, 4 * time_ : 4 * time_ + 20] = 255
    write_video(path, frames, 25)
    return path
