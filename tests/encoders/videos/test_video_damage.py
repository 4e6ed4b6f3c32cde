"""Damaged videos: losses are reported with numbers or refused, by every reader, and whole videos pass."""

from __future__ import annotations

import os
import random
import subprocess
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from foreign_videos import FFMPEG, by_ffmpeg, copied
from numpy.typing import NDArray

from encoders.files import FileError
from encoders.videos.video import read_video
from encoders.videos.video_file import VideoWarning, open_video
from encoders.videos.video_index import index_video

H264 = ["-c:v", "libx264", "-pix_fmt", "yuv420p"]
VARYING = "setpts='if(lt(N,90),N/30,3+(N-90))/TB'"
"""90 frames at 30 a second, then 30 at 1 a second."""


def decode_index(path: Path) -> NDArray[np.uint8]:
    """All frames by the index, a stretch at a time."""
    index = index_video(path)
    return np.concatenate([index.decode(start, min(start + 32, len(index))) for start in range(0, len(index), 32)])


READERS = [read_video, decode_index]
Reader = Callable[[Path], NDArray[np.uint8]]


def clip(path: Path, *options: str, seconds: float = 3.0) -> Path:
    return by_ffmpeg(path, *(options or H264), size="160x120", seconds=seconds)


def overwrite(path: Path, at: int, content: bytes) -> None:
    with path.open("r+b") as file:
        file.seek(at)
        file.write(content)


def noise(count: int) -> bytes:
    return random.Random(0).randbytes(count)


def varying(path: Path, *options: str) -> Path:
    source = ["-f", "lavfi", "-i", "testsrc=size=48x32:rate=30:duration=4"]
    subprocess.run([*FFMPEG, *source, "-vf", VARYING, "-fps_mode", "vfr", *options, str(path)], check=True)
    return path


@pytest.mark.parametrize("reader", READERS)
def test_an_mkv_that_was_overwritten_in_its_middle_is_refused_with_its_numbers(tmp_path: Path, reader: Reader) -> None:
    path = clip(tmp_path / "a.mkv")
    overwrite(path, path.stat().st_size // 2, noise(3000))
    with pytest.raises(FileError, match=r"a\.mkv is truncated or damaged: \d+ of 60 frames .* of 3\.00 s"):
        reader(path)


@pytest.mark.parametrize("reader", READERS)
def test_an_mkv_whose_checksum_is_wrong_is_refused(tmp_path: Path, reader: Reader) -> None:
    # Bytes of lossless pixels: nothing but the checksum tells.
    path = clip(tmp_path / "a.mkv", "-c:v", "rawvideo", "-pix_fmt", "yuv420p", seconds=0.5)
    overwrite(path, path.stat().st_size // 2, bytes(10))
    with pytest.raises(FileError, match=r"\d+ of 10 frames"):
        reader(path)


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize(("name", "share"), [("a.mkv", 0.75), ("a.webm", 0.75), ("a.mp4", 0.75), ("a.flv", 0.75)])
def test_a_video_that_was_cut_is_refused_with_its_numbers(
    tmp_path: Path, reader: Reader, name: str, share: float
) -> None:
    path = clip(tmp_path / name, *(["-c:v", "libvpx"] if name == "a.webm" else [*H264, "-movflags", "+faststart"]))
    path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])
    with pytest.raises(FileError, match=rf"{name} is truncated or damaged: \d+ of (59|60|61) frames .* of (2.9|3.0)"):
        reader(path)


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("name", ["a.ts", "a.m2ts", "a.gif", "a.ogv", "a.mpg"])
def test_a_cut_video_that_does_not_say_how_long_it_was_is_refused(tmp_path: Path, reader: Reader, name: str) -> None:
    rate = ["-r", "25"] if name == "a.mpg" else []
    path = by_ffmpeg(tmp_path / name, *rate, size="160x120", seconds=3.0)
    assert len(reader(path)) >= 60
    path.write_bytes(path.read_bytes()[: int(0.6 * path.stat().st_size)])
    with pytest.raises(FileError, match=rf"{name} is (cut off|truncated or damaged)"):
        reader(path)


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("a.mp4", H264),
        ("b.mp4", ["-c:v", "libsvtav1", "-preset", "12", "-svtav1-params", "lp=1"]),
        ("a.ts", H264),
        ("a.avi", ["-c:v", "mpeg4"]),
    ],
)
def test_damage_that_a_decoder_notices_is_refused_by_both_readers(
    tmp_path: Path, reader: Reader, name: str, options: list[str]
) -> None:
    path = clip(tmp_path / name, *options)
    for at in (0.3, 0.4, 0.5, 0.6):
        overwrite(path, int(at * path.stat().st_size), noise(300))
    with pytest.raises(FileError, match=name):
        reader(path)


@pytest.mark.parametrize("reader", READERS)
def test_packets_that_are_missing_from_a_transport_stream_are_counted(tmp_path: Path, reader: Reader) -> None:
    content = clip(tmp_path / "a.ts").read_bytes()
    cut = len(content) // 188 // 2 * 188
    (tmp_path / "a.ts").write_bytes(content[:cut] + content[cut + 5 * 188 :])
    with pytest.raises(FileError, match=r"\d+ of \d+ frames"):
        reader(tmp_path / "a.ts")


@pytest.mark.parametrize("reader", READERS)
def test_a_single_lost_frame_is_reported_and_the_one_before_it_stands_in(tmp_path: Path, reader: Reader) -> None:
    path = clip(tmp_path / "a.avi", "-c:v", "mjpeg", seconds=5.0)
    whole = read_video(path)
    content = path.read_bytes()
    starts = [at for at in range(len(content)) if content[at : at + 3] == b"\xff\xd8\xff"]
    assert len(starts) == 100
    overwrite(path, starts[30], bytes(starts[31] - 8 - starts[30]))
    with pytest.warns(VideoWarning, match=r"a\.avi, 1 of 100 frames \(0\.05 s of 5\.00 s\) are lost or damaged"):
        frames = reader(path)
    np.testing.assert_array_equal(frames[30], whole[29])
    np.testing.assert_array_equal(np.delete(frames, 30, axis=0), np.delete(whole, 30, axis=0))


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("a.mp4", H264),
        ("a.mkv", H264),
        ("a.webm", ["-c:v", "libvpx"]),
        ("b.webm", ["-c:v", "libvpx-vp9", "-deadline", "realtime", "-cpu-used", "8"]),
        ("a.ts", H264),
        ("a.flv", H264),
    ],
)
def test_a_whole_video_of_variable_rate_passes_without_a_word(
    tmp_path: Path, reader: Reader, name: str, options: list[str]
) -> None:
    path = varying(tmp_path / name, *options)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert len(reader(path)) == 120
        times = index_video(path).timeline.times
    np.testing.assert_allclose(times[[45, 89, 95, 119]], [1.5, 89 / 30, 8, 32], atol=2e-3)


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.ts", "a.mpg", "a.flv"])
def test_sound_that_outlasts_the_picture_is_no_loss(tmp_path: Path, reader: Reader, name: str) -> None:
    sound = ["-f", "lavfi", "-i", "sine=duration=6:sample_rate=44100", "-c:a", "mp2" if name == "a.mpg" else "aac"]
    rate = ["-r", "25"] if name == "a.mpg" else []
    path = by_ffmpeg(tmp_path / name, *sound, *rate, seconds=2.0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert len(reader(path)) in (40, 50)


def test_a_stream_that_was_written_live_is_whole(tmp_path: Path) -> None:
    # Through a pipe, so that neither lengths nor a duration could be filled in.
    source = ["-f", "lavfi", "-i", "testsrc=size=48x32:rate=20:duration=3"]
    command = [*FFMPEG, *source, *H264, "-g", "10", "-f", "matroska", "-"]
    (tmp_path / "a.mkv").write_bytes(subprocess.run(command, check=True, capture_output=True).stdout)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert len(read_video(tmp_path / "a.mkv")) == len(decode_index(tmp_path / "a.mkv")) == 60
    content = (tmp_path / "a.mkv").read_bytes()
    (tmp_path / "a.mkv").write_bytes(content[: int(0.6 * len(content))])
    for reader in READERS:
        with pytest.raises(FileError, match=r"a\.mkv is cut off, and nothing says how long it was"):
            reader(tmp_path / "a.mkv")


@pytest.mark.parametrize("reader", [*READERS, index_video])
def test_a_codec_that_is_not_known_is_an_error(tmp_path: Path, reader: Reader) -> None:
    path = by_ffmpeg(tmp_path / "a.mp4", *H264)
    path.write_bytes(path.read_bytes().replace(b"avc1", b"xxxx"))
    with pytest.raises(FileError, match=r"a\.mp4 is in a codec that this FFmpeg does not know"):
        reader(path)


def test_every_inverted_byte_of_a_header_is_right_or_one_error(tmp_path: Path) -> None:
    path = by_ffmpeg(tmp_path / "a.mp4", *H264, size="32x32", seconds=0.5)
    content = path.read_bytes()
    start = content.index(b"moov") - 4
    for at in range(start, len(content), 29):
        path.write_bytes(content[:at] + bytes([content[at] ^ 255]) + content[at + 1 :])
        for reader in READERS:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", VideoWarning)
                try:
                    reader(path)
                except FileError as error:
                    assert str(path) in str(error)


def test_metadata_that_is_no_text_does_no_harm(tmp_path: Path) -> None:
    path = by_ffmpeg(tmp_path / "a.mkv", *H264, "-metadata", "title=pqrstu", "-write_crc32", "0")
    path.write_bytes(path.read_bytes().replace(b"pqrstu", b"\xff\xfe\xe4\xf6\xfc\xff"))
    for reader in READERS:
        assert len(reader(path)) == 20


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize(
    "text", ["ffconcat version 1.0\nfile b.mp4\n", "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nb.mp4\n"]
)
def test_a_list_of_other_files_is_no_video(tmp_path: Path, reader: Reader, text: str) -> None:
    by_ffmpeg(tmp_path / "b.mp4", *H264)
    (tmp_path / "a.mp4").write_text(text)
    with pytest.raises(FileError, match=rf"{tmp_path}/a\.mp4 cannot be decoded"):
        reader(tmp_path / "a.mp4")


@pytest.mark.parametrize("reader", READERS)
def test_a_name_that_looks_like_a_protocol_is_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, reader: Reader
) -> None:
    by_ffmpeg(tmp_path / "b.mp4", *H264).rename(tmp_path / "concat:b.mp4")
    monkeypatch.chdir(tmp_path)
    assert len(reader(Path("concat:b.mp4"))) == 20


@pytest.mark.timeout(20)
@pytest.mark.parametrize("reader", READERS)
def test_a_pipe_is_refused_and_not_waited_for(tmp_path: Path, reader: Reader) -> None:
    os.mkfifo(tmp_path / "a.mp4")
    with pytest.raises(FileError, match=r"a\.mp4 is no plain file"):
        reader(tmp_path / "a.mp4")


@pytest.mark.parametrize(
    "name", ["a.mp4", "a.mkv", "a.avi", "a.ts", "a.mpg", "a.flv", "a.wmv", "a.ogv", "a.mxf", "a.3gp", "a.h264"]
)
def test_containers_of_video_are_opened(tmp_path: Path, name: str) -> None:
    rate = ["-r", "25"] if name in ("a.mpg", "a.mxf") else []
    path = by_ffmpeg(tmp_path / name, *rate, size="176x144")
    with open_video(path) as (container, stream):
        assert container.streams.video[0] is stream
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert len(read_video(path)) == len(decode_index(path)) >= 20


def test_a_video_that_was_cut_without_encoding_it_again_is_whole(tmp_path: Path) -> None:
    path = copied(clip(tmp_path / "a.mp4", *H264, "-g", "30"), tmp_path / "b.mp4", "-ss", "1.15")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert len(read_video(path)) == len(decode_index(path)) == 60 - 23


@pytest.mark.parametrize("flags", ["frag_keyframe+empty_moov", "frag_keyframe", "dash", "faststart"])
def test_an_mp4_of_fragments_is_whole(tmp_path: Path, flags: str) -> None:
    path = clip(tmp_path / "a.mp4", *H264, "-g", "10", "-movflags", f"+{flags}")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert len(read_video(path)) == len(decode_index(path)) == 60
