"""Layers that several encoders share."""

from __future__ import annotations

import torch
from torch import Tensor, nn


def spatial_softmax(maps: Tensor) -> Tensor:
    """Expected position of every channel under its softmax over positions.

    Finn et al., Deep Spatial Autoencoders for Visuomotor Learning, 2016, section IV-B.

    Args:
        maps: Feature maps, (B, C, H, W) float.

    Returns:
        (B, C, 2) float: for every channel the expected (x, y), each from -1 (left, top) to 1 (right, bottom).

    Raises:
        ValueError: If ``maps`` is not four-dimensional.
    """
    if maps.ndim != 4:
        raise ValueError(f"spatial_softmax takes maps of shape (B, C, H, W); got {tuple(maps.shape)}.")
    height, width = maps.shape[2:]
    # Positions of a channel side by side: sums over them are several times faster than over strided ones.
    maps = maps.contiguous()
    weights = maps.flatten(2).softmax(dim=-1).view_as(maps)
    columns = torch.linspace(-1.0, 1.0, width, dtype=maps.dtype, device=maps.device)
    rows = torch.linspace(-1.0, 1.0, height, dtype=maps.dtype, device=maps.device)
    x = (weights.sum(dim=2) * columns).sum(dim=-1)
    y = (weights.sum(dim=3) * rows).sum(dim=-1)
    return torch.stack([x, y], dim=-1)


class SpatialSoftmax(nn.Module):
    """``spatial_softmax`` as a module with flat output, (B, C, H, W) -> (B, 2 C)."""

    def forward(self, maps: Tensor) -> Tensor:
        """Applies it; x and y of a channel stand side by side."""
        return spatial_softmax(maps).flatten(1)


def conv_block(inputs: int, outputs: int, kernel: int, stride: int = 1) -> nn.Sequential:
    """Convolution with same padding, batch norm, ReLU."""
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(inplace=True),
    )
