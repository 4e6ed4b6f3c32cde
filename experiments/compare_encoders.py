"""Compares encoders: trains and judges them on the same clips, several seeds, and writes the papers' tables."""

from __future__ import annotations

import sys

from experiments.comparison.config import CompareConfig
from experiments.runs import command_line


def work(config: CompareConfig) -> None:
    """Compares."""
    # Imported here, so that a question or a mistake on the command line is answered at once.
    from experiments.comparison.run import compare

    compare(config)


def main() -> int:
    """Compares; 0 if it worked, 2 if the user has something to mend."""
    return command_line.run(CompareConfig, work, __doc__)


if __name__ == "__main__":
    sys.exit(main())
