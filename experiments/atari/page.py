"""The page of a run on a game."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from experiments.report.run_page import Curve, Picture, RunPage, figures

FIGURES = {
    "game_score": "score of a game",
    "random_score": "score of a game with random actions",
    "env_steps": "agent steps",
    "env_steps_per_second": "agent steps a second",
}

CURVES = (
    Curve("true_return", "score", "Mean over the last games, with sampled actions."),
    Curve("learned_return", "learned return", "Mean over the last games of what the agent was given."),
)

PICTURES = (
    Picture("mask.mp4", "The mask", "Where the agent looks while it plays."),
    Picture("reconstruction.png", "Reconstruction", "What the attention module was trained for."),
)


def game_page(result: Mapping[str, Any]) -> RunPage:
    """The page of a run.

    Args:
        result: What ``result.json`` is going to hold.
    """
    ours, chance = result["game_score"], result["random_score"]
    summary = f"The agent scores {ours:,.0f} in a game of {result['game']}; random actions score {chance:,.0f}."
    table = figures("Evaluation", f"Sampled actions, {len(result['scores'])} games.", FIGURES, result)
    return RunPage(summary, table, CURVES, PICTURES)
