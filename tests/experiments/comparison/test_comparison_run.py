"""A comparison from its clips to its tables."""

from __future__ import annotations

import csv
import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from small_comparison import FIT, METRICS
from small_view_pairs import PAIRS, viewed

import encoders
from encoders.videos.video import write_video
from experiments.comparison.config import CompareConfig
from experiments.comparison.judging import judge
from experiments.comparison.run import compare, open_split
from experiments.comparison.tables import markdown


@pytest.fixture(scope="module")
def compared(tmp_path_factory: pytest.TempPathFactory) -> CompareConfig:
    """A comparison of two variants that has run."""
    config = CompareConfig(
        encoders=("tcn_multi_view", "untrained"),
        clips=viewed(tmp_path_factory.getbasetemp()),
        seeds=(0,),
        image_size=32,
        out=tmp_path_factory.mktemp("compared") / "out",
        workers=1,
        fit=FIT,
        record=PAIRS,
    )
    compare(config)
    return config


def test_extra_demonstrations_are_learned_from_alone_and_look_different(tmp_path: Path) -> None:
    config = CompareConfig(
        encoders=("untrained",),
        seeds=(0,),
        image_size=32,
        out=tmp_path / "out",
        workers=1,
        fit=FIT,
        record=PAIRS,
        extra=3,
    )
    compare(config)
    split, without = open_split(config), open_split(replace(config, extra=0))
    assert len(split.training) == len(without.training) + 3
    assert split.test.names == without.test.names and split.validation.names == without.validation.names
    first, other = (np.asarray(split.training.videos[index][0]) for index in (0, len(without.training)))
    assert not np.array_equal(first, other)
    with pytest.raises(ValueError, match="holds another run: extra differ"):
        compare(replace(config, extra=4))


def test_a_split_is_opened_with_labels_and_states(folder: Path) -> None:
    split = open_split(CompareConfig(clips=folder, image_size=16))
    assert [video.shape for video in split.test.videos] == [(2, 16, 16, 16, 3)] * 2
    assert split.test.names == ("reach_0004", "reach_0005")
    assert split.labels is not None
    assert split.states is not None
    for name, labels, state in zip(split.test.names, split.labels.videos, split.states, strict=True):
        assert labels.shape[0] == 16
        with np.load(folder / f"{name}_truth.npz", allow_pickle=False) as truth:
            np.testing.assert_array_equal(state.reshape(16, 7, 3), truth["link_positions"])


def test_clips_from_elsewhere_have_neither_labels_nor_states(folder: Path, tmp_path: Path) -> None:
    for path in folder.glob("*.mp4"):
        shutil.copy(path, tmp_path)
    split = open_split(CompareConfig(clips=tmp_path, image_size=16))
    assert split.labels is None
    assert split.states is None
    encoder = encoders.make("tcn", image_size=16, embedding_dim=4, hidden=8)
    assert set(judge(encoder, split, np.random.default_rng(0))) == set(METRICS) - {
        "classification_error",
        "rank_correlation",
    }


def test_a_comparison_leaves_tables_a_figure_and_where_it_came_from(compared: CompareConfig) -> None:
    out = compared.out
    assert {path.name for path in out.iterdir()} == {
        "config.json",
        "provenance.json",
        "table.csv",
        "table.md",
        "table.png",
        *compared.encoders,
    }
    with (out / "table.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [(row["variant"], row["seed"]) for row in rows] == [("tcn_multi_view", "0"), ("untrained", "0")]
    assert [row["steps"] for row in rows] == ["4", "0"]
    for row in rows:
        assert set(METRICS) < set(row)
        result = json.loads((out / row["variant"] / "seed_0" / "result.json").read_text())
        assert {key: str(value) for key, value in result.items()} == row
        assert 0 <= float(row["alignment_error"]) <= 1
        assert 0 <= float(row["waiting_share"]) <= 1
    lines = (out / "table.md").read_text().splitlines()
    assert [line.split("|")[1].strip() for line in lines] == ["encoder", "---", "tcn_multi_view", "untrained"]
    assert len({line.count("|") for line in lines}) == 1
    assert (out / "table.png").read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"


def test_what_is_judged_is_the_encoder_that_was_saved(compared: CompareConfig) -> None:
    split = open_split(compared)
    for name in compared.encoders:
        cell = compared.out / name / "seed_0"
        encoder = encoders.load(cell / "encoder")
        assert float(encoder.distance_scale) > 0
        figures = judge(encoder, split, np.random.default_rng(0))
        result = json.loads((cell / "result.json").read_text())
        assert figures == pytest.approx({key: result[key] for key in METRICS}, abs=1e-6)
        trained = [weight for weight in encoder.parameters() if weight.requires_grad]
        assert result["parameters"] == sum(weight.numel() for weight in trained) > 0


def test_a_second_call_trains_nothing_again_and_writes_the_table_anew(compared: CompareConfig) -> None:
    results = {path: path.stat().st_mtime_ns for path in compared.out.rglob("result.json")}
    weights = {path: path.stat().st_mtime_ns for path in compared.out.rglob("*.safetensors")}
    assert len(results) == 2
    assert len(weights) > 2
    table = (compared.out / "table.csv").read_text()
    (compared.out / "table.csv").unlink()
    compare(compared)
    assert {path: path.stat().st_mtime_ns for path in results} == results
    assert {path: path.stat().st_mtime_ns for path in weights} == weights
    assert (compared.out / "table.csv").read_text() == table


def test_a_folder_of_another_comparison_is_refused_and_left_alone(compared: CompareConfig) -> None:
    before = {path: path.stat().st_mtime_ns for path in compared.out.rglob("*")}
    for other, changed in (
        (replace(compared, fit=replace(FIT, steps=5)), "fit"),
        (replace(compared, backbone="small"), "backbone"),
        (replace(compared, dropout=0.1), "dropout"),
        (replace(compared, image_size=34), "image_size"),
    ):
        with pytest.raises(ValueError, match=rf"holds another run: {changed} differ\(s\)\. Choose another --out"):
            compare(other)
    assert {path: path.stat().st_mtime_ns for path in compared.out.rglob("*")} == before


def test_a_mistake_in_the_clips_does_not_take_the_folder(folder: Path, tmp_path: Path) -> None:
    config = CompareConfig(clips=tmp_path / "typo", out=tmp_path / "out", image_size=32, fit=FIT)
    with pytest.raises(ValueError, match="no folder"):
        compare(config)
    (tmp_path / "broken").mkdir()
    for index in range(6):
        for view in (0, 1):
            (tmp_path / "broken" / f"x{index}_view{view}.mp4").write_text("no video")
    with pytest.raises(ValueError, match="cannot be decoded"):
        compare(replace(config, clips=tmp_path / "broken"))
    assert not (tmp_path / "out" / "config.json").exists()


def test_clips_that_are_too_short_for_an_encoder_are_refused_before_the_folder_is_taken(tmp_path: Path) -> None:
    folder = tmp_path / "clips"
    folder.mkdir()
    for index in range(6):
        for view in (0, 1):
            write_video(folder / f"x{index}_view{view}.mp4", np.zeros((6, 32, 32, 3), np.uint8), 10)
    config = CompareConfig(clips=folder, out=tmp_path / "out", image_size=32, fit=FIT, encoders=("untrained", "tcn"))
    with pytest.raises(ValueError, match=r"x0 has 6 frame\(s\), and the loss of 'tcn' compares moments of at least 9"):
        compare(config)
    assert not (tmp_path / "out" / "config.json").exists()


@pytest.mark.parametrize("rows", [5, 17])
def test_a_truth_of_other_rows_than_frames_is_refused(folder: Path, tmp_path: Path, rows: int) -> None:
    shutil.copytree(folder, tmp_path / "copy")
    np.savez(tmp_path / "copy" / "reach_0003_truth.npz", link_positions=np.zeros((rows, 7, 3)))
    with pytest.raises(ValueError, match=rf"reach_0003_truth\.npz holds link_positions of shape \({rows}, 7, 3\)"):
        open_split(CompareConfig(clips=tmp_path / "copy", image_size=32))
    (tmp_path / "copy" / "reach_0003_truth.npz").write_bytes(b"PK")
    with pytest.raises(ValueError, match=r"The truth .*reach_0003_truth\.npz is damaged.*delete it to judge without"):
        open_split(CompareConfig(clips=tmp_path / "copy", image_size=32))


def test_the_markdown_table_has_a_row_a_variant_in_order_of_appearance() -> None:
    rows = [
        {"variant": "b", "seed": 0, "steps": 1500, "parameters": 12345, "alignment_error": 0.1, "kendalls_tau": 0.5},
        {"variant": "b", "seed": 1, "steps": 1500, "parameters": 12345, "alignment_error": 0.1, "kendalls_tau": 0.5},
        {"variant": "a", "seed": 0, "steps": 0, "parameters": 7, "alignment_error": 0.256, "kendalls_tau": -0.25},
    ]
    assert markdown(rows).splitlines() == [
        "| encoder | steps | parameters | seeds | alignment error | Kendall's tau |",
        "|---|---|---|---|---|---|",
        "| b | 1,500 | 12,345 | 2 | 10.0% [10.0%, 10.0%] | 0.500 [0.500, 0.500] |",
        "| a | 0 | 7 | 1 | 25.6% | -0.250 |",
    ]
