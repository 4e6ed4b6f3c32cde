"""Checkpoints: whole ones bring everything back, damaged ones are refused by name."""

from __future__ import annotations

import io
import json
import os
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from small_trainings import EPISODE, assert_equal, curve, start, train

from agents.checkpoint import restore_checkpoint
from encoders.files import FileError

pytestmark = pytest.mark.filterwarnings("ignore:You have specified a mini-batch size")


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


@pytest.mark.parametrize("name", ["ppo", "sac"])
def test_the_checkpoint_holds_the_newest_step_alone(tmp_path: Path, name: str) -> None:
    for steps in (2, 4):
        train(name, tmp_path, steps * EPISODE)
        parts = {".pt", ".npz"} if name == "sac" else {".pt"}
        files = {path.name for path in (tmp_path / "checkpoint").iterdir()}
        assert files == {"state.json"} | {f"step_{steps * EPISODE}{part}" for part in parts}


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
