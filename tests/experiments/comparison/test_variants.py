"""Comparing encoders: splits, judging, tables, and an encoder from outside the package."""

from __future__ import annotations

import csv
import json
import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F  # noqa: N812 - torch's own usage
from numpy.typing import NDArray
from small_view_pairs import PAIRS, viewed
from torch import Tensor, nn

import encoders
from encoders import Encoder, FrameBatch, LossAndMetrics, register, registry
from encoders.base import EncoderConfig, Sampling, centred
from encoders.clips.clips import Clips, Labels
from encoders.errors import check_choice
from encoders.losses import grouped_n_pairs_loss
from encoders.training.fit import FitConfig, fit
from encoders.videos.video import write_video
from envs.embedding import EmbeddingObservation
from envs.kuka import KukaReach
from experiments import compare_encoders
from experiments.comparison.config import CompareConfig
from experiments.comparison.judging import Split, judge, run_cell, split_clips
from experiments.comparison.run import compare, open_split
from experiments.comparison.tables import FIGURES, markdown
from experiments.comparison.variants import (
    LARGE,
    VARIANTS,
    encoder_config,
    variant_of,
)

FIT = FitConfig(steps=4, validate_every=2, validation_batches=2, feature_copies=2, colour_jitter=0.5)
STEM = {"backbone": "efficientnet_lite0", "freeze": True}
METRICS = [key for key, _ in FIGURES]


@pytest.fixture
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return viewed(tmp_path_factory.getbasetemp())


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


def test_every_variant_can_be_made_and_an_unknown_one_is_answered_with_the_nearest() -> None:
    for name in (*VARIANTS, *LARGE):
        variant = variant_of(name)
        check_choice("encoder", variant.encoder, encoders.names())
        encoders.make(variant.encoder, image_size=32, **variant.settings)
        assert 0 < variant.share <= 1
    assert variant_of("smak").settings == {}
    with pytest.raises(ValueError, match=r"Unknown encoder or variant 'smak_132'\. Did you mean 'smak_1[23]+'\?"):
        variant_of("smak_132")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"encoders": ("tcn", "tcn_n_pair")}, "'tcn_n_pair'. Did you mean 'tcn_n_pairs'?"),
        ({"encoders": ()}, "at least one encoder and one seed"),
        ({"encoders": ("tcn", "tcn")}, "each once"),
        ({"seeds": ()}, "at least one encoder and one seed"),
        ({"seeds": (1, 0, 1)}, "each once"),
        ({"seeds": (0, -1)}, "no seed negative"),
        ({"workers": 0}, "workers, threads and memory_mb must be at least 1; got 0, 1 and 1024"),
        ({"memory_mb": 0}, "got 2, 1 and 0"),
        ({"threads": 0}, "got 2, 0 and 1024"),
        ({"extra": 1}, "extra is 1; it must be 0 for none, or at least 2"),
        ({"extra": 5, "clips": Path("x")}, "extra demonstrations are recorded for the Kuka set"),
    ],
)
def test_impossible_settings_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message.replace("?", r"\?")):
        CompareConfig(**settings)


def test_a_mistake_on_the_command_line_comes_before_any_work(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    out = tmp_path / "out"
    for given, message in (
        (["--encoders", "smak_12", "untraind"], "Unknown encoder or variant 'untraind'. Did you mean 'untrained'?"),
        (["--clips", str(tmp_path / "nothing")], f"There is no folder {tmp_path}/nothing"),
        (["--fit.optimiser", "snap"], "Did you mean 'snaps'?"),
    ):
        monkeypatch.setattr(sys, "argv", ["compare_encoders.py", "--out", str(out), *given])
        assert compare_encoders.main() == 2
        line = capsys.readouterr().err
        assert line.startswith("error:")
        assert message in line
    assert not out.exists()


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


def test_a_stem_is_frozen_where_it_is_pretrained() -> None:
    for backbone, weights, frozen in (
        ("efficientnet_lite0", "", True),
        ("small", "", False),
        ("residual", "", False),
        ("resnet50_v2", "", False),
        ("resnet50_v2", "weights.safetensors", True),
    ):
        assert CompareConfig(backbone=backbone, weights=weights).stem["freeze"] is frozen


@pytest.mark.parametrize("name", encoders.names())
def test_every_registered_encoder_takes_frames_in_colour(name: str) -> None:
    config = CompareConfig(encoders=(name,))
    made = encoders.make(name, **asdict(encoder_config(variant_of(name), config.image_size, config.stem)))
    made.check_frames((3, 64, 64))


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


@pytest.mark.parametrize("rows", [5, 17])
def test_a_truth_of_other_rows_than_frames_is_refused(folder: Path, tmp_path: Path, rows: int) -> None:
    shutil.copytree(folder, tmp_path / "copy")
    np.savez(tmp_path / "copy" / "reach_0003_truth.npz", link_positions=np.zeros((rows, 7, 3)))
    with pytest.raises(ValueError, match=rf"reach_0003_truth\.npz holds link_positions of shape \({rows}, 7, 3\)"):
        open_split(CompareConfig(clips=tmp_path / "copy", image_size=32))
    (tmp_path / "copy" / "reach_0003_truth.npz").write_bytes(b"PK")
    with pytest.raises(ValueError, match=r"The truth .*reach_0003_truth\.npz is damaged.*delete it to judge without"):
        open_split(CompareConfig(clips=tmp_path / "copy", image_size=32))


def test_the_seed_of_a_cell_draws_the_initial_weights(folder: Path, tmp_path: Path) -> None:
    split = open_split(CompareConfig(clips=folder, image_size=32))
    cells = [run_cell("untrained", seed, split, FIT, 32, STEM, tmp_path / f"{i}") for i, seed in enumerate((0, 0, 1))]
    assert cells[0] == cells[1]
    assert cells[0]["kendalls_tau"] != cells[2]["kendalls_tau"]


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


@dataclass(frozen=True)
class ToyConfig(EncoderConfig):
    """What a user's own encoder may be configured with.

    Attributes:
        width: Channels of its only map.
        dimensions: Length of an embedding.
    """

    width: int = 8
    dimensions: int = 4


@pytest.fixture
def toy(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A new encoder as somebody would write it outside the package; forgotten after the test."""
    monkeypatch.setattr(registry, "_ENCODERS", dict(registry._ENCODERS))

    @register("toy_of_a_user")
    class ToyEncoder(Encoder):
        """One convolution, pooled, and a linear layer."""

        Config = ToyConfig
        config: ToyConfig

        def __init__(self, config: ToyConfig) -> None:
            super().__init__(config)
            self.convolution = nn.Conv2d(config.channels, config.width, 5, stride=4)
            self.linear = nn.Linear(4 * config.width, config.dimensions)

        @property
        def embedding_dim(self) -> int:
            """As configured."""
            return self.config.dimensions

        @property
        def sampling(self) -> Sampling:
            """Two views of eight moments."""
            return Sampling(videos=3, frames=8, span=16, views=2)

        def forward(self, frames: Tensor) -> Tensor:
            """Pooled to 2 x 2 positions."""
            maps = F.adaptive_avg_pool2d(torch.relu(self.convolution(centred(frames))), 2)
            return F.normalize(self.linear(maps.flatten(1)), dim=1) * 5.0

        def loss(self, batch: FrameBatch) -> LossAndMetrics:
            """N-pairs across views."""
            embeddings = self(batch.frames)
            first, second = embeddings[batch.view == 0], embeddings[batch.view == 1]
            return LossAndMetrics(grouped_n_pairs_loss(first, second, batch.video[batch.view == 0]), {})

    yield ToyEncoder.name


def test_a_users_own_encoder_goes_all_the_way(
    toy: str, folder: Path, tmp_path: Path, make_kuka: Callable[..., KukaReach]
) -> None:
    split = open_split(CompareConfig(clips=folder, image_size=32))
    torch.manual_seed(0)
    encoder = encoders.make(toy, image_size=32, width=6)
    before = {name: value.clone() for name, value in encoder.state_dict().items()}
    reports: list[dict[str, float]] = []
    config = FitConfig(steps=30, validate_every=10, validation_batches=3, learning_rate=5e-3)
    fit(encoder, split.training, split.validation, config, 0, tmp_path / "toy", reports.append)
    assert reports[-1]["loss"] < reports[0]["loss"]
    changed = [name for name, value in encoder.state_dict().items() if not torch.equal(value, before[name])]
    assert set(changed) == set(before)

    loaded = encoders.load(tmp_path / "toy")
    assert type(loaded) is type(encoder)
    assert loaded.config == ToyConfig(image_size=32, width=6)
    figures = judge(loaded, split, np.random.default_rng(0))
    assert set(figures) == set(METRICS)
    assert figures == judge(encoder, split, np.random.default_rng(0))

    # A cell of the comparison by its registered name, without a line about it in the experiments.
    assert run_cell(toy, 0, split, FIT, 32, STEM, tmp_path / "cell")["variant"] == toy
    with pytest.raises(ValueError, match=f"Did you mean '{toy}'"):
        variant_of("toy_of_a_usr")

    kuka = make_kuka(image_size=32, horizon=4)
    frozen = loaded.frozen()
    demonstration = loaded.embed_video(split.test.videos[0][0][:5])
    env = EmbeddingObservation(kuka, frozen, demonstration)
    observation, _ = env.reset(seed=0)
    for step in range(1, 4):
        assert env.observation_space.contains(observation)
        np.testing.assert_allclose(
            observation["embedding"], loaded.embed_video(kuka.frame("front")[None])[0], atol=1e-4
        )
        np.testing.assert_array_equal(observation["demonstration"], demonstration[step])
        observation = env.step(np.full(7, 0.3, np.float32))[0]


def test_the_users_encoder_is_forgotten_after_its_test() -> None:
    assert "toy_of_a_user" not in encoders.names()
