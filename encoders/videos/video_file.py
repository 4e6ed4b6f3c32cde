"""Opening video files, for every reader of videos."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import av
from av.stream import Disposition

from encoders.files import DAMAGE, FileError, check_regular, reading

KINDS = (
    "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,mpegts,mpeg,avi,flv,live_flv,asf,ogg,mxf,gxf,nut,dv,rm,ivf,wtv,gif,apng,"
    "h261,h263,h264,hevc,vvc,obu,av1,m4v,mjpeg,mpegvideo,vc1,dirac,cavsvideo,yuv4mpegpipe,wav,mp3,flac"
)
"""FFmpeg's demuxers of a single file that holds its pictures, and three of sound, to say that they have none.
Lists and patterns of other files (concat, hls, dash, image2 and their like) are left out."""

MOST_PIXELS = 2**26
"""Largest frame, pixels: twice the 7680 x 4320 of the largest screens."""

HDR = {16: "PQ", 18: "HLG"}
"""Transfer functions of a high dynamic range, by H.273's TransferCharacteristics."""

REMEDY = "copy it again"

RAISED: tuple[type[Exception], ...] = (av.FFmpegError, *DAMAGE)
"""Errors that reading a damaged video raises."""


class VideoWarning(UserWarning):
    """A video that is used in spite of a defect; the message has the numbers."""


@contextmanager
def open_video(path: Path) -> Iterator[tuple[Any, Any]]:
    """Opens a video file, and gives its container and its video stream.

    Whatever FFmpeg raises about the file while it is open becomes one error.

    Raises:
        FileError: If the file is missing, no plain file, empty, no video, damaged, or in an unknown codec.
    """
    check_file(path)
    try:
        with av.open(
            # Named as a file, so that a colon in its name is no protocol.
            f"file:{path}",
            container_options={"format_whitelist": KINDS, "protocol_whitelist": "file"},
            metadata_errors="replace",
        ) as container:
            stream = picture_stream(container, path)
            # What is damaged is an error of its packet, in place of a picture that was made up.
            stream.codec_context.options = {
                "err_detect": "crccheck+bitstream+buffer+explode",
                "max_pixels": str(MOST_PIXELS),
                # Without it, the decoder of AV1 takes some headers that are against its standard.
                "strict": "strict" if stream.codec_context.name == "libdav1d" else "normal",
            }
            stream.codec_context.flags |= av.codec.context.Flags.output_corrupt
            if stream.codec_context.name != "libdav1d":
                # Where several threads may share a frame, FFmpeg does not look for the parts that one of H.264 lacks,
                # and writes beyond its memory where the size of a frame of VP9 is damaged.
                stream.codec_context.thread_count = 1
            yield container, stream
    except FileError:
        raise
    except RAISED as error:
        raise FileError(
            f"The video {path} cannot be decoded: it is truncated, damaged or no video ({type(error).__name__}); "
            f"{REMEDY}."
        ) from error


def check_file(path: Path) -> None:
    """Refuses a path that is no video file, before it is opened.

    Raises:
        FileError: If there is no plain file, or it is empty.
    """
    with reading(path, "video", "check the path"):
        missing = not path.exists() or path.is_dir()
    if missing:
        raise FileError(f"There is no video at {path}; check the path.")
    check_regular(path, "video", "name a video file")
    if path.stat().st_size == 0:
        raise FileError(f"The video {path} is empty (0 bytes); record or copy it again.")


def picture_stream(container: Any, path: Path) -> Any:
    """The first video stream that is not a cover image.

    Raises:
        FileError: If there is none, its codec is not known, or its frames are too large.
    """
    streams = [stream for stream in container.streams.video if not stream.disposition & Disposition.attached_pic]
    if not streams:
        raise FileError(f"The video {path} has no picture, only other streams; give a video file.")
    stream = streams[0]
    if stream.codec_context is None:
        # Decoding it would end the process.
        raise FileError(
            f"The video {path} is in a codec that this FFmpeg does not know, or its header is damaged; "
            "copy it again, or encode it as H.264."
        )
    if stream.codec_context.width * stream.codec_context.height > MOST_PIXELS:
        raise FileError(
            f"The video {path} declares frames of {stream.codec_context.width} x {stream.codec_context.height} pixels, "
            f"and at most {MOST_PIXELS} are read; scale it down, or copy it again if it is damaged."
        )
    return stream


def warn_of_range(path: Path, stream: Any) -> None:
    """Warns that a high-dynamic-range video is read without tone mapping."""
    transfer = HDR.get(int(stream.codec_context.color_trc or 0))
    if transfer is not None:
        warnings.warn(
            f"The video {path} has a high dynamic range ({transfer}), which is read without tone mapping: its colours "
            "look washed out; convert it to BT.709 if they matter.",
            VideoWarning,
            stacklevel=3,
        )
