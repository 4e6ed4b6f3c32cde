"""The measurement of reading a demonstration: what it measures, and the committed figures."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from encoders.videos.video import read_video
from experiments.measurements import demo_memory
from experiments.measurements.demo_memory import READERS, DemoMemoryConfig, measure, probe, write_moving
from experiments.runs.provenance import ROOT

RESULTS = ROOT / "experiments/results/demo_memory.json"


def test_a_reader_of_demonstrations_keeps_small_frames_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(demo_memory, "READERS", dict(list(READERS.items())[:1]))
    measure(DemoMemoryConfig(seconds=3, width=960, height=540, out=tmp_path / "memory.json"))
    (row,) = json.loads((tmp_path / "memory.json").read_text())["readers"]
    # The frames at their own size would take 140 MB.
    assert 1 < row["megabytes"] < 90
    assert row["seconds"] > 0
    assert row["video_seconds"] == 3


def test_the_memory_of_the_reading_is_measured_and_not_that_of_the_imports(tmp_path: Path) -> None:
    write_moving(tmp_path / "a.mp4", 32, 32, 1)
    hold = "read = lambda path: b'x' * (100 * 2**20)"
    assert probe(hold, tmp_path / "a.mp4", ROOT)["megabytes"] == pytest.approx(100, abs=20)
    assert probe("import numpy, av; read = id", tmp_path / "a.mp4", ROOT)["megabytes"] < 5


def test_the_video_moves_and_has_the_rate_of_a_film(tmp_path: Path) -> None:
    write_moving(tmp_path / "a.mp4", 64, 48, 2)
    frames = read_video(tmp_path / "a.mp4")
    assert frames.shape == (60, 48, 64, 3)
    assert (abs(frames[1:].astype(int) - frames[:-1]).mean(axis=(1, 2, 3)) > 10).all()


def test_a_folder_that_is_no_checkout_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="which is no checkout of commit d71388b"):
        measure(DemoMemoryConfig(before=tmp_path))


def test_a_minute_of_1080p_took_less_than_300_megabytes() -> None:
    figures = json.loads(RESULTS.read_text())
    assert (figures["config"]["width"], figures["config"]["height"]) == (1920, 1080)
    now = {row["reader"]: row for row in figures["readers"] if row["video_seconds"] == 60}
    assert now.keys() == READERS.keys()
    assert max(row["megabytes"] for row in now.values()) < 300
