"""Fits an encoder on a folder of videos, for --encoder-folder of the imitations."""

from __future__ import annotations

import sys

from experiments.any_environment.fit_config import FitEncoderConfig
from experiments.runs import command_line

AGAIN = "The same command goes on."


def work(config: FitEncoderConfig) -> None:
    """Fits."""
    # Imported here, so that a question or a mistake on the command line is answered at once.
    from experiments.any_environment.encoder_fit import fit_encoder

    fit_encoder(config)


def main() -> int:
    """Fits; 0 if it worked, 2 if the user has something to mend."""
    return command_line.run(FitEncoderConfig, work, __doc__, AGAIN)


if __name__ == "__main__":
    sys.exit(main())
