"""Stems by name, and how an encoder holds them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from encoders import load, make
from encoders.networks import backbones, efficientnet
from encoders.networks.backbones import Backbone, BackboneConfig

# Positions along a side of the maps of an image of 80 and of 96 pixels.
POSITIONS = {
    "small": (20, 24),
    "residual": (5, 6),
    "inception_v3": (7, 9),
    "efficientnet_lite0": (10, 12),
    "efficientnet_lite0_16": (5, 6),
    "resnet50_v2": (3, 3),
}


def held(**settings: Any) -> Backbone:
    torch.manual_seed(0)
    return Backbone(BackboneConfig(**{"image_size": 96, **settings}))


def frames(size: int = 96, channels: int = 3, count: int = 2) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, (count, channels, size, size), dtype=torch.uint8, generator=generator)


def test_every_name_is_tested_here() -> None:
    assert backbones.names() == list(POSITIONS)


@pytest.mark.parametrize("name", POSITIONS)
@torch.no_grad()
def test_a_backbone_keeps_its_word_about_features_and_stride(name: str) -> None:
    backbone = held(backbone=name).eval()
    for size, side in zip((80, 96), POSITIONS[name], strict=True):
        assert backbone(frames(size)).shape == (2, backbone.features, side, side)
        # Inception cuts the border: its convolutions are not padded.
        border = 3 if name == "inception_v3" else 0
        assert 0 <= side + border - size // backbone.stride <= 1


@pytest.mark.parametrize("name", POSITIONS)
def test_the_positions_of_a_stem_are_counted_without_touching_it(name: str) -> None:
    backbone = held(backbone=name, image_size=80).train()
    before = {key: value.clone() for key, value in backbone.state_dict().items()}
    assert backbone.positions == POSITIONS[name][0] ** 2
    assert backbone.training
    assert all(torch.equal(value, before[key]) for key, value in backbone.state_dict().items())


@torch.no_grad()
def test_only_stems_without_standard_weights_take_another_number_of_channels() -> None:
    small = held(channels=1, image_size=20).eval()
    assert small(frames(20, channels=1)).shape == (2, small.features, 5, 5)
    residual = held(backbone="residual", channels=4, image_size=20).eval()
    assert residual(frames(20, channels=4)).shape == (2, residual.features, 2, 2)
    for name in set(POSITIONS) - {"small", "residual"}:
        with pytest.raises(ValueError, match=rf"channels is 1; the backbone '{name}' takes 3 \(RGB\)"):
            BackboneConfig(backbone=name, channels=1, image_size=96)


def test_an_unknown_backbone_is_answered_with_the_nearest_name() -> None:
    with pytest.raises(ValueError, match=r"Unknown backbone 'smal'\. Did you mean 'small'\?"):
        BackboneConfig(backbone="smal")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"image_size": 15}, "image_size is 15; the backbone 'small' takes 16 pixels or more"),
        ({"backbone": "inception_v3", "image_size": 74}, "'inception_v3' takes 75 pixels or more"),
        ({"backbone": "resnet50_v2", "image_size": 31}, "'resnet50_v2' takes 32 pixels or more"),
        ({"weights": "w.pth"}, "'small' has no standard weights: leave it out"),
        ({"dropout": 1.0}, "dropout is 1.0; it must be at least 0 and below 1"),
        ({"dropout": -0.1}, "dropout is -0.1"),
    ],
)
def test_impossible_settings_are_refused_with_the_way_out(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        BackboneConfig(**settings)


@torch.no_grad()
@pytest.mark.parametrize("name", POSITIONS)
def test_the_smallest_image_that_is_allowed_is_taken(name: str) -> None:
    size = {"inception_v3": 75, "resnet50_v2": 32}.get(name, 16)
    maps = held(backbone=name, image_size=size).eval()(frames(size))
    assert maps.isfinite().all()
    assert min(maps.shape) >= 1


def test_two_backbones_share_no_weights() -> None:
    first, second = held(), held()
    owned = {id(parameter) for parameter in first.stem.parameters()}
    assert owned
    assert owned.isdisjoint(id(parameter) for parameter in second.stem.parameters())


def test_a_frozen_stem_stays_as_it_is_while_everything_else_trains() -> None:
    for freeze in (True, False):
        encoder = make("tcn", image_size=16, embedding_dim=8, hidden=16, freeze=freeze).train()
        before = {name: value.clone() for name, value in encoder.state_dict().items()}
        optimiser = torch.optim.SGD(encoder.parameters(), 0.1)
        encoder(torch.randint(0, 256, (8, 3, 16, 16), dtype=torch.uint8)).sum(1).square().sum().backward()
        optimiser.step()
        changed = {name for name, value in encoder.state_dict().items() if not torch.equal(value, before[name])}
        stem = {name for name in changed if name.startswith("backbone.")}
        assert "head.1.weight" in changed - stem
        # Weights, and the statistics and count of its batch norm.
        assert (len(stem) > 0) is not freeze
        assert all(part.training is not freeze for part in encoder.backbone.stem.modules())  # type: ignore[union-attr]


def test_dropout_takes_whole_channels_in_training_alone() -> None:
    backbone = held(dropout=0.5)
    stem = backbone.stem.eval()
    with torch.no_grad():
        whole = stem(frames().float() / 255.0 - 0.5)
        dropped = backbone.dropout.train()(whole)
        empty = (dropped == 0).all(dim=3).all(dim=2)
        assert 0.2 < empty.float().mean() < 0.8
        torch.testing.assert_close(dropped[~empty], 2 * whole[~empty])
        torch.testing.assert_close(backbone.eval()(frames()), whole)


def test_kept_features_of_a_frozen_stem_take_the_place_of_frames() -> None:
    encoder = make("tcn", image_size=32, embedding_dim=8, hidden=16, backbone="efficientnet_lite0", freeze=True).eval()
    images = frames(32, count=5)
    features = encoder.extract(images)
    assert features.dtype == torch.float16
    assert features.shape == (5, 40, 4, 4)
    with torch.no_grad():
        torch.testing.assert_close(encoder(features), encoder(images), atol=0.05, rtol=0)
        assert torch.pdist(encoder(images)).min() > 0.1
    with pytest.raises(ValueError, match="The stem is trained, so its features change; set freeze to keep them"):
        make("tcn", image_size=32).extract(images)


def test_weights_come_with_a_package_from_a_file_or_not_at_all(tmp_path: Path) -> None:
    packaged = torch.load(efficientnet.packaged_weights(), weights_only=True)
    backbone = held(backbone="efficientnet_lite0")
    assert not torch.equal(backbone.stem.state_dict()["_conv_stem.weight"], packaged["_conv_stem.weight"])
    backbone.load_pretrained()
    for name, value in backbone.stem.state_dict().items():
        assert torch.equal(value, packaged[name])

    # A file goes before the package.
    other = {name: torch.ones_like(value) for name, value in backbone.stem.state_dict().items()}
    torch.save(other, tmp_path / "other.pth")
    from_file = held(backbone="efficientnet_lite0", weights=str(tmp_path / "other.pth"))
    from_file.load_pretrained()
    assert all((value == 1).all() for value in from_file.stem.state_dict().values())

    small = held()
    before = {name: value.clone() for name, value in small.stem.state_dict().items()}
    small.load_pretrained()
    assert all(torch.equal(value, before[name]) for name, value in small.stem.state_dict().items())


def test_a_weight_file_that_is_not_there_is_named_with_its_source(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"no weight file .*inception\.pth.*download\.pytorch\.org"):
        make("tcn", backbone="inception_v3", image_size=75, weights=str(tmp_path / "inception.pth"))


def test_an_encoder_is_made_with_standard_weights_and_loaded_with_its_own(tmp_path: Path) -> None:
    encoder = make("tcn", backbone="efficientnet_lite0", image_size=32, embedding_dim=8, hidden=16)
    stem: nn.Module = encoder.backbone.stem  # type: ignore[assignment, union-attr]
    packaged = torch.load(efficientnet.packaged_weights(), weights_only=True)
    assert torch.equal(stem.state_dict()["_conv_stem.weight"], packaged["_conv_stem.weight"])
    with torch.no_grad():
        stem.state_dict()["_conv_stem.weight"].add_(1.0)
    encoder.save(tmp_path)
    again = load(tmp_path).state_dict()
    assert torch.equal(again["backbone.stem._conv_stem.weight"], packaged["_conv_stem.weight"] + 1.0)
