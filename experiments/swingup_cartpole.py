"""An agent swings up dm_control's cartpole from pixels, with keypoints, an auto-encoder, both or neither."""

from __future__ import annotations

import sys

from experiments.cartpole.config import SwingUpConfig
from experiments.runs import command_line


def work(config: SwingUpConfig) -> None:
    """Runs every seed."""
    # Imported here, so that a question or a mistake on the command line is answered at once.
    from experiments.cartpole.swingup import train_all

    train_all(config)


def main() -> int:
    """Runs the experiment; 0 if every seed completed, 2 if the user has something to mend."""
    return command_line.run(SwingUpConfig, work, __doc__)


if __name__ == "__main__":
    sys.exit(main())
