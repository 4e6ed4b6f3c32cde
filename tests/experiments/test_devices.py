"""Whole runs on a GPU that is pretended: what they calculate is what the processor does, and nothing is left behind."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch
from pretended_gpu import GPU, pretended_gpu
from safetensors.torch import load_file
from small_comparison import FIT as COMPARED
from small_fits import walk
from small_recordings import arguments, recorded_out, tiny
from stable_baselines3 import PPO
from stable_baselines3.common.vec_env import VecEnv

from agents import factory, pixel_sac
from agents.auxiliary import AuxiliaryConfig
from agents.pixel_sac import LearningConfig, Preset
from agents.training import read_curve
from encoders.base import Encoder
from encoders.device import AUTO, CPU, CUDA, choose_device
from encoders.training.fit import FitConfig
from envs.atari import AtariConfig
from envs.embedding import VecEmbeddingObservation
from envs.kuka import KukaReach
from envs.workers import WorkerVecEnv, vectorised
from experiments import (
    benchmark,
    compare_encoders,
    imitate,
    imitate_cartpole,
    imitate_kuka,
    play_atari,
    suites,
    swingup_cartpole,
)
from experiments.any_environment.config import ImitationConfig, TeacherConfig
from experiments.any_environment.environment import EnvironmentConfig
from experiments.any_environment.play import PlayConfig
from experiments.any_environment.run import EXPERIMENT as IMITATION
from experiments.atari import figures as atari_figures
from experiments.atari.config import AtariRunConfig, MaskConfig
from experiments.atari.run import EXPERIMENT as ATARI
from experiments.cartpole import swingup
from experiments.cartpole.config import SwingUpConfig
from experiments.cartpole.imitation_config import CartpoleImitationConfig as CartpoleImitation
from experiments.cartpole.observation import Frames, PretrainingConfig
from experiments.comparison.judging import run_cell, split_clips
from experiments.kuka.config import ImitateConfig
from experiments.kuka.run import EXPERIMENT as KUKA
from experiments.sweep.config import BenchmarkConfig

pytestmark = [
    pytest.mark.filterwarnings("ignore:You have specified a mini-batch size"),
    pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy keyword"),
]

SHORT_FIT = FitConfig(steps=4, validate_every=2, validation_batches=1)


@pytest.fixture(autouse=True)
def threads() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module", autouse=True)
def small() -> Iterator[None]:
    """Films of a second, frames of 16 pixels on the cartpole."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(atari_figures, "FILM_STEPS", 15)
        patch.setitem(pixel_sac.PRESETS, "cpu", Preset(16, 2, 8, 16, 4))
        patch.setattr("experiments.cartpole.figures.MOMENTS", (2, 6))
        patch.setattr("experiments.cartpole.figures.FILM_SIZE", 32)
        patch.setattr(swingup, "FILM_SIZE", 32)
        yield


def outcome(folder: Path, result: dict[str, Any]) -> tuple[dict[str, Any], list[dict[str, float]], dict[str, Any]]:
    """What a run ended in, but for times."""
    timed = {"wall_seconds", "env_steps_per_second", "updates_per_second"}
    curve = [
        {key: value for key, value in row.items() if key != "seconds"} for row in read_curve(folder / "progress.csv")
    ]
    kept = {key: value for key, value in result.items() if key not in timed}
    return kept, curve, load_file(folder / "agent" / "policy.safetensors")


def assert_same(here: tuple[Any, Any, Any], there: tuple[Any, Any, Any]) -> None:
    assert json.dumps(here[0]) == json.dumps(there[0])
    assert here[1] == there[1]
    assert here[2].keys() == there[2].keys()
    for name, value in here[2].items():
        torch.testing.assert_close(there[2][name], value, rtol=0, atol=0, equal_nan=True)


@pytest.fixture
def kuka(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> ImitateConfig:
    """A run with its recordings."""
    shutil.copytree(recorded_out(tmp_path_factory.getbasetemp()) / "recordings", tmp_path / "recordings")
    return tiny(tmp_path, precision="float32")


@pytest.mark.parametrize("mode", ["frozen", "joint"])
def test_a_kuka_on_a_gpu_imitates_as_on_the_processor(
    kuka: ImitateConfig, mode: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = replace(kuka, encoder_mode=mode, auxiliary=AuxiliaryConfig(videos=2))
    folder = config.run_folder(0)
    (result,) = KUKA.run_all(config)
    here = outcome(folder, result)
    folder.rename(tmp_path / "here")
    made: list[torch.device] = []
    make = factory.make
    monkeypatch.setattr(factory, "make", lambda *a, **k: made.append(torch.device(k["device"])) or make(*a, **k))
    with pretended_gpu(monkeypatch):
        (result,) = KUKA.run_all(config)
    assert made == [torch.device(CPU if mode == "frozen" else CUDA)]
    assert_same(here, outcome(folder, result))
    assert json.loads((folder / "config.json").read_text())["device"] == AUTO
    assert "device" not in json.loads((tmp_path / "here" / "config.json").read_text())
    assert len(list((config.out / "encoders").iterdir())) == 2


def test_a_run_does_not_go_on_on_another_device(kuka: ImitateConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    KUKA.run_all(kuka)
    with (
        pretended_gpu(monkeypatch),
        pytest.raises(ValueError, match=r"holds another run: device differ"),
    ):
        KUKA.run_all(replace(kuka, resume=True))


def test_a_game_on_a_gpu_is_learned_as_on_the_processor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = AtariRunConfig(
        game="breakout",
        steps=160,
        row_steps=80,
        episodes=2,
        precision="float32",
        atari=AtariConfig(max_frames=60, noop_max=10),
        auxiliary=AuxiliaryConfig(videos=2),
        training=MaskConfig(1_000, SHORT_FIT),
        out=tmp_path / "here",
    )
    for chosen in (config, replace(config, encoder_mode="frozen")):
        (result,) = ATARI.run_all(chosen)
        here = outcome(chosen.run_folder(0), result)
        with pretended_gpu(monkeypatch):
            other = replace(chosen, out=tmp_path / "there")
            (result,) = ATARI.run_all(other)
        assert_same(here, outcome(other.run_folder(0), result))
        monkeypatch.undo()


def cartpole(**changes: Any) -> SwingUpConfig:
    pretraining = PretrainingConfig(4, SHORT_FIT)
    auxiliary = AuxiliaryConfig(videos=2, own_optimizer=True)
    observe = Frames("imm", ("keypoints=2",), auxiliary=auxiliary, precision="float32", pretraining=pretraining)
    return SwingUpConfig(
        replace(observe, **changes),
        preset="cpu",
        action_repeat=125,
        steps=24,
        row_episodes=1,
        episodes=1,
        learning=LearningConfig(learning_starts=12),
    )


@pytest.mark.parametrize("changes", [{"shift": 2, "start": "recorded"}, {"mode": "frozen"}])
def test_a_cartpole_on_a_gpu_is_swung_as_on_the_processor(
    changes: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = replace(cartpole(**changes), out=tmp_path / "here")
    (result,) = swingup.train_all(config)
    here = outcome(config.run_folder(0), result)
    with pretended_gpu(monkeypatch):
        other = replace(config, out=tmp_path / "there")
        assert other.agent_device == torch.device(CUDA if config.trains_encoder else CPU)
        (result,) = swingup.train_all(other)
    assert_same(here, outcome(other.run_folder(0), result))


def test_any_environment_is_imitated_on_a_gpu_as_on_the_processor(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = ImitationConfig(
        env=EnvironmentConfig(id="Reacher-v5", horizon=12, image_size=32),
        steps=40,
        envs=2,
        workers=1,
        episodes=1,
        precision="float32",
        threads=1,
        play=PlayConfig(episodes=6, validation=2, demonstrations=1),
        teacher=TeacherConfig(algo="ppo", steps=160, attempts=1),
        fit=SHORT_FIT,
        encoder_settings=("negative_range=5",),
        out=tmp_path / "here",
    )
    (result,) = IMITATION.run_all(config)
    here = outcome(config.run_folder(0), result)
    with pretended_gpu(monkeypatch):
        other = replace(config, out=tmp_path / "there")
        (result,) = IMITATION.run_all(other)
    assert_same(here, outcome(other.run_folder(0), result))


def test_an_encoder_on_a_gpu_is_judged_as_on_the_processor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clips = walk(0, views=2, size=32, count=6)
    split = split_clips(clips, None, None)
    judge = partial(run_cell, "smak_12", 0, split, COMPARED, 32, {"backbone": "small"})
    here = judge(tmp_path / "here")
    with pretended_gpu(monkeypatch):
        there = judge(tmp_path / "there", choose_device(CUDA))
    waiting = {"waiting_share": 0.0}
    assert here | waiting == there | waiting


def _embedded(venv: VecEnv, encoder: Encoder, path: np.ndarray[Any, Any]) -> VecEnv:
    return VecEmbeddingObservation(venv, encoder, path)


def _arm(horizon: int) -> gym.Env[Any, Any]:
    return KukaReach(horizon=horizon, camera="front", image_size=16)


def test_an_encoder_on_a_gpu_embeds_in_the_parent(encoder: Encoder, monkeypatch: pytest.MonkeyPatch) -> None:
    horizons = (3, 4, 5)
    factories = [partial(_arm, horizon) for horizon in horizons]
    path = np.arange(6.0, dtype=np.float32)[:, None] * np.ones(8, np.float32)
    wrap = partial(_embedded, encoder=encoder, path=path)
    inside = vectorised(factories, 2, wrap, torch.device(CPU))
    around = vectorised(factories, 2, wrap, GPU)
    assert isinstance(inside, WorkerVecEnv)
    assert isinstance(around, VecEmbeddingObservation)
    assert isinstance(around.venv, WorkerVecEnv)
    rng = np.random.default_rng(0)
    for venv in (inside, around):
        venv.seed(0)
    left, right = inside.reset(), around.reset()
    for _ in range(8):
        assert left.keys() == right.keys()
        for key in left:
            np.testing.assert_allclose(left[key], right[key], rtol=1e-4, atol=1e-4)
        action = rng.uniform(-1, 1, (3, 7)).astype(np.float32)
        (left, _, dones, _), (right, _, others, _) = inside.step(action), around.step(action)
        assert (dones == others).all()
    inside.close()
    around.close()


class BegunAt(gym.Wrapper[Any, Any, Any, Any]):
    """Says that the first episode begins at step 1, the second at 2, and so on."""

    episodes = 0

    def reset(self, **given: Any) -> tuple[Any, dict[str, Any]]:
        observation, info = self.env.reset(**given)
        self.episodes += 1
        return observation, {**info, "time": self.episodes}


def _begun(horizon: int) -> gym.Env[Any, Any]:
    return BegunAt(_arm(horizon))


def test_wrappers_in_the_parent_know_where_episodes_begin() -> None:
    venv = WorkerVecEnv([partial(_begun, horizon) for horizon in (2, 3, 3)], 2)
    venv.reset()
    assert [info["time"] for info in venv.reset_infos] == [1, 1, 1]
    for expected in ([1, 1, 1], [2, 1, 1], [2, 2, 2], [3, 2, 2]):
        venv.step(np.zeros((3, 7), np.float32))
        assert [info["time"] for info in venv.reset_infos] == expected
    venv.close()


PROGRAMS = (imitate, imitate_kuka, imitate_cartpole, swingup_cartpole, play_atari, compare_encoders, benchmark)


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda program: program.__name__)
def test_a_gpu_that_is_not_there_is_refused_before_any_work(
    program: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    for device, words in ((CUDA, "device is 'cuda', and PyTorch"), ("gpu", "Unknown device 'gpu'")):
        monkeypatch.setattr(sys, "argv", ["program", "--device", device, "--out", str(tmp_path / "out")])
        assert program.main() == 2
        said = capsys.readouterr().err
        assert words in said
        assert "Traceback" not in said
    assert not (tmp_path / "out").exists()


def test_a_gpu_without_memory_ends_a_run_in_one_line_and_the_run_goes_on(
    kuka: ImitateConfig, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    step = PPO.train

    def full(agent: PPO) -> None:
        if agent.num_timesteps > 30:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB")
        step(agent)

    monkeypatch.setattr(PPO, "train", full)
    flags = [*arguments(kuka), "--resume", "--precision", "float32"]
    monkeypatch.setattr(sys, "argv", ["imitate_kuka.py", *flags])
    assert imitate_kuka.main() == 1
    said = capsys.readouterr().err.strip()
    assert "Traceback" not in said
    assert "The GPU has no memory left" in said.splitlines()[-1]
    assert "--resume goes on" in said.splitlines()[-1]
    result = json.loads((kuka.run_folder(0) / "result.json").read_text())
    assert result["status"] == "failed"
    assert "no memory left" in result["reason"]
    monkeypatch.setattr(PPO, "train", step)
    assert imitate_kuka.main() == 0
    assert len(read_curve(kuka.run_folder(0) / "progress.csv")) == 2


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({}, AUTO),
        ({"device": CPU}, CPU),
        ({"launcher": "ray"}, CPU),
        ({"launcher": "ray", "gpus": 0.25}, CUDA),
        ({"launcher": "ray", "gpus": 1, "device": CUDA}, CUDA),
    ],
)
def test_a_benchmark_decides_the_device_of_its_cells(settings: dict[str, Any], expected: str, tmp_path: Path) -> None:
    config = BenchmarkConfig(**settings)
    assert config.cell_device == expected
    for name in ("kuka_reach", "atari", "cartpole", "Reacher-v5"):
        suite = suites.get(name)
        assert suite.on(config.cell_device)._base.device == expected  # type: ignore[attr-defined]
        assert suite._base.device == AUTO  # type: ignore[attr-defined]


@pytest.mark.parametrize("settings", [{"device": CUDA}, {"device": CPU, "gpus": 0.5}])
def test_devices_and_reserved_gpus_that_do_not_go_together_are_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="sees the GPUs that are reserved for it"):
        BenchmarkConfig(launcher="ray", **settings)


def test_a_cartpole_has_one_device() -> None:
    swingup = replace(CartpoleImitation().swingup, device=CPU)
    assert CartpoleImitation(swingup=swingup).agent_run.device == CPU
    assert CartpoleImitation(device=CPU).identity(0) == CartpoleImitation(swingup=swingup).identity(0)
    assert CartpoleImitation(device=CPU).teacher_run.device == CPU
    with pytest.raises(ValueError, match=r"device is 'cuda' and swingup\.device 'cpu'; leave the second out"):
        CartpoleImitation(device=CUDA, swingup=swingup)
