"""ResNet-50 v2 against timm's names and shapes, and against plain functions."""

from __future__ import annotations

import copy
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F  # noqa: N812 - torch's own usage
from safetensors.torch import save_file
from torch import Tensor, nn

from encoders.base import fold_batch_norms
from encoders.networks.pretrained import load_stem_weights
from encoders.networks.resnet import FEATURES, SMALLEST, STRIDE, ResNet50V2Stem

# Of timm's resnetv2_50.
SHAPES = {
    "stem.conv.weight": (64, 3, 7, 7),
    "stages.0.blocks.0.downsample.conv.weight": (256, 64, 1, 1),
    "stages.0.blocks.0.norm1.weight": (64,),
    "stages.0.blocks.0.conv1.weight": (64, 64, 1, 1),
    "stages.0.blocks.1.norm1.running_mean": (256,),
    "stages.0.blocks.1.conv1.weight": (64, 256, 1, 1),
    "stages.0.blocks.2.conv3.weight": (256, 64, 1, 1),
    "stages.1.blocks.0.downsample.conv.weight": (512, 256, 1, 1),
    "stages.1.blocks.3.conv2.weight": (128, 128, 3, 3),
    "stages.2.blocks.5.norm3.bias": (256,),
    "stages.3.blocks.0.norm1.running_var": (1024,),
    "stages.3.blocks.2.conv3.weight": (2048, 512, 1, 1),
    "norm.weight": (2048,),
    "norm.num_batches_tracked": (),
}


@pytest.fixture(scope="module")
def stem() -> ResNet50V2Stem:
    """A stem whose batch norms do something."""
    torch.manual_seed(0)
    made = ResNet50V2Stem()
    for layer in made.modules():
        if isinstance(layer, nn.BatchNorm2d):
            nn.init.uniform_(layer.weight, 0.5, 1.5)
            nn.init.uniform_(layer.bias, -0.2, 0.5)
            nn.init.uniform_(layer.running_mean, -0.1, 0.1)
            nn.init.uniform_(layer.running_var, 0.5, 1.5)
    return made.eval()


@torch.no_grad()
@pytest.mark.parametrize("size", [SMALLEST, 64, 96])
def test_the_maps_of_an_image(stem: ResNet50V2Stem, size: int) -> None:
    maps = stem(torch.rand(1, 3, size, size) - 0.5)
    assert maps.shape == (1, FEATURES, size // STRIDE, size // STRIDE)
    assert maps.min() >= 0.0


@torch.no_grad()
def test_a_size_that_the_stride_does_not_divide_is_rounded_up(stem: ResNet50V2Stem) -> None:
    assert stem(torch.rand(1, 3, 84, 33) - 0.5).shape == (1, FEATURES, 3, 2)


def test_names_and_shapes_are_timms(stem: ResNet50V2Stem) -> None:
    weights = stem.state_dict()
    assert {name: tuple(weights[name].shape) for name in SHAPES} == SHAPES
    # timm's 300 without the classifier's two.
    assert len(weights) == 298
    shortcuts = [name for name in weights if "downsample" in name]
    assert shortcuts == [f"stages.{stage}.blocks.0.downsample.conv.weight" for stage in range(4)]


def test_it_has_the_parameters_of_timms_without_the_classifier(stem: ResNet50V2Stem) -> None:
    classifier = 2048 * 1000 + 1000
    assert sum(parameter.numel() for parameter in stem.parameters()) == 25_549_352 - classifier


def test_the_network_sees_pixels_from_minus_one_to_one(stem: ResNet50V2Stem) -> None:
    pixels = torch.rand(2, 3, 6, 6)
    torch.testing.assert_close(stem.normalise(pixels - 0.5), (pixels - 0.5) / 0.5)


@torch.no_grad()
@pytest.mark.parametrize(("block", "stride", "inputs"), [(0, 2, 256), (1, 1, 512)])
def test_a_block_adds_to_its_shortcut(stem: ResNet50V2Stem, block: int, stride: int, inputs: int) -> None:
    prefix = f"stages.1.blocks.{block}"
    weights = stem.state_dict()

    def activated(maps: Tensor, norm: str) -> Tensor:
        weight, bias, mean, var = (
            weights[f"{prefix}.{norm}.{part}"].view(-1, 1, 1)
            for part in ("weight", "bias", "running_mean", "running_var")
        )
        return F.relu((maps - mean) / torch.sqrt(var + 1e-5) * weight + bias)

    maps = torch.randn(1, inputs, 9, 6)
    first = activated(maps, "norm1")
    residual = F.conv2d(first, weights[f"{prefix}.conv1.weight"])
    residual = F.conv2d(activated(residual, "norm2"), weights[f"{prefix}.conv2.weight"], stride=stride, padding=1)
    residual = F.conv2d(activated(residual, "norm3"), weights[f"{prefix}.conv3.weight"])
    shortcut = F.conv2d(first, weights[f"{prefix}.downsample.conv.weight"], stride=2) if block == 0 else maps
    torch.testing.assert_close(stem.get_submodule(prefix)(maps.clone()), shortcut + residual, rtol=1e-4, atol=1e-4)


@torch.no_grad()
def test_folding_its_batch_norms_leaves_the_maps_as_they_are(stem: ResNet50V2Stem) -> None:
    folded = copy.deepcopy(stem)
    fold_batch_norms(folded)
    # What stays: the first norm of each block, and the last; no convolution precedes them.
    assert sum(isinstance(layer, nn.BatchNorm2d) for layer in folded.modules()) == 17
    frames = torch.rand(1, 3, 64, 64) - 0.5
    torch.testing.assert_close(folded(frames), stem(frames), rtol=1e-3, atol=1e-3)


def test_it_loads_timms_whole_network(stem: ResNet50V2Stem, tmp_path: Path) -> None:
    classifier = {"head.fc.weight": torch.zeros(10, 2048, 1, 1), "head.fc.bias": torch.zeros(10)}
    save_file(stem.state_dict() | classifier, tmp_path / "model.safetensors")
    loaded = ResNet50V2Stem()
    load_stem_weights(loaded, tmp_path / "model.safetensors", "timm")
    for name, value in loaded.state_dict().items():
        torch.testing.assert_close(value, stem.state_dict()[name], rtol=0.0, atol=0.0)
