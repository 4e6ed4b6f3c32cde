"""Tables on a terminal or in a pipe: no cell is ever cut."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from encoders.files import reading
from experiments.runs.folder import GO_ON, RESULT_FILE, RunConfig

Line = Mapping[str, str]
"""A line of a table: texts by the names of the columns."""


def print_table(console: Console, title: str, lines: Sequence[Line]) -> None:
    """Prints a table; where it is too wide, one block a line, with the columns' names before the texts.

    Args:
        console: Where to.
        title: Above it.
        lines: With the same columns each.
    """
    table = Table(title=escape(title))
    for name in lines[0] if lines else ():
        table.add_column(escape(name), justify="right", no_wrap=True)
    for line in lines:
        table.add_row(*(escape(text) for text in line.values()))
    # Measured as if there were any room: rich would tell what it makes of less.
    if console.measure(table, options=console.options.update(width=10_000)).maximum <= console.width:
        console.print(table)
        return
    console.print(title, markup=False, highlight=False, soft_wrap=True)
    for line in lines:
        console.print()
        for name, text in line.items():
            console.print(f"  {name}: {text}", markup=False, highlight=False, soft_wrap=True)


def print_results(
    console: Console,
    title: str,
    config: RunConfig,
    results: Sequence[Mapping[str, Any]],
    line: Callable[[Mapping[str, Any]], Line],
) -> None:
    """Prints the table that ends the runs, one line a seed.

    Args:
        console: Where to.
        title: Above it.
        config: The runs.
        results: The content of every ``result.json``, in the order of the seeds.
        line: The texts of one, after its seed.

    Raises:
        ValueError: If a result that was read from its file is damaged; it names the file.
    """
    lines = []
    for seed, result in zip(config.seeds, results, strict=True):
        with reading(config.run_folder(seed) / RESULT_FILE, "result", GO_ON):
            lines.append({"seed": str(seed), **line(result)})
    print_table(console, title, lines)
