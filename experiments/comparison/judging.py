"""Training and judging encoders on the same clips by the same metrics."""

from __future__ import annotations

import json
import math
import reprlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

import encoders
from encoders.base import Encoder, channels_first
from encoders.clips.clips import Clips, Labels
from encoders.device import CPU
from encoders.errors import check_figures
from encoders.files import FileError, read_object, write_atomically
from encoders.metrics import alignment_accuracy, alignment_error, classification_error, kendalls_tau, rank_correlation
from encoders.networks.backbones import BackboneConfig
from encoders.training.fit import FitConfig, calibrate, check_clips, fit
from experiments.comparison.figures import nearest_neighbour_video, plot_attention, plot_tsne
from experiments.comparison.variants import encoder_config, variant_of
from experiments.report.figures import plot_distance_matrix

SPLIT = (133 / 235, 17 / 235)
"""Shares of the clips that train and that validate; the rest is for testing. The pouring set's 133, 17 and 85."""


RANK_PAIRS = 20_000
"""Pairs of frames that the rank correlation with the true state is measured on."""


@dataclass(frozen=True)
class Split:
    """Clips for training, validation and test, with labels and true states of the test clips.

    Attributes:
        training: To learn from.
        validation: To choose the best weights by.
        test: To judge on.
        labels: Attributes of the test clips' frames, or None.
        states: True state of the test clips' frames, one (T, S) a clip, or None.
    """

    training: Clips
    validation: Clips
    test: Clips
    labels: Labels | None
    states: list[NDArray[np.float64]] | None


def split_clips(
    clips: Clips, labels: Labels | None, states: list[NDArray[np.float64]] | None, extra: Clips | None = None
) -> Split:
    """Splits clips in their order, as the pouring set is split.

    Args:
        clips: What is split.
        labels: Of all clips.
        states: Of all clips.
        extra: Further clips to learn from.

    Raises:
        ValueError: If there are too few for three parts, with at least two to judge on, or a single view.
    """
    count = len(clips)
    for video, name in zip(clips.videos, clips.names, strict=True):
        if len(video) < 2:
            raise ValueError(f"{name} has a single view; encoders are judged by the alignment of two of one moment.")
    first = round(SPLIT[0] * count)
    second = first + max(1, round(SPLIT[1] * count))
    if first < 1 or count - second < 2:
        raise ValueError(f"There are {count} recordings; training, validation and test need at least 6 together.")
    rest = range(second, count)
    training = clips.subset(range(first))
    if extra is not None:
        training = Clips((*training.videos, *extra.videos), (*training.names, *extra.names))
    return Split(
        training,
        clips.subset(range(first, second)),
        clips.subset(rest),
        None if labels is None else labels.subset(rest),
        None if states is None else [states[index] for index in rest],
    )


def judge(encoder: Encoder, split: Split, rng: np.random.Generator) -> dict[str, float]:
    """Every metric on the test clips; view 0 against view 1.

    Args:
        encoder: Trained, or a control.
        split: Its test clips are judged on.
        rng: Source of the pairs for the rank correlation.
    """
    views = [[encoder.embed_video(video[view]) for view in (0, 1)] for video in split.test.videos]
    figures = {
        "alignment_error": float(np.mean([alignment_error(first, second) for first, second in views])),
        "kendalls_tau": float(np.mean([kendalls_tau(first, second) for first, second in views])),
    }
    for metric in ("l2", "cosine"):
        figures[f"alignment_accuracy_{metric}"] = float(
            np.mean([alignment_accuracy(first, second, 1, metric) for first, second in views])
        )
    if split.labels is not None:
        figures["classification_error"] = _classification_error(views, split.labels.videos)
    if split.states is not None:
        figures["rank_correlation"] = _rank_correlation(views, split.states, rng)
    return figures


def _classification_error(views: list[list[NDArray[np.float32]]], labels: Sequence[NDArray[np.bool_]]) -> float:
    """Mean over the two views: neighbours are looked for in other recordings seen by either camera alone."""
    return float(np.mean([classification_error([pair[view] for pair in views], labels) for view in (0, 1)]))


def _rank_correlation(
    views: list[list[NDArray[np.float32]]], states: list[NDArray[np.float64]], rng: np.random.Generator
) -> float:
    """Rank correlation of embedding and true distance, between frames of the two views of one recording."""
    embedding, truth = [], []
    for _ in range(RANK_PAIRS // 50):
        video = int(rng.integers(len(views)))
        left, right = rng.integers(len(states[video]), size=(2, 50))
        embedding.append(np.linalg.norm(views[video][0][left] - views[video][1][right], axis=1))
        truth.append(np.linalg.norm(states[video][left] - states[video][right], axis=1))
    return rank_correlation(np.concatenate(embedding), np.concatenate(truth))


def check_variants(names: Sequence[str], split: Split, image_size: int, stem: Mapping[str, Any]) -> None:
    """Refuses clips that a variant cannot learn from.

    Raises:
        ValueError: If its weights are missing, or the clips have too few views or frames for it.
    """
    for variant in map(variant_of, names):
        encoder = encoders.make(variant.encoder, **asdict(encoder_config(variant, image_size, stem)))
        for purpose, clips in (("training", split.training), ("validation", split.validation)):
            check_clips(encoder, clips, purpose)


def run_cell(
    name: str,
    seed: int,
    split: Split,
    config: FitConfig,
    image_size: int,
    stem: Mapping[str, Any],
    folder: Path,
    device: torch.device | str = CPU,
) -> dict[str, Any]:
    """Trains and judges one variant with one seed; a result that is there is only read.

    Args:
        name: A variant.
        seed: Of the initial weights and the batches.
        split: The clips.
        config: How to train.
        image_size: Width and height of the clips, pixels.
        stem: Settings of the stem that variants are compared on.
        folder: Where encoder and ``result.json`` go.
        device: Where it is trained and embeds.

    Raises:
        ValueError: If a result that is there is damaged, or one of the new figures is no number.
    """
    path = folder / "result.json"
    if path.exists():
        return read_cell_result(path, name, seed, split)
    variant = variant_of(name)
    torch.manual_seed(seed)
    encoder = encoders.make(variant.encoder, **asdict(encoder_config(variant, image_size, stem))).to(device)
    trainable = sum(weight.numel() for weight in encoder.parameters() if weight.requires_grad)
    steps = max(1, round(config.steps * variant.share)) if variant.trained and trainable else 0
    curve: list[dict[str, float]] = []
    if variant.trained:
        frozen = isinstance(encoder.config, BackboneConfig) and encoder.config.freeze
        copies = config.feature_copies if frozen else 0
        trained = replace(config, steps=max(steps, 1), feature_copies=copies)
        fit(encoder, split.training, split.validation, trained, seed, folder / "encoder", curve.append)
    else:
        check_clips(encoder, split.validation, "validation")
        calibrate(encoder, split.validation, folder / "encoder")
    result = {
        "variant": name,
        "seed": seed,
        "steps": steps,
        "parameters": trainable,
        "waiting_share": curve[-1]["waiting_share"] if curve else 0.0,
        **judge(encoder, split, np.random.default_rng(0)),
    }
    check_figures(f"The variant {name!r} with seed {seed}", result)
    show(encoder, split.test, seed, folder)
    write_atomically(path, json.dumps(result, indent=2).encode())
    return result


def read_cell_result(path: Path, name: str, seed: int, split: Split) -> dict[str, Any]:
    """The stored result of a variant and a seed.

    Raises:
        ValueError: If the file is damaged, is another's, or lacks a figure that these clips are judged by.
    """
    remedy = "delete it, and the encoder is judged again"
    found = read_object(path, "result", remedy, ["variant", "seed"])
    if (found["variant"], found["seed"]) != (name, seed):
        raise FileError(f"The result {path} is one of {found['variant']!r}, seed {found['seed']!r}; {remedy}.")
    figures = ["steps", "parameters", "waiting_share", "alignment_error", "kendalls_tau"]
    figures += ["alignment_accuracy_l2", "alignment_accuracy_cosine"]
    figures += [] if split.labels is None else ["classification_error"]
    figures += [] if split.states is None else ["rank_correlation"]
    for figure in figures:
        value = found.get(figure)
        if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < math.inf:
            raise FileError(f"The result {path} has {figure} {reprlib.repr(value)}, which is no number; {remedy}.")
    return found


def show(encoder: Encoder, clips: Clips, seed: int, folder: Path) -> None:
    """Draws what an encoder makes of the first clips: attention, t-SNE, distances, nearest neighbours."""
    video = clips.videos[0]
    first, second = (encoder.embed_video(video[view]) for view in (0, 1))
    plot_distance_matrix(first, folder / "distance_matrix.png")
    plot_tsne(first, folder / "tsne.png", seed)
    nearest_neighbour_video(video[0], video[1], first, second, 10, folder / "neighbours.mp4")
    moments = np.linspace(0, video.shape[1] - 1, 3).astype(int)
    frames = np.concatenate([clip[view, moments] for clip in clips.videos[:2] for view in (0, 1)])
    maps = encoder.attention_maps(channels_first(frames).to(encoder.device))
    if maps:
        plot_attention(frames, {name: value.cpu().numpy() for name, value in maps.items()}, folder / "attention.png")
