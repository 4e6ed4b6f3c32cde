"""Stems by name."""

from __future__ import annotations

import pytest
import torch

from encoders import backbones


@pytest.mark.parametrize("name", backbones.names())
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("size", [64, 84])
def test_a_backbone_keeps_its_word_about_features_and_stride(name: str, channels: int, size: int) -> None:
    backbone = backbones.make(name, channels)
    maps = backbone.stem(torch.rand(2, channels, size, size) - 0.5)
    assert maps.shape == (2, backbone.features, size // backbone.stride, size // backbone.stride)


def test_an_unknown_backbone_is_answered_with_the_nearest_name() -> None:
    assert "small" in backbones.names()
    with pytest.raises(ValueError, match=r"Unknown backbone 'smal'\. Did you mean 'small'\?"):
        backbones.make("smal", 3)


def test_two_backbones_share_no_weights() -> None:
    first, second = backbones.make("small", 3), backbones.make("small", 3)
    owned = {id(parameter) for parameter in first.stem.parameters()}
    assert owned
    assert owned.isdisjoint(id(parameter) for parameter in second.stem.parameters())
