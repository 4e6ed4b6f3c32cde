"""An agent swings up dm_control's cartpole from pixels, with keypoints, an auto-encoder, both or neither."""

from __future__ import annotations

import sys

from experiments.cartpole.config import SwingConfig
from experiments.runs import command_line


def work(config: SwingConfig) -> None:
    """Runs every seed."""
    # Imported here, so that a question or a mistake on the command line is answered at once.
    from experiments.cartpole.swingup import swing_all

    swing_all(config)


def main() -> int:
    """Runs the experiment; 0 if every seed completed, 2 if the user has something to mend."""
    return command_line.run(SwingConfig, work, __doc__)


if __name__ == "__main__":
    sys.exit(main())
