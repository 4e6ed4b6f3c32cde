"""Frames that a damaged container or codec drops or misplaces without an FFmpeg error: reported by every reader."""

from __future__ import annotations

import struct
import subprocess
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from foreign_videos import by_ffmpeg
from numpy.typing import NDArray

from encoders.files import FileError
from encoders.videos.video import read_video
from encoders.videos.video_file import VideoWarning
from encoders.videos.video_index import index_video

H264 = ["-c:v", "libx264", "-pix_fmt", "yuv420p"]
VP8 = ["-c:v", "libvpx"]
STRICT = {"err_detect": "crccheck+bitstream+buffer+explode", "strict": "strict"}


def decode_index(path: Path) -> NDArray[np.uint8]:
    index = index_video(path)
    return index.decode(0, len(index))


READERS = [read_video, decode_index]
Reader = Callable[[Path], NDArray[np.uint8]]


def positions(path: Path) -> list[int]:
    """Where the packets begin."""
    with av.open(str(path)) as container:
        return [packet.pos for packet in container.demux(video=0) if packet.size and packet.pos is not None]


def change(path: Path, at: int, content: bytes) -> None:
    whole = path.read_bytes()
    path.write_bytes(whole[:at] + content + whole[at + len(content) :])


@pytest.mark.parametrize("reader", READERS)
def test_a_frame_whose_time_falls_behind_the_one_before_it_is_reported(tmp_path: Path, reader: Reader) -> None:
    path = by_ffmpeg(tmp_path / "a.mp4", *H264, "-bf", "2", seconds=5.0)
    whole = read_video(path)
    # The table of what lies between decoding and showing: the first frame that is shown as soon as it is decoded.
    at = path.read_bytes().index(struct.pack(">2I", 1, 512)) + 4
    change(path, at, struct.pack(">I", 512 + 600))
    with pytest.warns(VideoWarning, match=r"a\.mp4, [12] of 100 frames .* are lost or damaged"):
        frames = reader(path)
    assert frames.shape == whole.shape
    assert 0 < (frames != whole).any(axis=(1, 2, 3)).sum() < 10


@pytest.mark.parametrize("reader", READERS)
def test_one_frame_that_an_mp4_lacks_is_reported(tmp_path: Path, reader: Reader) -> None:
    path = by_ffmpeg(tmp_path / "a.mp4", "-c:v", "mjpeg", seconds=5.0)
    # The size of the last frame: after the box's name, its version, a size of all, and a count.
    change(path, path.read_bytes().index(b"stsz") + 16 + 99 * 4, b"\xff\xff\xff\xff")
    with pytest.warns(VideoWarning, match=r"a\.mp4, 1 of 100 frames \(0\.05 s of 5\.00 s\) are lost or damaged"):
        assert len(reader(path)) == 99


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize(("name", "options"), [("a.mkv", H264), ("a.webm", VP8)])
@pytest.mark.parametrize("field", ["track", "lacing"])
def test_blocks_that_ffmpeg_leaves_out_are_counted(
    tmp_path: Path, reader: Reader, name: str, options: list[str], field: str
) -> None:
    # Without checksums, which would tell at once.
    path = by_ffmpeg(tmp_path / name, *options, "-write_crc32", "0", seconds=3.0)
    content = path.read_bytes()
    block = positions(path)[30]
    # The track's number, two bytes of time, and flags.
    assert content[block] == 0x81
    change(path, *((block, b"\x85") if field == "track" else (block + 3, bytes([content[block + 3] | 6]))))
    with pytest.raises(FileError, match=rf"{name} is truncated or damaged: \d+ of \d+ frames"):
        reader(path)


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("into", [0, 20])
def test_a_matroska_video_that_was_cut_by_one_frame_is_reported(tmp_path: Path, reader: Reader, into: int) -> None:
    path = by_ffmpeg(tmp_path / "a.mkv", "-c:v", "mjpeg", seconds=5.0)
    path.write_bytes(path.read_bytes()[: positions(path)[99] + into])
    with pytest.warns(VideoWarning, match=r"a\.mkv, 1 of 100 frames \(0\.05 s of 5\.00 s\) are lost or damaged"):
        assert len(reader(path)) in (99, 100)


@pytest.mark.parametrize("reader", READERS)
def test_frames_that_are_lost_at_the_beginning_are_counted(tmp_path: Path, reader: Reader) -> None:
    path = by_ffmpeg(tmp_path / "a.mkv", *H264, "-g", "20", "-cluster_time_limit", "1000", seconds=3.0)
    begins = positions(path)
    change(path, begins[0], bytes(begins[19] - begins[0]))
    with pytest.raises(FileError, match=r"a\.mkv is truncated or damaged: 40 of 60 frames \(2\.00 s of 3\.00 s\)"):
        reader(path)


@pytest.mark.parametrize("reader", READERS)
def test_a_description_that_is_not_filled_by_its_elements_is_a_damaged_header(tmp_path: Path, reader: Reader) -> None:
    path = by_ffmpeg(tmp_path / "a.webm", *VP8)
    # The name of the writer is said to be longer than what it is part of.
    change(path, path.read_bytes().index(b"\x57\x41") + 2, b"\xff")
    with pytest.raises(FileError, match=r"The header of the video .*a\.webm is damaged"):
        reader(path)


def test_a_size_that_is_damaged_does_not_end_the_process(tmp_path: Path) -> None:
    path = by_ffmpeg(tmp_path / "a.webm", "-c:v", "libvpx-vp9", "-g", "10", "-cpu-used", "8", size="64x48")
    # In the second frame that has a size: 48 pixels of height become 560.
    mark = bytes.fromhex("498342")
    second = path.read_bytes().index(mark, path.read_bytes().index(mark) + 1)
    assert path.read_bytes()[second + 6] == 0x02
    change(path, second + 6, b"\x22")
    script = (
        "import sys\nfrom pathlib import Path\nfrom encoders.videos.video import read_video\n"
        "for _ in range(10):\n"
        "    try:\n        read_video(Path(sys.argv[1]))\n"
        "    except ValueError as error:\n        print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", script, str(path)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("a.webm cannot be decoded: it is truncated, damaged") == 10


def complains(path: Path) -> bool:
    """Whether FFmpeg, told to be strict and in one thread, finds damage."""
    with av.open(str(path)) as container:
        stream: Any = container.streams.video[0]
        stream.codec_context.options = STRICT
        stream.thread_count = 1
        try:
            return any(frame.is_corrupt for frame in container.decode(stream))
        except (av.FFmpegError, EOFError):
            return True


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize(
    ("name", "options", "step"),
    [
        ("a.mp4", [*H264, "-bf", "0"], 20),
        ("a.ts", H264, 140),
        ("a.webm", ["-c:v", "libaom-av1", "-cpu-used", "8", "-pix_fmt", "yuv420p"], 40),
    ],
)
def test_whatever_the_decoder_can_notice_is_noticed(
    tmp_path: Path, reader: Reader, name: str, options: list[str], step: int
) -> None:
    path = by_ffmpeg(tmp_path / name, *options, size="64x48", seconds=1.0)
    content = path.read_bytes()
    begins = positions(path)
    noticed = 0
    for at in range(begins[0] + 195, begins[-1], step):
        path.write_bytes(content[:at] + bytes([content[at] ^ 255]) + content[at + 1 :])
        with warnings.catch_warnings():
            warnings.simplefilter("error", VideoWarning)
            try:
                reader(path)
            except (FileError, VideoWarning):
                noticed += 1
            else:
                assert not complains(path), at
    assert noticed > 3
