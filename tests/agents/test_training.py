"""Training that is cut and goes on, against training in one go."""

from __future__ import annotations

import io
import json
import os
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch
from gymnasium import spaces
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.logger import configure
from stable_baselines3.common.monitor import Monitor
from stable_baselines3.common.vec_env import DummyVecEnv, VecEnv

from agents import factory
from agents.checkpoint import restore_checkpoint
from agents.training import CurveAndCheckpoint, read_curve, write_curve
from encoders.files import FileError
from rewards.huber import HuberConfig
from rewards.wrappers import VecTrackingReward

HORIZON = 15
EPISODE = 2 * HORIZON
"""Steps of one episode in both environments."""

PATH = np.linspace(1, -1, HORIZON + 1)[:, None] * np.ones(3)

pytestmark = pytest.mark.filterwarnings("ignore:You have specified a mini-batch size")


class Follow(gym.Env):
    """A point that is moved by actions and should stay near zero; it starts at one place."""

    def __init__(self) -> None:
        self.observation_space = spaces.Dict(
            {"place": spaces.Box(-9, 9, (3,), np.float32), "time": spaces.Box(0, 1, (1,), np.float32)}
        )
        self.action_space = spaces.Box(-1, 1, (3,), np.float32)

    def _observation(self) -> dict[str, np.ndarray]:
        return {"place": self._place.copy(), "time": np.array([self._time / HORIZON], np.float32)}

    def reset(self, *, seed: int | None = None, options: dict | None = None) -> tuple[dict[str, np.ndarray], dict]:
        """Starts at one place."""
        super().reset(seed=seed)
        self._place = np.ones(3, np.float32)
        self._time = 0
        return self._observation(), {}

    def step(self, action: np.ndarray) -> tuple[dict[str, np.ndarray], float, bool, bool, dict]:
        """Moves the point."""
        self._place = np.clip(self._place + 0.3 * action, -9, 9).astype(np.float32)
        self._time += 1
        return self._observation(), -float(np.abs(self._place).sum()), False, self._time == HORIZON, {}


def start(name: str, seed: int = 0) -> BaseAlgorithm:
    venv: VecEnv = DummyVecEnv([lambda: Monitor(Follow())] * 2)  # type: ignore[list-item]
    agent = factory.make(name, VecTrackingReward(venv, "place", PATH, HuberConfig(), 0.5), HORIZON, seed)
    if name == "sac":
        # Updates from the second episode on.
        agent.learning_starts = EPISODE  # type: ignore[attr-defined]
    return agent


def train(name: str, folder: Path, steps: int, every: int = EPISODE, stop: int | None = None) -> BaseAlgorithm:
    """As the pipeline does it; with ``stop`` it is cut after the last checkpoint up to there."""
    folder.mkdir(parents=True, exist_ok=True)
    agent = start(name)
    restore_checkpoint(agent, folder / "checkpoint")
    agent.set_logger(configure(str(folder / "log"), []))

    def report(row: dict[str, float]) -> None:
        if stop is not None and row["env_steps"] > stop:
            raise KeyboardInterrupt

    callback = CurveAndCheckpoint(folder, EPISODE, every, report=report)
    agent.learn(steps - agent.num_timesteps, callback=callback, reset_num_timesteps=False)
    return agent


def curve(folder: Path) -> list[dict[str, float]]:
    return [
        {key: value for key, value in row.items() if key != "seconds"} for row in read_curve(folder / "progress.csv")
    ]


def assert_equal(left: Any, right: Any) -> None:
    if isinstance(left, torch.Tensor):
        assert torch.equal(left, right)
    elif isinstance(left, dict):
        assert list(left) == list(right)
        for key in left:
            assert_equal(left[key], right[key])
    elif isinstance(left, (list, tuple)):
        for one, other in zip(left, right, strict=True):
            assert_equal(one, other)
    else:
        assert left == right


@pytest.mark.parametrize("name", ["ppo", "a2c", "sac"])
@pytest.mark.parametrize("every", [EPISODE, 2 * EPISODE])
def test_training_that_was_cut_ends_as_if_it_had_not_been(tmp_path: Path, name: str, every: int) -> None:
    steps = 8 * EPISODE
    whole = train(name, tmp_path / "whole", steps, every)
    # Cut twice, the second time right after a checkpoint or an episode after it.
    for stop in (2 * EPISODE, 5 * EPISODE):
        with pytest.raises(KeyboardInterrupt):
            train(name, tmp_path / "cut", steps, every, stop)
        assert 0 < curve(tmp_path / "cut")[-1]["env_steps"] <= stop
    torch.manual_seed(99)  # another process would have other generators
    np.random.seed(99)  # noqa: NPY002
    resumed = train(name, tmp_path / "cut", steps, every)
    assert resumed.num_timesteps == whole.num_timesteps == steps
    assert curve(tmp_path / "cut") == curve(tmp_path / "whole")
    assert_equal(resumed.policy.state_dict(), whole.policy.state_dict())
    assert_equal(resumed.get_parameters(), whole.get_parameters())
    if name == "sac":
        assert torch.equal(resumed.log_ent_coef, whole.log_ent_coef)  # type: ignore[attr-defined]
        assert resumed.replay_buffer.pos == whole.replay_buffer.pos  # type: ignore[attr-defined]


def test_a_cut_between_curve_and_checkpoint_gives_the_same_curve(tmp_path: Path) -> None:
    train("ppo", tmp_path / "whole", 6 * EPISODE)
    train("ppo", tmp_path / "cut", 6 * EPISODE)
    with pytest.raises(KeyboardInterrupt):
        train("ppo", tmp_path / "early", 6 * EPISODE, stop=2 * EPISODE)
    # The curve is ahead of the checkpoint: what follows the checkpoint is done again.
    shutil.rmtree(tmp_path / "cut" / "checkpoint")
    shutil.copytree(tmp_path / "early" / "checkpoint", tmp_path / "cut" / "checkpoint")
    train("ppo", tmp_path / "cut", 6 * EPISODE)
    assert curve(tmp_path / "cut") == curve(tmp_path / "whole")


@pytest.mark.parametrize("name", ["ppo", "sac"])
def test_a_checkpoint_brings_everything_back(tmp_path: Path, name: str) -> None:
    trained = train(name, tmp_path, 4 * EPISODE)
    restored = start(name, seed=7)
    assert restore_checkpoint(restored, tmp_path / "checkpoint")
    assert restored.num_timesteps == 4 * EPISODE
    assert restored._n_updates == trained._n_updates > 0
    assert_equal(restored.get_parameters(), trained.get_parameters())
    if name == "sac":
        assert torch.equal(restored.log_ent_coef, trained.log_ent_coef)  # type: ignore[attr-defined]
        mine, theirs = restored.replay_buffer, trained.replay_buffer  # type: ignore[attr-defined]
        assert (mine.pos, mine.full, mine.size()) == (theirs.pos, theirs.full, theirs.size())
        for key in ("place", "time"):
            np.testing.assert_array_equal(mine.observations[key], theirs.observations[key])
            np.testing.assert_array_equal(mine.next_observations[key], theirs.next_observations[key])
        for key in ("actions", "rewards", "dones", "timeouts"):
            np.testing.assert_array_equal(getattr(mine, key), getattr(theirs, key))


def test_without_a_checkpoint_nothing_is_restored(tmp_path: Path) -> None:
    agent = start("ppo")
    assert not restore_checkpoint(agent, tmp_path / "checkpoint")
    assert agent.num_timesteps == 0


@pytest.mark.parametrize("name", ["ppo", "a2c", "sac"])
def test_rows_of_the_curve_are_whole_episodes(tmp_path: Path, name: str) -> None:
    train(name, tmp_path, 5 * EPISODE)
    rows = curve(tmp_path)
    assert [row["env_steps"] for row in rows] == [EPISODE * count for count in range(1, 6)]
    assert [row["episodes"] for row in rows] == [2, 4, 6, 8, 10]
    for row in rows:
        assert row["true_return"] < 0
        assert row["learned_return"] < 0
        assert row["true_return"] != row["learned_return"]
    seconds = [row["seconds"] for row in read_curve(tmp_path / "progress.csv")]
    assert seconds == sorted(seconds)
    assert (tmp_path / "progress.csv").read_text().startswith("env_steps,episodes,true_return,learned_return,seconds\n")


@pytest.mark.parametrize("name", ["ppo", "a2c", "sac"])
def test_training_that_ends_within_an_episode_loses_no_row(tmp_path: Path, name: str) -> None:
    # PPO goes on to the end of the episode; the others stop within it, at their next update.
    train(name, tmp_path, 4 * EPISODE + 4, every=3 * EPISODE)
    expected = 5 if name == "ppo" else 4
    assert [row["env_steps"] for row in curve(tmp_path)] == [EPISODE * count for count in range(1, expected + 1)]


@pytest.mark.parametrize("name", ["ppo", "sac"])
def test_the_checkpoint_holds_the_newest_step_alone(tmp_path: Path, name: str) -> None:
    for steps in (2, 4):
        train(name, tmp_path, steps * EPISODE)
        parts = {".pt", ".npz"} if name == "sac" else {".pt"}
        files = {path.name for path in (tmp_path / "checkpoint").iterdir()}
        assert files == {"state.json"} | {f"step_{steps * EPISODE}{part}" for part in parts}


def test_the_report_sees_every_row(tmp_path: Path) -> None:
    rows: list[dict[str, float]] = []
    agent = start("ppo")
    agent.learn(3 * EPISODE, callback=CurveAndCheckpoint(tmp_path, EPISODE, 10 * EPISODE, report=rows.append))
    assert rows == read_curve(tmp_path / "progress.csv")


def test_an_absent_curve_is_empty(tmp_path: Path) -> None:
    assert read_curve(tmp_path / "progress.csv") == []


def without_seconds(folder: Path) -> list[str]:
    return [line.rpartition(",")[0] for line in (folder / "progress.csv").read_text().splitlines()]


def test_a_curve_that_was_cut_is_written_as_the_one_that_was_not(tmp_path: Path) -> None:
    train("ppo", tmp_path / "whole", 4 * EPISODE)
    with pytest.raises(KeyboardInterrupt):
        train("ppo", tmp_path / "cut", 4 * EPISODE, stop=2 * EPISODE)
    train("ppo", tmp_path / "cut", 4 * EPISODE)
    assert without_seconds(tmp_path / "cut") == without_seconds(tmp_path / "whole")
    assert without_seconds(tmp_path / "cut")[1].startswith(f"{EPISODE},2,-")


def test_a_curve_of_counts_with_decimals_is_read_and_written_without_them(tmp_path: Path) -> None:
    path = tmp_path / "progress.csv"
    path.write_text("env_steps,episodes,true_return,learned_return,seconds\n30.0,2.0,nan,-0.1,1.5\n")
    (row,) = read_curve(path)
    write_curve(path, [row])
    assert path.read_text().splitlines()[1] == "30,2,nan,-0.1,1.5"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "env_steps,episodes\n30,2\n",
        "env_steps,episodes,true_return,learned_return,seconds\n30,2,-1",
        "env_steps,episodes,true_return,learned_return,seconds\n30,2,-1,-1,one\n",
        "env_steps,episodes,true_return,learned_return,seconds\n30.5,2,-1,-1,1\n",
        "env_steps,episodes,true_return,learned_return,seconds\n-30,2,-1,-1,1\n",
        "env_steps,episodes,true_return,learned_return,seconds\ninf,2,-1,-1,1\n",
        "env_steps,episodes,true_return,learned_return,seconds\n30,2,-1,-1,1\n30,2,-1,-1,1\n",
        "\0" * 100,
    ],
)
def test_a_damaged_curve_is_one_error_that_names_it_and_the_way_out(tmp_path: Path, text: str) -> None:
    path = tmp_path / "progress.csv"
    path.write_text(text)
    with pytest.raises(FileError, match=f"{path}.*; delete it and the folder {tmp_path / 'checkpoint'} to train again"):
        read_curve(path)


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folders = {}
    for name in ("ppo", "sac"):
        folders[name] = tmp_path_factory.mktemp(name)
        train(name, folders[name], 2 * EPISODE)
    return folders


def damaged(checkpoints: dict[str, Path], tmp_path: Path, name: str) -> Path:
    """A copy of a run's folder whose files may be changed."""
    shutil.copytree(checkpoints[name], tmp_path / "run")
    return tmp_path / "run" / "checkpoint"


def refused(folder: Path, name: str, path: Path) -> str:
    with pytest.raises(FileError) as raised:
        restore_checkpoint(start(name), folder)
    message = str(raised.value)
    assert str(path) in message and f"delete the folder {folder} to train again from the start" in message
    # What torch and numpy advise would run code from the file.
    assert "weights_only" not in message and "allow_pickle" not in message
    return message


def bomb() -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("rewards.npy", bytes(2**27))
    return content.getvalue()


DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda content: b"",
    "garbage": lambda content: np.random.default_rng(0).bytes(len(content)),
    "truncated": lambda content: content[: len(content) // 2],
    "object": lambda content: b"{}",
    "list": lambda content: b"[1, 2]",
    "deep": lambda content: b"[" * 100_000 + b"]" * 100_000,
    "no_text": lambda content: b"\xff\xfe\xfa",
    "zeroed": lambda content: content[: len(content) // 3] + bytes(500) + content[len(content) // 3 + 500 :],
    "bomb": lambda content: bomb(),
}


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("file", ["state.json", f"step_{2 * EPISODE}.pt", f"step_{2 * EPISODE}.npz"])
def test_a_damaged_checkpoint_is_one_error_that_names_the_file_and_what_to_delete(
    checkpoints: dict[str, Path], tmp_path: Path, file: str, damage: str
) -> None:
    path = damaged(checkpoints, tmp_path, "sac") / file
    path.write_bytes(DAMAGES[damage](path.read_bytes()))
    refused(path.parent, "sac", path)


@pytest.mark.parametrize("file", [f"step_{2 * EPISODE}.pt", f"step_{2 * EPISODE}.npz"])
def test_a_file_that_a_checkpoint_lacks_is_named(checkpoints: dict[str, Path], tmp_path: Path, file: str) -> None:
    path = damaged(checkpoints, tmp_path, "sac") / file
    path.unlink()
    assert refused(path.parent, "sac", path).startswith("There is no ")
    os.mkfifo(path)
    assert "is no plain file" in refused(path.parent, "sac", path)


def test_a_bit_that_is_another_is_found_wherever_it_is(checkpoints: dict[str, Path], tmp_path: Path) -> None:
    folder = damaged(checkpoints, tmp_path, "sac")
    rng = np.random.default_rng(0)
    for path in sorted(folder.iterdir()):
        whole = path.read_bytes()
        for place in rng.integers(len(whole), size=30).tolist():
            content = bytearray(whole)
            content[place] ^= 1 << int(rng.integers(8))
            path.write_bytes(content)
            try:
                restored = start("sac")
                restore_checkpoint(restored, folder)
            except FileError:
                continue
            # Bytes that mean nothing, as between the entries of an archive.
            path.write_bytes(whole)
            original = start("sac")
            restore_checkpoint(original, folder)
            assert_equal(restored.get_parameters(), original.get_parameters())
            for name in ("rewards", "actions", "dones", "timeouts"):
                mine, theirs = getattr(restored.replay_buffer, name), getattr(original.replay_buffer, name)  # type: ignore[attr-defined]
                np.testing.assert_array_equal(mine, theirs)
        path.write_bytes(whole)


def changed_state(folder: Path, **changes: Any) -> Path:
    """Another state, as one who edits it would leave it: without its digest."""
    path = folder / "state.json"
    state = {**json.loads(path.read_text()), **changes}
    del state["digest"]
    path.write_text(json.dumps(state))
    return path


@pytest.mark.parametrize(
    "changes",
    [
        {"env_steps": "60"},
        {"env_steps": True},
        {"env_steps": -60},
        {"env_steps": 60.0},
        {"updates": None},
        {"updates": "many"},
        {"numpy_rng": {}},
        {"numpy_rng": {"bit_generator": "MT19937", "state": {"key": [1], "pos": 1}}},
        {"python_rng": [3, ["1"], None]},
        {"python_rng": 10**30},
        {"action_rng": {"bit_generator": "PCG64"}},
        {"action_rng": "PCG64"},
    ],
)
def test_figures_of_another_kind_in_the_state_are_refused(
    checkpoints: dict[str, Path], tmp_path: Path, changes: dict[str, Any]
) -> None:
    folder = damaged(checkpoints, tmp_path, "ppo")
    refused(folder, "ppo", changed_state(folder, **changes))


@pytest.mark.parametrize("name", ["ppo", "sac"])
def test_a_checkpoint_from_before_there_were_digests_is_read(
    checkpoints: dict[str, Path], tmp_path: Path, name: str
) -> None:
    folder = damaged(checkpoints, tmp_path, name)
    path = folder / "state.json"
    state = json.loads(path.read_text())
    path.write_text(json.dumps({key: value for key, value in state.items() if not key.endswith("digest")}))
    restored, wanted = start(name), start(name)
    assert restore_checkpoint(restored, folder)
    assert restore_checkpoint(wanted, checkpoints[name] / "checkpoint")
    assert_equal(restored.get_parameters(), wanted.get_parameters())


@pytest.mark.parametrize("kind", [torch.int8, torch.bool, torch.complex64, torch.float64])
def test_weights_of_another_type_are_refused_in_a_checkpoint(
    checkpoints: dict[str, Path], tmp_path: Path, kind: torch.dtype
) -> None:
    folder = damaged(checkpoints, tmp_path, "ppo")
    path = folder / f"step_{2 * EPISODE}.pt"
    saved = torch.load(path, weights_only=True)
    policy = saved["parameters"]["policy"]
    policy["value_net.weight"] = policy["value_net.weight"].to(kind)
    torch.save(saved, path)
    changed_state(folder, weights_digest=None)
    assert f"value_net.weight in {path} are {kind}, not torch.float32" in refused(folder, "ppo", path)


@pytest.mark.parametrize(
    "changes",
    [
        {"rewards": np.zeros((60, 2), np.float64)},
        {"rewards": np.zeros((1, 2), np.float32)},
        {"rewards": np.zeros((30, 2), np.complex64)},
        {"rewards": np.array(["1"] * 60)},
        {"rewards": np.array([None] * 60)},
        {"pos": np.array(-1)},
        {"pos": np.array(10**9)},
        {"pos": np.array("30")},
        {"full": np.array(7)},
        {"rewards": None},
        {"more": np.zeros(10**8, bool)},
    ],
)
def test_a_replay_buffer_of_other_arrays_is_refused(
    checkpoints: dict[str, Path], tmp_path: Path, changes: dict[str, Any]
) -> None:
    folder = damaged(checkpoints, tmp_path, "sac")
    path = folder / f"step_{2 * EPISODE}.npz"
    with np.load(path) as arrays:
        kept = {**arrays, **changes}
    np.savez_compressed(path, **{key: value for key, value in kept.items() if value is not None})
    refused(folder, "sac", path)


@pytest.mark.parametrize("damage", ["missing", "heading", "shorter"])
def test_a_curve_that_ends_before_its_checkpoint_is_refused(
    checkpoints: dict[str, Path], tmp_path: Path, damage: str
) -> None:
    folder = damaged(checkpoints, tmp_path, "ppo").parent
    path = folder / "progress.csv"
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join(lines[: {"missing": 0, "heading": 1, "shorter": -1}[damage]]))
    if damage == "missing":
        path.unlink()
    with pytest.raises(FileError, match=f"{path} has no row at 60 steps.* delete the folder {folder / 'checkpoint'}"):
        train("ppo", folder, 4 * EPISODE)
    # What the message says to do is enough.
    shutil.rmtree(folder / "checkpoint")
    train("ppo", folder, 3 * EPISODE)
    assert [row["env_steps"] for row in curve(folder)] == [30, 60, 90]
