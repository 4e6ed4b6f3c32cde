"""A Kuka arm imitates a video: record, learn an embedding, audit the reward, train, evaluate."""

from __future__ import annotations

import sys

import tyro
from rich.console import Console

from experiments.pipeline import run_all
from experiments.settings import ImitateConfig


def main() -> int:
    """Runs the experiment; 0 if every seed completed, 2 if the user has something to mend."""
    console = Console(stderr=True)
    try:
        run_all(tyro.cli(ImitateConfig, description=__doc__))
    except ValueError as error:
        console.print(f"[bold red]error:[/] {error}", highlight=False, soft_wrap=True)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
