"""One small set of view pairs, recorded once for all test files."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from experiments.comparison.config import ViewPairsConfig
from experiments.comparison.view_pairs import record_pairs

PAIRS = ViewPairsConfig(videos=6, frames=16, image_size=32)


@cache
def viewed(base: Path) -> Path:
    """The folder of the recordings; ``base`` is the session's temporary folder."""
    folder = base / "viewed"
    record_pairs(PAIRS, folder, workers=1)
    return folder
