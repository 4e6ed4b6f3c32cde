"""Offline training: any registered encoder on any clips."""

from __future__ import annotations

import copy
import itertools
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.progress import track

from encoders.base import Encoder, FrameBatch
from encoders.clips.augmentation import jitter_colours
from encoders.clips.clip_pool import ClipPool
from encoders.clips.clips import Clips, sample_batch
from encoders.clips.prefetch import Prefetcher
from encoders.errors import check_at_least, check_choice
from encoders.training.features import extract_clips
from encoders.training.fit_checkpoint import Progress, has_checkpoint, read_checkpoint, write_checkpoint
from encoders.training.optimisers import OPTIMISERS, Stepper
from encoders.training.origin import claim_folder, origin_of


@dataclass(frozen=True)
class FitConfig:
    """Settings of the training of an encoder.

    Attributes:
        steps: Optimiser steps at most.
        optimiser: Preset of optimiser and schedule: default, snaps, pouring or smak.
        learning_rate: Instead of the preset's first one.
        colour_jitter: Strength of the random colours of every video and view, 0 to 1; for clips whose looks differ.
        feature_copies: Times that the features of a frozen stem are extracted, each under other colours, to train
            on them instead of on frames: many times faster, but all are held in memory. 0 trains on frames.
        precision: float32, or bfloat16 for convolutions and linear layers: up to twice as fast on processors and
            accelerators that have instructions for it.
        validate_every: Steps between two validations; a checkpoint is written at each.
        validation_batches: Batches of one validation, the same ones every time.
        patience: Validations without a new best loss after which training stops.
    """

    steps: int = 1200
    optimiser: str = "default"
    learning_rate: float | None = None
    colour_jitter: float = 0.0
    feature_copies: int = 0
    precision: str = "float32"
    validate_every: int = 100
    validation_batches: int = 20
    patience: int = 5

    def __post_init__(self) -> None:
        counts = ("steps", "validate_every", "validation_batches", "patience")
        check_at_least(1, {f"fit.{name}": getattr(self, name) for name in counts})
        if self.feature_copies < 0:
            raise ValueError(f"feature_copies is {self.feature_copies}; it must be at least 0.")
        if not 0.0 <= self.colour_jitter <= 1.0:
            raise ValueError(f"colour_jitter is {self.colour_jitter}; it must be from 0 to 1.")
        check_choice("optimiser preset", self.optimiser, OPTIMISERS)
        check_choice("precision of the training", self.precision, ("float32", "bfloat16"))
        if self.learning_rate is not None and not 0 < self.learning_rate < 1:
            raise ValueError(f"learning_rate is {self.learning_rate}; it must be between 0 and 1.")


def fit(
    encoder: Encoder,
    training: Clips,
    validation: Clips,
    config: FitConfig,
    seed: int,
    folder: Path,
    report: Callable[[dict[str, float]], None] | None = None,
) -> Encoder:
    """Trains an encoder, keeps the weights that validate best, measures its distance scale, saves it.

    An encoder without a trainable parameter is only measured and saved. A checkpoint under
    ``folder / "checkpoint"`` appears at every validation; called again with the same arguments, training
    goes on from it and ends in the same weights. What these are stands in ``fit.json``; others are refused.

    Args:
        encoder: An encoder as ``make`` gives it, on the device that it is to be trained on; trained in place.
        training: Clips to learn from.
        validation: Clips to choose the best weights by, and to measure the distance scale on.
        config: Steps, learning rate and the rest.
        seed: Seed of the batches; the initial weights come with the encoder.
        folder: Where the encoder is saved.
        report: Called with the figures of every validation.

    Returns:
        The encoder with its best weights, in evaluation mode.

    Raises:
        ValueError: If there are no clips, the clips do not fit the encoder, the folder holds what was made from
            something else, a checkpoint is damaged, or the loss is not finite.
    """
    check_clips(encoder, training, "training")
    check_clips(encoder, validation, "validation")
    claim_folder(folder, origin_of(encoder, training, validation, asdict(config), seed))
    if not any(parameter.requires_grad for parameter in encoder.parameters()):
        return _measure(encoder, validation, folder)
    stepper = Stepper(encoder.parameters(), config.optimiser, config.steps, config.learning_rate)
    rng = np.random.default_rng(seed)
    state = Progress()
    best = copy.deepcopy(encoder.state_dict())
    checkpoint = folder / "checkpoint"
    if has_checkpoint(checkpoint):
        state, best = read_checkpoint(checkpoint, encoder, stepper, rng)
    if state.finished:
        encoder.load_state_dict(best)
        return _measure(encoder, validation, folder)
    held_out_clips = validation
    if config.feature_copies > 0:
        extraction_rng = np.random.default_rng([seed, 2])
        training = extract_clips(encoder, training, config.feature_copies, config.colour_jitter, extraction_rng)
        held_out_clips = extract_clips(encoder, validation, 1, 0.0, extraction_rng)
    held_out_rng = np.random.default_rng([seed, 1])
    held_out = [sample_batch(held_out_clips, encoder.sampling, held_out_rng) for _ in range(config.validation_batches)]
    steps = range(state.step, config.steps)

    numbers = itertools.count(state.step)

    def draw() -> tuple[FrameBatch, dict[str, Any]]:
        batch = sample_batch(pool.at(next(numbers)), encoder.sampling, rng)
        if config.feature_copies == 0:
            batch = jitter_colours(batch, config.colour_jitter, rng)
        return batch, dict(rng.bit_generator.state)

    with ClipPool(training, encoder.sampling, seed) as pool, Prefetcher(draw) as batches:
        for _ in track(steps, description=f"Fitting {encoder.name}", transient=True):
            batch, rng_state = batches.next()
            batch = batch.to(encoder.device)
            encoder.train()
            with torch.autocast(encoder.device.type, torch.bfloat16, enabled=config.precision == "bfloat16"):
                result = encoder.loss(batch)
            if not torch.isfinite(result.loss):
                value = float(result.loss.detach())
                raise ValueError(
                    f"The {encoder.name} loss became {value} at step {state.step}; lower the learning rate."
                )
            stepper.zero_grad()
            result.loss.backward()  # type: ignore[no-untyped-call]
            stepper.step()
            state.step += 1
            if state.step % config.validate_every == 0 or state.step == config.steps:
                figures = _validate(encoder, held_out)
                if figures["loss"] < state.best_loss:
                    state.best_loss, state.best_step, state.stale = figures["loss"], state.step, 0
                    best = copy.deepcopy(encoder.state_dict())
                else:
                    state.stale += 1
                state.finished = state.step == config.steps or state.stale >= config.patience
                write_checkpoint(checkpoint, encoder, best, stepper, rng_state, state)
                if report is not None:
                    waited = {"waiting_share": batches.waiting_share}
                    report({"step": state.step, "train_loss": float(result.loss.detach()), **figures, **waited})
                if state.finished:
                    break
    encoder.load_state_dict(best)
    return _measure(encoder, validation, folder)


def calibrate(encoder: Encoder, validation: Clips, folder: Path) -> Encoder:
    """Measures the distance scale of an untrained encoder and saves both: the control without training.

    Args:
        encoder: Trained, or never to be.
        validation: Clips to measure on.
        folder: Where it is saved.

    Returns:
        The encoder in evaluation mode.

    Raises:
        ValueError: If the folder holds what was made from something else.
    """
    claim_folder(folder, origin_of(encoder, None, validation))
    return _measure(encoder, validation, folder)


def _measure(encoder: Encoder, validation: Clips, folder: Path) -> Encoder:
    """The end of a fit: the distance scale, and the encoder on disk."""
    encoder.eval()
    encoder.distance_scale.fill_(distance_scale(encoder, validation))
    encoder.save(folder)
    return encoder


def check_clips(encoder: Encoder, clips: Clips, purpose: str) -> None:
    """Refuses clips that an encoder cannot be trained on.

    Raises:
        ValueError: If there are none, their frames or views do not fit, or one is too short for the encoder's loss.
    """
    if len(clips) == 0:
        raise ValueError(f"There are no {purpose} clips; record or name at least one.")
    for video, name in zip(clips.videos, clips.names, strict=True):
        encoder.check_frames((video.shape[-1], *video.shape[-3:-1]))
        if len(video) < encoder.sampling.views:
            raise ValueError(
                f"{name} has {len(video)} view(s) and this encoder's objective needs {encoder.sampling.views}; "
                "record more cameras, or choose a single-view objective."
            )
        if video.shape[1] < encoder.sampling.least:
            raise ValueError(
                f"{name} has {video.shape[1]} frame(s), and the loss of {encoder.name!r} compares moments of at least "
                f"{encoder.sampling.least}; leave the clip out, or choose a smaller range of negatives."
            )


def distance_scale(encoder: Encoder, clips: Clips) -> float:
    """Median embedding distance between successive frames.

    Args:
        encoder: A trained encoder.
        clips: Videos that it was not trained on.

    Returns:
        The distance that counts as 1 in a reward.
    """
    steps = [np.linalg.norm(np.diff(encoder.embed_video(view), axis=0), axis=1) for v in clips.videos for view in v]
    return float(np.median(np.concatenate(steps)))


@torch.no_grad()
def _validate(encoder: Encoder, batches: list[FrameBatch]) -> dict[str, float]:
    """Mean loss and metrics over held-out batches, in evaluation mode."""
    encoder.eval()
    results = [encoder.loss(batch.to(encoder.device)) for batch in batches]
    figures = {"loss": float(torch.stack([result.loss for result in results]).mean())}
    for name in results[0].metrics:
        figures[name] = float(torch.stack([result.metrics[name] for result in results]).mean())
    return figures
