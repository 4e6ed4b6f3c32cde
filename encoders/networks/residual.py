"""A small residual stem, trained from scratch where there are many videos."""

from __future__ import annotations

from torch import Tensor, nn

from encoders.networks.layers import conv_block

WIDTHS = (24, 36, 72, 96)
STRIDE = 16
FEATURES = WIDTHS[-1]


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions with a shortcut; halves the size.

    He et al., Deep Residual Learning for Image Recognition, 2016, with the pooled shortcut of He et al., Bag of Tricks
    for Image Classification, 2019.

    Args:
        inputs: Channels in.
        outputs: Channels out.
    """

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.first = conv_block(inputs, outputs, 3, stride=2)
        self.second = nn.Sequential(nn.Conv2d(outputs, outputs, 3, padding=1, bias=False), nn.BatchNorm2d(outputs))
        self.shortcut = nn.Sequential(
            nn.AvgPool2d(2, ceil_mode=True), nn.Conv2d(inputs, outputs, 1, bias=False), nn.BatchNorm2d(outputs)
        )
        self.activation = nn.ReLU(inplace=True)

    def forward(self, maps: Tensor) -> Tensor:
        """(B, C, H, W) float -> (B, outputs, H / 2, W / 2) float, rounded up."""
        summed: Tensor = self.activation(self.second(self.first(maps)) + self.shortcut(maps))
        return summed


class ResidualStem(nn.Sequential):
    """A 5x5 convolution and three residual blocks, each halving the size.

    Args:
        channels: Of the frames.
    """

    def __init__(self, channels: int) -> None:
        blocks = [ResidualBlock(WIDTHS[index], WIDTHS[index + 1]) for index in range(3)]
        super().__init__(conv_block(channels, WIDTHS[0], 5, stride=2), *blocks)
