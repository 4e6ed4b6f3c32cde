"""How masks are judged, by hand; and what is said where the judge is not installed."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import numpy as np
import pytest
import torch

from experiments.atari.config import AtariRunConfig
from experiments.atari.figures import spread
from experiments.measurements.atari_throughput import PARTS, VARIANTS, AtariThroughputConfig
from experiments.measurements.atari_throughput import measure as measure_speed
from experiments.measurements.mask_quality import QualityConfig, measure, moving_ratio, recall


def test_a_mask_is_spread_to_the_nearest_centre() -> None:
    mask = np.arange(49, dtype=np.float32).reshape(7, 7)
    wide = spread(mask, 84)
    # Centres are at 17.5, 25.5 and on to 65.5; what lies beyond belongs to the outermost.
    assert wide[0, 0] == wide[21, 21] == 0 and wide[22, 21] == 7
    assert wide[83, 83] == wide[62, 62] == 48 and wide[61, 62] == 41
    assert spread(np.stack([mask, mask]), 84).shape == (2, 84, 84)


def test_the_ratio_compares_what_moves_with_what_does_not() -> None:
    frames = np.zeros((5, 84, 84), np.uint8)
    frames[0, 60:, 60:] = 200
    frames[:, 0, 0] = [0, 5, 0, 5, 0]
    masks = np.full((5, 7, 7), 0.1, np.float32)
    masks[0, 6, 6] = 0.9
    moves = np.zeros((5, 84, 84), bool)
    moves[0, 60:, 60:] = True
    values = spread(masks, 84)
    assert moving_ratio(masks, frames) == pytest.approx(values[moves].mean() / values[~moves].mean())
    assert moving_ratio(np.full((5, 7, 7), 0.3, np.float32), frames) == pytest.approx(1.0)
    with pytest.raises(ValueError, match="0% of the pixels move"):
        moving_ratio(masks, np.zeros((5, 84, 84), np.uint8))


def test_recall_counts_objects_with_a_point_within_reach() -> None:
    objects = [np.array([[10.0, 10.0], [50.0, 50.0]]), np.array([[0.0, 0.0]])]
    points = [np.array([[10.0, 18.0], [np.nan, np.nan]]), np.array([[9.0, 0.0]])]
    assert recall(points, objects, 8.0) == pytest.approx(1 / 3)
    assert recall(points, objects, 9.0) == pytest.approx(2 / 3)


def test_a_game_or_mask_that_cannot_be_judged_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="Did you mean 'assault'"):
        QualityConfig(masks=(tmp_path,), games=("asault",))
    with pytest.raises(ValueError, match="at least one mask"):
        QualityConfig(masks=())
    if importlib.util.find_spec("ocatari") is None:
        with pytest.raises(ValueError, match="pip install --no-deps ocatari"):
            measure(QualityConfig(masks=(tmp_path,), games=("assault",), out=tmp_path / "table.csv"))
    assert not (tmp_path / "table.csv").exists()


def test_every_variant_is_timed_and_its_shares_are_a_whole(tmp_path: Path) -> None:
    torch.manual_seed(0)
    measure_speed(
        AtariThroughputConfig(steps=80, turns=1, out=tmp_path / "speed.json", run=AtariRunConfig(precision="float32"))
    )
    torch.set_num_threads(1)
    figures = json.loads((tmp_path / "speed.json").read_text())
    assert set(figures["loops"]) == set(VARIANTS)
    for loop in figures["loops"].values():
        assert set(loop["share"]) == set(PARTS)
        assert sum(loop["share"].values()) == pytest.approx(1.0)
        assert min(loop["share"].values()) >= -1e-6
    assert figures["loops"]["plain"]["times_plain"] == 1.0
    assert figures["loops"]["joint"]["share"]["auxiliary"] > figures["loops"]["plain"]["share"]["auxiliary"] == 0
    assert min(figures["games"].values()) > 0
