"""Judging encoders: splits of clips, metrics by hand, and cells that are trained once."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from small_comparison import FIT, METRICS, STEM
from torch import Tensor

from encoders import Encoder, FrameBatch, LossAndMetrics
from encoders.base import EncoderConfig, Sampling
from encoders.clips.clips import Clips, Labels
from experiments.comparison.config import CompareConfig
from experiments.comparison.judging import Split, judge, run_cell, split_clips
from experiments.comparison.run import open_split


def blank(count: int, views: int = 2, length: int = 3) -> Clips:
    videos = tuple(np.full((views, length, 4, 4, 3), index, np.uint8) for index in range(count))
    return Clips(videos, tuple(f"v{index:03d}" for index in range(count)))


@pytest.mark.parametrize(
    ("count", "sizes"), [(235, (133, 17, 85)), (6, (3, 1, 2)), (7, (4, 1, 2)), (8, (5, 1, 2)), (20, (11, 1, 8))]
)
def test_clips_are_split_in_their_order_as_the_pouring_set_is(count: int, sizes: tuple[int, int, int]) -> None:
    clips = blank(count)
    labels = Labels(("a",), tuple(np.full((3, 1), index % 2 == 0) for index in range(count)))
    states = [np.full((3, 2), index, np.float64) for index in range(count)]
    split = split_clips(clips, labels, states)
    parts = (split.training, split.validation, split.test)
    assert tuple(map(len, parts)) == sizes
    assert [name for part in parts for name in part.names] == list(clips.names)
    first = sizes[0] + sizes[1]
    assert split.labels is not None
    assert split.states is not None
    assert [bool(video[0, 0]) for video in split.labels.videos] == [index % 2 == 0 for index in range(first, count)]
    assert [state[0, 0] for state in split.states] == list(range(first, count))
    assert split_clips(clips, None, None).labels is None
    assert split_clips(clips, None, None).states is None


def test_too_few_clips_and_single_views_are_refused() -> None:
    for count in range(6):
        with pytest.raises(ValueError, match=f"There are {count} recordings; .* at least 6 together"):
            split_clips(blank(count), None, None)
    with pytest.raises(ValueError, match="v000 has a single view"):
        split_clips(blank(8, views=1), None, None)


@dataclass(frozen=True)
class ReadingConfig(EncoderConfig):
    """Nothing to set."""


class Reading(Encoder):
    """Reads the embedding off the first pixel's red and green."""

    name = "reading"
    Config = ReadingConfig

    @property
    def embedding_dim(self) -> int:
        """Red and green."""
        return 2

    @property
    def sampling(self) -> Sampling:
        """Nothing to learn."""
        return Sampling(1, 2, 2, 1)

    def forward(self, frames: Tensor) -> Tensor:
        """The first pixel."""
        return frames[:, :2, 0, 0].float()

    def loss(self, batch: FrameBatch) -> LossAndMetrics:
        """Nothing to learn."""
        raise ValueError("nothing to learn")


def pixels(*views: list[tuple[int, int]]) -> NDArray[np.uint8]:
    video = np.zeros((len(views), len(views[0]), 4, 4, 3), np.uint8)
    video[..., :2] = np.array(views)[:, :, None, None]
    return video


def test_an_encoder_is_judged_by_hand() -> None:
    # The second video's views agree. The first's second view has its frames 1 and 2 exchanged.
    line = [(10, 10), (20, 10), (30, 10), (40, 10)]
    turned = [line[0], line[2], line[1], line[3]]
    far = [(red, 200) for red, _ in line]
    clips = Clips((pixels(line, turned), pixels(far, far)), ("a", "b"))
    # Neighbours in the other recording have the same red; the labels of the first recording follow its first view.
    reds = np.array([[False], [False], [True], [True]])
    labels = Labels(("late",), (reds, reds))
    times = np.arange(4.0)[:, None]
    split = Split(clips, clips, clips, labels, [times, times])
    figures = judge(Reading(ReadingConfig(image_size=4)), split, np.random.default_rng(0))
    # Two of four frames are one frame off, in both directions, of the first video.
    assert figures["alignment_error"] == pytest.approx((2 / 4 / 4 + 0) / 2)
    assert figures["alignment_accuracy_l2"] == 1.0
    # Neighbours 0, 2, 1, 3: five of six pairs in order, one out of it.
    assert figures["kendalls_tau"] == pytest.approx((4 / 6 + 1) / 2)
    # By the first view nothing is wrong, by the second the two exchanged frames of either video are.
    assert figures["classification_error"] == pytest.approx((0 + 4 / 8) / 2)
    # Distances are those of time up to scale in the second video, and nearly in the first.
    assert 0.8 < figures["rank_correlation"] < 1.0
    agreeing = Split(clips, clips, clips.subset([1]), None, [times])
    assert judge(Reading(ReadingConfig(image_size=4)), agreeing, np.random.default_rng(0))[
        "rank_correlation"
    ] == pytest.approx(1.0)


@pytest.mark.parametrize("name", ["pretrained_pooled", "smak_123_third"])
def test_a_cell_is_trained_for_its_share_judged_shown_and_then_only_read(
    folder: Path, tmp_path: Path, name: str
) -> None:
    split = open_split(CompareConfig(clips=folder, image_size=32))
    config = replace(FIT, steps=6, validate_every=100)
    result = run_cell(name, 0, split, config, 32, STEM, tmp_path)
    assert result["steps"] == (0 if name == "pretrained_pooled" else 2)
    assert (result["parameters"] == 0) is (name == "pretrained_pooled")
    assert np.isfinite([result[key] for key in METRICS]).all()
    shown = {path.name for path in tmp_path.iterdir()} - {"encoder", "result.json"}
    # Only an encoder with attention has something to show of it.
    assert ("attention.png" in shown) is (name != "pretrained_pooled")
    assert {"distance_matrix.png", "tsne.png", "neighbours.mp4"} <= shown
    other = result | {"alignment_error": 0.125}
    (tmp_path / "result.json").write_text(json.dumps(other))
    assert run_cell(name, 0, split, config, 32, STEM, tmp_path) == other != result


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "is damaged"),
        ("{}", "lacks variant, seed"),
        ("[" * 100_000, "is damaged"),
        ('{"variant": "untrained", "seed": 1}', r"is one of 'untrained', seed 1"),
        ('{"variant": "untrained", "seed": 0}', "has steps None, which is no number"),
        ("as text", "has kendalls_tau '0.5', which is no number"),
        ("not a number", "has rank_correlation nan, which is no number"),
    ],
)
def test_a_damaged_result_is_named_with_what_to_delete(
    folder: Path, tmp_path: Path, content: str, message: str
) -> None:
    split = open_split(CompareConfig(clips=folder, image_size=32))
    figures = {"steps": 1, "parameters": 2, "waiting_share": 0.0} | dict.fromkeys(METRICS, 0.5)
    good = {"variant": "untrained", "seed": 0, **figures}
    made = {"as text": {"kendalls_tau": "0.5"}, "not a number": {"rank_correlation": float("nan")}}
    (tmp_path / "result.json").write_text(json.dumps(good | made[content]) if content in made else content)
    with pytest.raises(ValueError, match=rf"The result .*result\.json.*{message}.*; delete it"):
        run_cell("untrained", 0, split, FIT, 32, STEM, tmp_path)
    (tmp_path / "result.json").write_text(json.dumps(good))
    assert run_cell("untrained", 0, split, FIT, 32, STEM, tmp_path) == good


def test_the_seed_of_a_cell_draws_the_initial_weights(folder: Path, tmp_path: Path) -> None:
    split = open_split(CompareConfig(clips=folder, image_size=32))
    cells = [run_cell("untrained", seed, split, FIT, 32, STEM, tmp_path / f"{i}") for i, seed in enumerate((0, 0, 1))]
    assert cells[0] == cells[1]
    assert cells[0]["kendalls_tau"] != cells[2]["kendalls_tau"]
