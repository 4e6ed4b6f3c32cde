"""What imitations in any environment are judged by; it needs no simulator to be told."""

from __future__ import annotations

from experiments.sweep.grid import Measure, Reference, Scoring

SCORING = Scoring(
    measures=(
        Measure("share", "share of the demonstration's return", 1.0, 2),
        Measure("true_return", "true return", 1.0, 1),
        Measure("demonstration_return", "the demonstration's", 1.0, 1),
        Measure("state_error", "state error", 1.0, 3),
        Measure("reward_rank_correlation", "audit", 1.0, 2),
    ),
    reference=Reference("oracle", "the true state's runs"),
    learned=True,
)
