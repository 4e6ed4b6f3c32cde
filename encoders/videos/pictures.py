"""Decoded frames as they are to be shown: colours, square pixels, orientation, and size."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812 - torch's own usage
from av.sidedata.sidedata import SideDataContainer
from av.video.reformatter import ColorRange, Colorspace
from numpy.typing import NDArray

MATRICES = {
    1: Colorspace.ITU709.value,
    4: Colorspace.FCC.value,
    7: Colorspace.SMPTE240M.value,
    # Both forms of BT.2020 share their coefficients; swscale knows them by this number.
    9: 9,
    10: 9,
}
"""Colour matrices of swscale, by H.273's MatrixCoefficients; any other is read as BT.601, which is FFmpeg's default."""

FULL_RANGE = 2
"""FFmpeg's number for luma from 0 to 255."""

SIDE_DATA: Any = SideDataContainer
"""PyAV's reader of a frame's side data; its type hints lack the constructor's argument."""

STILL = 24
"""Levels of 255 by which a pixel of a still picture may differ in time: what codecs and cameras add to it."""

WIDEST_PIXEL = 4
"""Largest pixel aspect ratio that is applied; no camera or disc has more."""


def picture(frame: Any, aspect: Fraction) -> NDArray[np.uint8]:
    """A decoded frame as it is to be shown.

    Args:
        frame: An ``av.VideoFrame``.
        aspect: Width of a stored pixel over its height.

    Returns:
        (H, W, 3) uint8, RGB with square pixels, the right way up.

    Raises:
        ValueError: If the frame is to be turned by anything but quarter turns, or its pixels are no camera's.
    """
    return np.ascontiguousarray(_upright(_square(_rgb(frame), aspect), frame))


def _rgb(frame: Any) -> NDArray[np.uint8]:
    """RGB by the stream's own colour matrix and range, (H, W, 3) uint8."""
    matrix = MATRICES.get(int(frame.colorspace))
    full = frame.color_range == FULL_RANGE
    declared = frame.format.name.startswith("yuvj")
    if not frame.format.name.startswith(("yuv", "nv", "p0")) or (matrix is None and (declared or not full)):
        return frame.to_ndarray(format="rgb24")
    source = Colorspace.ITU601.value if matrix is None else matrix
    return frame.reformat(
        format="rgb24",
        src_colorspace=source,
        # RGB has no matrix; one that differs makes PyAV set the source's.
        dst_colorspace=(Colorspace.ITU709 if source == Colorspace.ITU601.value else Colorspace.ITU601).value,
        src_color_range=ColorRange.JPEG.value if full else ColorRange.MPEG.value,
        dst_color_range=ColorRange.JPEG.value,
    ).to_ndarray()


def _square(pixels: NDArray[np.uint8], aspect: Fraction) -> NDArray[np.uint8]:
    """Makes pixels square by enlarging one side."""
    if aspect == 1:
        return pixels
    if not Fraction(1, WIDEST_PIXEL) <= aspect <= WIDEST_PIXEL:
        raise ValueError(f"pixels of {aspect} are no camera's")
    height, width = pixels.shape[:2]
    return scale(pixels[None], round(max(height, height / aspect)), round(max(width, width * aspect)))[0]


def _upright(pixels: NDArray[np.uint8], frame: Any) -> NDArray[np.uint8]:
    """Rotates and mirrors by the display matrix.

    A telephone stores its pictures as the sensor has them and notes how it was held, and whether it was a mirror.
    """
    # The frame's own ``side_data`` refers back to it, which would keep its memory until the next collection.
    noted = SIDE_DATA(frame).get("DISPLAYMATRIX")
    if noted is None:
        return pixels
    # A stored point (x, y) is shown at (xx * x + xy * y, yx * x + yy * y), y downwards.
    xx, yx, _, xy, yy = np.frombuffer(bytes(noted), np.int32)[:5].astype(int)
    turned, kept = abs(np.array([xy, yx])), abs(np.array([xx, yy]))
    if not (turned.any() or kept.any()):
        return pixels
    if (turned.any() and kept.any()) or turned[0] != turned[1] or kept[0] != kept[1]:
        raise ValueError(f"a display matrix of {xx, xy, yx, yy} is no quarter turn")
    if turned.any():
        pixels, right, down = pixels.swapaxes(0, 1), xy, yx
    else:
        right, down = xx, yy
    return pixels[:: -1 if down < 0 else 1, :: -1 if right < 0 else 1]


def is_still(frames: NDArray[np.uint8]) -> bool:
    """Whether all frames are one picture but for the noise of a codec or a camera, (T, ...) uint8."""
    first = frames[0].astype(np.int16)
    return all(np.abs(frame - first).max() <= STILL for frame in frames)


def resize(frames: NDArray[np.uint8], size: int) -> NDArray[np.uint8]:
    """Centre-crops frames to a square and scales them: (T, H, W, 3) -> (T, size, size, 3) uint8."""
    height, width = frames.shape[1:3]
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    square = np.ascontiguousarray(frames[:, top : top + side, left : left + side])
    return square if side == size else scale(square, size, size)


def scale(frames: NDArray[np.uint8], height: int, width: int) -> NDArray[np.uint8]:
    """Scales frames: (T, h, w, 3) -> (T, height, width, 3) uint8."""
    # In bytes, with colours last: ten times as fast as in floating-point numbers, and at most one level from it.
    pixels = torch.from_numpy(np.ascontiguousarray(frames)).permute(0, 3, 1, 2)
    scaled = F.interpolate(pixels, size=(height, width), mode="bilinear", antialias=True, align_corners=False)
    return scaled.permute(0, 2, 3, 1).contiguous().numpy()
