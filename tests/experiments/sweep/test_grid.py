"""Grids: what a benchmark runs through, from flags or a preset."""

from __future__ import annotations

from pathlib import Path

import pytest

from experiments.suites import get
from experiments.sweep.grid import Grid, Method, preset_names, read_preset


def resolve(encoder: str, algo: str, reward: str, settings: tuple[str, ...]) -> Method:
    return Method(encoder, encoder, algo, reward, settings)


def test_a_grid_is_every_combination_once() -> None:
    grid = Grid(encoders=("tcn", "smak"), algos=("ppo", "sac"), tasks=(0, 1), seeds=(0, 1, 2))
    methods = grid.methods(get("kuka_reach").method)
    assert [(m.label, m.algo) for m in methods] == [
        ("tcn", "ppo"),
        ("oracle", "ppo"),
        ("smak", "ppo"),
        ("tcn", "sac"),
        ("oracle", "sac"),
        ("smak", "sac"),
    ]
    cells = grid.cells(methods, 100)
    assert len(cells) == len({cell.name for cell in cells}) == 6 * 2 * 3
    assert {cell.steps for cell in cells} == {100}
    assert {cell.steps for cell in Grid(steps=7).cells(methods, 100)} == {7}


def test_names_mean_what_the_kuka_makes_of_them() -> None:
    suite = get("kuka_reach")
    assert suite.method("none", "ppo", "tcn_huber", ()) == Method("none", "none", "ppo", "pixels")
    assert suite.method("random", "ppo", "tcn_huber", ()) == Method("random", "tcn", "ppo", "random")
    assert suite.method("tcn@large", "ppo", "tcn_huber", ("encoder.hidden=256",)) == Method(
        "tcn@large", "tcn", "ppo", "tcn_huber", ("encoder.hidden=256",)
    )
    assert suite.method("smak", "a2c", "oracle", ()) == Method("oracle", "none", "a2c", "oracle")
    assert suite.method("smak", "ppo", "pixels", ("encoder.a=1",)) == Method(
        "smak pixels", "smak", "ppo", "pixels", ("encoder.a=1",)
    )


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (("tcm", "ppo", "oracle"), "Unknown encoder 'tcm'. Did you mean 'tcn'"),
        (("tcn", "pp", "oracle"), "Unknown algorithm 'pp'. Did you mean 'ppo'"),
        (("tcn", "ppo", "oracel"), "Unknown reward 'oracel'. Did you mean 'oracle'"),
        (("tcn", "ppo", "random"), "Unknown reward 'random'"),
    ],
)
def test_unknown_names_are_refused_with_the_nearest(names: tuple[str, str, str], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        get("kuka_reach").method(*names, ())


def test_an_unknown_environment_is_refused() -> None:
    with pytest.raises(ValueError, match="Did you mean 'kuka_reach'"):
        get("kuka_reech")


@pytest.mark.parametrize("name", ["encoders", "algos", "rewards", "tasks", "seeds"])
def test_an_empty_grid_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match=f"The grid is empty: {name} names nothing"):
        Grid(**{name: ()})  # type: ignore[arg-type]


def test_a_grid_with_everything_left_out_is_refused() -> None:
    with pytest.raises(ValueError, match="every combination is left out"):
        Grid(rewards=("oracle",), without=("tcn/ppo/oracle",)).methods(resolve)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"seeds": (0, 0)}, "name each once"),
        ({"seeds": (-1,)}, "must not be negative"),
        ({"encoder_settings": {"smak": ("levels=12",)}}, "Unknown encoder with settings 'smak'"),
        ({"encoders": ("tcn@large",)}, "'tcn@large' marks settings of its own"),
        ({"without": ("tcn/ppo/oracl",)}, "Did you mean 'tcn/ppo/oracle'"),
    ],
)
def test_a_grid_that_makes_no_sense_is_refused(settings: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Grid(**settings)  # type: ignore[arg-type]


def test_combinations_can_be_left_out() -> None:
    methods = Grid(encoders=("tcn", "smak"), without=("smak/ppo/oracle",)).methods(resolve)
    assert [(m.encoder, m.reward) for m in methods] == [("tcn", "tcn_huber"), ("tcn", "oracle"), ("smak", "tcn_huber")]


@pytest.mark.parametrize("name", preset_names())
def test_every_committed_preset_is_a_grid_of_known_methods(name: str) -> None:
    grid = read_preset(name)
    assert grid.cells(grid.methods(get(grid.env).method), 100)


def test_a_preset_of_ones_own_is_read(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text('encoders = ["smak"]\nseeds = [3]\n[encoder_settings]\nsmak = ["levels=12"]\n')
    grid = read_preset(str(path))
    assert (grid.encoders, grid.seeds) == (("smak",), (3,))
    assert grid.methods(resolve)[0].settings == ("levels=12",)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('env = "kuka_reach"\n\nencoder = ["tcn"]\n', "line 3: Unknown key 'encoder'. Did you mean 'encoders'"),
        ('env = "kuka_reach"\nseeds = [0, "1"]\n', "line 2: seeds must be a list of int"),
        ("seeds = [0]\nsteps = [1]\n", "line 2: steps must be one value of type int"),
        ('encoders = ["tcn"]\n[encoder_settings]\ntcn = "a=1"\n', "line 2: encoder_settings must be a table"),
        ("seeds = [0]\nsteps = 1 2\n", "is no TOML: .*line 2"),
        ("seeds = []\n", "The grid is empty: seeds"),
        ("seeds = [4294967296]\n", "the largest that the generators take is 4294967295"),
        ("tasks = [4294967296]\n", "the largest of tasks is 4294967296"),
        ("a = " + "[" * 100_000, "damaged or of another kind .RecursionError.; mend it, or name one of"),
        ("a = {b = " * 5_000, "wrong.toml .*; mend it, or name one of"),
    ],
)
def test_a_wrong_preset_is_refused_with_its_line(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "wrong.toml"
    path.write_text(text)
    with pytest.raises(ValueError, match=message):
        read_preset(str(path))


def test_a_preset_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="Did you mean 'kuka_encoders'"):
        read_preset("kuka_encoder")
    with pytest.raises(ValueError, match="There is no preset at"):
        read_preset(str(tmp_path / "no.toml"))


def test_a_preset_that_is_no_text_is_named(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_bytes(b'env = "\xff"\n')
    with pytest.raises(ValueError, match=r"preset .*mine\.toml is damaged .*; mend it, or name one of .*kuka_encoders"):
        read_preset(str(path))


def test_a_committed_presets_name_is_no_path(tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text("seeds = [3]\n")
    with pytest.raises(ValueError, match="Unknown preset"):
        read_preset(str(tmp_path / "mine"))
