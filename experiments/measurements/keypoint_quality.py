"""Accuracy of keypoints: the error of a linear map from them to cart and pole tip, on held-out frames."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
from numpy.typing import NDArray
from rich.console import Console
from tyro.conf import AvoidSubcommands

import encoders
from agents.frame_buffer import RGB
from encoders.errors import check_seeds
from encoders.files import write_csv
from encoders.models.imm import IMM
from encoders.training.fit import fit
from experiments.cartpole.config import SwingUpConfig
from experiments.cartpole.figures import keypoint_network, keypoint_sheet, newest_points
from experiments.cartpole.observation import RECORDED, Frames
from experiments.cartpole.pretraining import new_encoder, recorded
from experiments.cartpole.recordings import Recording
from experiments.runs import command_line
from experiments.runs.folder import make_folder

JUDGED_SEED = 1_000
"""Recordings that keypoints are judged on are of another series than those they are trained on."""


@dataclass(frozen=True)
class KeypointQualityConfig:
    """Settings of the measurement.

    Attributes:
        seeds: One network a seed.
        episodes: Recorded episodes that it is judged on: half of them fit the linear map, the others test it.
        encoders: Folders of trained encoders, such as agents leave, that are judged in place of new ones.
        out: The table, CSV; figures go beside it.
        swingup: The run whose encoder is trained on recorded random actions, as for ``--observe.start recorded``.
    """

    seeds: tuple[int, ...] = (0, 1, 2)
    episodes: int = 24
    encoders: tuple[Path, ...] = ()
    out: Path = Path("runs/keypoint_quality/keypoint_quality.csv")
    swingup: Annotated[SwingUpConfig, AvoidSubcommands] = field(
        default_factory=lambda: SwingUpConfig(observe=Frames("imm", stack=1, start=RECORDED))
    )

    def __post_init__(self) -> None:
        check_seeds(self.seeds)
        if self.episodes < 4:
            raise ValueError(f"episodes is {self.episodes}; at least 4 are needed, to fit and to test on.")
        frames = self.swingup.frames
        if frames.encoder not in ("imm", "autoencoder_imm"):
            raise ValueError(f"Encoder {frames.encoder!r} has no keypoints; use imm or autoencoder_imm.")
        if frames.second is not None:
            raise ValueError(
                f"Keypoints of the first encoder are judged, and {frames.second.encoder!r} is a second one; "
                "leave second out, or name folders of trained encoders with --encoders."
            )


def linear_error(points: NDArray[np.float64], landmarks: NDArray[np.float64], size: int) -> NDArray[np.float64]:
    """Error of a linear map from points to landmarks, fitted on the first half and tested on the second.

    Args:
        points: (N, T, D), N episodes.
        landmarks: (N, T, L, 2), (x, y) in pixels; frames in which one of them is out of sight are left out.
        size: Width and height of a frame, pixels.

    Returns:
        (L,) mean distance, as a share of the frame's width.
    """
    half = len(points) // 2
    inputs, targets = [], []
    for part in (slice(None, half), slice(half, None)):
        places = landmarks[part].reshape(-1, *landmarks.shape[2:])
        shown = ((places >= 0) & (places <= size - 1)).all(axis=(1, 2))
        flat = points[part].reshape(len(places), -1)[shown]
        inputs.append(np.c_[flat, np.ones(len(flat))])
        targets.append(places[shown].reshape(len(flat), -1))
    fitted = np.linalg.lstsq(inputs[0], targets[0], rcond=None)[0]
    error = (inputs[1] @ fitted - targets[1]).reshape(len(targets[1]), -1, 2)
    return np.linalg.norm(error, axis=-1).mean(axis=0) / size


def judge(config: KeypointQualityConfig) -> list[dict[str, str]]:
    """Judges networks and writes the table: one a seed, beside an untrained one and random points, or given ones.

    Raises:
        ValueError: If a given encoder cannot be read, has no keypoints, or is for frames of another size.
    """
    torch.set_num_threads(1)
    make_folder(config.out.parent, "--out")
    console = Console(stderr=True)
    rows: list[dict[str, str]] = []
    for row in _judge_given(config) if config.encoders else _judge_new(config):
        rows.append(row)
        console.print(row, highlight=False)
    write_csv(config.out, rows, list(rows[0]))
    return rows


def _judge_new(config: KeypointQualityConfig) -> Iterator[dict[str, str]]:
    run = config.swingup
    judged = _recorded(config, run.frames.stack)
    for seed in config.seeds:
        torch.manual_seed(seed)
        encoder = new_encoder(run)
        network = keypoint_network(encoder)
        assert network is not None
        count = network.config.keypoints
        points = {"untrained": _points(network, judged)}
        rng = np.random.default_rng(seed)
        points["random points"] = rng.uniform(size=(*judged.landmarks.shape[:2], 2 * count))
        folder = run.shared_encoder(seed)
        training, validation = recorded(run, seed).clips
        fit(encoder, training, validation, run.frames.pretraining.fit, seed, folder)
        points["trained"] = _points(network, judged)
        for name in ("trained", "untrained", "random points"):
            yield _row(name, str(seed), count, points[name], judged)
        keypoint_sheet(network.eval(), judged.frames[0], config.out.parent / f"keypoints_seed{seed}.png")


def _judge_given(config: KeypointQualityConfig) -> Iterator[dict[str, str]]:
    given = {str(folder): _given(folder, config.swingup.sizes.image_size) for folder in config.encoders}
    for name, network in given.items():
        judged = _recorded(config, network.config.channels // RGB)
        yield _row(name, "", network.config.keypoints, _points(network, judged), judged)


def _given(folder: Path, size: int) -> IMM:
    encoder = encoders.load(folder)
    network = keypoint_network(encoder)
    if network is None:
        raise ValueError(f"{folder} holds the encoder {encoder.name!r}, which has no keypoints; name one of sac_imm's.")
    network.check_frames((network.config.channels, size, size))
    return network


def _recorded(config: KeypointQualityConfig, stack: int) -> Recording:
    """Recordings to judge on: the same states whatever the stack."""
    frames = config.swingup.frames
    frames = replace(frames, stack=stack, pretraining=replace(frames.pretraining, episodes=config.episodes))
    return recorded(replace(config.swingup, observe=frames), JUDGED_SEED)


def _row(name: str, seed: str, count: int, points: NDArray[np.float64], judged: Recording) -> dict[str, str]:
    cart, tip = linear_error(points, judged.landmarks, judged.frames.shape[2])
    return {
        "keypoints": name,
        "seed": seed,
        "count": str(count),
        "cart_error": f"{cart:.5f}",
        "tip_error": f"{tip:.5f}",
        "mean_error": f"{(cart + tip) / 2:.5f}",
    }


def _points(network: IMM, judged: Recording) -> NDArray[np.float64]:
    """Keypoints of every frame: (N, T, 2 K)."""
    training = network.training
    network.eval()
    places = np.stack([newest_points(network, episode) for episode in judged.frames])
    network.train(training)
    return places.reshape(*judged.landmarks.shape[:2], -1)


def main() -> int:
    """Judges; 0 if it worked, 2 if the user has something to mend."""
    return command_line.run(KeypointQualityConfig, judge, __doc__)


if __name__ == "__main__":
    sys.exit(main())
