"""What runs of this suite are judged by; it needs no simulator to be told."""

from __future__ import annotations

from experiments.sweep.grid import Measure, Scoring, Reference

SCORING = Scoring(
    measures=(
        Measure("link_error_m", "link error, cm", 100.0, 2),
        Measure("joint_error_rad", "joint error, rad", 1.0, 3),
        Measure("reward_rank_correlation", "audit", 1.0, 2),
    ),
    reference=Reference("oracle", "the true reward's runs"),
    learned=True,
)
