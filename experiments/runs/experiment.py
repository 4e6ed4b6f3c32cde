"""An experiment: what is its own in a run, and how its runs go from their inputs to the table of all seeds."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Generic

from encoders.device import choose_device
from experiments.runs.folder import Config, Stopwatch, console, run_seeds, run_stages
from experiments.runs.tables import Line, print_results


@dataclass(frozen=True)
class Experiment(Generic[Config]):
    """An experiment: the parts of its runs that are its own.

    Attributes:
        check_inputs: Refuses inputs that would fail later, before anything is written.
        stages: (config, seed, folder, stopwatch) -> the content of ``result.json``.
        write_page: (folder, title, result) -> None; writes the page of a run.
        title: The title of the table of all seeds.
        line: The texts of one result in that table, by column.
    """

    check_inputs: Callable[[Config], None]
    stages: Callable[[Config, int, Path, Stopwatch], dict[str, Any]]
    write_page: Callable[[Path, str, Mapping[str, Any]], None]
    title: Callable[[Config], str]
    line: Callable[[Mapping[str, Any]], Line]

    def run_all(self, config: Config) -> list[dict[str, Any]]:
        """Runs every seed and prints the table.

        Returns:
            The content of every ``result.json``.

        Raises:
            ValueError: If an input is wrong; everything that can be is checked before any long work.
        """
        choose_device(config.device)
        self.check_inputs(config)
        results = run_seeds(config, self.run_seed)
        print_results(console, self.title(config), config, results, self.line)
        return results

    def run_seed(self, config: Config, seed: int) -> dict[str, Any]:
        """Runs all stages of one seed; returns the content of its ``result.json``."""
        title = f"{config.variant}, seed {seed}"
        return run_stages(
            config,
            seed,
            partial(self.stages, config, seed),
            lambda folder, result: self.write_page(folder, title, result),
        )
