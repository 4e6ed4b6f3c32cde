"""Originals of videos for the damage check, in every common container, read by both readers."""

from __future__ import annotations

from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import av
import numpy as np
from numpy.typing import NDArray

from encoders.videos.frame_cache import FileVideo, FrameCache
from encoders.videos.video import read_timed_video
from experiments.robustness.damage_originals import Original

FRAMES = 30

FPS = 10

SIZE = (48, 64)
"""Height and width, pixels."""

GROUP = 10
"""Frames from one key frame to the next."""

CACHE_BYTES = 2**28

STEPS_OFF = 1.5
"""Frames by which a sound video may be shorter or longer than its container says: rounded, or without its first."""

PACKET_BYTES, TS_MARK = 188, 0x47
"""Length and first byte of the packets of a transport stream, which says nowhere how long it is."""

STRICT = {"err_detect": "crccheck+bitstream+buffer+explode"}
"""Options of FFmpeg under which damage is an error."""


class Container(NamedTuple):
    """A kind of video.

    Attributes:
        file: Its name.
        codec: FFmpeg's name of the encoder.
        options: The encoder's.
    """

    file: str
    codec: str
    options: dict[str, str]


X264 = {"preset": "veryfast", "mbtree": "0"}
"""With its macroblock tree, the same frames give other bytes from one call to the next."""

CONTAINERS: dict[str, Container] = {
    "mp4": Container("clip.mp4", "libx264", X264),
    "mkv": Container("clip.mkv", "libx264", X264),
    "webm, VP9": Container("clip.webm", "libvpx-vp9", {"deadline": "realtime", "cpu-used": "8"}),
    "webm, AV1": Container("clip.webm", "libaom-av1", {"cpu-used": "8"}),
    "ts": Container("clip.ts", "libx264", X264),
    "avi": Container("clip.avi", "mpeg4", {}),
}
"""Kinds of videos by the name of the container, and of the codec where two are usual."""


def picture() -> NDArray[np.uint8]:
    """A disc that goes round over stripes, (FRAMES, H, W, 3) uint8: no frame is like another."""
    height, width = SIZE
    rows, columns = np.mgrid[:height, :width]
    frames = np.zeros((FRAMES, height, width, 3), np.uint8)
    for number, angle in enumerate(np.linspace(0, 2 * np.pi, FRAMES, endpoint=False)):
        disc = np.hypot(rows - height / 2 - 14 * np.sin(angle), columns - width / 2 - 20 * np.cos(angle)) < 8
        frames[number, ..., 0] = 40 + 2 * columns
        frames[number, ..., 1] = 60 + 40 * (((rows + number) // 6) % 2)
        frames[number, ..., 2] = 90 + 5 * number
        frames[number][disc] = (230, 220, 30)
    return frames


def make_video(folder: Path, kind: str) -> None:
    """Writes a video of a kind."""
    wanted = CONTAINERS[kind]
    with av.open(str(folder / wanted.file), "w") as container:
        stream: Any = container.add_stream(wanted.codec, rate=Fraction(FPS))
        stream.height, stream.width = SIZE
        stream.pix_fmt = "yuv420p"
        stream.thread_count = 1
        stream.gop_size = GROUP
        stream.options = wanted.options
        for frame in picture():
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode())


def read_both(folder: Path, kind: str) -> dict[str, object]:
    """The frames as whole videos and as clips are read, and when they are shown."""
    path = folder / CONTAINERS[kind].file
    whole = read_timed_video(path)
    clip = FileVideo((path,), FrameCache(CACHE_BYTES, SIZE[0]))
    return {"frames": whole.frames, "times": np.round(whole.times, 6), "clip": clip[0]}


def sound_video(undamaged: Path, damaged: Path) -> bool:
    """Whether FFmpeg in strict mode decodes it without an error, over its whole declared duration."""
    content = damaged.read_bytes()
    if damaged.suffix == ".ts" and (len(content) % PACKET_BYTES or set(content[::PACKET_BYTES]) != {TS_MARK}):
        return False
    try:
        return _decodes(damaged)
    except (av.FFmpegError, UnicodeDecodeError, EOFError):
        return False


def _decodes(path: Path) -> bool:
    logged = av.logging.get_level()
    av.logging.set_level(av.logging.ERROR)
    try:
        with av.logging.Capture(local=False) as complaints, av.open(str(path), options=STRICT) as container:
            stream: Any = container.streams.video[0]
            if stream.codec_context is None:
                return False
            stream.codec_context.options = STRICT
            stream.thread_count = 1
            frames: list[Any] = []
            for packet in container.demux(stream):
                if packet.is_corrupt:
                    return False
                frames += packet.decode()
            unit = float(stream.time_base or 0)
            announced = float(stream.duration or 0) * unit or (container.duration or 0) / av.time_base
    finally:
        av.logging.set_level(logged)
    stamps = [frame.pts for frame in frames if frame.pts is not None]
    if len(complaints) or len(stamps) < max(2, len(frames)) or any(frame.is_corrupt for frame in frames):
        return False
    steps = np.diff(stamps) * unit
    step = float(np.median(steps))
    lasted = (stamps[-1] - stamps[0]) * unit + step
    return bool(steps.min() > 0 and (not announced or abs(announced - lasted) <= STEPS_OFF * step))


ORIGINALS = tuple(
    Original(kind, partial(make_video, kind=kind), partial(read_both, kind=kind), sound_video, weight=4)
    for kind in CONTAINERS
)
