"""The convolutional stem of Inception v3, up to its first three mixed blocks."""

from __future__ import annotations

from collections import OrderedDict

import torch
import torch.nn.functional as F  # noqa: N812 - torch's own usage
from torch import Tensor, nn

from encoders.networks.pretrained import Normalise

FEATURES = 288
STRIDE = 8
# The smallest image for which the weights are meant.
SMALLEST = 75


class InceptionV3Stem(nn.Sequential):
    """Inception v3 from the image to ``Mixed_5d``, named and shaped like torchvision's ``inception_v3``.

    Szegedy et al., Rethinking the Inception Architecture for Computer Vision, 2016. It maps float frames
    (B, 3, H, W) in [-0.5, 0.5], of 75 pixels or more, to (B, 288, h, w) float of at least 0; h is about
    H / 8 - 2, as convolutions without padding cut the border: 35 of 299 pixels, 7 of 75.
    """

    def __init__(self) -> None:
        # torchvision normalises pixels with ImageNet's mean and deviation, and the network itself
        # (transform_input) then undoes that in favour of (pixel - 0.5) / 0.5: twice our frames.
        super().__init__(
            OrderedDict(
                normalise=Normalise((0.5,) * 3, (0.5,) * 3),
                Conv2d_1a_3x3=_conv(3, 32, 3, stride=2),
                Conv2d_2a_3x3=_conv(32, 32, 3),
                Conv2d_2b_3x3=_conv(32, 64, 3, padding=1),
                maxpool1=nn.MaxPool2d(3, stride=2),
                Conv2d_3b_1x1=_conv(64, 80, 1),
                Conv2d_4a_3x3=_conv(80, 192, 3),
                maxpool2=nn.MaxPool2d(3, stride=2),
                Mixed_5b=_Mixed(192, pool_features=32),
                Mixed_5c=_Mixed(256, pool_features=64),
                Mixed_5d=_Mixed(288, pool_features=64),
            )
        )


class _Mixed(nn.Module):
    """Four branches side by side: 1x1, 5x5, two 3x3 in a row, and pooled; figure 5 of the paper."""

    def __init__(self, inputs: int, pool_features: int) -> None:
        super().__init__()
        self.branch1x1 = _conv(inputs, 64, 1)
        self.branch5x5_1 = _conv(inputs, 48, 1)
        self.branch5x5_2 = _conv(48, 64, 5, padding=2)
        self.branch3x3dbl_1 = _conv(inputs, 64, 1)
        self.branch3x3dbl_2 = _conv(64, 96, 3, padding=1)
        self.branch3x3dbl_3 = _conv(96, 96, 3, padding=1)
        self.branch_pool = _conv(inputs, pool_features, 1)

    def forward(self, maps: Tensor) -> Tensor:
        """(B, inputs, h, w) float -> (B, 224 + pool_features, h, w) float."""
        branches = [
            self.branch1x1(maps),
            self.branch5x5_2(self.branch5x5_1(maps)),
            self.branch3x3dbl_3(self.branch3x3dbl_2(self.branch3x3dbl_1(maps))),
            self.branch_pool(F.avg_pool2d(maps, 3, stride=1, padding=1)),
        ]
        return torch.cat(branches, dim=1)


def _conv(inputs: int, outputs: int, kernel: int, stride: int = 1, padding: int = 0) -> nn.Sequential:
    return nn.Sequential(
        OrderedDict(
            conv=nn.Conv2d(inputs, outputs, kernel, stride, padding, bias=False),
            bn=nn.BatchNorm2d(outputs, eps=0.001),
            relu=nn.ReLU(inplace=True),
        )
    )
