"""ResNet-50 v2 without its classifier."""

from __future__ import annotations

from collections import OrderedDict

from torch import Tensor, nn

from encoders.networks.pretrained import Normalise

FEATURES = 2048
STRIDE = 32
# One position.
SMALLEST = 32


class ResNet50V2Stem(nn.Sequential):
    """ResNet-50 with pre-activation, all four stages and the final norm, named and shaped like timm's ``resnetv2_50``.

    He et al., Identity Mappings in Deep Residual Networks, 2016; as in timm, the 3x3 convolution of a block
    has its stride. It maps float frames (B, 3, H, W) in [-0.5, 0.5] to (B, 2048, h, w) float of at least 0,
    where h is H / 32, rounded up.
    """

    def __init__(self) -> None:
        # timm's resnetv2_50.a1h_in1k was trained on (pixel - 0.5) / 0.5: twice our frames.
        super().__init__(
            OrderedDict(
                normalise=Normalise((0.5,) * 3, (0.5,) * 3),
                stem=nn.Sequential(
                    OrderedDict(
                        conv=nn.Conv2d(3, 64, 7, stride=2, padding=3, bias=False),
                        pool=nn.MaxPool2d(3, stride=2, padding=1),
                    )
                ),
                stages=nn.Sequential(
                    _stage(64, 256, stride=1, depth=3),
                    _stage(256, 512, stride=2, depth=4),
                    _stage(512, 1024, stride=2, depth=6),
                    _stage(1024, FEATURES, stride=2, depth=3),
                ),
                norm=nn.BatchNorm2d(FEATURES),
                relu=nn.ReLU(inplace=True),
            )
        )


class _Block(nn.Sequential):
    """Bottleneck with pre-activation, its layers in sequence so that batch norms can be folded.

    Args:
        inputs: Channels it takes.
        outputs: Channels it gives.
        stride: Of the 3x3 convolution.
        project: Whether the shortcut is a convolution rather than the identity.
    """

    def __init__(self, inputs: int, outputs: int, stride: int, project: bool) -> None:
        super().__init__()
        middle = outputs // 4
        self.norm1 = nn.BatchNorm2d(inputs)
        self.relu1 = nn.ReLU(inplace=True)
        self.conv1 = nn.Conv2d(inputs, middle, 1, bias=False)
        self.norm2 = nn.BatchNorm2d(middle)
        self.relu2 = nn.ReLU(inplace=True)
        self.conv2 = nn.Conv2d(middle, middle, 3, stride, padding=1, bias=False)
        self.norm3 = nn.BatchNorm2d(middle)
        self.relu3 = nn.ReLU(inplace=True)
        self.conv3 = nn.Conv2d(middle, outputs, 1, bias=False)
        self.downsample = (
            nn.Sequential(OrderedDict(conv=nn.Conv2d(inputs, outputs, 1, stride, bias=False))) if project else None
        )

    def forward(self, maps: Tensor) -> Tensor:
        """(B, inputs, h, w) float -> (B, outputs, h / stride, w / stride) float, rounded up."""
        activated = self.relu1(self.norm1(maps))
        shortcut = maps if self.downsample is None else self.downsample(activated)
        residual = self.conv1(activated)
        residual = self.conv2(self.relu2(self.norm2(residual)))
        return shortcut + self.conv3(self.relu3(self.norm3(residual)))


def _stage(inputs: int, outputs: int, stride: int, depth: int) -> nn.Sequential:
    first = _Block(inputs, outputs, stride, project=True)
    rest = [_Block(outputs, outputs, 1, project=False) for _ in range(depth - 1)]
    return nn.Sequential(OrderedDict(blocks=nn.Sequential(first, *rest)))
