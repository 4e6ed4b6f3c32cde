"""The stem of Inception v3 against torchvision's names and shapes, and against plain functions."""

from __future__ import annotations

import copy
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F  # noqa: N812 - torch's own usage
from torch import Tensor, nn

from encoders.base import fold_batch_norms
from encoders.networks.inception import FEATURES, SMALLEST, InceptionV3Stem
from encoders.networks.pretrained import load_stem_weights

# Of torchvision's inception_v3: name, channels out, channels in, kernel.
FIRST = [
    ("Conv2d_1a_3x3", 32, 3, 3),
    ("Conv2d_2a_3x3", 32, 32, 3),
    ("Conv2d_2b_3x3", 64, 32, 3),
    ("Conv2d_3b_1x1", 80, 64, 1),
    ("Conv2d_4a_3x3", 192, 80, 3),
]
MIXED = [("Mixed_5b", 192, 32), ("Mixed_5c", 256, 64), ("Mixed_5d", 288, 64)]


def branches(inputs: int, pool_features: int) -> list[tuple[str, int, int, int]]:
    return [
        ("branch1x1", 64, inputs, 1),
        ("branch5x5_1", 48, inputs, 1),
        ("branch5x5_2", 64, 48, 5),
        ("branch3x3dbl_1", 64, inputs, 1),
        ("branch3x3dbl_2", 96, 64, 3),
        ("branch3x3dbl_3", 96, 96, 3),
        ("branch_pool", pool_features, inputs, 1),
    ]


def torchvision_shapes() -> dict[str, tuple[int, ...]]:
    layers = list(FIRST)
    for block, inputs, pool_features in MIXED:
        layers += [(f"{block}.{name}", *rest) for name, *rest in branches(inputs, pool_features)]
    shapes: dict[str, tuple[int, ...]] = {}
    for name, outputs, inputs, kernel in layers:
        shapes[f"{name}.conv.weight"] = (outputs, inputs, kernel, kernel)
        for part in ("weight", "bias", "running_mean", "running_var"):
            shapes[f"{name}.bn.{part}"] = (outputs,)
        shapes[f"{name}.bn.num_batches_tracked"] = ()
    return shapes


def used(seed: int = 0) -> InceptionV3Stem:
    """A stem whose batch norms do something."""
    torch.manual_seed(seed)
    stem = InceptionV3Stem()
    for layer in stem.modules():
        if isinstance(layer, nn.BatchNorm2d):
            nn.init.uniform_(layer.weight, 0.5, 1.5)
            nn.init.uniform_(layer.bias, -0.2, 0.5)
            nn.init.uniform_(layer.running_mean, -0.1, 0.1)
            nn.init.uniform_(layer.running_var, 0.5, 1.5)
    return stem.eval()


def test_names_and_shapes_are_torchvisions() -> None:
    assert {name: tuple(value.shape) for name, value in InceptionV3Stem().state_dict().items()} == torchvision_shapes()


def test_it_has_991200_parameters() -> None:
    assert sum(parameter.numel() for parameter in InceptionV3Stem().parameters()) == 991_200


@torch.no_grad()
@pytest.mark.parametrize(("size", "side"), [(299, 35), (SMALLEST, 7), (84, 8), (128, 13)])
def test_the_maps_of_an_image(size: int, side: int) -> None:
    maps = InceptionV3Stem().eval()(torch.rand(1, 3, size, size) - 0.5)
    assert maps.shape == (1, FEATURES, side, side)


def test_the_network_sees_what_torchvision_feeds_it() -> None:
    pixels = torch.rand(2, 3, 6, 6)
    for channel, (mean, std) in enumerate(zip((0.485, 0.456, 0.406), (0.229, 0.224, 0.225), strict=True)):
        normalised = (pixels[:, channel] - mean) / std
        transformed = normalised * (std / 0.5) + (mean - 0.5) / 0.5
        seen = InceptionV3Stem().normalise(pixels - 0.5)[:, channel]
        torch.testing.assert_close(seen, transformed, rtol=0.0, atol=1e-6)


@torch.no_grad()
def test_a_mixed_block_is_its_four_branches_side_by_side() -> None:
    stem = used()
    weights = stem.state_dict()

    def conv(maps: Tensor, branch: str, padding: int = 0) -> Tensor:
        weight, bias, mean, var = (
            weights[f"Mixed_5b.{branch}.bn.{part}"].view(-1, 1, 1)
            for part in ("weight", "bias", "running_mean", "running_var")
        )
        raw = F.conv2d(maps, weights[f"Mixed_5b.{branch}.conv.weight"], padding=padding)
        return F.relu((raw - mean) / torch.sqrt(var + 0.001) * weight + bias)

    maps = torch.randn(2, 192, 7, 9)
    pooled = F.conv2d(F.pad(maps, (1, 1, 1, 1)), torch.full((192, 1, 3, 3), 1 / 9), groups=192)
    expected = torch.cat(
        [
            conv(maps, "branch1x1"),
            conv(conv(maps, "branch5x5_1"), "branch5x5_2", padding=2),
            conv(conv(conv(maps, "branch3x3dbl_1"), "branch3x3dbl_2", padding=1), "branch3x3dbl_3", padding=1),
            conv(pooled, "branch_pool"),
        ],
        dim=1,
    )
    torch.testing.assert_close(stem.Mixed_5b(maps), expected, rtol=1e-4, atol=1e-4)


@torch.no_grad()
def test_folding_its_batch_norms_leaves_the_maps_as_they_are() -> None:
    stem = used()
    folded = copy.deepcopy(stem)
    fold_batch_norms(folded)
    assert not any(isinstance(layer, nn.BatchNorm2d) for layer in folded.modules())
    frames = torch.rand(1, 3, SMALLEST, SMALLEST) - 0.5
    torch.testing.assert_close(folded(frames), stem(frames), rtol=1e-3, atol=1e-4)


def test_it_loads_torchvisions_whole_network(tmp_path: Path) -> None:
    rest = {"fc.weight": torch.zeros(1000, 8), "Mixed_6a.branch3x3.conv.weight": torch.zeros(4, 8, 3, 3)}
    written = used()
    torch.save(written.state_dict() | rest, tmp_path / "inception_v3.pth")
    stem = InceptionV3Stem()
    load_stem_weights(stem, tmp_path / "inception_v3.pth", "torchvision")
    for name, value in stem.state_dict().items():
        torch.testing.assert_close(value, written.state_dict()[name], rtol=0.0, atol=0.0)
