"""What the page of an imitation in any environment tells."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from experiments.imitation.page import page_of
from experiments.report.run_page import RunPage, figures

FIGURES = {
    "true_return": "true return of the imitation",
    "demonstration_return": "true return of the demonstration",
    "random_return": "true return of random actions",
    "share": "share of the way from random actions to the demonstration",
    "state_error": "distance from the demonstration's state, standard deviations",
    "progress": "share of the demonstration that was reached, where it waits for the imitation",
    "random_state_error": "the same of random actions",
    "env_steps": "environment steps",
    "env_steps_per_second": "environment steps a second",
}


def imitation_page(result: Mapping[str, Any]) -> RunPage:
    """The page of a run in any environment.

    Args:
        result: What ``result.json`` is going to hold.
    """
    summary = f"The imitation's true return is {result['true_return']:.2f}; what the video's is, nobody knows."
    if result["share"] is not None:
        summary = (
            f"The imitation goes {result['share']:.0%} of the way from random actions "
            f"({result['random_return']:.2f}) to the demonstration ({result['demonstration_return']:.2f})."
        )
    return page_of(
        summary, figures("Imitation", "Deterministic policy, from where the video begins.", FIGURES, result), result
    )
