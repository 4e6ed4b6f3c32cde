"""Records demonstrations and play of the Kuka as mp4 files, one a camera, with the truth beside them."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from pathlib import Path

import tyro
from rich.console import Console

from experiments.recordings import RecordConfig, record_all


@dataclass(frozen=True)
class RecordDemosConfig:
    """What to record, and where to.

    Attributes:
        out: Folder of the videos.
        workers: Processes to record in.
        record: What is recorded.
    """

    out: Path = Path("runs/demos")
    workers: int = 2
    record: RecordConfig = field(default_factory=RecordConfig)


def main() -> int:
    """Records everything that is not there yet; 0 if it worked, 2 if the user has something to mend."""
    console = Console(stderr=True)
    try:
        config = tyro.cli(RecordDemosConfig, description=__doc__)
        record_all(config.record, config.out, config.workers)
    except ValueError as error:
        console.print(f"[bold red]error:[/] {error}", highlight=False, soft_wrap=True)
        return 2
    videos = sum(1 for _ in config.out.glob("*.mp4"))
    console.print(f"{videos} videos in {config.out}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
