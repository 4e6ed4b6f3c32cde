"""What a fit was made from: the same goes on, anything else is refused and named."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from small_fits import CONFIG, TRAINING, VALIDATION, equal, fresh, stop_after, walk

import encoders
from encoders.clips.clips import Clips, open_folder
from encoders.files import FileError
from encoders.training.fit import calibrate, fit
from encoders.training.origin import ORIGIN_FILE, clips_digest
from encoders.videos.video import write_video


def changed_frame(clips: Clips) -> Clips:
    """The same clips but for a single pixel of the last frame."""
    videos = [np.array(video) for video in clips.videos]
    videos[-1][0, -1, 0, 0, 0] ^= 1
    return Clips(videos, clips.names)


def another(**settings: object) -> encoders.Encoder:
    encoder = fresh(**settings)
    with torch.no_grad():
        next(encoder.parameters()).add_(1e-3)
    return encoder


DIFFERENT: dict[str, tuple[dict[str, Any], str]] = {
    "seed": ({"seed": 1}, "seed is 0 there and 1 here"),
    "steps": ({"config": replace(CONFIG, steps=8)}, "settings steps is 6 there and 8 here"),
    "optimiser": (
        {"config": replace(CONFIG, optimiser="smak")},
        "settings optimiser is 'default' there and 'smak' here",
    ),
    "margin": ({"encoder": lambda: fresh(margin=1.0)}, "encoder margin is 4.0 there and 1.0 here"),
    "initial weights": ({"encoder": another}, "the initial weights are others"),
    "training clips": ({"training": walk(7)}, "the training clips are others"),
    "one pixel": ({"training": changed_frame(TRAINING)}, "the training clips are others"),
    "names": ({"training": Clips(TRAINING.videos, ("a", "b", "c"))}, "the training clips are others"),
    "validation clips": ({"validation": walk(7)}, "the validation clips are others"),
}


def fitted(
    folder: Path,
    encoder: Callable[[], encoders.Encoder] = fresh,
    training: Clips = TRAINING,
    validation: Clips = VALIDATION,
    config: Any = CONFIG,
    seed: int = 0,
    report: Any = None,
) -> encoders.Encoder:
    return fit(encoder(), training, validation, config, seed, folder, report)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("whole") / "fit"
    fitted(folder)
    return folder


@pytest.fixture(scope="module")
def cut(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("cut") / "fit"
    with pytest.raises(KeyboardInterrupt):
        fitted(folder, report=stop_after(2))
    return folder


@pytest.mark.parametrize("case", DIFFERENT)
def test_a_folder_of_another_fit_is_refused_by_what_differs_and_left_as_it_is(
    whole: Path, cut: Path, case: str
) -> None:
    arguments, message = DIFFERENT[case]
    for folder in (whole, cut):
        before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
        with pytest.raises(ValueError, match="holds a fit that differs") as caught:
            fitted(folder, **arguments)
        assert str(folder) in str(caught.value)
        assert message in str(caught.value)
        assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before


def test_everything_that_differs_is_named_at_once(whole: Path) -> None:
    with pytest.raises(ValueError, match=r"settings steps is 6 there and 8 here; seed is 0 there and 3 here\."):
        fitted(whole, config=replace(CONFIG, steps=8), seed=3)


def test_the_same_fit_goes_on_also_where_the_folder_was_moved(whole: Path, cut: Path, tmp_path: Path) -> None:
    equal(fitted(whole), encoders.load(whole))
    moved = Path(shutil.copytree(cut, tmp_path / "moved"))
    equal(fitted(moved), encoders.load(whole))


def test_an_encoder_that_does_not_say_what_made_it_is_not_overwritten(whole: Path, tmp_path: Path) -> None:
    encoder = fresh()
    encoder.save(tmp_path / "saved")
    before = (tmp_path / "saved" / "weights.safetensors").read_bytes()
    old = Path(shutil.copytree(whole, tmp_path / "old"))
    (old / ORIGIN_FILE).unlink()
    (old / "config.json").unlink()
    for folder in (tmp_path / "saved", old):
        for take in (fitted, lambda folder: calibrate(fresh(), VALIDATION, folder)):
            with pytest.raises(FileError, match=r"no fit\.json that says what it was made from.*delete") as caught:
                take(folder)
            assert str(folder) in str(caught.value)
    assert (tmp_path / "saved" / "weights.safetensors").read_bytes() == before


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff", b"[" * 100_000])
def test_a_damaged_record_is_named_with_the_way_out(whole: Path, tmp_path: Path, content: bytes) -> None:
    folder = Path(shutil.copytree(whole, tmp_path / "fit"))
    (folder / ORIGIN_FILE).write_bytes(content)
    with pytest.raises(FileError, match=r"delete .* to fit anew") as caught:
        fitted(folder)
    assert str(folder / ORIGIN_FILE) in str(caught.value)


def test_a_record_without_a_part_differs_in_it(whole: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(whole, tmp_path / "fit"))
    (folder / ORIGIN_FILE).write_text("{}")
    with pytest.raises(ValueError, match="seed is None there and 0 here"):
        fitted(folder)


def test_calibrating_again_gives_the_same_and_another_encoder_or_clips_are_refused(tmp_path: Path) -> None:
    first = calibrate(fresh(), VALIDATION, tmp_path)
    equal(calibrate(first, VALIDATION, tmp_path), first)
    equal(calibrate(fresh(), VALIDATION, tmp_path), first)
    with pytest.raises(ValueError, match="the initial weights are others"):
        calibrate(another(), VALIDATION, tmp_path)
    with pytest.raises(ValueError, match="the validation clips are others"):
        calibrate(fresh(), walk(7), tmp_path)
    with pytest.raises(ValueError, match=r"the training clips are others.*seed is None there and 0 here"):
        fitted(tmp_path)
    assert float(encoders.load(tmp_path).distance_scale) == float(first.distance_scale)


def test_videos_on_disk_are_distinguished_by_what_is_in_them(tmp_path: Path) -> None:
    def written(folder: Path, seed: int) -> Clips:
        for name, video in zip(TRAINING.names, walk(seed).videos, strict=True):
            write_video(folder / f"{name}_view0.mp4", np.asarray(video[0]), 20)
        return open_folder(folder, 16)

    first, again, other = (written(tmp_path / name, seed) for name, seed in (("a", 0), ("b", 0), ("c", 1)))
    assert clips_digest(first) == clips_digest(again) != clips_digest(other)
    # Neither the time nor the folder is part of it.
    os.utime(tmp_path / "b" / "walk_0_view0.mp4", (0, 0))
    assert clips_digest(open_folder(tmp_path / "b", 16)) == clips_digest(first)


def test_the_record_can_be_read(whole: Path) -> None:
    record = json.loads((whole / ORIGIN_FILE).read_text())
    assert record["seed"] == 0
    assert record["settings"]["steps"] == 6
    assert record["encoder"]["name"] == "tcn"
