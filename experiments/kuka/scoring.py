"""How runs of this suite are scored; importing it loads no simulator."""

from __future__ import annotations

from experiments.sweep.grid import Measure, Reference, Scoring

SCORING = Scoring(
    measures=(
        Measure("link_error_m", "link error, cm", 100.0, 2),
        Measure("joint_error_rad", "joint error, rad", 1.0, 3),
        Measure("reward_rank_correlation", "audit", 1.0, 2),
    ),
    reference=Reference("oracle", "the true reward's runs"),
    learned=True,
)
