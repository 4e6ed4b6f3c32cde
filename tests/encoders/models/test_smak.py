"""SMAK-Net: attention at several depths, and the embedding made of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F  # noqa: N812 - torch's own usage
from numpy.typing import NDArray
from torch import Tensor, nn

from encoders import load, make
from encoders.base import FrameBatch, channels_first
from encoders.clips.clips import Clips, sample_batch
from encoders.losses import n_pairs_loss
from encoders.models.smak import LEVELS, NORMALISATIONS, PAPER, SMAK, SMAKConfig, SpatialAttention


def small(**settings: Any) -> SMAK:
    torch.manual_seed(0)
    config = {"image_size": 32, "shallow": 6, "width": 8, "hidden": 12, "embedding_dim": 5}
    encoder = make("smak", **{**config, **settings})
    assert isinstance(encoder, SMAK)
    return encoder


def patches(rng: np.random.Generator, *shape: int, size: int = 32) -> NDArray[np.uint8]:
    """Frames of 4 x 4 coloured squares: unlike noise, they differ wherever a network looks."""
    squares = rng.integers(0, 256, (*shape, 4, 4, 3), np.uint8)
    return squares.repeat(size // 4, axis=-3).repeat(size // 4, axis=-2)


def some_frames(size: int = 32) -> Tensor:
    return channels_first(patches(np.random.default_rng(1), 6, size=size))


def batch(seed: int = 0) -> FrameBatch:
    rng = np.random.default_rng(seed)
    clips = Clips(tuple(patches(rng, 2, 70) for _ in range(3)), ("a", "b", "c"))
    return sample_batch(clips, small().sampling, rng)


def used(**settings: Any) -> SMAK:
    """An encoder whose batch norms know the frames: its embeddings spread, and folding changes its weights."""
    encoder = small(**settings).train()
    for layer in encoder.modules():
        if isinstance(layer, nn.BatchNorm1d | nn.BatchNorm2d):
            layer.momentum = 1.0
    with torch.no_grad():
        encoder(some_frames(encoder.config.image_size))
    return encoder.eval()


@pytest.mark.parametrize(
    ("name", "thousands"), [("smak", 1082), ("extended", 1580), ("softmax", 1082), ("resnet", 1080)]
)
def test_the_papers_networks_have_the_papers_number_of_parameters(name: str, thousands: int) -> None:
    encoder = make("smak", **PAPER[name], freeze=True)
    trained = sum(weight.numel() for weight in encoder.parameters() if weight.requires_grad)
    assert trained == pytest.approx(1000 * thousands, rel=0.02)
    frozen = {name.split(".")[0] for name, weight in encoder.named_parameters() if not weight.requires_grad}
    assert frozen == {"backbone"}


def test_every_network_of_the_papers_table_is_counted_above() -> None:
    assert set(PAPER) == {"smak", "extended", "softmax", "resnet"}


def attention(normalisation: str) -> tuple[SpatialAttention, Tensor, Tensor]:
    torch.manual_seed(0)
    module = SpatialAttention(6, 8, normalisation)
    return module, torch.randn(3, 6, 4, 5), torch.randn(3, 8)


@torch.no_grad()
@pytest.mark.parametrize("normalisation", NORMALISATIONS)
def test_attention_is_the_papers_formula_position_by_position(normalisation: str) -> None:
    module, local, feature = attention(normalisation)
    attended, weights = module(local, feature)
    assert attended.shape == (3, 8)
    assert weights.shape == (3, 1, 4, 5)
    mapping = module.project.weight[:, :, 0, 0], module.project.bias
    u = module.compatibility.weight[:, :, 0, 0], module.compatibility.bias
    for image in range(3):
        mapped = F.linear(local[image].flatten(1).T, *mapping)
        scores = F.linear(mapped + feature[image], *u)[:, 0]
        if normalisation == "sigmoid":
            expected = torch.sigmoid(scores)
            summary = (expected[:, None] * mapped).mean(dim=0)
        else:
            expected = F.softmax(scores, dim=0)
            summary = (expected[:, None] * mapped).sum(dim=0)
            assert weights[image].sum().item() == pytest.approx(1.0, abs=1e-5)
        torch.testing.assert_close(weights[image].flatten(), expected)
        torch.testing.assert_close(attended[image], summary)
        assert expected.std() > 0.01


@torch.no_grad()
def test_the_global_feature_moves_sigmoid_attention_and_cancels_out_of_softmax() -> None:
    for normalisation, moves in (("sigmoid", True), ("softmax", False)):
        module, local, feature = attention(normalisation)
        _, weights = module(local, feature)
        _, others = module(local, feature + 1.0)
        # It adds the same to the score of every position, which a softmax over positions takes away.
        assert (float((weights - others).abs().max()) > 0.01) is moves


@torch.no_grad()
def test_an_attended_position_that_is_all_there_is_is_returned_by_softmax() -> None:
    module, local, feature = attention("softmax")
    attended, weights = module(local[:, :, :1, :1], feature)
    assert weights.flatten().tolist() == [1.0, 1.0, 1.0]
    torch.testing.assert_close(attended, module.project(local[:, :, :1, :1])[:, :, 0, 0])


@torch.no_grad()
@pytest.mark.parametrize("normalisation", NORMALISATIONS)
@pytest.mark.parametrize("levels", LEVELS)
def test_levels_choose_the_maps_that_are_attended_to(levels: str, normalisation: str) -> None:
    encoder = used(levels=levels, normalisation=normalisation)
    maps = encoder.attention_maps(some_frames()[:4])
    # An image of 32 pixels has 8 x 8 positions behind the stem; L2 and L3 halve them.
    sides = {"1": 8, "2": 4, "3": 2}
    assert list(maps) == [f"L{level}" for level in levels]
    for level in levels:
        weights = maps[f"L{level}"]
        assert weights.shape == (4, sides[level], sides[level])
        assert weights.dtype == torch.float32
        assert 0.0 <= weights.min() <= weights.max() <= 1.0
        assert weights.std() > 1e-4
        if normalisation == "softmax":
            torch.testing.assert_close(weights.sum(dim=(1, 2)), torch.ones(4))
    first = next(layer for layer in encoder.head if isinstance(layer, nn.Linear))
    assert first.in_features == 8 * len(levels)


@torch.no_grad()
def test_attention_maps_are_those_of_the_embedding_and_leave_the_mode_alone() -> None:
    encoder, frames = used(), some_frames()[:4]
    seen: list[Tensor] = []
    encoder.attention["2"].register_forward_hook(lambda module, inputs, output: seen.append(output[1]))
    encoder.embed(frames)
    for training in (True, False):
        encoder.train(training)
        maps = encoder.attention_maps(frames)
        torch.testing.assert_close(maps["L2"], seen[0][:, 0])
        assert encoder.training is training
        assert encoder.head.training is training


@pytest.mark.parametrize("settings", [{}, {"norm": 3.0}, {"extended": True, "squeeze": 7, "levels": "13"}])
def test_every_embedding_has_the_configured_norm(settings: dict[str, Any]) -> None:
    encoder = small(**settings)
    embeddings = encoder.embed(batch().frames)
    assert embeddings.shape == (128, encoder.embedding_dim) == (128, 5)
    torch.testing.assert_close(embeddings.norm(dim=1), torch.full((128,), settings.get("norm", 10.0)))


def test_the_loss_is_n_pairs_among_the_moments_of_each_video() -> None:
    encoder, drawn = small(norm=5.0).train(), batch()
    embeddings = encoder(drawn.frames).detach()
    losses, gaps = [], []
    for video in range(4):
        here = drawn.video == video
        order = [drawn.time[here & (drawn.view == view)] for view in (0, 1)]
        assert order[0].equal(order[1])
        first, second = (embeddings[here & (drawn.view == view)] for view in (0, 1))
        losses.append(n_pairs_loss(first, second).item())
        gaps.append((first - second).square().sum(1).mean().item())
    assert np.std(losses) > 0.01
    result = encoder.loss(drawn)
    assert result.loss.item() == pytest.approx(np.mean(losses), rel=1e-4)
    assert result.metrics["pair_distance"].item() == pytest.approx(np.mean(gaps), rel=1e-4)
    assert not result.metrics["pair_distance"].requires_grad


@pytest.mark.parametrize(
    ("settings", "silent"),
    [
        ({}, ()),
        ({"extended": True, "squeeze": 7}, ()),
        ({"levels": "12"}, ()),
        # What is the same for all positions does not matter to a softmax over them: biases, and all of g.
        ({"normalisation": "softmax"}, ("to_global.", "compatibility.bias")),
    ],
)
def test_a_gradient_reaches_every_parameter(settings: dict[str, Any], silent: tuple[str, ...]) -> None:
    encoder = small(**settings).train()
    encoder.loss(batch()).loss.backward()  # type: ignore[no-untyped-call]
    for name, weight in encoder.named_parameters():
        assert weight.grad is not None
        assert weight.grad.isfinite().all()
        reached = bool(weight.grad.abs().max() > 1e-5)
        assert reached is not any(part in name for part in silent), name


def test_a_frozen_stem_has_no_gradient_and_the_rest_has() -> None:
    encoder = small(freeze=True).train()
    encoder.loss(batch()).loss.backward()  # type: ignore[no-untyped-call]
    without = {name.split(".")[0] for name, weight in encoder.named_parameters() if weight.grad is None}
    assert without == {"backbone"}


def test_a_few_steps_on_one_batch_lower_its_loss() -> None:
    encoder, fixed = small().train(), batch()
    optimizer = torch.optim.Adam(encoder.parameters(), 2e-3)
    losses = []
    for _ in range(12):
        loss = encoder.loss(fixed).loss
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.9 * losses[0]


@pytest.mark.parametrize(
    "settings",
    [{}, {"normalisation": "softmax", "levels": "23"}, {"extended": True, "squeeze": 7, "first_kernel": 3}],
)
def test_it_comes_back_from_the_disk(tmp_path: Path, settings: dict[str, Any]) -> None:
    encoder, frames = used(**settings), some_frames()
    encoder.save(tmp_path)
    loaded = load(tmp_path)
    assert type(loaded) is SMAK
    assert loaded.config == encoder.config
    assert torch.equal(loaded.embed(frames), encoder.embed(frames))


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"extended": True, "squeeze": 7, "normalisation": "softmax"},
        {"backbone": "efficientnet_lite0"},
        {"backbone": "inception_v3", "image_size": 80},
    ],
)
def test_frozen_it_gives_the_same_embeddings_without_batch_norms(settings: dict[str, Any]) -> None:
    encoder = used(**settings)
    frames, frozen = some_frames(encoder.config.image_size), encoder.frozen()
    assert any(isinstance(layer, nn.BatchNorm2d) for layer in encoder.modules())
    assert not any(isinstance(layer, nn.BatchNorm2d) for layer in frozen.modules())
    expected = encoder.embed(frames)
    # Rounding adds up with depth, and batch norm of means over positions magnifies it.
    near = 1e-4 if encoder.config.backbone == "small" else 1e-3
    torch.testing.assert_close(frozen.embed(frames), expected, atol=near, rtol=0)
    assert torch.pdist(expected).min() > 0.1
    for name, weights in encoder.attention_maps(frames).items():
        torch.testing.assert_close(frozen.attention_maps(frames)[name], weights, atol=1e-4, rtol=0)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"levels": "1"}, "Unknown levels '1'.*12, 13, 23, 123"),
        ({"levels": "132"}, "Unknown levels '132'. Did you mean '1"),
        ({"normalisation": "sigmod"}, "Unknown normalisation 'sigmod'. Did you mean 'sigmoid'"),
        ({"first_kernel": 4}, "first_kernel is 4; it must be odd"),
        ({"first_kernel": -1}, "first_kernel is -1; it must be at least 1"),
        ({"width": 0}, "width is 0; it must be at least 1"),
        ({"shallow": -2}, "shallow is -2; it must be at least 1"),
        ({"hidden": 0}, "hidden is 0; it must be at least 1"),
        ({"embedding_dim": 0}, "embedding_dim is 0; it must be at least 1"),
        ({"squeeze": -1}, "squeeze"),
        ({"backbone": "resnet"}, "Did you mean 'resnet50_v2'"),
    ],
)
def test_wrong_settings_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        SMAKConfig(**settings)
