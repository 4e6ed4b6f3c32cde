"""Messages for wrong names and numbers: the value received, and the values allowed."""

from __future__ import annotations

import difflib
import math
import numbers
from collections.abc import Iterable, Sequence


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


def is_whole(value: object) -> bool:
    """Whether a value is a whole number: an integer of any kind, but no truth value."""
    return isinstance(value, numbers.Integral) and not isinstance(value, bool)


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
