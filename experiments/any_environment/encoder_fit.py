"""An encoder fitted on a folder of people's own videos."""

from __future__ import annotations

import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch

import encoders
from encoders.base import Encoder
from encoders.clips.clips import Clips
from encoders.clips.recordings import contents, recordings_in
from encoders.device import choose_device, device_content
from encoders.files import FileError, write_json
from encoders.training.fit import check_clips, fit
from experiments.any_environment.clips import OwnClips, own_clips, split
from experiments.any_environment.fit_config import FitEncoderConfig
from experiments.imitation.audit import judge_order
from experiments.runs.claims import check_claim, claim
from experiments.runs.folder import console
from experiments.runs.pretraining import check_distance_scale

CLAIM_FILE = "clips.json"
"""What an encoder's folder says of its settings and videos."""

REPORT_FILE = "report.json"


def fit_encoder(config: FitEncoderConfig) -> dict[str, Any]:
    """Fits an encoder on a folder of videos, and judges it on those that were held out.

    Returns:
        What ``report.json`` in the encoder's folder holds.

    Raises:
        ValueError: If the videos cannot be used or are too few, or the folder belongs to something else.
    """
    device, started = choose_device(config.device), time.perf_counter()
    recordings = recordings_in(config.clips)
    left_out = {"clips", "out", "device", "plugin"}
    settings = {key: value for key, value in asdict(config).items() if key not in left_out}
    identity = settings | device_content(config.device) | {"videos": contents(recordings)}
    check_free(config.out, identity)
    encoder = new_encoder(config).to(device)
    own = own_clips(recordings, config.image_size, encoder.sampling.least, config.fps)
    if own.warning is not None:
        console.print(f"[bold yellow]warning:[/] {own.warning}", highlight=False)
    check_enough(own, encoder)
    training, validation = split(own.clips, config.validation, np.random.default_rng([config.seed, 4]))
    for clips, purpose in ((training, "training"), (validation, "validation")):
        check_clips(encoder, clips, purpose)
    # Only now: a mistake in the videos should not take the folder.
    claim(config.out, CLAIM_FILE, identity)
    torch.set_num_threads(config.threads)
    untrained = order_of(encoder, validation, config.seed)
    fit(encoder, training, validation, config.fit, config.seed, config.out)
    check_distance_scale(encoder, config.out)
    report = {
        "triplet_accuracy": order_of(encoder, validation, config.seed),
        "untrained_triplet_accuracy": untrained,
        "distance_scale": float(encoder.distance_scale),
        "fps": own.fps,
        "learned_from": moments_of(training),
        "held_out": moments_of(validation),
        "left_out": own.left_out,
        "seconds": time.perf_counter() - started,
    }
    write_json(config.out / REPORT_FILE, report)
    say(report, config.out)
    return report


def new_encoder(config: FitEncoderConfig) -> Encoder:
    """An untrained encoder, as its seed has it."""
    torch.manual_seed(config.seed)
    return encoders.make(config.encoder, **asdict(config.encoder_config))


def check_free(folder: Path, identity: dict[str, Any]) -> None:
    """Refuses a folder that holds something else than this very training; writes nothing.

    Raises:
        ValueError: If so.
    """
    if folder.exists() and not folder.is_dir():
        raise FileError(f"{folder} is no folder; choose another --out.")
    if folder.is_dir() and not (folder / CLAIM_FILE).exists() and any(folder.iterdir()):
        raise FileError(f"{folder} is not empty, and holds no training of this command; choose another --out.")
    check_claim(folder, CLAIM_FILE, identity)


def check_enough(own: OwnClips, encoder: Encoder) -> None:
    """Refuses videos of which fewer than two are long enough.

    Raises:
        ValueError: If so.
    """
    if len(own.clips) < 2:
        raise ValueError(
            f"{len(own.clips)} of {len(own.clips) + len(own.left_out)} video(s) have {encoder.sampling.least} moments "
            f"at which something moves, which the loss of {encoder.name!r} compares; at least 2 are needed, one to "
            "learn from and one that is held out: add videos, raise --fps, or narrow the encoder's ranges, such as "
            "--encoder-settings negative_range=3 positive_range=1."
        )


def order_of(encoder: Encoder, clips: Clips, seed: int) -> float | None:
    """Share of triplets of every view that are in the order of time; None where all clips are too short."""
    training = encoder.training
    views = [view[None] for video in clips.videos for view in np.asarray(video)]
    alone = Clips(views, tuple(map(str, range(len(views)))))
    order = judge_order(encoder.eval(), alone, np.random.default_rng([seed, 5]))
    encoder.train(training)
    return order["triplet_accuracy"]


def moments_of(clips: Clips) -> dict[str, int]:
    """Moments of every clip, by its name."""
    return {name: int(video.shape[1]) for name, video in zip(clips.names, clips.videos, strict=True)}


def say(report: dict[str, Any], folder: Path) -> None:
    """The figures of a report, on the console."""
    order = {key: report[key] for key in ("triplet_accuracy", "untrained_triplet_accuracy")}
    told = {key: "unknown: they are too short" if value is None else f"{value:.1%}" for key, value in order.items()}
    learned, held = len(report["learned_from"]), ", ".join(report["held_out"])
    console.print(
        f"{learned} video(s) learned from at {report['fps']:.4g} frames a second, held out: {held}.\n"
        f"Triplets of held-out videos in the order of time: {told['triplet_accuracy']} "
        f"(untrained: {told['untrained_triplet_accuracy']}).\n"
        f"The encoder is in {folder}; give it to --encoder-folder.",
        highlight=False,
        markup=False,
        soft_wrap=True,
    )
