"""Offline training of encoders: what it ends in, cut or not."""

from __future__ import annotations

import copy
import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from small_fits import CONFIG, TRAINING, VALIDATION, equal, fresh, stop_after, walk
from torch import Tensor, nn

import encoders
from encoders import registry
from encoders.base import Encoder, EncoderConfig, FrameBatch, LossAndMetrics, Sampling
from encoders.clips import clip_pool
from encoders.clips.clips import Clips, open_folder, sample_batch
from encoders.training.fit import FitConfig, distance_scale, fit
from encoders.videos.video import write_video


@dataclass(frozen=True)
class ToyConfig(EncoderConfig):
    """A toy has nothing to set."""


class Toy(Encoder):
    """One linear layer and dropout; neighbours in time should be near, and the mean spread is 1."""

    Config = ToyConfig

    def __init__(self, config: ToyConfig) -> None:
        super().__init__(config)
        self.layer = nn.Linear(config.channels * config.image_size**2, 4)
        self.dropout = nn.Dropout(0.3)

    @property
    def embedding_dim(self) -> int:
        """Four numbers."""
        return 4

    @property
    def sampling(self) -> Sampling:
        """Five moments of two videos."""
        return Sampling(videos=2, frames=5, span=10, views=1)

    def forward(self, frames: Tensor) -> Tensor:
        """One layer."""
        return self.layer(self.dropout(frames.flatten(1) / 255.0))

    def loss(self, batch: FrameBatch) -> LossAndMetrics:
        """Smoothness and spread."""
        embeddings = self(batch.frames)
        return LossAndMetrics(embeddings.diff(dim=0).square().mean() + (embeddings.std() - 1).square(), {})


class Worsening(Toy):
    """Every validation is worse than the last one."""

    validated = 0

    def loss(self, batch: FrameBatch) -> LossAndMetrics:
        """In evaluation, how often it was asked."""
        result = super().loss(batch)
        if self.training:
            return result
        self.validated += 1
        return LossAndMetrics(torch.tensor(float(self.validated)), {})


@pytest.fixture(autouse=True)
def toys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "_ENCODERS", dict(registry._ENCODERS))
    registry.register("toy")(Toy)
    registry.register("worsening")(Worsening)


def test_the_loss_falls_and_the_best_weights_are_kept_saved_and_scaled(tmp_path: Path) -> None:
    reports, states = [], []
    encoder = fresh()

    def report(figures: dict[str, float]) -> None:
        reports.append(figures)
        states.append(copy.deepcopy(encoder.state_dict()))

    config = FitConfig(steps=40, validate_every=5, validation_batches=3, learning_rate=5e-3)
    trained = fit(encoder, TRAINING, VALIDATION, config, 0, tmp_path, report)
    assert trained is encoder
    assert not trained.training
    assert [figures["step"] for figures in reports] == list(range(5, 41, 5))
    losses = [figures["loss"] for figures in reports]
    assert min(losses) < 0.5 * losses[0]
    assert reports[-1]["train_loss"] < reports[0]["train_loss"]
    assert {"violations", "loss", "train_loss"} < set(reports[0])
    best = states[int(np.argmin(losses))]
    for key, value in trained.state_dict().items():
        assert key == "distance_scale" or torch.equal(value, best[key])
    assert float(trained.distance_scale) == distance_scale(trained, VALIDATION) > 0
    equal(encoders.load(tmp_path), trained)


def test_the_distance_scale_is_the_median_step_of_the_validation_videos(encoder: Encoder) -> None:
    steps = [
        np.linalg.norm(np.diff(encoder.embed_video(view), axis=0), axis=1)
        for clip in walk(3, 2).videos
        for view in clip
    ]
    assert len(steps) == 6
    assert distance_scale(encoder, walk(3, 2)) == pytest.approx(np.median(np.concatenate(steps)))


def test_training_stops_when_validation_no_longer_improves(tmp_path: Path) -> None:
    torch.manual_seed(0)
    encoder = encoders.make("worsening", image_size=16)
    states = []
    config = FitConfig(steps=50, validate_every=1, validation_batches=1, patience=3)
    fit(
        encoder,
        TRAINING,
        VALIDATION,
        config,
        0,
        tmp_path,
        lambda _: states.append(copy.deepcopy(encoder.layer.weight)),  # type: ignore[arg-type]
    )
    # One best, then three that are worse.
    assert len(states) == 4
    assert torch.equal(encoder.layer.weight, states[0])  # type: ignore[arg-type]
    assert not torch.equal(states[3], states[0])


@pytest.mark.parametrize("name", ["tcn", "toy"])
def test_training_that_was_cut_ends_in_the_same_weights(tmp_path: Path, name: str) -> None:
    def start() -> Encoder:
        torch.manual_seed(0)
        return encoders.make(name, image_size=16)

    whole = fit(start(), TRAINING, VALIDATION, CONFIG, 5, tmp_path / "whole")
    for step in (2, 4):
        with pytest.raises(KeyboardInterrupt):
            fit(start(), TRAINING, VALIDATION, CONFIG, 5, tmp_path / "cut", stop_after(step))
    assert not (tmp_path / "cut" / "config.json").exists()
    steps: list[float] = []
    resumed = fit(
        start(), TRAINING, VALIDATION, CONFIG, 5, tmp_path / "cut", lambda figures: steps.append(figures["step"])
    )
    assert steps == [6]
    equal(resumed, whole)
    equal(encoders.load(tmp_path / "cut"), whole)


def recorded(folder: Path, memory_bytes: int) -> list[Clips]:
    """The same clips as files, for training and for validation."""
    for role, clips in (("training", TRAINING), ("validation", VALIDATION)):
        for name, views in zip(clips.names, clips.videos, strict=True):
            write_video(folder / role / f"{name}_view0.mp4", views[0], 20)
    return [open_folder(folder / role, 16, memory_bytes) for role in ("training", "validation")]


@pytest.mark.parametrize(
    "settings",
    [
        {"optimiser": "snaps", "learning_rate": 1e-2},
        {"optimiser": "pouring"},
        {"optimiser": "smak"},
        {"colour_jitter": 1.0},
    ],
    ids=lambda settings: next(iter(settings.values())),
)
def test_training_from_files_that_was_cut_ends_in_the_same_weights(tmp_path: Path, settings: dict[str, Any]) -> None:
    # Memory for a single piece of a video.
    training, validation = recorded(tmp_path, memory_bytes=1)
    config = FitConfig(steps=6, validate_every=2, validation_batches=2, **settings)
    whole = fit(fresh(), training, validation, config, 5, tmp_path / "whole")
    for step in (2, 4):
        with pytest.raises(KeyboardInterrupt):
            fit(fresh(), training, validation, config, 5, tmp_path / "cut", stop_after(step))
    equal(fit(fresh(), training, validation, config, 5, tmp_path / "cut"), whole)
    plain = fit(fresh(), training, validation, CONFIG, 5, tmp_path / "plain")
    assert not torch.equal(plain.head[1].weight, whole.head[1].weight)  # type: ignore[index, union-attr]


def toy() -> Encoder:
    torch.manual_seed(0)
    return encoders.make("toy", image_size=16)


def test_training_from_files_that_the_memory_holds_is_training_in_memory(tmp_path: Path) -> None:
    files = recorded(tmp_path, memory_bytes=2**20)
    memory = [Clips([np.asarray(video) for video in clips.videos], clips.names) for clips in files]
    left = fit(toy(), *files, CONFIG, 5, tmp_path / "files")
    equal(left, fit(toy(), *memory, CONFIG, 5, tmp_path / "memory"))


@pytest.mark.parametrize("whole", [False, True])
def test_training_from_a_pool_that_was_cut_ends_in_the_same_weights(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, whole: bool
) -> None:
    monkeypatch.setattr(clip_pool, "SMALL_PIXELS", 0)
    monkeypatch.setattr(clip_pool, "FIRST_PIXELS", 1)
    # A piece enters at every other batch, ten frames or more behind the only key frame, the first one; without the
    # memory for all, the oldest leave.
    monkeypatch.setattr(clip_pool, "BATCH_PIXELS", 12 * 16 * 16)
    training, validation = recorded(tmp_path, memory_bytes=2**20 if whole else 4 * 10 * 16 * 16 * 3)
    schedule = clip_pool.ClipPool(training, toy().sampling, 5).schedule
    assert schedule is not None
    assert (schedule.whole, schedule.every, schedule.capacity) == (whole, 2, 6 if whole else 3)
    config = FitConfig(steps=12, validate_every=3, validation_batches=2)
    weights = []
    for seed in (5, 6):
        folder = tmp_path / f"whole_{seed}"
        weights.append(fit(toy(), training, validation, config, seed, folder))
    for step in (3, 9):
        with pytest.raises(KeyboardInterrupt):
            fit(toy(), training, validation, config, 5, tmp_path / "cut", stop_after(step))
    equal(fit(toy(), training, validation, config, 5, tmp_path / "cut"), weights[0])
    assert not torch.equal(weights[0].layer.weight, weights[1].layer.weight)  # type: ignore[arg-type]


def test_an_error_while_drawing_ends_training_with_it(tmp_path: Path) -> None:
    write_video(tmp_path / "a_view0.mp4", TRAINING.videos[0][0], 20)
    write_video(tmp_path / "b_view0.mp4", TRAINING.videos[1][0], 20)
    clips = open_folder(tmp_path, 16, memory_bytes=1)

    def remove(_: dict[str, float]) -> None:
        for path in tmp_path.glob("*.mp4"):
            path.unlink(missing_ok=True)

    config = FitConfig(steps=50, validate_every=1, validation_batches=1)
    with pytest.raises(ValueError, match=r"[ab]_view0\.mp4"):
        fit(fresh(), clips, VALIDATION, config, 0, tmp_path / "out", remove)


def test_a_cut_after_the_best_validation_keeps_the_best(tmp_path: Path) -> None:
    config = FitConfig(steps=50, validate_every=1, validation_batches=1, patience=4)

    def start() -> Encoder:
        torch.manual_seed(0)
        return encoders.make("worsening", image_size=16)

    whole = fit(start(), TRAINING, VALIDATION, config, 0, tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        fit(start(), TRAINING, VALIDATION, config, 0, tmp_path / "cut", stop_after(3))
    # The toy's losses begin anew at 1.0, which is no better than the best before the cut.
    equal(fit(start(), TRAINING, VALIDATION, config, 0, tmp_path / "cut"), whole)


def test_a_finished_encoder_is_not_trained_again(tmp_path: Path) -> None:
    first = fit(fresh(), TRAINING, VALIDATION, CONFIG, 0, tmp_path)
    reports: list[dict[str, float]] = []
    equal(fit(fresh(), TRAINING, VALIDATION, CONFIG, 0, tmp_path, reports.append), first)
    assert reports == []


def test_the_checkpoint_holds_the_newest_step_alone(tmp_path: Path) -> None:
    fit(fresh(), TRAINING, VALIDATION, CONFIG, 0, tmp_path)
    assert {path.name for path in (tmp_path / "checkpoint").iterdir()} == {
        "progress.json",
        "step_6.pt",
        "step_6.safetensors",
    }
    assert json.loads((tmp_path / "checkpoint" / "progress.json").read_text())["state"]["finished"]


def test_the_seed_draws_the_batches(tmp_path: Path) -> None:
    one, same, other = (
        fit(fresh(), TRAINING, VALIDATION, CONFIG, seed, tmp_path / f"{i}") for i, seed in enumerate((1, 1, 2))
    )
    equal(one, same)
    assert not torch.equal(next(one.parameters()), next(other.parameters()))


def test_two_views_train_the_objectives_across_views(tmp_path: Path) -> None:
    for objective in ("multi_view", "n_pairs"):
        encoder = fit(fresh(objective=objective), walk(0, 2), walk(1, 2), CONFIG, 0, tmp_path / objective)
        assert np.isfinite(float(encoder.distance_scale))


@pytest.mark.parametrize("role", ["training", "validation"])
def test_wrong_clips_are_refused_before_anything_is_written(tmp_path: Path, role: str) -> None:
    wrong = [
        (fresh(), Clips((), ()), f"no {role} clips"),
        (fresh(), walk(0, size=20), "made for frames of shape"),
        (fresh(objective="multi_view"), walk(0, 1), r"walk_0 has 1 view\(s\)"),
        (fresh(objective="n_pairs"), walk(0, 1), r"needs 2"),
    ]
    for encoder, clips, message in wrong:
        good = walk(0, 2)
        pair = (clips, good) if role == "training" else (good, clips)
        with pytest.raises(ValueError, match=message):
            fit(encoder, *pair, CONFIG, 0, tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_a_loss_that_is_not_finite_stops_with_its_step(tmp_path: Path) -> None:
    encoder = fresh()

    def poison(_: dict[str, float]) -> None:
        with torch.no_grad():
            next(encoder.parameters()).fill_(float("nan"))

    with pytest.raises(ValueError, match="tcn loss became nan at step 2; lower the learning rate"):
        fit(encoder, TRAINING, VALIDATION, CONFIG, 0, tmp_path, poison)
    assert not (tmp_path / "config.json").exists()


@pytest.mark.parametrize(
    "settings", [{"steps": 0}, {"validate_every": 0}, {"patience": 0}, {"learning_rate": 0.0}, {"learning_rate": 1.0}]
)
def test_impossible_settings_are_refused(settings: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=next(iter(settings))):
        FitConfig(**settings)  # type: ignore[arg-type]


def test_training_in_bfloat16_learns_nearly_what_float32_learns(tmp_path: Path) -> None:
    encoder = fresh()
    fit(encoder, TRAINING, VALIDATION, replace(CONFIG, steps=40), 0, tmp_path / "float32")
    batch = sample_batch(TRAINING, encoder.sampling, np.random.default_rng(0))
    gradients = []
    for half in (False, True):
        encoder.zero_grad()
        with torch.autocast("cpu", torch.bfloat16, enabled=half):
            encoder.loss(batch).loss.backward()
        gradients.append(torch.cat([part.grad.flatten() for part in encoder.parameters()]))
    assert gradients[1].dtype == torch.float32
    assert not torch.equal(*gradients)
    assert torch.cosine_similarity(*gradients, dim=0) > 0.99
    trained = fresh()
    fit(trained, TRAINING, VALIDATION, replace(CONFIG, precision="bfloat16"), 0, tmp_path / "bfloat16")
    assert {part.dtype for part in trained.parameters()} == {torch.float32}
    with pytest.raises(ValueError, match="Unknown precision of the training 'half'"):
        FitConfig(precision="half")


def test_any_registered_encoder_is_trained_and_saved(tmp_path: Path) -> None:
    torch.manual_seed(0)
    encoder = encoders.make("toy", image_size=16)
    before = copy.deepcopy(encoder.layer.weight)
    fit(encoder, TRAINING, VALIDATION, CONFIG, 0, tmp_path)
    assert not torch.equal(encoder.layer.weight, before)  # type: ignore[arg-type]
    loaded = encoders.load(tmp_path)
    assert type(loaded) is Toy
    frames = TRAINING.videos[0][0]
    np.testing.assert_array_equal(loaded.embed_video(frames), encoder.embed_video(frames))
