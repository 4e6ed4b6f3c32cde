"""Tables of the checks, from the figures that they wrote."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

GOOD = ("refused", "right", "reported", "undetectable")

BAD = ("wrong", "other exception", "crash", "hang", "memory")

OUTCOMES = (*GOOD, *BAD)
"""Outcomes for damaged files."""


def _table(heading: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    lines = [heading, ["---"] * len(heading), *rows]
    return "\n".join(f"| {' | '.join(map(str, line))} |" for line in lines)


def damages(figures: Mapping[str, Any]) -> str:
    """A row for each kind of file, with the outcomes of its damaged ones.

    Args:
        figures: What ``damage_check`` wrote.
    """
    rows = []
    total: Counter[str] = Counter()
    for kind, by_damage in figures["by_kind"].items():
        found = sum((Counter(outcomes) for outcomes in by_damage.values()), Counter[str]())
        total += found
        rows.append([kind, found.total(), *(found[outcome] for outcome in OUTCOMES)])
    rows.append(["all", total.total(), *(total[outcome] for outcome in OUTCOMES)])
    return _table(["file", "damaged", *OUTCOMES], rows)


def kills(figures: Mapping[str, Any]) -> str:
    """The table of runs that were killed or met other trouble.

    Args:
        figures: What ``kill_check`` wrote.
    """
    victims = ", ".join(f"{count} {role}" for role, count in sorted(figures["victims"].items()))
    rows = [
        ["kills", f"{figures['kills']} ({victims}), in {figures['lives']} runs"],
        ["runs that survived", figures["survived"]],
        ["runs that ended as the undisturbed one", figures["ended_alike"]],
        *([trouble, outcome] for trouble, outcome in figures["troubles"].items()),
    ]
    return _table(["tried", "result"], rows)


def leaks(figures: Mapping[str, Any]) -> str:
    """A line an environment: memory before, in the middle and after, and what else grew.

    Args:
        figures: What ``leak_check`` wrote.
    """
    config = figures["config"]
    headings = {
        "resets": f"{config['resets']:,} resets, MB",
        "closed": f"{config['copies']} made and closed, MB",
        "dropped": f"{config['copies']} made and dropped, MB",
    }
    rows = []
    for env, found in figures["envs"].items():
        memory = [
            ", ".join(f"{found[part][moment]['memory_mb']:.0f}" for moment in ("before", "middle", "after"))
            for part in headings
        ]
        grown = [
            max(found[part]["after"][name] - found[part]["before"][name] for part in headings)
            for name in ("files", "threads", "processes")
        ]
        rows.append([env, *memory, " / ".join(map(str, grown))])
    return _table(["environment", *headings.values(), "files / threads / processes more"], rows)
