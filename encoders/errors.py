"""Errors about wrong names and numbers, with the value received and the values allowed."""

from __future__ import annotations

import difflib
import math
import numbers
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

LARGEST_SEED = 2**32 - 1
"""NumPy's global generator, which Stable-Baselines3 draws from, takes no larger one."""


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
    near = difflib.get_close_matches(str(value), names, n=max(1, len(names)))
    hint = f" Did you mean {min(near, key=lambda name: _slips(str(value), name))!r}?" if near else ""
    raise ValueError(f"Unknown {what} {value!r}.{hint} Allowed: {', '.join(names)}.")


def is_whole(value: object) -> bool:
    """Whether a value is an integer of any kind, but not a boolean."""
    return isinstance(value, numbers.Integral) and not isinstance(value, bool)


def check_steps_done(time: Any, horizon: int) -> int:
    """Refuses a number of steps that an episode cannot begin after.

    Args:
        time: The ``time`` of a reset's options, or of its info.
        horizon: Steps of an episode.

    Raises:
        ValueError: If it is no whole number from 0 to the last but one step.
    """
    if not is_whole(time) or not 0 <= time < horizon:
        raise ValueError(f"time is {time!r}; it must be a whole number of steps done, from 0 to {horizon - 1}.")
    return int(time)


def beyond_path(steps: int, length: int) -> ValueError:
    """The error of an episode that runs past the end of the path it is compared with.

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


def _slips(typed: str, meant: str) -> int:
    """Letters left out, put in, changed, or swapped with the next (optimal string alignment distance)."""
    before: list[int] = []
    last = list(range(len(meant) + 1))
    for row, letter in enumerate(typed, 1):
        line = [row]
        for column, wanted in enumerate(meant, 1):
            fewest = min(last[column] + 1, line[-1] + 1, last[column - 1] + (letter != wanted))
            if row > 1 and column > 1 and typed[row - 2 : row] == wanted + meant[column - 2]:
                fewest = min(fewest, before[column - 2] + 1)
            line.append(fewest)
        before, last = last, line
    return last[-1]


def check_at_least(least: int, values: Mapping[str, int]) -> None:
    """Refuses the first number that is too small.

    Args:
        least: What all must be at least.
        values: The numbers, by what the user calls them.

    Raises:
        ValueError: If one is smaller; it names that one alone.
    """
    for what, value in values.items():
        if value < least:
            raise ValueError(f"{what} is {value}; it must be at least {least}.")


def check_norm(norm: float) -> None:
    """Refuses a length that embeddings cannot be scaled to.

    Raises:
        ValueError: If it is not finite and above 0.
    """
    if not 0 < norm < math.inf:
        raise ValueError(f"norm is {norm}; the length of every embedding must be finite and above 0.")


def check_seeds(seeds: Sequence[int], largest: int = LARGEST_SEED) -> None:
    """Refuses seeds that are empty, repeated or out of range.

    Args:
        seeds: One a run.
        largest: That the runs' generators take.

    Raises:
        ValueError: If there are none, one is negative or too large, or one comes twice.
    """
    if not seeds or len(set(seeds)) < len(seeds) or min(seeds) < 0:
        raise ValueError(f"seeds are {tuple(seeds)}; name at least one, each once, none negative.")
    if max(seeds) > largest:
        raise ValueError(f"seeds are {tuple(seeds)}; the largest that the generators take is {largest}.")


def check_seed(what: str, seed: int) -> None:
    """Refuses a number that generators cannot be seeded with.

    Args:
        what: What it is the seed of, as the user calls it.
        seed: The number.

    Raises:
        ValueError: If it is negative or too large.
    """
    if not 0 <= seed <= LARGEST_SEED:
        raise ValueError(f"{what} is {seed}; it must be at least 0 and at most {LARGEST_SEED}.")


def check_folder_name(what: str, name: str) -> None:
    """Refuses a name that would lead out of the folder in which it is to name another.

    Args:
        what: What is named, as the user calls it.
        name: The name.

    Raises:
        ValueError: If it is a path, or one of the names that stand for other folders.
    """
    if name in (".", "..") or any(mark in name for mark in "/\\\0"):
        raise ValueError(f"{what} is {name!r}; it names a folder, so it must not be a path.")


def check_figures(what: str, figures: Mapping[str, Any]) -> None:
    """Refuses NaN and infinity in figures before they are written: JSON has neither.

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
