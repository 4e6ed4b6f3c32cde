"""The table of imitations in several environments: a line each, with the share of every method."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from experiments.sweep.aggregates import Interval, bootstrap_interval

METHODS = {"tcn": "TCN", "random": "untrained TCN", "none": "pixels", "oracle": "true state"}
"""Columns, by the names of methods."""


def shares(rows: Sequence[Mapping[str, str]], method: str) -> Interval | None:
    """Where a method's true returns lie between random actions, 0, and the demonstration, 1; None without runs."""
    found = [float(row["share"]) for row in rows if row["method"] == method and row["share"]]
    return bootstrap_interval(found) if found else None


def markdown(tables: Sequence[Sequence[Mapping[str, str]]]) -> str:
    """The table.

    Args:
        tables: The runs of every environment.
    """
    heads = ["environment", "agent, steps", "random actions", "demonstration", *METHODS.values(), "runs"]
    lines = [f"| {' | '.join(heads)} |", "|---" * len(heads) + "|"]
    for rows in tables:
        first = rows[0]
        done = [row for row in rows if row["status"] == "completed"]
        cells = [
            f"`{first['env']}`",
            f"{first['algo'].upper()}, {int(first['steps']):,}",
            f"{float(first['random_return']):.1f}",
            f"{float(done[0]['demonstration_return']):.1f}",
            *(("" if (share := shares(rows, method)) is None else share.text(".2f")) for method in METHODS),
            f"{len(done)} of {len(rows)}",
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)
