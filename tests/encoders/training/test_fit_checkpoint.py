"""A fit that goes on from a damaged checkpoint: refused by the file, with what to delete."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from small_fits import CONFIG, TRAINING, VALIDATION, equal, fresh, stop_after

from encoders.files import FileError
from encoders.training.fit import fit

NAMES = ("progress.json", "step_4.safetensors", "step_4.pt")


@pytest.fixture(scope="module")
def cut(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("cut") / "fit"
    with pytest.raises(KeyboardInterrupt):
        fit(fresh(), TRAINING, VALIDATION, CONFIG, 0, folder, stop_after(4))
    assert {path.name for path in (folder / "checkpoint").iterdir()} == set(NAMES)
    return folder


@pytest.fixture
def folder(cut: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(cut, tmp_path / "fit"))


def refusal(folder: Path) -> str:
    with pytest.raises(FileError) as caught:
        fit(fresh(), TRAINING, VALIDATION, CONFIG, 0, folder)
    message = str(caught.value)
    assert f"delete {folder / 'checkpoint'} to train from the beginning" in message
    assert "weights_only" not in message
    assert "\n" not in message
    return message


def pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


DAMAGES: dict[str, Callable[[Path], object]] = {
    "empty": lambda path: path.write_bytes(b""),
    "garbage": lambda path: path.write_bytes(np.random.default_rng(0).bytes(2000)),
    "text": lambda path: path.write_text("no checkpoint at all"),
    "half": lambda path: path.write_bytes(path.read_bytes()[: path.stat().st_size // 2]),
    "zeros": lambda path: path.write_bytes(bytes(path.stat().st_size)),
    "a pickle": lambda path: torch.save({"stepper": Path("x")}, path),
    "a pipe": pipe,
}


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("name", NAMES)
def test_a_damaged_file_is_named_with_what_to_delete(folder: Path, name: str, damage: str) -> None:
    path = folder / "checkpoint" / name
    DAMAGES[damage](path)
    assert str(path) in refusal(folder)


@pytest.mark.parametrize("name", NAMES[1:])
def test_a_missing_file_is_named_with_what_to_delete(folder: Path, name: str) -> None:
    (folder / "checkpoint" / name).unlink()
    assert str(folder / "checkpoint" / name) in refusal(folder)


def test_files_of_other_trainings_are_named(folder: Path) -> None:
    other = folder.with_name("other")
    with pytest.raises(KeyboardInterrupt):
        fit(fresh(), TRAINING, VALIDATION, CONFIG, 1, other, stop_after(4))
    for name in NAMES:
        whole = (folder / "checkpoint" / name).read_bytes()
        shutil.copy(other / "checkpoint" / name, folder / "checkpoint" / name)
        assert "was changed since it was written" in refusal(folder)
        (folder / "checkpoint" / name).write_bytes(whole)


@pytest.mark.parametrize("content", ["{}", '{"state": {}, "rng": {}, "digest": ""}', "[" * 100_000])
def test_progress_that_lacks_a_part_is_named(folder: Path, content: str) -> None:
    path = folder / "checkpoint" / "progress.json"
    path.write_text(content)
    assert str(path) in refusal(folder)


@pytest.mark.parametrize("change", [{"step": "4"}, {"step": True}, {"stale": 1.0}, {"best_loss": None}, {"more": 1}])
def test_progress_of_another_type_is_named(folder: Path, change: dict[str, object]) -> None:
    path = folder / "checkpoint" / "progress.json"
    content = json.loads(path.read_text())
    content["state"] |= change
    path.write_text(json.dumps(content))
    assert "does not say where training stands" in refusal(folder)


def test_a_flipped_bit_is_never_trained_on(folder: Path) -> None:
    rng = np.random.default_rng(0)
    for name in NAMES:
        path = folder / "checkpoint" / name
        whole = path.read_bytes()
        for _ in range(15):
            damaged = bytearray(whole)
            damaged[rng.integers(len(whole))] ^= 1 << int(rng.integers(8))
            path.write_bytes(damaged)
            refusal(folder)
        path.write_bytes(whole)


def test_without_its_checkpoint_the_fit_begins_anew_and_ends_in_the_same_weights(folder: Path) -> None:
    whole = fit(fresh(), TRAINING, VALIDATION, CONFIG, 0, folder.with_name("whole"))
    shutil.rmtree(folder / "checkpoint")
    equal(fit(fresh(), TRAINING, VALIDATION, CONFIG, 0, folder), whole)
