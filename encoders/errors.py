"""Messages for wrong names and numbers: the value received, and the values allowed."""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np


def check_choice(what: str, value: str, allowed: Iterable[str]) -> None:
    """Refuses a name that is not among the allowed ones.

    Args:
        what: What the name is for, as the user calls it.
        value: The name received.
        allowed: Every name that would do.

    Raises:
        ValueError: If ``value`` is not allowed; it suggests the nearest name.
    """
    names = list(allowed)
    if value in names:
        return
    near = difflib.get_close_matches(str(value), names, n=1)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    raise ValueError(f"Unknown {what} {value!r}.{hint} Allowed: {', '.join(names)}.")


def check_steps_done(time: Any, horizon: int) -> int:
    """Refuses what is no number of steps that an episode can begin after.

    Args:
        time: The ``time`` of a reset's options, or of its info.
        horizon: Steps of an episode.

    Raises:
        ValueError: If it is no whole number from 0 to the last but one step.
    """
    if isinstance(time, bool) or not isinstance(time, (int, np.integer)) or not 0 <= time < horizon:
        raise ValueError(f"time is {time!r}; it must be a whole number of steps done, from 0 to {horizon - 1}.")
    return int(time)


def beyond_path(steps: int, length: int) -> ValueError:
    """The error of an episode that is longer than what it is compared with.

    Args:
        steps: Steps of the episode so far.
        length: Entries of the path, the one of the reset included.
    """
    return ValueError(
        f"The episode is at step {steps}, and its path of {length} entries ends at step {length - 1}. Reset the "
        f"environment there: end episodes after {length - 1} steps (the environment's horizon, or "
        f"gymnasium.wrappers.TimeLimit(env, {length - 1}) inside this wrapper), or give a path of an entry a step and "
        "one for the reset."
    )


def check_norm(norm: float) -> None:
    """Refuses a length that embeddings cannot be scaled to.

    Raises:
        ValueError: If it is not finite and above 0.
    """
    if not 0 < norm < math.inf:
        raise ValueError(f"norm is {norm}; the length of every embedding must be finite and above 0.")


def check_seeds(seeds: Sequence[int]) -> None:
    """Refuses seeds that no runs could be made of.

    Raises:
        ValueError: If there are none, one is negative, or one comes twice.
    """
    if not seeds or len(set(seeds)) < len(seeds) or min(seeds) < 0:
        raise ValueError(f"seeds are {tuple(seeds)}; name at least one, each once, none negative.")


def check_figures(what: str, figures: Mapping[str, Any]) -> None:
    """Refuses figures that are no numbers, before they are written down: JSON knows neither NaN nor infinity.

    Args:
        what: Whose figures they are.
        figures: By name; mappings and lists of figures among them, and what is no figure.

    Raises:
        ValueError: If one is NaN or infinite; it names those that are.
    """
    wrong = [name for name, value in figures.items() if not _finite(value)]
    if wrong:
        raise ValueError(
            f"{what} came to figures that are no numbers: {', '.join(wrong)}. Something grew without bound or had no "
            "difference in it; look at the curves, and lower learning rates or weights."
        )


def _finite(value: Any) -> bool:
    if isinstance(value, Mapping):
        return all(map(_finite, value.values()))
    if isinstance(value, list | tuple):
        return all(map(_finite, value))
    return not isinstance(value, float) or math.isfinite(value)
