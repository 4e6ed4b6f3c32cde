"""Reward curves across seeds: encoders x agents x rewards x tasks x seeds, trained once each and compared."""

from __future__ import annotations

import sys

from experiments.runs import command_line
from experiments.sweep.config import AGAIN, BenchmarkConfig


def main() -> int:
    """Runs the benchmark; 0 if every cell completed, 1 if some failed, 2 if the user has something to mend."""
    failed = 0

    def work(config: BenchmarkConfig) -> None:
        # Imported here, so that a question or a mistake on the command line is answered at once.
        from experiments.sweep.benchmark import benchmark

        nonlocal failed
        failed = benchmark(config)

    return command_line.run(BenchmarkConfig, work, __doc__, AGAIN) or (1 if failed else 0)


if __name__ == "__main__":
    sys.exit(main())
