"""An agent imitates a video in any environment: record, learn an embedding, audit the reward, train, evaluate."""

from __future__ import annotations

import sys

from experiments.any_environment.config import ImitationConfig
from experiments.runs import command_line


def work(config: ImitationConfig) -> None:
    """Runs every seed."""
    # Imported here, so that a question or a mistake on the command line is answered at once.
    from experiments.any_environment.run import EXPERIMENT

    EXPERIMENT.run_all(config)


def main() -> int:
    """Runs the experiment; 0 if every seed completed, 2 if the user has something to mend."""
    return command_line.run(ImitationConfig, work, __doc__)


if __name__ == "__main__":
    sys.exit(main())
