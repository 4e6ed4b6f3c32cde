"""Memory and time of reading a minute of 1080p as a demonstration, now and before frames were scaled one by one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import av
import numpy as np
from rich.console import Console

from encoders.errors import check_at_least
from encoders.files import write_json
from experiments.runs import command_line
from experiments.runs.provenance import ROOT, provenance
from experiments.runs.tables import print_table

READERS = {
    "demonstration for any environment": (
        "from experiments.any_environment.videos import of_video; read = lambda path: of_video(path, 64, 0.0, None)"
    ),
    "demonstration for the Kuka": (
        "from experiments.kuka.demonstrations import read_views; read = lambda path: read_views([path], 64)"
    ),
}
"""What reads the video at 64 px: Python that defines ``read``."""

BEFORE = "demonstration for the Kuka, before"

OLD_READER = (
    "from encoders.video import resize; from experiments.demonstrations import read_views; "
    "read = lambda path: [resize(view, 64) for view in read_views([path])]"
)
"""The same in a checkout of d71388b, which read all frames at their own size."""

PROBE = """
import json, sys, time
from pathlib import Path
{reader}
def memory(name):
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(name))
    return int(line.split()[1]) / 1024
before, started = memory("VmRSS"), time.perf_counter()
read(Path(sys.argv[1]))
print(json.dumps({{"megabytes": memory("VmHWM") - before, "seconds": time.perf_counter() - started}}))
"""
"""A program that prints its peak memory above that after its imports, and the time of reading."""


@dataclass(frozen=True)
class DemoMemoryConfig:
    """Settings of the measurement.

    Attributes:
        seconds: Of the video.
        width: Of its frames, pixels.
        height: The same.
        before: A checkout of commit d71388b to measure too; none leaves it out.
        before_seconds: Of the video for that: it takes two thirds of a gigabyte for each.
        out: JSON file of the figures, or None.
    """

    seconds: int = 60
    width: int = 1920
    height: int = 1080
    before: Path | None = None
    before_seconds: int = 4
    out: Path | None = None

    def __post_init__(self) -> None:
        check_at_least(1, {"seconds": self.seconds, "before_seconds": self.before_seconds})
        check_at_least(16, {"width": self.width, "height": self.height})


def write_moving(path: Path, width: int, height: int, seconds: int) -> None:
    """Writes an mp4 (H.264, 30 frames a second) of a texture that moves."""
    rng = np.random.default_rng(0)
    coarse = rng.integers(16, 236, (3 * height // 32 + 1, width // 16 + 1), np.uint8)
    # Luma and both halves of the chroma, one above the other.
    texture = np.kron(coarse, np.ones((16, 16), np.uint8))[: 3 * height // 2, :width]
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=30, options={"preset": "superfast"})
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        for number in range(30 * seconds):
            moved = texture.copy()
            moved[:height] = np.roll(texture[:height], (3 * number, 5 * number), axis=(0, 1))
            container.mux(stream.encode(av.VideoFrame.from_ndarray(moved, format="yuv420p")))
        container.mux(stream.encode())


def probe(reader: str, video: Path, checkout: Path) -> dict[str, float]:
    """Reads a video in a process of its own, from the packages of a checkout.

    Returns:
        ``megabytes`` at its peak above what it took after its imports, and ``seconds``.
    """
    program = [sys.executable, "-W", "ignore", "-c", PROBE.format(reader=reader), str(video)]
    settings = {**os.environ, "PYTHONPATH": str(checkout)}
    done = subprocess.run(program, check=True, stdout=subprocess.PIPE, text=True, cwd=checkout, env=settings)
    return json.loads(done.stdout)


def measure(config: DemoMemoryConfig) -> None:
    """Measures every reader and prints it.

    Raises:
        ValueError: If ``before`` is no such checkout.
    """
    if config.before is not None and not (config.before / "encoders/video.py").exists():
        raise ValueError(
            f"before names {config.before}, which is no checkout of commit d71388b; make one by git worktree add."
        )
    commit = provenance()["commit"]
    found: list[dict[str, Any]] = []
    with TemporaryDirectory() as folder:
        video = Path(folder) / "video.mp4"
        if config.before is not None:
            write_moving(video, config.width, config.height, config.before_seconds)
            old = subprocess.run(
                ["git", "rev-parse", "HEAD"], check=True, cwd=config.before, stdout=subprocess.PIPE, text=True
            ).stdout.strip()
            figures = probe(OLD_READER, video, config.before.resolve())
            found.append({"reader": BEFORE, "commit": old, "video_seconds": config.before_seconds, **figures})
        write_moving(video, config.width, config.height, config.seconds)
        for name, reader in READERS.items():
            figures = probe(reader, video, ROOT)
            found.append({"reader": name, "commit": commit, "video_seconds": config.seconds, **figures})
    lines = [
        {
            "reader": row["reader"],
            "of video, s": f"{row['video_seconds']}",
            "MB": f"{row['megabytes']:,.0f}",
            "s": f"{row['seconds']:.1f}",
        }
        for row in found
    ]
    print_table(Console(), f"{config.width} x {config.height}, 30 frames a second", lines)
    if config.out is not None:
        settings = {**asdict(config), "before": None, "out": None}
        write_json(config.out, {"config": settings, "readers": found})


def main() -> int:
    """Measures; 0 if it worked, 2 if the user has something to mend."""
    return command_line.run(DemoMemoryConfig, measure, __doc__)


if __name__ == "__main__":
    sys.exit(main())
