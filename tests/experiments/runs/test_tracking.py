"""The figures of a training in a tracker: all of them, nothing else changed, and nothing at all when it is off."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Iterator
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from instant_runs import Counting, count
from small_recordings import arguments, recorded_out, tiny
from stable_baselines3 import PPO
from stable_baselines3.common.env_util import make_vec_env

from agents.checkpoint import restore_checkpoint
from agents.training import read_curve
from encoders.files import FileError
from experiments import imitate_kuka
from experiments.atari import run as atari
from experiments.atari.config import AtariRunConfig
from experiments.cartpole import swingup
from experiments.cartpole.config import SwingUpConfig
from experiments.cartpole.imitation import CartpoleImitation
from experiments.cartpole.imitation_config import CartpoleImitationConfig
from experiments.cartpole.observation import State
from experiments.cartpole.pretraining import Encoders
from experiments.imitation import parallel
from experiments.kuka.config import ImitateConfig
from experiments.kuka.run import KukaImitation
from experiments.runs.choices import check_tracker
from experiments.runs.folder import run_seeds
from experiments.runs.learning import Row, learn_to_end
from experiments.runs.tracking import TrackerOutputFormat, Tracking, tracked, tracking_of

CONFIGS = [ImitateConfig(), AtariRunConfig(), SwingUpConfig(), CartpoleImitationConfig()]

RECORDER = """
calls = []
class Error(Exception): ...
def init(**settings): calls.append(("init", settings))
def log(figures, step): calls.append(("log", step, figures))
def finish(): calls.append(("finish",))
"""
"""A tracker that remembers what it was told."""

EPISODE = 200
"""Steps of an episode of Pendulum."""


@pytest.fixture(params=["wandb", "trackio"])
def recorder(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """The name of a tracker whose package only remembers."""
    name: str = request.param
    folder = tmp_path / "packages"
    folder.mkdir()
    (folder / f"{name}.py").write_text(RECORDER)
    monkeypatch.syspath_prepend(folder)
    monkeypatch.delitem(sys.modules, name, raising=False)
    yield name
    sys.modules.pop(name, None)


def told(name: str) -> list[Any]:
    """What a tracker has been told so far."""
    calls: list[Any] = sys.modules[name].calls
    return calls


def train(folder: Path, tracking: Tracking | None, cut: int | None = None) -> list[Row]:
    """The learning curve of a training of four episodes, without its times; goes on from a checkpoint.

    Args:
        folder: The run's.
        tracking: Where its figures go.
        cut: Steps after which it is interrupted.
    """
    agent = PPO(
        "MlpPolicy", make_vec_env("Pendulum-v1", seed=0), n_steps=EPISODE, batch_size=EPISODE, n_epochs=1, seed=0
    )
    restore_checkpoint(agent, folder / "checkpoint")

    def report(row: Row) -> None:
        if row["env_steps"] == cut:
            raise KeyboardInterrupt

    learn_to_end(
        agent,
        folder,
        0,
        steps=4 * EPISODE,
        row_steps=EPISODE,
        checkpoint_steps=2 * EPISODE,
        report=report,
        restart=lambda steps: agent.get_env().seed(steps),
        tracking=tracking,
    )
    return [{**row, "seconds": 0.0} for row in read_curve(folder / "progress.csv")]


def test_a_tracked_training_is_the_same_and_all_its_rows_are_told(recorder: str, tmp_path: Path) -> None:
    folder = tmp_path / "variant" / "seed_0"
    folder.mkdir(parents=True)
    rows = train(folder, Tracking(recorder, "mine", {"steps": 800, "out": Path("here")}))
    assert rows == train(tmp_path, None)
    (begun, settings), *logged, ended = told(recorder)
    assert (begun, ended) == ("init", ("finish",))
    key = json.loads((folder / "tracking.json").read_text())["id"]
    own = {"id": key, "dir": str(folder), "allow_val_change": True} if recorder == "wandb" else {}
    assert settings == {
        "project": "mine",
        "name": f"variant-seed_0-{key}",
        "config": {"steps": 800, "out": "here"},
        "resume": "allow",
        **own,
    }
    steps = [step for _, step, _ in logged]
    assert steps == sorted(steps)
    assert steps[-1] == 4 * EPISODE
    true = [figures["imitation/true_return"] for _, _, figures in logged if "imitation/true_return" in figures]
    assert true == [row["true_return"] for row in rows]
    assert {"train/loss", "rollout/ep_rew_mean"} <= {name for _, _, figures in logged for name in figures}
    assert all(type(value) is float for _, _, figures in logged for value in figures.values())


def test_a_training_that_was_cut_goes_on_in_the_same_tracked_run(recorder: str, tmp_path: Path) -> None:
    folder, tracking = tmp_path / "variant" / "seed_0", Tracking(recorder, "mine", {})
    folder.mkdir(parents=True)
    with pytest.raises(KeyboardInterrupt):
        train(folder, tracking, cut=3 * EPISODE)
    assert told(recorder)[-1] == ("finish",)
    assert train(folder, tracking) == train(tmp_path, None)
    begun = [call for call in told(recorder) if call[0] == "init"]
    assert len(begun) == 2
    assert begun[0] == begun[1]
    # A run that is complete has nothing to tell.
    before = len(told(recorder))
    train(folder, tracking)
    assert len(told(recorder)) == before


def test_runs_of_one_name_in_two_folders_are_two_tracked_runs(recorder: str, tmp_path: Path) -> None:
    names = set()
    for out in ("a", "b"):
        folder = tmp_path / out / "variant" / "seed_0"
        folder.mkdir(parents=True)
        with tracked(Tracking(recorder, "mine", {}), folder):
            names.add(told(recorder)[-1][1]["name"])
    assert len(names) == 2


def test_nothing_is_imported_when_it_is_off(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("wandb", "trackio"):
        (tmp_path / f"{name}.py").write_text("raise AssertionError('imported')")
        monkeypatch.delitem(sys.modules, name, raising=False)
    monkeypatch.syspath_prepend(tmp_path)
    train(tmp_path, None)
    assert not {"wandb", "trackio"} & set(sys.modules)
    assert not (tmp_path / "tracking.json").exists()
    # To be there is all that is asked before the training.
    check_tracker("wandb")
    assert "wandb" not in sys.modules


def test_what_is_no_number_is_not_told(recorder: str, tmp_path: Path) -> None:
    with tracked(Tracking(recorder, "mine", {}), tmp_path) as (writer,):
        assert isinstance(writer, TrackerOutputFormat)
        writer.write({"a": np.float32(0.5), "b": 2, "c": "text", "d": np.zeros(3), "e": float("nan")}, {}, 7)
        writer.write({"c": "text"}, {}, 8)
    (logged,) = [call for call in told(recorder) if call[0] == "log"]
    assert logged[1] == 7
    assert math.isnan(logged[2].pop("e"))
    assert logged[2] == {"a": 0.5, "b": 2.0}


def test_a_tracker_that_cannot_begin_is_told_in_one_line(
    recorder: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with tracked(Tracking(recorder, "mine", {}), tmp_path):
        pass
    module = sys.modules[recorder]

    def refuse(**_: Any) -> None:
        raise module.Error("No API key configured.")

    monkeypatch.setattr(module, "init", refuse)
    with (
        pytest.raises(ValueError, match=rf"^{recorder} cannot begin: No API key configured\. .*leave --track out\.$"),
        tracked(Tracking(recorder, "mine", {}), tmp_path),
    ):
        pass


def test_a_damaged_name_of_the_tracked_run_is_refused_by_its_file(recorder: str, tmp_path: Path) -> None:
    (tmp_path / "tracking.json").write_text("{}")
    with (
        pytest.raises(FileError, match=r"tracking\.json.*delete it"),
        tracked(Tracking(recorder, "mine", {}), tmp_path),
    ):
        pass


@pytest.mark.parametrize("tracker", ["wandb", "trackio"])
def test_a_tracker_that_is_not_installed_is_told_before_anything_is_written(
    tracker: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("experiments.runs.choices.find_spec", lambda name: None)
    with pytest.raises(ValueError, match=rf"track is '{tracker}'.*pip install {tracker}.*leave --track out"):
        run_seeds(Counting(tmp_path, steps=10, track=tracker), count)
    assert not list(tmp_path.iterdir())


def test_the_folder_of_a_trackers_logs_is_not_taken_for_its_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "wandb" / "latest-run").mkdir(parents=True)
    monkeypatch.setattr(sys, "path", [str(tmp_path)])
    spec = find_spec("wandb")
    assert spec is not None
    with pytest.raises(ValueError, match="pip install wandb"):
        check_tracker("wandb")


def test_an_unknown_tracker_is_refused(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValueError, match=r"Did you mean 'wandb'\? Allowed: none, wandb, trackio\."):
        check_tracker("wandbb")
    monkeypatch.setattr(sys, "argv", ["imitate_kuka.py", "--track", "wandbb"])
    with pytest.raises(SystemExit):
        imitate_kuka.main()
    assert "trackio" in capsys.readouterr().err


@pytest.mark.parametrize("config", CONFIGS, ids=lambda config: type(config).__name__)
def test_a_tracked_run_is_the_same_run(config: Any) -> None:
    assert tracking_of(config, 3) is None
    followed = replace(config, track="trackio", track_project="mine")
    assert followed.identity(3) == config.identity(3)
    assert followed.run_folder(3) == config.run_folder(3)
    assert tracking_of(followed, 3) == Tracking("trackio", "mine", config.identity(3))
    assert not [name for name in json.dumps(config.identity(3), default=str).split('"') if name.startswith("track")]


class CaughtError(Exception):
    """Raised where the training would begin."""


@pytest.mark.parametrize("config", CONFIGS, ids=lambda config: type(config).__name__)
def test_every_suite_has_its_training_followed(config: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    caught: list[Tracking | None] = []

    def learn(*_: Any, tracking: Tracking | None = None, **__: Any) -> None:
        caught.append(tracking)
        raise CaughtError

    for module in (parallel, atari, swingup):
        monkeypatch.setattr(module, "learn_to_end", learn)
    # What an agent learns from takes no part in it.
    untrained: Any = SimpleNamespace(num_timesteps=0, env=object())
    monkeypatch.setattr(KukaImitation, "truth", True)
    monkeypatch.setattr(atari, "AtariVecEnv", lambda *_: None)
    monkeypatch.setattr(atari.players, "make", lambda *_: untrained)
    monkeypatch.setattr(swingup, "new_agent", lambda *_: untrained)
    for module in (atari, swingup):
        monkeypatch.setattr(module, "restore_checkpoint", lambda *_: None)
    begin: dict[type[Any], Any] = {
        ImitateConfig: lambda run: KukaImitation(run, 1).learn(untrained),
        AtariRunConfig: lambda run: atari.train(replace(run, encoder="none"), 1, tmp_path, None),
        SwingUpConfig: lambda run: swingup.train(
            replace(run, observe=State(), preset="cpu", device="cpu"), 1, tmp_path, Encoders(None, None)
        ),
        CartpoleImitationConfig: lambda run: CartpoleImitation(run, 1).learn(untrained),
    }
    for followed in (config, replace(config, track="wandb", track_project="mine")):
        with pytest.raises(CaughtError):
            begin[type(config)](followed)
    plain, asked = caught
    assert plain is None
    assert asked is not None
    assert (asked.tracker, asked.project, asked.config["seed"]) == ("wandb", "mine", 1)


@pytest.mark.skipif(find_spec("trackio") is None, reason="trackio is not installed")
def test_a_command_followed_by_trackio_itself(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRACKIO_DIR", str(tmp_path / "trackio"))
    out = recorded_out(tmp_path_factory.getbasetemp())
    words = arguments(tiny(out, steps=60))
    asked = ["--encoder", "none", "--reward", "pixels", "--track", "trackio", "--track-project", "mine"]
    monkeypatch.setattr(sys, "argv", ["imitate_kuka.py", *words, *asked])
    assert imitate_kuka.main() == 0
    import trackio

    (run,) = trackio.Api().runs("mine")
    assert run.name.startswith("none-ppo-pixels-demo0-seed_0-")
    assert run.config["reward"] == "pixels"
