"""Layers that several encoders share."""

from __future__ import annotations

import pytest
import torch

from encoders.networks.layers import SpatialSoftmax, conv_block, spatial_softmax


@pytest.mark.parametrize(
    ("row", "column", "x", "y"), [(1, 6, 0.5, -0.5), (0, 0, -1.0, -1.0), (4, 8, 1.0, 1.0), (4, 2, -0.5, 1.0)]
)
def test_one_bright_pixel_on_a_wide_map_gives_its_x_and_y(row: int, column: int, x: float, y: float) -> None:
    maps = torch.zeros(1, 1, 5, 9)
    maps[0, 0, row, column] = 50.0
    torch.testing.assert_close(spatial_softmax(maps), torch.tensor([[[x, y]]]))


def test_two_equal_pixels_give_the_point_between_and_a_flat_map_the_centre() -> None:
    maps = torch.zeros(1, 2, 3, 7)
    maps[0, 0, 0, 0] = maps[0, 0, 0, 3] = 50.0
    torch.testing.assert_close(spatial_softmax(maps), torch.tensor([[[-0.5, -1.0], [0.0, 0.0]]]), atol=1e-6, rtol=0)


def test_channels_and_images_do_not_mix() -> None:
    maps = torch.randn(3, 4, 5, 6, generator=torch.Generator().manual_seed(0))
    together = spatial_softmax(maps)
    for image in range(3):
        for channel in range(4):
            alone = spatial_softmax(maps[image : image + 1, channel : channel + 1])[0, 0]
            torch.testing.assert_close(together[image, channel], alone)


def test_the_gradient_of_the_expected_position_is_right() -> None:
    maps = torch.randn(1, 2, 3, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0), requires_grad=True)
    assert torch.autograd.gradcheck(spatial_softmax, maps)


def test_the_module_puts_x_and_y_of_a_channel_side_by_side() -> None:
    maps = torch.randn(2, 3, 4, 5, generator=torch.Generator().manual_seed(0))
    points = spatial_softmax(maps)
    flat = SpatialSoftmax()(maps)
    assert flat.shape == (2, 6)
    for channel in range(3):
        torch.testing.assert_close(flat[:, 2 * channel], points[:, channel, 0])
        torch.testing.assert_close(flat[:, 2 * channel + 1], points[:, channel, 1])


def test_maps_that_are_not_four_dimensional_are_refused() -> None:
    with pytest.raises(ValueError, match=r"\(3, 4, 5\)"):
        spatial_softmax(torch.zeros(3, 4, 5))


@pytest.mark.parametrize(("kernel", "stride", "side"), [(3, 1, 9), (5, 1, 9), (3, 2, 5), (5, 2, 5)])
def test_a_convolution_block_keeps_the_size_but_for_its_stride(kernel: int, stride: int, side: int) -> None:
    out = conv_block(2, 6, kernel, stride)(torch.randn(4, 2, 9, 9))
    assert out.shape == (4, 6, side, side)
    assert out.min() == 0.0 < out.max()
