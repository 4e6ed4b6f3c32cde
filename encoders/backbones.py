"""Stems by name: the convolutional part that an encoder builds on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from torch import nn

from encoders.errors import check_choice
from encoders.layers import conv_block


@dataclass(frozen=True)
class Backbone:
    """A stem and what an encoder must know to build on it.

    Attributes:
        stem: Maps float frames (B, C, H, W) in [-0.5, 0.5] to feature maps.
        features: Channels of the feature maps.
        stride: Input pixels a feature position.
    """

    stem: nn.Module
    features: int
    stride: int


def small(channels: int) -> Backbone:
    """Two strided convolutions, trained from scratch: for 64 to 128 pixels on a CPU."""
    return Backbone(nn.Sequential(conv_block(channels, 16, 5, stride=2), conv_block(16, 32, 3, stride=2)), 32, 4)


_BACKBONES: dict[str, Callable[[int], Backbone]] = {"small": small}


def names() -> list[str]:
    """Every backbone's name."""
    return list(_BACKBONES)


def make(name: str, channels: int) -> Backbone:
    """Builds a backbone.

    Args:
        name: One of ``names()``.
        channels: Channels of the input frames.

    Raises:
        ValueError: If the name is unknown.
    """
    check_choice("backbone", name, _BACKBONES)
    return _BACKBONES[name](channels)
