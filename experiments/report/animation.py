"""A short animated picture of a video, such as a README shows."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import imageio.v3 as iio
import numpy as np
import tyro
from PIL import Image

from encoders.errors import check_choice
from encoders.files import write_atomically
from encoders.videos.video import read_video
from experiments.runs import command_line

SUFFIXES = (".webp", ".gif")


@dataclass(frozen=True)
class AnimationConfig:
    """Settings of the animation.

    Attributes:
        video: Such as a run's side_by_side.mp4.
        out: File to write; .webp or .gif.
        width: Of the picture, pixels; higher ones are scaled down.
        fps: Frames a second.
        hold: Seconds that the last frame stays before it begins again.
        quality: Of a .webp, 1 to 100.
    """

    video: Annotated[Path, tyro.conf.Positional]
    out: Annotated[Path, tyro.conf.Positional]
    width: int = 900
    fps: float = 10.0
    hold: float = 1.5
    quality: int = 70

    def __post_init__(self) -> None:
        check_choice("ending of the picture", self.out.suffix, SUFFIXES)
        if self.width < 16 or not 0 < self.fps <= 50 or not 0 <= self.hold <= 60 or not 1 <= self.quality <= 100:
            raise ValueError(
                f"width is {self.width}, fps {self.fps}, hold {self.hold} and quality {self.quality}; allowed: at "
                "least 16, above 0 to 50, 0 to 60, and 1 to 100."
            )


def animate(config: AnimationConfig) -> None:
    """Writes the picture.

    Raises:
        ValueError: If the video cannot be read.
    """
    pictures = [Image.fromarray(frame) for frame in read_video(config.video)]
    width = min(config.width, pictures[0].width)
    size = (width, round(pictures[0].height * width / pictures[0].width))
    frames = [np.asarray(picture.resize(size, Image.Resampling.LANCZOS)) for picture in pictures]
    step = round(1000 / config.fps)
    durations = [step] * (len(frames) - 1) + [step + round(1000 * config.hold)]
    how: dict[str, Any] = {"duration": durations, "loop": 0, "quality": config.quality, "method": 6}
    write_atomically(config.out, iio.imwrite("<bytes>", frames, extension=config.out.suffix, plugin="pillow", **how))


def main() -> int:
    """Animates; 0 if it was written."""
    return command_line.run(AnimationConfig, animate, __doc__)


if __name__ == "__main__":
    sys.exit(main())
