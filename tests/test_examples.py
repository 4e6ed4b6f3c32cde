"""The examples, as their readers use them: an installed package, and one file in the current folder."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch
from gymnasium.utils.env_checker import check_env
from small_fits import TRAINING, VALIDATION

import encoders
from encoders.training.fit import FitConfig, fit
from envs.snapshots import SnapshotStarts

ROOT = Path(__file__).parents[1]
EXAMPLES = ROOT / "examples"
PIP = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet"]

TINY = {
    "env.horizon": 16,
    "env.image-size": 32,
    "steps": 64,
    "envs": 2,
    "workers": 1,
    "episodes": 2,
    "play.episodes": 6,
    "play.validation": 2,
    "play.demonstrations": 3,
    "fit.steps": 4,
    "fit.validate-every": 2,
    "fit.validation-batches": 1,
    "teacher.algo": "ppo",
    "teacher.steps": 256,
    "teacher.attempts": 1,
    "out": "runs",
}
"""Flags of an imitation of seconds."""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the example package is installed, from a copy: setuptools leaves folders behind."""
    source, site = tmp_path_factory.mktemp("source") / "package", tmp_path_factory.mktemp("site")
    shutil.copytree(EXAMPLES / "onlooker_example", source)
    subprocess.run([*PIP, "install", "--no-deps", "--no-build-isolation", "--target", site, source], check=True)
    return site


@pytest.fixture
def example(site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The installed package, where this process finds it."""
    monkeypatch.syspath_prepend(site)


def imitated(folder: Path, path: tuple[Path, ...], *flags: str) -> dict[str, Any]:
    """The result of a tiny imitation from the command line, which must have left its page."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, (ROOT, *path)))}
    small = [word for name, value in TINY.items() for word in (f"--{name}", str(value))]
    command = [sys.executable, str(ROOT / "experiments/imitate.py"), *flags, *small]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=200)
    assert done.returncode == 0, done.stderr[-2000:]
    (page,) = folder.glob("runs/*/seed_0/report.html")
    assert "<html" in page.read_text()
    result: dict[str, Any] = json.loads((page.parent / "result.json").read_text())
    assert result["status"] == "completed"
    return result


def test_an_installed_package_adds_an_encoder_and_an_environment(site: Path, tmp_path: Path) -> None:
    flags = ["--encoder", "slow_features", "--encoder-settings", "features=8"]
    result = imitated(tmp_path, (site,), "--env.id", "onlooker_example:PushedPoint-v0", *flags)
    assert (result["env"], result["encoder"]) == ("onlooker_example:PushedPoint-v0", "slow_features")
    assert result["starts_where_the_video_does"]
    (saved,) = tmp_path.glob("runs/*/seed_0/encoder/config.json")
    assert json.loads(saved.read_text())["features"] == 8


def test_an_environment_of_one_file_in_the_current_folder_is_imitated_to_its_page(tmp_path: Path) -> None:
    source = EXAMPLES / "my_environment.py"
    assert sum(1 for line in source.read_text().splitlines() if line.strip()) <= 40
    shutil.copy(source, tmp_path)
    result = imitated(tmp_path, (), "--env.id", "my_environment:MyEnv-v0")
    assert result["env"] == "my_environment:MyEnv-v0"
    assert result["starts_where_the_video_does"]


def test_the_environments_are_as_gymnasium_wants_them_and_can_be_set(
    example: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(EXAMPLES)
    for name in ("onlooker_example:PushedPoint-v0", "my_environment:MyEnv-v0"):
        env = gym.make(name, render_mode="rgb_array")
        check_env(env.unwrapped, skip_render_check=False)
        starts = SnapshotStarts(env)
        starts.reset(seed=0)
        for _ in range(5):
            observation = starts.step(env.action_space.sample())[0]
        frame, snapshot = env.render(), starts.take_snapshot()
        starts.reset(seed=1)
        assert not np.array_equal(env.render(), frame)
        np.testing.assert_array_equal(starts.reset(seed=1, options=snapshot)[0], observation)
        np.testing.assert_array_equal(env.render(), frame)
        after = starts.step(np.ones(env.action_space.shape, np.float32))[0]
        assert not np.array_equal(after, observation)


def test_slow_features_learn_to_be_slow_and_not_the_same(example: None, tmp_path: Path) -> None:
    torch.manual_seed(0)
    encoder = encoders.make("slow_features", image_size=16, width=4, features=4)
    figures: list[dict[str, float]] = []
    config = FitConfig(steps=60, validate_every=20, validation_batches=4, learning_rate=1e-2)
    fit(encoder, TRAINING, VALIDATION, config, 0, tmp_path / "fitted", figures.append)
    assert figures[-1]["loss"] < figures[0]["loss"]
    loaded = encoders.load(tmp_path / "fitted")
    video = VALIDATION.videos[0][0]
    spread = loaded.embed_video(video).std(axis=0)
    assert spread.min() > 0.5
    assert float(loaded.distance_scale) < 0.5 * np.linalg.norm(spread)
