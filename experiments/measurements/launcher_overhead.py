"""Overhead of parallel cells: two at once against one alone, and Ray against plain processes."""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

from rich.console import Console

from encoders.files import write_json
from experiments.kuka.config import ImitateConfig
from experiments.kuka.suite import KukaSuite
from experiments.runs import command_line
from experiments.sweep import launchers
from experiments.sweep.grid import Cell, Grid
from experiments.sweep.launchers import Launcher


@dataclass(frozen=True)
class LaunchingConfig:
    """Settings of the measurement.

    Attributes:
        steps: Environment steps of a cell.
        rounds: How often everything is timed, in turns; the least time counts, which other work disturbs least.
        out: JSON file of the figures, or None.
    """

    steps: int = 16_000
    rounds: int = 2
    out: Path | None = None


def measure(config: LaunchingConfig) -> None:
    """Times cells of an untrained encoder, which need no fit, and prints the ratios.

    Raises:
        ValueError: If Ray is not installed.
    """
    launchers.check_ray(None)
    spent: dict[str, list[float]] = {"one": [], "two": [], "four": [], "four on Ray": []}
    with TemporaryDirectory() as folder:
        # Recordings and encoders are shared by all rounds; cells are not.
        suite = KukaSuite(replace(ImitateConfig(), steps=config.steps))
        grid = Grid(encoders=("random",), rewards=("tcn_huber",), seeds=tuple(range(4)))
        cells = grid.cells(grid.methods(suite.method), suite.steps)
        out = Path(folder) / "shared"
        with launchers.local(1) as launcher:
            for phase in suite.preparations(cells, out):
                _finish(launcher, phase)
        for _ in range(config.rounds):
            for name, count in (("one", 1), ("two", 2), ("four", 4)):
                with launchers.local(2) as launcher:
                    spent[name].append(_seconds(launcher, suite, cells[:count], out))
            with launchers.on_ray(None, 0.0) as launcher:
                spent["four on Ray"].append(_seconds(launcher, suite, cells, out))
    least = {name: min(times) for name, times in spent.items()}
    figures = {
        "seconds": spent,
        "two_at_once_over_one": least["two"] / least["one"],
        "ray_over_local": least["four on Ray"] / least["four"],
    }
    Console().print(
        f"two cells at once take {figures['two_at_once_over_one']:.2f} times as long as one alone; "
        f"four on Ray {figures['ray_over_local']:.2f} times as long as in processes"
    )
    if config.out is not None:
        write_json(config.out, figures)


def _seconds(launcher: Launcher, suite: KukaSuite, cells: list[Cell], out: Path) -> float:
    """Time of some cells from the first to the last, none of them begun before."""
    for cell in cells:
        for path in sorted(suite.folder(cell, out).rglob("*"), reverse=True):
            path.rmdir() if path.is_dir() else path.unlink()
    started = time.perf_counter()
    _finish(launcher, [suite.job(cell, out) for cell in cells])
    return time.perf_counter() - started


def _finish(launcher: Launcher, work: list[launchers.Job]) -> None:
    for future in [launcher.submit(job) for job in work]:
        future.result()


def main() -> int:
    """Measures; 0 if it worked, 2 if the user has something to mend."""
    return command_line.run(LaunchingConfig, measure, __doc__)


if __name__ == "__main__":
    sys.exit(main())
