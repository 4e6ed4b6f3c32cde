"""Encoders that a Kuka run cannot measure distances with are refused."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch
from small_recordings import tiny

import encoders
from experiments.kuka.run import EXPERIMENT


@pytest.mark.parametrize("scale", [0.0, -1.0, float("inf")])
def test_an_encoder_without_a_unit_of_distance_is_refused_before_any_work(tmp_path: Path, scale: float) -> None:
    torch.manual_seed(0)
    encoder = encoders.make("tcn", image_size=32)
    encoder.distance_scale.fill_(scale)
    encoder.save(tmp_path / "encoder")
    config = tiny(tmp_path / "out", encoder_folder=tmp_path / "encoder")
    with pytest.raises(ValueError, match=rf"distance.scale (of )?{scale}"):
        EXPERIMENT.run_all(config)
    assert not config.out.exists()


def test_a_shared_encoder_without_a_unit_of_distance_stops_a_run_before_the_audit(
    recorded: Path, tmp_path: Path
) -> None:
    config = tiny(tmp_path / "out")
    shutil.copytree(recorded / "recordings", config.out / "recordings")
    torch.manual_seed(0)
    encoder = encoders.make("tcn", image_size=32)
    encoder.distance_scale.fill_(0.0)
    encoder.save(config.shared_encoder(0))
    with pytest.raises(ValueError, match=r"has the distance scale 0\.0"):
        EXPERIMENT.run_all(config)
    assert not (config.run_folder(0) / "audit.json").exists()
