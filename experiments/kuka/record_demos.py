"""Records demonstrations and random play of the Kuka as mp4 files, one a camera, with the true states."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from pathlib import Path

from rich.console import Console

from experiments.kuka.recordings import RecordConfig, record_all
from experiments.runs import command_line


@dataclass(frozen=True)
class RecordDemosConfig:
    """Settings of the recordings, and their folder.

    Attributes:
        out: Folder of the videos.
        workers: Processes to record in.
        record: What is recorded.
    """

    out: Path = Path("runs/demos")
    workers: int = 2
    record: RecordConfig = field(default_factory=RecordConfig)


def record(config: RecordDemosConfig) -> None:
    """Records everything that is not there yet."""
    record_all(config.record, config.out, config.workers)
    videos = sum(1 for _ in config.out.glob("*.mp4"))
    Console(stderr=True).print(f"{videos} videos in {config.out}")


def main() -> int:
    """Records; 0 if it worked, 2 if the user has something to mend."""
    return command_line.run(RecordDemosConfig, record, __doc__)


if __name__ == "__main__":
    sys.exit(main())
