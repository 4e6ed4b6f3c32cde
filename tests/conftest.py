"""Fixtures that several test files share."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator

import numpy as np
import pytest
import torch

from encoders import Encoder, make
from encoders.clips.clips import Clips
from envs.kuka import KukaReach

torch.set_num_threads(1)
# What a shell starts in the background ignores Ctrl-C, and so would every program that a test starts.
signal.signal(signal.SIGINT, signal.default_int_handler)
# The checkers of Gymnasium open windows too.
os.environ.setdefault("SDL_VIDEODRIVER", "dummy")


@pytest.fixture
def make_kuka() -> Iterator[Callable[..., KukaReach]]:
    opened: list[KukaReach] = []

    def make_one(**settings: object) -> KukaReach:
        opened.append(KukaReach(**settings))  # type: ignore[arg-type]
        return opened[-1]

    yield make_one
    for env in opened:
        env.close()


@pytest.fixture
def encoder() -> Encoder:
    torch.manual_seed(0)
    return make("tcn", image_size=16, embedding_dim=8, hidden=16).eval()


@pytest.fixture
def clips() -> Clips:
    # The pixels say where a frame comes from: (video, camera, time) in the three colours.
    videos = []
    for video, (views, length) in enumerate([(2, 60), (3, 45), (2, 50)]):
        frames = np.zeros((views, length, 4, 4, 3), np.uint8)
        frames[..., 0] = video
        frames[..., 1] = np.arange(views)[:, None, None, None]
        frames[..., 2] = np.arange(length)[:, None, None]
        videos.append(frames)
    return Clips(tuple(videos), ("a", "b", "c"))
