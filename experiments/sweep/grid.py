"""The grid of a benchmark: methods by name, times tasks, times seeds."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, NamedTuple

from encoders.errors import check_choice, check_seed, check_seeds
from encoders.files import read_toml
from experiments.sweep.routing import ENCODER, Config, split_settings, with_settings

MARK = "@"
"""Separates an encoder's name from a label of its settings."""

PRESET_FOLDER = Path(__file__).parents[1] / "presets"


@dataclass(frozen=True)
class Method:
    """A combination of encoder, agent and reward.

    Attributes:
        label: Short name in tables and figures.
        encoder: Name of the encoder, as the suite's experiment has it.
        settings: Of the encoder itself (``encoder.NAME=VALUE``) and of the run (``NAME=VALUE``, as on its command
            line).
        algo: The agent.
        reward: Name of the reward.
    """

    label: str
    encoder: str
    algo: str
    reward: str
    settings: tuple[str, ...] = ()

    @property
    def encoder_settings(self) -> tuple[str, ...]:
        """The encoder's own settings, NAME=VALUE."""
        return split_settings(self.settings)[0]

    @property
    def run_settings(self) -> dict[str, str]:
        """The settings of the run, texts by their paths in its config."""
        return split_settings(self.settings)[1]

    def configured(self, config: Config, changes: Mapping[str, Any]) -> Config:
        """A run's config with this method's settings of the run.

        Args:
            config: With everything that neither the method nor the changes name.
            changes: What else the method, or a cell of it, says of the run, by the paths of attributes.

        Raises:
            ValueError: If a setting cannot be used.
        """
        settings = self.run_settings
        try:
            return with_settings(config, settings, changes)
        except ValueError as error:
            if not settings:
                raise
            unknown = any(not hasattr(config, path.partition(".")[0]) for path in settings)
            hint = f" A setting of the encoder itself begins with {ENCODER!r}." if unknown else ""
            raise ValueError(f"The settings of {self.label!r} cannot be used: {error}{hint}") from error


class Measure(NamedTuple):
    """A figure of the results, as shown in tables.

    Attributes:
        key: Its name in ``result.json``.
        label: The table's heading, with the unit.
        factor: What the stored value is multiplied by.
        digits: Decimals.
    """

    key: str
    label: str
    factor: float
    digits: int


class Reference(NamedTuple):
    """The method whose normalised score is 1.

    Attributes:
        method: Its label.
        says: What it is, in a caption.
    """

    method: str
    says: str


class Scoring(NamedTuple):
    """How the runs of a suite are scored.

    Attributes:
        measures: Raw figures in addition to the normalised score.
        reference: The method whose normalised score is 1.
        learned: Whether agents are trained on another return than the true one.
    """

    measures: tuple[Measure, ...]
    reference: Reference
    learned: bool


@dataclass(frozen=True)
class Cell:
    """One training: a method on a task with a seed.

    Attributes:
        env: Name of the suite.
        method: The method.
        task: Number of the task, such as the demonstration.
        seed: Seed of everything random in it.
        steps: Environment steps of training.
    """

    env: str
    method: Method
    task: int
    seed: int
    steps: int

    @property
    def name(self) -> str:
        """Unique in its grid, fit for a file name."""
        return f"{self.method.label}-{self.method.algo}-task{self.task}-seed{self.seed}".replace(" ", "_")


@dataclass(frozen=True)
class Grid:
    """The grid of a benchmark, by names.

    Attributes:
        env: The suite.
        encoders: Encoders of the learners.
        algos: The agents.
        rewards: Rewards of the agents.
        tasks: Numbers of the tasks.
        seeds: One training a seed.
        steps: Environment steps of one training; 0 for the suite's default.
        encoder_settings: Settings of a method by its encoder's name: ``encoder.NAME=VALUE`` for the encoder's own,
            ``NAME=VALUE`` for those of the run, with dots as on the command line. A name may carry a mark, such as
            ``tcn@large``, so that one encoder takes part with several settings.
        without: Combinations to leave out, ``encoder/algo/reward``.
    """

    env: str = "kuka_reach"
    encoders: tuple[str, ...] = ("tcn",)
    algos: tuple[str, ...] = ("ppo",)
    rewards: tuple[str, ...] = ("tcn_huber", "oracle")
    tasks: tuple[int, ...] = (0,)
    seeds: tuple[int, ...] = (0, 1, 2)
    steps: int = 0
    encoder_settings: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    without: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for name in ("encoders", "algos", "rewards", "tasks", "seeds"):
            values = getattr(self, name)
            if not values:
                raise ValueError(f"The grid is empty: {name} names nothing; name at least one.")
            if len(set(values)) < len(values):
                raise ValueError(f"{name} are {values}; name each once.")
        if min(*self.tasks, *self.seeds, self.steps) < 0:
            raise ValueError(f"tasks {self.tasks}, seeds {self.seeds} and steps {self.steps} must not be negative.")
        check_seeds(self.seeds)
        check_seed("the largest of tasks", max(self.tasks))
        for name in self.encoder_settings:
            check_choice("encoder with settings", name, self.encoders)
        for name in self.encoders:
            if MARK in name and name not in self.encoder_settings:
                raise ValueError(f"{name!r} marks settings of its own, and encoder_settings has none for it.")
        combinations = [f"{e}/{a}/{r}" for e in self.encoders for a in self.algos for r in self.rewards]
        for combination in self.without:
            check_choice("combination to leave out", combination, combinations)

    def methods(self, resolve: Callable[[str, str, str, tuple[str, ...]], Method]) -> list[Method]:
        """Every combination of encoder, agent and reward once, as the suite resolves it.

        Args:
            resolve: (encoder, algo, reward, settings) -> method; two combinations may mean one method.

        Raises:
            ValueError: If all combinations are left out.
        """
        found: dict[Method, None] = {}
        for algo in self.algos:
            for encoder in self.encoders:
                for reward in self.rewards:
                    if f"{encoder}/{algo}/{reward}" not in self.without:
                        found[resolve(encoder, algo, reward, tuple(self.encoder_settings.get(encoder, ())))] = None
        if not found:
            raise ValueError("The grid is empty: every combination is left out by `without`.")
        return list(found)

    def cells(self, methods: list[Method], steps: int) -> list[Cell]:
        """Every training; the tasks and seeds of a method follow one another last, so that all methods grow together.

        Args:
            methods: What ``methods`` gave.
            steps: Environment steps where the grid names none.
        """
        return [
            Cell(self.env, method, task, seed, self.steps or steps)
            for seed in self.seeds
            for task in self.tasks
            for method in methods
        ]


def preset_names() -> list[str]:
    """Every committed preset."""
    return sorted(path.stem for path in PRESET_FOLDER.glob("*.toml"))


def read_preset(name: str) -> Grid:
    """Reads a grid from a committed preset, or from a TOML file of one's own.

    Args:
        name: A preset's name, or a path that ends with ``.toml``.

    Raises:
        ValueError: If there is none, or it holds a wrong key or value; the line is named.
    """
    path = Path(name)
    if not name.endswith(".toml"):
        check_choice("preset", name, preset_names())
        path = PRESET_FOLDER / f"{name}.toml"
    text, content = read_toml(path, "preset", f"mend it, or name one of {', '.join(preset_names())}")
    known = {part.name: part for part in fields(Grid)}
    values: dict[str, Any] = {}
    for key, value in content.items():
        where = f"{path}, line {_line(text, key)}"
        try:
            check_choice("key", key, known)
        except ValueError as error:
            raise ValueError(f"{where}: {error}") from error
        values[key] = _checked(key, value, where)
    try:
        return Grid(**values)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error


def _line(text: str, key: str) -> int:
    """Line number of a key, from 1."""
    found = re.search(rf"^\s*\[?{re.escape(key)}\b", text, re.MULTILINE)
    return text[: found.end()].count("\n") + 1 if found else 1


def _checked(key: str, value: Any, where: str) -> Any:
    """A preset's value, checked and converted to the grid's type."""
    if key == "encoder_settings":
        if not isinstance(value, dict) or not all(_are(part, str) for part in value.values()):
            raise ValueError(f"{where}: {key} must be a table of lists of NAME=VALUE; got {value!r}.")
        return {name: tuple(part) for name, part in value.items()}
    wanted: type[Any] = int if key in ("tasks", "seeds", "steps") else str
    if key in ("env", "steps"):
        if type(value) is not wanted:
            raise ValueError(f"{where}: {key} must be one value of type {wanted.__name__}; got {value!r}.")
        return value
    if not _are(value, wanted):
        raise ValueError(f"{where}: {key} must be a list of {wanted.__name__} values; got {value!r}.")
    return tuple(value)


def _are(value: Any, wanted: type[Any]) -> bool:
    return isinstance(value, list) and all(type(part) is wanted for part in value)
