"""Records the multi-view set: demonstrations with looks drawn at random, from a still and a moving camera."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from pathlib import Path

from rich.console import Console

from experiments.comparison.config import ViewPairsConfig
from experiments.comparison.view_pairs import record_pairs
from experiments.runs import command_line


@dataclass(frozen=True)
class RecordViewsConfig:
    """Settings of the recordings, and their folder.

    Attributes:
        out: Folder of the videos.
        workers: Processes to record in.
        record: What is recorded.
    """

    out: Path = Path("runs/views")
    workers: int = 2
    record: ViewPairsConfig = field(default_factory=ViewPairsConfig)


def record(config: RecordViewsConfig) -> None:
    """Records everything that is not there yet."""
    record_pairs(config.record, config.out, config.workers)
    Console(stderr=True).print(f"{len(config.record.names)} demonstrations from 2 cameras in {config.out}")


def main() -> int:
    """Records; 0 if it worked, 2 if the user has something to mend."""
    return command_line.run(RecordViewsConfig, record, __doc__)


if __name__ == "__main__":
    sys.exit(main())
