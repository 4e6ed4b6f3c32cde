"""What runs of this suite are judged by; no simulator is loaded for it."""

from __future__ import annotations

from experiments.sweep.grid import Measure, Reference, Scoring

SCORING = Scoring(
    measures=(
        Measure("true_return", "return", 1.0, 0),
        Measure("updates_per_second", "updates a second", 1.0, 1),
    ),
    reference=Reference("sac_state", "the runs on the true state"),
    learned=False,
)
