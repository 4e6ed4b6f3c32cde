"""How runs of this suite are scored; importing it loads no simulator."""

from __future__ import annotations

from experiments.sweep.grid import Measure, Reference, Scoring

SCORING = Scoring(
    measures=(
        Measure("game_score", "score of a game", 1.0, 0),
        Measure("env_steps_per_second", "steps a second", 1.0, 0),
    ),
    reference=Reference("plain", "the plain agent's runs"),
    learned=False,
)
