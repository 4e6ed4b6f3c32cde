"""The cartpole as the benchmark sees it: settings of methods, and presets."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from small_swingups import shrink

from experiments.cartpole.config import SwingUpConfig
from experiments.cartpole.second_encoder import Distilled
from experiments.cartpole.suite import CartpoleSuite
from experiments.sweep.grid import Cell, preset_names, read_preset


@pytest.fixture(scope="module", autouse=True)
def small() -> Iterator[None]:
    """Frames of 16 pixels, episodes of 8 steps."""
    with pytest.MonkeyPatch.context() as patch:
        shrink(patch)
        yield


def test_the_benchmark_gives_settings_to_run_learning_and_encoder() -> None:
    suite = CartpoleSuite(SwingUpConfig())
    settings = (
        "observe.mode=frozen",
        "learning.learning_rate=2e-4",
        "observe.auxiliary.weight=0.5",
        "learning.layer_norm=false",
        "observe.precision=float32",
        "encoder.keypoints=4",
    )
    cell = Cell("cartpole", suite.method("sac_imm@mine", "sac", "task", settings), 2, 5, 1_250)
    config = suite.config(cell, Path("here"))
    assert (config.frames.mode, config.task, config.seeds) == ("frozen", "balance", (5,))
    assert config.learning.learning_rate == 2e-4
    assert config.frames.auxiliary.weight == 0.5
    assert config.learning.layer_norm is False
    assert config.frames.precision == "float32"
    assert config.frames.settings == ("keypoints=4",)
    assert suite.folder(cell, Path("here")) == Path("here/balance-sac_imm@mine-cpu/seed_5")
    second = suite.method(
        "sac_ae@mine",
        "sac",
        "task",
        (
            "observe.second.settings=keypoints=4,features=heat_maps",
            "observe.second=distilled",
            "observe.second.weight=3",
        ),
    )
    config = suite.config(Cell("cartpole", second, 0, 0, 1_250), Path("here"))
    assert config.frames.second == Distilled("imm", ("keypoints=4", "features=heat_maps"), 3.0)
    assert config.frames.settings == ()
    with pytest.raises(ValueError, match="Unknown observation"):
        suite.method("tcn", "sac", "task", ())
    with pytest.raises(ValueError, match=r"settings of 'sac' cannot be used: layer_norm=no: Unknown switch 'no'"):
        suite.method("sac", "sac", "task", ("learning.layer_norm=no",))
    with pytest.raises(
        ValueError, match=r"settings of 'sac' cannot be used: n_steps=1\.5: It must be a value of type int"
    ):
        suite.method("sac", "sac", "task", ("learning.n_steps=1.5",))
    with pytest.raises(ValueError, match="'sac_state' sees through no encoder"):
        suite.method("sac_state", "sac", "task", ("encoder.keypoints=4",))
    with pytest.raises(ValueError, match="Unknown setting of State 'shift'"):
        suite.method("sac_state", "sac", "task", ("observe.shift=4",))


def test_a_preset_sets_an_encoders_own_names_that_the_run_has_too() -> None:
    suite = CartpoleSuite(SwingUpConfig())
    settings = (
        "observe.encoder=tcn",
        "encoder.hidden=32",
        "encoder.videos=3",
        "learning.hidden=64",
        "observe.auxiliary.videos=5",
    )
    config = suite.config(Cell("cartpole", suite.method("sac_imm@tcn", "sac", "task", settings), 0, 0, 1_250), Path())
    assert (config.frames.encoder, config.frames.settings) == ("tcn", ("hidden=32", "videos=3"))
    assert (config.learning.hidden, config.frames.auxiliary.videos) == (64, 5)


@pytest.mark.parametrize("preset", [name for name in preset_names() if name.startswith("cartpole")])
def test_presets_of_the_cartpole_are_whole(preset: str) -> None:
    grid = read_preset(preset)
    suite = CartpoleSuite(SwingUpConfig())
    for encoder in grid.encoders:
        suite.method(encoder, "sac", "task", tuple(grid.encoder_settings.get(encoder, ())))
