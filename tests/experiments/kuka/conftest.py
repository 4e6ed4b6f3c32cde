"""What tests of the Kuka share: small recordings, an encoder, and a demonstration that it embeds."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from small_recordings import TINY, recorded_out, tiny

import encoders
from encoders.base import Encoder
from experiments.imitation.demonstration import Demonstration, goal_of
from experiments.kuka.demonstrations import read_demonstration
from rewards.goal import Goal

HORIZON = 15


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny(recorded_out(tmp_path_factory.getbasetemp())).recordings_folder


@pytest.fixture(scope="module")
def network() -> Encoder:
    torch.manual_seed(0)
    return encoders.make("tcn", image_size=32, embedding_dim=8, hidden=16).eval()


@pytest.fixture(scope="module")
def demonstration(folder: Path) -> Demonstration:
    videos = tuple(folder / f"heldout_0001_{camera}.mp4" for camera in TINY.cameras)
    return read_demonstration(videos, TINY)


@pytest.fixture(scope="module")
def goal(demonstration: Demonstration, network: Encoder) -> Goal:
    return goal_of(demonstration, network, HORIZON)


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return recorded_out(tmp_path_factory.getbasetemp())
