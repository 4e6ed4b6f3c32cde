"""An agent swings up dm_control's cartpole from pixels, with keypoints, an auto-encoder, both or neither."""

from __future__ import annotations

import sys

from experiments.cartpole.config import SwingConfig
from experiments.cartpole.swingup import swing_all
from experiments.runs import command_line


def main() -> int:
    """Runs the experiment; 0 if every seed completed, 2 if the user has something to mend."""
    return command_line.run(SwingConfig, swing_all, __doc__)


if __name__ == "__main__":
    sys.exit(main())
