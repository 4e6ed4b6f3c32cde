"""A benchmark of seconds; as a program, it runs one in the folder and by the launcher given."""

from __future__ import annotations

import sys
from pathlib import Path

from small_recordings import tiny

from experiments.kuka.suite import KukaSuite
from experiments.suites import SUITES, Entry
from experiments.sweep.benchmark import benchmark
from experiments.sweep.config import BenchmarkConfig

STEPS = 90


TINY_SUITE = KukaSuite(tiny(Path(), steps=STEPS))
"""The Kuka on few recordings, with short episodes."""


ONE_SEED = {"encoders": ("tcn",), "seeds": (0,)}


def tiny_benchmark(out: Path, **settings: object) -> BenchmarkConfig:
    """Two methods and the oracle on one demonstration with two seeds."""
    SUITES["tiny"] = Entry.of(TINY_SUITE)
    config = {"env": "tiny", "encoders": ("tcn", "none"), "seeds": (0, 1), "out": out, "workers": 2}
    return BenchmarkConfig(**{**config, **settings})  # type: ignore[arg-type]


if __name__ == "__main__":
    sys.exit(benchmark(tiny_benchmark(Path(sys.argv[1]), launcher=sys.argv[2], **ONE_SEED)))
