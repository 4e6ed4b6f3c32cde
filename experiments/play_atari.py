"""An agent plays an Atari game, with self-supervised attention or without."""

from __future__ import annotations

import sys

from experiments.atari.config import AtariRunConfig
from experiments.runs import command_line


def work(config: AtariRunConfig) -> None:
    """Runs every seed."""
    # Imported here, so that a question or a mistake on the command line is answered at once.
    from experiments.atari.run import EXPERIMENT

    EXPERIMENT.run_all(config)


def main() -> int:
    """Runs the experiment; 0 if every seed completed, 2 if the user has something to mend."""
    return command_line.run(AtariRunConfig, work, __doc__)


if __name__ == "__main__":
    sys.exit(main())
