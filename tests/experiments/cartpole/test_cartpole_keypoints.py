"""Keypoints on the cartpole: how they are judged and drawn."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from small_swingups import LATENT, TINY, seeing, shrink

from experiments.cartpole.config import SwingUpConfig
from experiments.cartpole.figures import draw_points
from experiments.cartpole.observation import Frames
from experiments.cartpole.pretraining import new_encoder
from experiments.cartpole.second_encoder import Gated
from experiments.measurements import keypoint_quality, render_speed
from experiments.measurements.keypoint_quality import KeypointQualityConfig, linear_error
from experiments.measurements.render_speed import RenderConfig


@pytest.fixture(scope="module", autouse=True)
def small() -> Iterator[None]:
    """Frames of 16 pixels, episodes of 8 steps."""
    with pytest.MonkeyPatch.context() as patch:
        shrink(patch)
        yield


def test_the_linear_map_is_fitted_on_one_half_and_judged_on_what_is_in_sight() -> None:
    rng = np.random.default_rng(0)
    points = rng.uniform(size=(4, 50, 6))
    landmarks = (points[..., :4] * 20 + 3).reshape(4, 50, 2, 2)
    assert linear_error(points, landmarks, 32).max() < 1e-9
    landmarks[3, 7] = 1e3
    assert linear_error(points, landmarks, 32).max() < 1e-9
    random = linear_error(rng.uniform(size=(4, 50, 6)), landmarks, 32)
    assert random.min() > 0.1


def test_keypoints_are_judged_beside_their_controls(tmp_path: Path) -> None:
    run = replace(seeing(stack=1, start="recorded"), out=tmp_path)
    rows = keypoint_quality.judge(KeypointQualityConfig((0,), 4, out=tmp_path / "q.csv", swingup=run))
    assert [row["keypoints"] for row in rows] == ["trained", "untrained", "random points"]
    assert (tmp_path / "q.csv").exists()
    assert (tmp_path / "keypoints_seed0.png").exists()


def test_a_given_encoders_keypoints_are_judged_as_a_new_ones(tmp_path: Path) -> None:
    run = replace(TINY, out=tmp_path)
    new = keypoint_quality.judge(KeypointQualityConfig((0,), 4, out=tmp_path / "new.csv", swingup=run))
    torch.manual_seed(0)
    new_encoder(run).save(tmp_path / "untrained")
    new_encoder(seeing(encoder="autoencoder_imm", stack=1)).save(tmp_path / "single")
    folders = (tmp_path / "untrained", tmp_path / "single")
    rows = keypoint_quality.judge(KeypointQualityConfig((0,), 4, folders, tmp_path / "given.csv", run))
    assert [row["keypoints"] for row in rows] == [str(folder) for folder in folders]
    (untrained,) = [row for row in new if row["keypoints"] == "untrained"]
    assert rows[0] == {**untrained, "keypoints": str(folders[0]), "seed": ""}
    new_encoder(replace(run, observe=LATENT)).save(tmp_path / "none")
    with pytest.raises(ValueError, match="'autoencoder', which has no keypoints"):
        keypoint_quality.judge(KeypointQualityConfig((0,), 4, (tmp_path / "none",), tmp_path / "q.csv", run))


@pytest.mark.parametrize(
    ("run", "message"),
    [
        (SwingUpConfig(Frames("autoencoder")), "'autoencoder' has no keypoints"),
        (SwingUpConfig(Frames("imm", second=Gated("tcn"))), "leave second out"),
    ],
)
def test_a_run_whose_keypoints_cannot_be_judged_is_refused(run: SwingUpConfig, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        KeypointQualityConfig(swingup=run)


def test_keypoints_are_drawn_where_they_are() -> None:
    drawn = draw_points(np.zeros((64, 64, 3), np.uint8), np.array([[0.25, 0.75]]))
    rows, columns = np.nonzero(drawn.any(axis=2))
    assert rows.mean() == pytest.approx(47.5)
    assert columns.mean() == pytest.approx(15.5)


def test_drawing_is_timed_beside_dm_control(tmp_path: Path) -> None:
    result = render_speed.measure(RenderConfig(32, 0.05, 1, tmp_path / "r.json", tmp_path / "r.png"))
    assert result["ratio_to_dm_control"]["dm_control"] == 1
    assert result["ratio_to_dm_control"]["fast"] > 2
    assert (tmp_path / "r.png").exists()
