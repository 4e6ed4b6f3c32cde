"""Frames as they are to be shown: colours, square pixels, the right way up."""

from __future__ import annotations

import gc
import subprocess
import sys
import warnings
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from foreign_videos import FFMPEG, by_ffmpeg, copied
from numpy.typing import NDArray

from encoders.files import FileError
from encoders.videos.pictures import picture
from encoders.videos.video import read_video
from encoders.videos.video_file import VideoWarning
from encoders.videos.video_index import index_video


def played(path: Path, shape: tuple[int, ...]) -> NDArray[np.uint8]:
    """The frames as FFmpeg's own program shows them."""
    raw = [*FFMPEG, "-i", str(path), "-f", "rawvideo", "-pix_fmt", "rgb24", "-"]
    return np.frombuffer(subprocess.run(raw, check=True, capture_output=True).stdout, np.uint8).reshape(shape)


@pytest.mark.parametrize(
    "options",
    [
        ["-display_hflip:v:0"],
        ["-display_vflip:v:0"],
        ["-display_rotation:v:0", "90", "-display_hflip:v:0"],
        ["-display_rotation:v:0", "-90", "-display_vflip:v:0"],
        ["-display_rotation:v:0", "180", "-display_hflip:v:0"],
    ],
    ids=lambda options: "_".join(options),
)
def test_a_mirrored_video_is_shown_as_ffmpeg_shows_it(tmp_path: Path, options: list[str]) -> None:
    path = copied(by_ffmpeg(tmp_path / "plain.mp4"), tmp_path / "a.mp4", *options)
    frames = read_video(path)
    assert frames.shape[1:] == ((48, 32, 3) if "90" in "".join(options) else (32, 48, 3))
    assert abs(frames.astype(int) - played(path, frames.shape)).mean() < 3
    np.testing.assert_array_equal(index_video(path).decode(3, 7), frames[3:7])


def test_a_video_that_was_held_askew_is_refused(tmp_path: Path) -> None:
    path = copied(by_ffmpeg(tmp_path / "plain.mp4"), tmp_path / "a.mp4", "-display_rotation:v:0", "30")
    with pytest.raises(FileError, match=r"a\.mp4"):
        read_video(path)


@pytest.mark.parametrize("full", [False, True], ids=["limited", "full"])
@pytest.mark.parametrize(("matrix", "tag"), [("bt709", "bt709"), ("bt601", "smpte170m"), ("bt2020", "bt2020nc")])
@pytest.mark.parametrize("name", ["a.mp4", "a.webm"])
def test_colours_are_those_of_the_streams_matrix_and_range(
    tmp_path: Path, name: str, matrix: str, tag: str, full: bool
) -> None:
    span = "full" if full else "limited"
    filters = (
        f"format=gbrp,scale=in_range=full:out_color_matrix={matrix}:out_range={span},format=yuv420p,"
        f"setparams=colorspace={tag}:range={span}"
    )
    source = ["-f", "lavfi", "-i", "color=c=0x20C040:size=64x48:rate=10:duration=0.5"]
    codec = ["-c:v", "libx264", "-qp", "1"] if name == "a.mp4" else ["-c:v", "libvpx-vp9", "-lossless", "1"]
    path = tmp_path / name
    subprocess.run([*FFMPEG, *source, "-vf", filters, *codec, str(path)], check=True)
    shown = read_video(path)[:, 10:30, 10:30].reshape(-1, 3)
    assert abs(shown.astype(int) - (32, 192, 64)).max() <= 4


def test_a_video_without_colour_tags_is_read_as_before(tmp_path: Path) -> None:
    # BT.601, which is FFmpeg's own way.
    filters = "format=gbrp,scale=in_range=full:out_color_matrix=bt601:out_range=limited,format=yuv420p"
    source = ["-f", "lavfi", "-i", "color=c=0x20C040:size=64x48:rate=10:duration=0.5"]
    tags = ",setparams=colorspace=unknown:range=unknown"
    subprocess.run([*FFMPEG, *source, "-vf", filters + tags, "-qp", "1", str(tmp_path / "a.mp4")], check=True)
    assert abs(read_video(tmp_path / "a.mp4")[:, 10:30, 10:30].astype(int) - (32, 192, 64)).max() <= 4


@pytest.mark.parametrize(("aspect", "shape"), [("2/1", (32, 96)), ("1/2", (64, 48)), ("1/1", (32, 48))])
def test_pixels_are_made_square(tmp_path: Path, aspect: str, shape: tuple[int, int]) -> None:
    path = by_ffmpeg(tmp_path / "a.mp4", "-vf", f"setsar={aspect}")
    frames, index = read_video(path), index_video(path)
    assert frames.shape[1:3] == index.size == shape
    np.testing.assert_array_equal(index.decode(2, 5), frames[2:5])
    assert read_video(path, 16).shape == (20, 16, 16, 3)


@pytest.mark.parametrize(("transfer", "name"), [("arib-std-b67", "HLG"), ("smpte2084", "PQ")])
def test_a_high_dynamic_range_is_reported(tmp_path: Path, transfer: str, name: str) -> None:
    path = by_ffmpeg(tmp_path / "a.mp4", "-vf", f"setparams=color_trc={transfer}", "-pix_fmt", "yuv420p")
    for reader in (read_video, index_video):
        with pytest.warns(VideoWarning, match=rf"a\.mp4 has a high dynamic range \({name}\).*without tone mapping"):
            reader(path)
    plain = by_ffmpeg(tmp_path / "b.mp4")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        read_video(plain)


def test_a_frame_is_freed_once_its_picture_is_taken(tmp_path: Path) -> None:
    with av.open(str(by_ffmpeg(tmp_path / "a.mp4"))) as container:
        frame = next(container.decode(video=0))
    gc.collect()
    gc.disable()
    try:
        picture(frame, Fraction(1))
        # This name, and the argument of the function that counts.
        assert sys.getrefcount(frame) == 2
    finally:
        gc.enable()
