"""Video files in and out."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import imageio.v3 as iio
import numpy as np
import pytest
from foreign_videos import FFMPEG, by_ffmpeg, copied
from numpy.typing import NDArray

from encoders.videos.pictures import resize
from encoders.videos.video import read_video, write_video
from encoders.videos.video_index import VideoIndex, index_video

Reader = Callable[[Path], NDArray[np.uint8] | VideoIndex]
READERS = [read_video, index_video]


def movie(count: int = 12, height: int = 48, width: int = 48) -> NDArray[np.uint8]:
    # Smooth colours that move: what a lossy codec keeps closely.
    y, x = np.mgrid[:height, :width] / max(height, width)
    t = np.arange(count)[:, None, None]
    waves = np.stack([np.sin(3 * x + t / 4), np.cos(3 * y - t / 5), np.sin(2 * x * y + t / 6)], axis=-1)
    return np.round(127.5 + 120 * waves).astype(np.uint8)


def test_a_video_comes_back_nearly_as_it_was_written(tmp_path: Path) -> None:
    frames, path = movie(), tmp_path / "new" / "folder" / "a.mp4"
    write_video(path, frames, 20)
    back = read_video(path)
    assert back.shape == frames.shape
    assert back.dtype == np.uint8
    difference = abs(back.astype(int) - frames)
    assert difference.mean() < 4
    # Frames keep their order: every one is nearest to itself.
    distances = abs(back[:, None].astype(int) - frames[None]).mean(axis=(2, 3, 4))
    assert distances.argmin(axis=1).tolist() == list(range(12))
    assert list(path.parent.iterdir()) == [path]


def test_the_frame_rate_is_the_one_asked_for(tmp_path: Path) -> None:
    write_video(tmp_path / "a.mp4", movie(), 20)
    assert iio.immeta(tmp_path / "a.mp4", plugin="FFMPEG")["fps"] == 20.0


@pytest.mark.parametrize("size", [32, 64, 130])
def test_the_same_frames_are_written_as_the_same_bytes(tmp_path: Path, size: int) -> None:
    rng = np.random.default_rng(0)
    frames = movie(16, size, size) // 2 + rng.integers(0, 20, (16, size, size, 3), np.uint8)
    written, memory = set(), []
    for _ in range(40):
        # Others use memory meanwhile; what they leave in it must not matter.
        memory = [rng.integers(0, 256, rng.integers(1, 40_000), np.uint8) for _ in range(20)]
        write_video(tmp_path / "a.mp4", frames, 20)
        written.add((tmp_path / "a.mp4").read_bytes())
    assert len(memory) == 20
    assert len(written) == 1


def test_writing_replaces_an_older_video(tmp_path: Path) -> None:
    write_video(tmp_path / "a.mp4", movie(12), 20)
    write_video(tmp_path / "a.mp4", movie(5), 20)
    assert len(read_video(tmp_path / "a.mp4")) == 5


@pytest.mark.parametrize(
    ("name", "size"),
    [("a.mp4", "48x32"), ("a.MOV", "32x48"), ("a.mkv", "64x48"), ("a.avi", "32x32"), ("a.m4v", "48x32")],
)
def test_a_video_that_ffmpeg_wrote_is_read_in_any_container(tmp_path: Path, name: str, size: str) -> None:
    width, height = map(int, size.split("x"))
    frames = read_video(by_ffmpeg(tmp_path / name, size=size))
    assert frames.shape == (20, height, width, 3)
    assert frames.std() > 20


def test_a_video_of_odd_sizes_is_read_as_it_is(tmp_path: Path) -> None:
    path = by_ffmpeg(tmp_path / "odd.mp4", "-pix_fmt", "yuv444p", size="51x37")
    assert read_video(path).shape == (20, 37, 51, 3)


def test_a_video_of_odd_sizes_is_not_written(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="are 51 x 38 pixels; mp4 needs even numbers"):
        write_video(tmp_path / "odd.mp4", np.zeros((2, 38, 51, 3), np.uint8), 10)


def test_a_video_that_imageio_wrote_directly_is_read(tmp_path: Path) -> None:
    frames = movie(7, 32, 64)
    iio.imwrite(tmp_path / "a.mp4", frames, plugin="FFMPEG", fps=10, macro_block_size=2)
    back = read_video(tmp_path / "a.mp4")
    assert back.shape == frames.shape
    assert abs(back.astype(int) - frames).mean() < 12


@pytest.mark.parametrize("degrees", [90, 180, -90])
def test_a_video_filmed_with_a_turned_telephone_stands_upright(tmp_path: Path, degrees: int) -> None:
    plain = by_ffmpeg(tmp_path / "plain.mp4")
    turned = copied(plain, tmp_path / "turned.mp4", "-display_rotation:v:0", str(degrees))
    raw = [*FFMPEG, "-i", str(turned), "-f", "rawvideo", "-pix_fmt", "rgb24", "-"]
    played = np.frombuffer(subprocess.run(raw, check=True, capture_output=True).stdout, np.uint8)
    frames = read_video(turned)
    assert frames.shape == ((20, 32, 48, 3) if degrees == 180 else (20, 48, 32, 3))
    assert abs(frames.astype(int) - played.reshape(frames.shape)).mean() < 3
    index = index_video(turned)
    assert index.size == frames.shape[1:3]
    np.testing.assert_array_equal(index.decode(5, 9), frames[5:9])


@pytest.mark.parametrize("reader", READERS)
def test_a_file_with_sound_alone_is_named(tmp_path: Path, reader: Reader) -> None:
    command = [*FFMPEG, "-f", "lavfi", "-i", "sine=duration=1"]
    subprocess.run([*command, str(tmp_path / "a.wav")], check=True)
    with pytest.raises(ValueError, match=r"a\.wav has no picture"):
        reader(tmp_path / "a.wav")


@pytest.mark.parametrize("reader", READERS)
def test_a_missing_video_and_a_folder_are_named(tmp_path: Path, reader: Reader) -> None:
    for path in (tmp_path / "nothing.mp4", tmp_path):
        with pytest.raises(ValueError, match=f"no video at {path}"):
            reader(path)


@pytest.mark.parametrize("reader", READERS)
def test_an_empty_file_is_named(tmp_path: Path, reader: Reader) -> None:
    (tmp_path / "a.mp4").touch()
    with pytest.raises(ValueError, match=r"a\.mp4 is empty"):
        reader(tmp_path / "a.mp4")


@pytest.mark.parametrize("reader", READERS)
def test_a_text_file_called_mp4_is_named(tmp_path: Path, reader: Reader) -> None:
    (tmp_path / "a.mp4").write_text("this is no video\n" * 200)
    with pytest.raises(ValueError, match=rf"{tmp_path}/a\.mp4 cannot be decoded"):
        reader(tmp_path / "a.mp4")


def halved(path: Path) -> Path:
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    return path


@pytest.mark.parametrize("reader", READERS)
def test_the_first_half_of_a_written_video_is_named(tmp_path: Path, reader: Reader) -> None:
    write_video(tmp_path / "a.mp4", movie(40), 20)
    with pytest.raises(ValueError, match=rf"{tmp_path}/a\.mp4 cannot be decoded"):
        reader(halved(tmp_path / "a.mp4"))


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize(
    ("name", "options"), [("a.mp4", ["-movflags", "+faststart"]), ("a.mkv", [])], ids=["mp4", "mkv"]
)
def test_the_first_half_of_a_video_that_starts_at_once_is_named(
    tmp_path: Path, name: str, options: list[str], reader: Reader
) -> None:
    whole = by_ffmpeg(tmp_path / name, *options, size="160x120", seconds=4.0)
    assert len(reader(whole)) == 80
    with pytest.raises(ValueError, match=str(whole)):
        reader(halved(whole))


@pytest.mark.parametrize("reader", READERS)
def test_a_video_without_a_frame_is_named(tmp_path: Path, reader: Reader) -> None:
    path = by_ffmpeg(tmp_path / "a.avi", "-frames:v", "0")
    assert path.stat().st_size > 0
    with pytest.raises(ValueError, match=r"a\.avi has no frames"):
        reader(path)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("long.mp4", ["-c:v", "libx264", "-g", "250", "-bf", "2"]),
        ("open.mp4", ["-c:v", "libx264", "-g", "12", "-bf", "3", "-x264-params", "open-gop=1"]),
        ("plain.avi", ["-c:v", "mpeg4"]),
        ("long.mkv", ["-c:v", "mpeg4", "-g", "40", "-bf", "2"]),
        # Containers that say nothing of when a frame is shown.
        ("no_stamps.avi", ["-c:v", "libx264", "-g", "40", "-bf", "2"]),
        ("no_stamps.h264", ["-c:v", "libx264", "-g", "40", "-bf", "2"]),
        # Containers that seek to somewhere near.
        ("near.ts", ["-c:v", "libx264", "-g", "40", "-bf", "2"]),
        ("near.mpg", ["-c:v", "mpeg2video", "-g", "12", "-bf", "2", "-r", "25"]),
        ("a.webm", ["-c:v", "libvpx", "-auto-alt-ref", "1", "-lag-in-frames", "16"]),
        ("a.gif", []),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_an_index_decodes_any_stretch_of_a_video(tmp_path: Path, name: str, options: list[str]) -> None:
    path = by_ffmpeg(tmp_path / name, *options, seconds=5.0)
    whole, index = read_video(path), index_video(path)
    assert len(index) == len(whole) >= 100
    assert index.size == whole.shape[1:3]
    assert len(np.unique(whole.reshape(len(whole), -1), axis=0)) > 0.8 * len(whole)
    for start, stop in [(0, 3), (1, 2), (37, 45), (64, 100), (len(whole) - 2, len(whole))]:
        np.testing.assert_array_equal(index.decode(start, stop), whole[start:stop])


@pytest.mark.parametrize(
    ("name", "options", "lead"),
    [
        ("a.avi", ["-c:v", "mjpeg"], 0.0),
        ("a.mp4", ["-c:v", "libx264", "-g", "10", "-sc_threshold", "0", "-bf", "2"], 4.5),
        ("a.mkv", ["-c:v", "mpeg4", "-g", "40", "-sc_threshold", "1000000000"], 19.5),
        # Its stamps do not tell the frames, so that decoding begins at the first one.
        ("b.avi", ["-c:v", "libx264", "-g", "10", "-bf", "2"], 39.5),
    ],
)
def test_an_index_tells_how_many_frames_lead_to_one(tmp_path: Path, name: str, options: list[str], lead: float) -> None:
    index = index_video(by_ffmpeg(tmp_path / name, *options, seconds=4.0))
    assert len(index) == 80
    assert index.lead == lead


@pytest.mark.parametrize("gop", ["open", "closed"])
def test_an_index_of_a_video_that_was_cut_has_what_is_left(tmp_path: Path, gop: str) -> None:
    options = ["-c:v", "libx264", "-g", "30", "-bf", "2", *(["-x264-params", "open-gop=1"] if gop == "open" else [])]
    # Cut without encoding it again: the packets from the key frame before are there, and are not shown.
    path = copied(by_ffmpeg(tmp_path / "a.mp4", *options, seconds=4.0), tmp_path / "cut.mp4", "-ss", "2.15")
    whole, index = read_video(path), index_video(path)
    assert len(index) == len(whole) == 80 - 43
    # It need not be decoded from its beginning.
    assert index.stamped
    np.testing.assert_array_equal(index.decode(0, len(index)), whole)
    np.testing.assert_array_equal(index.decode(20, 30), whole[20:30])


@pytest.mark.parametrize("size", [8, 32, 50])
def test_decoded_frames_are_scaled_as_whole_videos_are(tmp_path: Path, size: int) -> None:
    path = by_ffmpeg(tmp_path / "a.mp4")
    frames = index_video(path).decode(3, 17, size)
    np.testing.assert_array_equal(frames, resize(read_video(path)[3:17], size))


def test_a_frame_that_cannot_be_decoded_is_named(tmp_path: Path) -> None:
    path = by_ffmpeg(tmp_path / "a.avi", "-c:v", "mjpeg", seconds=2.0)
    index = index_video(path)
    content = bytearray(path.read_bytes())
    starts = [at for at in range(len(content)) if content[at : at + 3] == b"\xff\xd8\xff"]
    assert len(starts) == 40
    content[starts[30] : starts[31] - 8] = bytes(starts[31] - 8 - starts[30])
    path.write_bytes(content)
    assert len(index.decode(0, 30)) == 30
    with pytest.raises(ValueError, match=rf"{path}.* copy it again"):
        index.decode(20, 40)


def test_a_video_of_one_frame_is_named_unless_one_will_do(tmp_path: Path) -> None:
    write_video(tmp_path / "a.mp4", movie(1), 20)
    with pytest.raises(ValueError, match=r"a\.mp4 has 1 frame\(s\); at least 2"):
        read_video(tmp_path / "a.mp4")
    assert len(read_video(tmp_path / "a.mp4", minimum=1)) == 1
    write_video(tmp_path / "b.mp4", movie(2), 20)
    assert len(read_video(tmp_path / "b.mp4")) == 2


@pytest.mark.parametrize("folder", ["file/below", "file"])
def test_a_folder_that_cannot_be_made_is_a_value_error(tmp_path: Path, folder: str) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ValueError, match="cannot be written"):
        write_video(tmp_path / folder / "a.mp4", movie(2), 20)


def test_a_folder_that_takes_no_files_is_a_value_error() -> None:
    with pytest.raises(ValueError, match="cannot be written"):
        write_video(Path("/proc/a.mp4"), movie(2), 20)


@pytest.mark.parametrize(("height", "width"), [(20, 40), (40, 20), (21, 37), (20, 20)])
def test_frames_are_cropped_around_their_centre(height: int, width: int) -> None:
    # A white square in the middle of a black frame fills the whole crop.
    side = min(height, width)
    frames = np.zeros((2, height, width, 3), np.uint8)
    top, left = (height - side) // 2, (width - side) // 2
    frames[:, top : top + side, left : left + side] = 255
    for size in (side, 8, 15, 50):
        square = resize(frames, size)
        assert square.shape == (2, size, size, 3)
        assert square.dtype == np.uint8
        assert square.min() == 255


def test_scaling_keeps_directions_and_colours() -> None:
    frames = np.zeros((1, 40, 60, 3), np.uint8)
    frames[0, :20, :, 0] = 200
    frames[0, :, 30:, 2] = 100
    corners = resize(frames, 10)[0][[0, 0, -1, -1], [0, -1, 0, -1]]
    assert corners.tolist() == [[200, 0, 0], [200, 0, 100], [0, 0, 0], [0, 0, 100]]


def test_scaling_down_averages_instead_of_skipping() -> None:
    stripes = np.zeros((1, 64, 64, 3), np.uint8)
    stripes[:, :, ::4] = stripes[:, :, 3::4] = 200
    assert abs(resize(stripes, 16)[:, :, 2:-2].astype(int) - 100).max() <= 3


def test_resizing_leaves_the_frames_as_they_were() -> None:
    frames = movie(2, 30, 40)
    before = frames.copy()
    resize(frames, 16)
    np.testing.assert_array_equal(frames, before)
