"""Pairs of frames of one trajectory in a batch."""

from __future__ import annotations

import torch
from torch import Tensor

from encoders.base import FrameBatch


def source_frames(batch: FrameBatch) -> Tensor:
    """For every frame of a batch the index of the next one of its video and view; the last one's is the first.

    Returns:
        (N,) int64.

    Raises:
        ValueError: If a frame has no other one of its video and view beside it.
    """
    source = torch.empty_like(batch.video)
    for video, view in torch.unique(torch.stack([batch.video, batch.view]), dim=1).T:
        members = torch.nonzero((batch.video == video) & (batch.view == view)).flatten()
        if len(members) < 2:
            raise ValueError(f"Video {int(video)} has a single frame in the batch; a pair takes two.")
        source[members] = members.roll(-1)
    return source
