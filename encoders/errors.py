"""Messages for wrong names: the value received, the values allowed, and the nearest one."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


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
