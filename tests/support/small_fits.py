"""A small encoder, clips to fit it on, and how fits are cut and compared."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch

import encoders
from encoders.base import Encoder
from encoders.clips.clips import Clips
from encoders.training.fit import FitConfig

CONFIG = FitConfig(steps=6, validate_every=2, validation_batches=2)


def walk(seed: int, views: int = 1, size: int = 16, count: int = 3, length: int = 30) -> Clips:
    # A bright spot that wanders over a grey floor.
    rng = np.random.default_rng(seed)
    videos = []
    for _ in range(count):
        frames = np.full((views, length, size, size, 3), 60, np.uint8)
        phase, speed = rng.uniform(0, 6), rng.uniform(0.1, 0.2)
        for view in range(views):
            for time in range(length):
                angle = phase + speed * time
                y, x = (int((size - 4) * (1 + wave) / 2) for wave in (np.sin(angle), np.cos(angle + view)))
                frames[view, time, y : y + 4, x : x + 4] = (250, 200, 30)
        videos.append(frames)
    return Clips(tuple(videos), tuple(f"walk_{index}" for index in range(count)))


TRAINING, VALIDATION = walk(0), walk(1, count=2)


def fresh(**settings: object) -> Encoder:
    torch.manual_seed(0)
    return encoders.make("tcn", image_size=16, embedding_dim=8, hidden=16, **settings)


def stop_after(step: int) -> Callable[[dict[str, float]], None]:
    def report(figures: dict[str, float]) -> None:
        if figures["step"] >= step:
            raise KeyboardInterrupt

    return report


def equal(left: Encoder, right: Encoder) -> None:
    ours, theirs = left.state_dict(), right.state_dict()
    assert list(ours) == list(theirs)
    for key, value in ours.items():
        assert torch.equal(value, theirs[key]), key
