"""Runs on a game, small: each mode of attention, cut and resumed, and what is refused before any work."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import ANY

import pytest
import torch
from safetensors.torch import load_file

import encoders
from agents import players
from agents.auxiliary import AuxiliaryConfig
from agents.training import read_curve
from encoders.models.attention import Attention
from encoders.training.fit import FitConfig
from encoders.videos.video import read_video
from envs.atari import AtariConfig, AtariVecEnv
from experiments.atari import figures
from experiments.atari.config import AtariRunConfig, MaskConfig
from experiments.atari.pretraining import random_play
from experiments.atari.run import EXPERIMENT
from experiments.atari.suite import GAMES, AtariSuite
from experiments.runs import learning
from experiments.sweep import benchmark
from experiments.sweep.config import BenchmarkConfig
from experiments.sweep.grid import Cell, preset_names, read_preset

TINY = AtariRunConfig(
    game="breakout",
    steps=480,
    row_steps=80,
    episodes=2,
    precision="float32",
    # Games of 15 steps at most, so that some end between two checkpoints.
    atari=AtariConfig(max_frames=60, noop_max=10),
    auxiliary=AuxiliaryConfig(videos=2),
    training=MaskConfig(1_000, FitConfig(steps=4, validate_every=2, validation_batches=1)),
)


@pytest.fixture(scope="module", autouse=True)
def small() -> Iterator[None]:
    """Films of a second."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(figures, "FILM_STEPS", 15)
        yield


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return load_file(folder / "policy.safetensors")


@pytest.fixture(scope="module")
def joint(small: None, tmp_path_factory: pytest.TempPathFactory) -> tuple[AtariRunConfig, dict[str, Any]]:
    config = replace(TINY, out=tmp_path_factory.mktemp("joint"))
    (result,) = EXPERIMENT.run_all(config)
    return config, result


def test_a_joint_run_leaves_everything_that_a_run_leaves(joint: tuple[AtariRunConfig, dict[str, Any]]) -> None:
    config, result = joint
    folder = config.run_folder(0)
    assert result["status"] == "completed" and result["env_steps"] == 480
    assert len(result["scores"]) == 2 and result["game_score"] == sum(result["scores"]) / 2
    assert json.loads((folder / "result.json").read_text()) == {**result, "digest": ANY}
    assert {"config.json", "provenance.json", "progress.csv", "curves.png", "reconstruction.png"} <= {
        path.name for path in folder.iterdir()
    }
    assert read_video(folder / "mask.mp4").shape[1:] == (336, 3 * 336, 3)
    assert isinstance(encoders.load(folder / "encoder"), Attention)
    page = (folder / "report.html").read_text()
    assert f"scores {result['game_score']:,.0f} in a game of breakout" in page
    assert (page.count("<video"), page.count("<img"), page.count('<figure class="chart"')) == (1, 1, 2)
    assert [row["env_steps"] for row in read_curve(folder / "progress.csv")][-1] == 480


def test_the_mask_of_a_joint_run_has_learned(joint: tuple[AtariRunConfig, dict[str, Any]]) -> None:
    config, _ = joint
    torch.manual_seed(0)
    fresh = encoders.make("attention", latest=1)
    learned = encoders.load(config.run_folder(0) / "encoder")
    for name in ("decoder.layers.0.weight", "mask_generator.0.0.weight", "features.0.weight"):
        assert not torch.equal(fresh.state_dict()[name], learned.state_dict()[name])


def test_a_cut_run_goes_on_and_ends_as_if_it_had_not_been(
    joint: tuple[AtariRunConfig, dict[str, Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = replace(TINY, out=tmp_path)
    original = learning.AuxiliaryLossCallback

    class Cut(original):  # type: ignore[misc, valid-type]
        def _on_rollout_end(self) -> None:
            if self.model.num_timesteps == 400:
                raise KeyboardInterrupt

    monkeypatch.setattr(learning, "AuxiliaryLossCallback", Cut)
    with pytest.raises(KeyboardInterrupt):
        EXPERIMENT.run_all(config)
    monkeypatch.setattr(learning, "AuxiliaryLossCallback", original)
    assert json.loads((config.run_folder(0) / "checkpoint" / "state.json").read_text())["env_steps"] == 240
    (result,) = EXPERIMENT.run_all(replace(config, resume=True))
    whole, uncut = joint
    assert result["scores"] == uncut["scores"]
    expected = weights(whole.run_folder(0) / "agent")
    for key, value in weights(config.run_folder(0) / "agent").items():
        assert torch.equal(value.nan_to_num(), expected[key].nan_to_num()), key
    for row, other in zip(
        read_curve(config.run_folder(0) / "progress.csv"),
        read_curve(whole.run_folder(0) / "progress.csv"),
        strict=True,
    ):
        assert {**row, "seconds": 0} == {**other, "seconds": 0}


@pytest.mark.parametrize(("mask", "steps"), [("own", 4), ("untrained", 0)])
def test_a_frozen_mask_is_trained_before_and_not_with_the_agent(mask: str, steps: int, tmp_path: Path) -> None:
    config = replace(TINY, encoder_mode="frozen", mask=mask, out=tmp_path, steps=80, episodes=1)
    (result,) = EXPERIMENT.run_all(config)
    assert result["mask"] == mask
    before, after = encoders.load(config.mask_folder(0)), encoders.load(config.run_folder(0) / "encoder")
    for key, value in before.state_dict().items():
        assert torch.equal(value.nan_to_num(), after.state_dict()[key].nan_to_num()), key
    torch.manual_seed(0)
    fresh = encoders.make("attention", latest=1)
    moved = not torch.equal(fresh.state_dict()["features.0.weight"], after.state_dict()["features.0.weight"])
    assert moved == (steps > 0)


def test_the_plain_agent_has_no_mask(tmp_path: Path) -> None:
    config = replace(TINY, encoder="none", algo="ppo", out=tmp_path, steps=1024, row_steps=1024, episodes=1)
    (result,) = EXPERIMENT.run_all(config)
    assert result["encoder_mode"] is None and result["mask"] is None
    assert not (config.run_folder(0) / "encoder").exists()
    assert not any("encoder" in key for key in weights(config.run_folder(0) / "agent"))
    venv = AtariVecEnv("breakout", 2, config.atari)
    loaded = players.load_player(config.run_folder(0) / "agent", venv)
    assert all(
        torch.equal(value, loaded.policy.state_dict()[key])
        for key, value in weights(config.run_folder(0) / "agent").items()
    )


def test_a_player_with_a_mask_is_loaded_with_it(joint: tuple[AtariRunConfig, dict[str, Any]], tmp_path: Path) -> None:
    config, _ = joint
    folder = config.run_folder(0) / "agent"
    loaded = players.load_player(folder, AtariVecEnv("breakout", 2, config.atari))
    for key, value in weights(folder).items():
        assert torch.equal(value.nan_to_num(), loaded.policy.state_dict()[key].nan_to_num()), key
    with pytest.raises(ValueError, match=r"There is no agent at .*agent\.json; train the agent again"):
        players.load_player(tmp_path, AtariVecEnv("breakout", 2, config.atari))


def test_a_run_is_the_same_run_in_every_spelling_and_what_it_does_not_use_is_no_part_of_it() -> None:
    plain = AtariRunConfig(game="MsPacman", encoder="none")
    other = AtariRunConfig(game="ms_pacman", encoder="none", training=MaskConfig(frames=2_000))
    assert plain.identity(0) == other.identity(0)
    joint = AtariRunConfig(auxiliary=AuxiliaryConfig(weight=0.5))
    assert joint.identity(0) != AtariRunConfig().identity(0)


def test_a_run_that_exists_is_refused_without_resume(joint: tuple[AtariRunConfig, dict[str, Any]]) -> None:
    config, result = joint
    with pytest.raises(ValueError, match="holds this run already, complete; add --resume"):
        EXPERIMENT.run_all(config)
    assert EXPERIMENT.run_all(replace(config, resume=True)) == [result]
    with pytest.raises(ValueError, match=r"holds another run: .*steps"):
        EXPERIMENT.run_all(replace(config, resume=True, steps=560))


def test_a_mask_of_another_size_or_encoder_is_refused_before_any_work(tmp_path: Path) -> None:
    torch.manual_seed(0)
    unscaled = encoders.make("attention")
    unscaled.distance_scale.fill_(-1.0)
    for name, made, message in (
        ("unscaled", unscaled, r"distance.scale (of )?-1\.0"),
        ("small", encoders.make("attention", image_size=64), r"made for frames of shape \(B, 4, 64, 64\)"),
        ("stack", encoders.make("attention", channels=2), r"made for frames of shape \(B, 2, 84, 84\)"),
        ("tcn", encoders.make("tcn"), "Unknown encoder in .* 'tcn'"),
    ):
        made.save(tmp_path / name)
        config = replace(TINY, encoder_mode="frozen", encoder_folder=tmp_path / name, out=tmp_path / "runs")
        with pytest.raises(ValueError, match=message):
            EXPERIMENT.run_all(config)
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"game": "breakuot"}, "Did you mean 'breakout'"),
        ({"algo": "sac"}, "Unknown algorithm 'sac'"),
        ({"encoder": "atention"}, "Did you mean 'attention'"),
        ({"encoder": "none", "encoder_settings": ("sparsity=1",)}, "has no folder and no settings"),
        ({"mask": "universal"}, "use --encoder-mode frozen"),
        ({"encoder": "none", "encoder_mode": "frozen"}, "has no mask"),
        ({"encoder_mode": "frozen", "encoder_folder": Path("x"), "mask": "universal"}, "with settings of its own"),
        ({"encoder_settings": ("image_size=64",)}, "The frames settle image_size"),
        ({"atari": AtariConfig(image_size=20)}, "frames of 36 pixels or more"),
        ({"encoder_folder": Path("x")}, "add --encoder-mode frozen"),
        ({"encoder_settings": ("sparsity=-1",)}, "sparsity -1.0 finite"),
        ({"row_steps": 100}, "a multiple of the 80 steps"),
        ({"steps": 40}, "at least row_steps"),
        ({"seeds": (1, 1)}, "each once"),
        ({"precision": "half"}, "Unknown precision"),
    ],
)
def test_wrong_settings_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        replace(TINY, **settings)


def test_random_play_is_cut_where_games_end() -> None:
    clips = random_play("breakout", AtariConfig(max_frames=200), 1_600, seed=0)
    assert len(clips) > 16
    assert sum(video.shape[1] for video in clips.videos) <= 1_600
    assert all(video.shape[0] == 1 and video.shape[2:] == (84, 84, 4) for video in clips.videos)
    again = random_play("breakout", AtariConfig(max_frames=200), 1_600, seed=0)
    assert all((first == second).all() for first, second in zip(clips.videos, again.videos, strict=True))


def test_the_papers_settings_are_presets_that_name_runs() -> None:
    suite = AtariSuite(TINY)
    names = [name for name in preset_names() if name.startswith("atari_")]
    assert len(names) >= 4
    for name in names:
        grid = read_preset(name)
        for cell in grid.cells(grid.methods(suite.method), suite.steps):
            config = suite.config(cell, Path("runs"))
            assert config.rom == GAMES[cell.task]
            assert config.resume and config.seeds == (cell.seed,)


def test_a_game_that_is_no_task_is_refused() -> None:
    suite = AtariSuite(TINY)
    cell = Cell("atari", suite.method("none", "a2c", "game", ()), 17, 0, 80)
    with pytest.raises(ValueError, match="Task 17 is no game; there are 5: assault"):
        suite.config(cell, Path("runs"))


def test_a_benchmark_runs_through_games(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    preset = tmp_path / "tiny.toml"
    preset.write_text(
        'env = "atari"\nencoders = ["attention@untrained"]\nalgos = ["a2c"]\nrewards = ["game"]\n'
        "tasks = [3]\nseeds = [0]\nsteps = 80\n"
        "[encoder_settings]\n"
        '"attention@untrained" = ["encoder_mode=frozen", "mask=untrained", "encoder.sparsity=0.01"]\n'
    )
    suite = AtariSuite(replace(TINY, episodes=1))
    monkeypatch.setattr("experiments.atari.suite.SUITE", suite)
    monkeypatch.setattr(benchmark, "_launcher", lambda config: benchmark.launchers.local(1))
    failed = benchmark.benchmark(BenchmarkConfig(preset=str(preset), out=tmp_path / "runs", workers=1))
    assert failed == 0
    table = (tmp_path / "runs" / "tiny" / "table.md").read_text()
    assert "| attention@untrained | a2c | 1 x 1 | 0 |" in table
