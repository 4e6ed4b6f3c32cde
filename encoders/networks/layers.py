"""Layers that several encoders share."""

from __future__ import annotations

import itertools

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval


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


def fold_batch_norms(module: nn.Module) -> None:
    """Folds every batch norm into the convolution before it, in place: the same output, at half the time.

    Args:
        module: In evaluation mode; convolutions and batch norms that follow one another in a
            ``Sequential`` are folded.

    Raises:
        ValueError: If the module is in training mode, in which batch norms depend on the batch.
    """
    if module.training:
        raise ValueError("Batch norms can be folded in evaluation mode only; call eval() first.")
    for child in module.children():
        fold_batch_norms(child)
    if isinstance(module, nn.Sequential):
        for index, (first, second) in enumerate(itertools.pairwise(list(module))):
            if isinstance(first, nn.Conv2d) and isinstance(second, nn.BatchNorm2d):
                module[index] = fuse_conv_bn_eval(first, second)
                module[index + 1] = nn.Identity()


def conv_block(inputs: int, outputs: int, kernel: int, stride: int = 1) -> nn.Sequential:
    """Convolution with same padding, batch norm, ReLU."""
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(inplace=True),
    )
