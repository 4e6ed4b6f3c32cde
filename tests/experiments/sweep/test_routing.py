"""Settings of a benchmark's methods: the encoder's own, and those of the run by their paths."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import pytest
from doc_pages import ROOT, blocks

from experiments.suites import get
from experiments.sweep.grid import Method, read_preset
from experiments.sweep.routing import split_settings, with_settings


@dataclass(frozen=True)
class Round:
    """One kind of a part."""

    radius: float = 1.0
    names: tuple[str, ...] = ()


@dataclass(frozen=True)
class Square:
    """Another kind."""

    side: int = 2


@dataclass(frozen=True)
class Run:
    """What settings are set in."""

    shape: Round | Square = field(default_factory=Round)
    hole: Square | None = None
    fast: bool = True
    norm: float | None = None
    folder: Path | None = None
    steps: int = 5


def test_what_begins_with_the_encoder_is_its_own_and_of_two_values_the_last_counts() -> None:
    settings = ("encoder.width=8", "steps=1", "encoder.features=heat=maps", "steps=2")
    assert split_settings(settings) == (("width=8", "features=heat=maps"), {"steps": "2"})
    method = Method("tcn", "tcn", "ppo", "oracle", settings)
    assert method.encoder_settings == ("width=8", "features=heat=maps")
    assert method.run_settings == {"steps": "2"}


@pytest.mark.parametrize(
    ("settings", "wanted"),
    [
        ({"steps": "7", "fast": "false"}, Run(fast=False, steps=7)),
        ({"norm": "0.5", "folder": "some/where"}, Run(norm=0.5, folder=Path("some/where"))),
        ({"norm": "none"}, Run()),
        ({"shape.radius": "3", "shape.names": "a,b"}, Run(Round(3.0, ("a", "b")))),
        # In whatever order: first what it is, then what is in it.
        ({"hole.side": "4", "hole": "square", "shape.side": "3", "shape": "square"}, Run(Square(3), Square(4))),
    ],
)
def test_values_are_set_by_their_paths(settings: dict[str, str], wanted: Run) -> None:
    assert with_settings(Run(), settings, {}) == wanted


def test_changes_go_in_with_the_settings_at_once() -> None:
    changed = with_settings(Run(), {"shape.radius": "3"}, {"steps": 1, "shape.names": ("c",)})
    assert changed == Run(Round(3.0, ("c",)), steps=1)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"step": "7"}, "Unknown setting of Run 'step'. Did you mean 'steps'"),
        ({"shape.side": "7"}, "Unknown setting of Round 'side'"),
        ({"steps": "7.5"}, "steps=7.5: It must be a value of type int"),
        ({"fast": "no"}, "fast=no: Unknown switch 'no'.* Allowed: true, false"),
        ({"shape": "circle"}, "Unknown shape 'circle'.* Allowed: round, square"),
        ({"hole.side": "4"}, "hole is None, which has no side; say first which hole it is"),
        ({"steps.more": "4"}, "steps is 5, which has no more"),
    ],
)
def test_wrong_settings_are_refused(settings: dict[str, str], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        with_settings(Run(), settings, {})


def test_what_the_grid_says_is_not_a_settings_to_say() -> None:
    with pytest.raises(ValueError, match=r"steps is not a setting's to say: .* Leave steps=7 out"):
        with_settings(Run(), {"steps": "7"}, {"steps": 3})
    with pytest.raises(ValueError, match="'steps' is no NAME=VALUE"):
        split_settings(("steps",))


def test_a_name_of_the_encoders_is_answered_with_the_way_to_set_it() -> None:
    method = Method("tcn@wide", "tcn", "ppo", "tcn_huber", ("hidden=256",))
    message = r"settings of 'tcn@wide' .* Unknown setting of Run 'hidden'.* encoder itself begins with 'encoder\.'"
    with pytest.raises(ValueError, match=message):
        method.configured(Run(), {})


def test_the_guides_example_of_settings_is_a_preset(tmp_path: Path) -> None:
    (example,) = blocks(ROOT / "docs" / "guides" / "benchmark.md", "toml")
    (tmp_path / "mine.toml").write_text(example)
    grid = read_preset(str(tmp_path / "mine.toml"))
    suite = get(grid.env)
    configs = [
        suite.config(cell, tmp_path)  # type: ignore[attr-defined]
        for cell in grid.cells(grid.methods(suite.method), 50_000)
        if cell.seed == 0 and cell.method.reward != "oracle"
    ]
    assert [config.encoder_mode for config in configs] == ["frozen", "joint", "frozen"]
    assert [config.encoder_settings for config in configs] == [(), (), ("hidden=256",)]
    assert [config.fit.steps == 500 for config in configs] == [False, False, True]
