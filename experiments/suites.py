"""Suites of tasks by name, each imported when it is asked for."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any, NamedTuple

from encoders.errors import check_choice
from encoders.plugins import Kind, Known
from experiments.sweep.grid import Scoring
from experiments.sweep.suite import Suite


class Entry(NamedTuple):
    """A suite that is loaded on demand.

    Attributes:
        suite: Gives it, with the simulator that it needs.
        scoring: What its runs are judged by; no simulator is loaded for it.
    """

    suite: Callable[[], Suite]
    scoring: Callable[[], Scoring]

    @classmethod
    def of(cls, suite: Suite) -> Entry:
        """A suite that is loaded."""
        return cls(lambda: suite, lambda: suite.scoring)


def _in(package: str) -> Entry:
    """The suite in a package: ``SUITE`` of its module ``suite``, and ``SCORING`` of its module ``scoring``."""

    def attribute(module: str, name: str) -> Any:
        return getattr(import_module(f"{package}.{module}"), name)

    return Entry(lambda: attribute("suite", "SUITE"), lambda: attribute("scoring", "SCORING"))


GYMNASIUM_ID = re.compile(r"[\w:./-]+-v\d+")
"""What ids of Gymnasium's environments look like; any of them is a suite of its own."""

SUITES: dict[str, Entry] = {
    "kuka_reach": _in("experiments.kuka"),
    "atari": _in("experiments.atari"),
    "cartpole": _in("experiments.cartpole"),
}
"""Every suite that has a name of its own."""

_KIND: Kind[Entry] = Kind(
    "suite", "an Entry of experiments.suites", lambda value: isinstance(value, Entry), lambda entry: entry.suite
)


def register(name: str, entry: Entry) -> None:
    """Makes a suite known by a name.

    Args:
        name: The name that ``env`` of a benchmark takes.
        entry: The suite, such as ``Entry.of(suite)``.

    Raises:
        ValueError: If the name is taken by another one.
    """
    _KIND.add(SUITES, name, entry)


def known() -> Mapping[str, Entry]:
    """Every suite by its name, those of other packages too."""
    return Known(_KIND, SUITES, register)


def get(name: str) -> Suite:
    """A suite by its name.

    Raises:
        ValueError: If it is unknown.
    """
    return _entry(name).suite()


def scoring(name: str) -> Scoring:
    """How the runs of a suite are scored.

    Raises:
        ValueError: If it is unknown.
    """
    return _entry(name).scoring()


def _entry(name: str) -> Entry:
    if name not in known() and GYMNASIUM_ID.fullmatch(name):
        imitation = _in("experiments.any_environment")
        return Entry(
            lambda: import_module("experiments.any_environment.suite").ImitationSuite.of(name), imitation.scoring
        )
    check_choice("environment, or a Gymnasium id such as Reacher-v5", name, known())
    return known()[name]
