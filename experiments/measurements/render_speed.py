"""Render speed of the cartpole: dm_control's defaults and both render qualities, with their frames."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray
from rich.console import Console

from encoders.files import write_json
from envs.cartpole import Cartpole
from experiments.report.figures import save_figure
from experiments.runs import command_line
from experiments.runs.folder import make_folder

JOINTS = (0.4, 0.6)
"""Place of the cart and angle of the pole in the figure, metres and radians."""


@dataclass(frozen=True)
class RenderConfig:
    """Settings of the measurement.

    Attributes:
        image_size: Width and height of a frame, pixels.
        seconds: Time for every way in a turn.
        turns: Turns; every way has one in each, and the median counts.
        out: Where the figures go, JSON.
        picture: Where the frames go side by side, PNG.
    """

    image_size: int = 84
    seconds: float = 2.0
    turns: int = 5
    out: Path = Path("runs/render_speed.json")
    picture: Path = Path("runs/render_speed.png")

    def __post_init__(self) -> None:
        if not self.seconds > 0 or self.turns < 1:
            raise ValueError(f"seconds is {self.seconds} and turns {self.turns}; there must be some of both.")


def frames_a_second(draw: Callable[[], Any], seconds: float) -> float:
    """Frames a second of a drawing function."""
    started, count = time.perf_counter(), 0
    while (passed := time.perf_counter() - started) < seconds:
        draw()
        count += 1
    return count / passed


def ways(size: int) -> dict[str, Callable[[], NDArray[np.uint8]]]:
    """Every way of drawing one state of the cartpole: dm_control's own call, and ours."""
    drawn = {
        quality: Cartpole(image_size=size, stack=1, render_quality=quality, render_mode="rgb_array")
        for quality in ("reference", "fast")
    }
    # dm_control's defaults: an environment of its own, whose model nobody has touched.
    usual = Cartpole(image_size=size, pixels=False, render_quality="reference")
    for env in (*drawn.values(), usual):
        env.reset(options={"joints": JOINTS})
    return {
        "dm_control": lambda: usual.physics.render(size, size, camera_id=0),
        **{quality: env.render for quality, env in drawn.items()},
    }


def measure(config: RenderConfig) -> dict[str, Any]:
    """Measures, prints and writes."""
    make_folder(config.out.parent, "--out")
    make_folder(config.picture.parent, "--picture")
    drawing = ways(config.image_size)
    for draw in drawing.values():
        draw()
    rates: dict[str, list[float]] = {name: [] for name in drawing}
    for _ in range(config.turns):
        for name, draw in drawing.items():
            rates[name].append(frames_a_second(draw, config.seconds))
    speeds = {name: float(np.median(values)) for name, values in rates.items()}
    ratios = {
        name: float(np.median(np.array(values) / np.array(rates["dm_control"]))) for name, values in rates.items()
    }
    result = {
        "image_size": config.image_size,
        "frames_per_second": speeds,
        "ratio_to_dm_control": ratios,
        "turns": rates,
    }
    write_json(config.out, result)
    figure = Figure(figsize=(8.4, 3.1), layout="constrained")
    for panel, (name, draw) in zip(figure.subplots(1, len(drawing)), drawing.items(), strict=True):
        panel.imshow(draw())
        panel.set_axis_off()
        panel.set_title(f"{name}: {ratios[name]:.1f} x", fontsize=10)
    save_figure(figure, config.picture)
    for name in drawing:
        Console().print(
            f"{name:>10}: {speeds[name]:7.0f} frames/s, {ratios[name]:.1f} times dm_control's",
            highlight=False,
        )
    return result


def main() -> int:
    """Measures; 0 if it worked, 2 if the user has something to mend."""
    return command_line.run(RenderConfig, measure, __doc__)


if __name__ == "__main__":
    sys.exit(main())
