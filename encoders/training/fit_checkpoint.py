"""Checkpoints of the training of an encoder."""

from __future__ import annotations

import io
import json
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save
from torch import Tensor

from encoders.base import Encoder
from encoders.device import CUDA
from encoders.files import FileError, read_bytes, read_object, reading, write_atomically
from encoders.training.optimisers import Stepper
from encoders.weights import MOST_BYTES, check_weights, digest_of, read_weights

PROGRESS_FILE = "progress.json"

_WHAT = "checkpoint of a fit"


@dataclass
class Progress:
    """The progress of a training: the part of a checkpoint without tensors.

    Attributes:
        step: Steps done.
        best_loss: The best validation's.
        best_step: Its step.
        stale: Validations since then.
        finished: Whether training is over.
    """

    step: int = 0
    best_loss: float = float("inf")
    best_step: int = 0
    stale: int = 0
    finished: bool = False


def write_checkpoint(
    folder: Path,
    encoder: Encoder,
    best: dict[str, Tensor],
    stepper: Stepper,
    rng_state: dict[str, Any],
    state: Progress,
) -> None:
    """Writes everything that training needs to go on; ``progress.json`` last, so that it stands for the rest."""
    folder.mkdir(parents=True, exist_ok=True)
    tensors = {f"now.{key}": value.cpu().contiguous().clone() for key, value in encoder.state_dict().items()}
    tensors |= {f"best.{key}": value.cpu().contiguous().clone() for key, value in best.items()}
    buffer = io.BytesIO()
    kept = {"stepper": stepper.state_dict(), "torch_rng": torch.get_rng_state()}
    if encoder.device.type == CUDA:
        kept["cuda_rng"] = torch.cuda.get_rng_state(encoder.device)
    torch.save(kept, buffer)
    name = f"step_{state.step}"
    weights, steps = save(tensors), buffer.getvalue()
    write_atomically(folder / f"{name}.safetensors", weights)
    write_atomically(folder / f"{name}.pt", steps)
    progress: dict[str, Any] = {"state": asdict(state), "rng": rng_state}
    progress["digest"] = digest_of(progress, weights, steps)
    write_atomically(folder / PROGRESS_FILE, json.dumps(progress).encode())
    for old in folder.glob("step_*"):
        if old.stem != name:
            old.unlink()


def has_checkpoint(folder: Path) -> bool:
    """Whether there is a checkpoint to go on from."""
    return (folder / PROGRESS_FILE).exists()


def read_checkpoint(
    folder: Path,
    encoder: Encoder,
    stepper: Stepper,
    rng: np.random.Generator,
) -> tuple[Progress, dict[str, Tensor]]:
    """Reads a checkpoint back into its owners.

    Returns:
        Where training stands, and the best weights.

    Raises:
        FileError: If a file of it is missing, damaged or of another encoder.
    """
    remedy = f"delete {folder} to train from the beginning"
    path = folder / PROGRESS_FILE
    progress = read_object(path, _WHAT, remedy, ("state", "rng", "digest"))
    state = _state(path, progress["state"], remedy)
    weights_path, steps_path = folder / f"step_{state.step}.safetensors", folder / f"step_{state.step}.pt"
    own = encoder.state_dict()
    wanted = {f"{kind}.{key}": value for kind in ("now", "best") for key, value in own.items()}
    content, tensors = read_weights(weights_path, wanted, _WHAT, remedy)
    check_weights(weights_path, tensors, wanted, _WHAT, remedy)
    steps = read_bytes(steps_path, _WHAT, remedy, MOST_BYTES)
    with reading(steps_path, _WHAT, remedy):
        saved = torch.load(io.BytesIO(steps), map_location="cpu", weights_only=True)
    if progress.pop("digest") != digest_of(progress, content, steps):
        raise FileError(f"{path}, {weights_path} or {steps_path} was changed since it was written; {remedy}.")
    with reading(path, _WHAT, remedy):
        rng.bit_generator.state = progress["rng"]
    encoder.load_state_dict({key: tensors[f"now.{key}"] for key in own})
    with reading(steps_path, _WHAT, remedy):
        stepper.load_state_dict(saved["stepper"])
        torch.set_rng_state(saved["torch_rng"])
        if encoder.device.type == CUDA:
            torch.cuda.set_rng_state(saved["cuda_rng"], encoder.device)
    return state, {key: tensors[f"best.{key}"] for key in own}


def _state(path: Path, values: Any, remedy: str) -> Progress:
    """The state in a checkpoint, if it has every part of one, each of its type."""
    types = {field.name: type(field.default) for field in fields(Progress)}
    if not isinstance(values, dict) or {key: type(value) for key, value in values.items()} != types:
        raise FileError(f"The {_WHAT} {path} does not say where training stands; {remedy}.")
    return Progress(**values)
