"""An agent imitates a video of a swing-up on the cartpole, by the distance of embeddings alone."""

from __future__ import annotations

import sys

from experiments.cartpole.imitation_config import CartpoleImitationConfig
from experiments.runs import command_line


def work(config: CartpoleImitationConfig) -> None:
    """Runs every seed."""
    # Imported here, so that a question or a mistake on the command line is answered at once.
    from experiments.cartpole.imitation import EXPERIMENT

    EXPERIMENT.run_all(config)


def main() -> int:
    """Runs the experiment; 0 if every seed completed, 2 if the user has something to mend."""
    return command_line.run(CartpoleImitationConfig, work, __doc__)


if __name__ == "__main__":
    sys.exit(main())
