"""Encoders on a device that is not the default one: nothing that they calculate with is left behind."""

from __future__ import annotations

import copy
import pickle
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from pretended_gpu import GPU, pretended_gpu
from small_fits import CONFIG, TRAINING, VALIDATION, equal, fresh, stop_after, walk
from torch import Tensor
from torch.overrides import TorchFunctionMode

import encoders
from encoders.base import Encoder, channels_first
from encoders.clips.augmentation import jitter_colours, random_shift
from encoders.clips.clips import sample_batch
from encoders.device import (
    AUTO,
    CPU,
    CUDA,
    DeviceMemoryError,
    agent_device,
    choose_device,
    device_content,
    plain_memory_errors,
    whole_float32,
)
from encoders.models.attention import keypoints
from encoders.models.imm import heat_maps
from encoders.training.fit import fit

ROOT = Path(encoders.__file__).parents[1]

SETTINGS: dict[str, dict[str, Any]] = {
    "tcn": {"image_size": 32},
    "smak": {"image_size": 32},
    "pooled": {"image_size": 64},
    "attention": {"image_size": 64, "channels": 3},
    "autoencoder": {"image_size": 32, "channels": 3},
    "imm": {"image_size": 32, "channels": 3},
    "autoencoder_imm": {"image_size": 32, "channels": 3},
}

VARIANTS: list[tuple[str, dict[str, Any]]] = [
    *SETTINGS.items(),
    ("tcn", {"image_size": 32, "objective": "multi_view"}),
    ("tcn", {"image_size": 32, "objective": "n_pairs", "pooling": "flatten", "dropout": 0.2}),
    ("tcn", {"image_size": 32, "backbone": "residual"}),
    ("smak", {"image_size": 32, "normalisation": "softmax", "extended": True}),
    ("imm", {"image_size": 32, "channels": 3, "features": "heat_maps"}),
    ("imm", {"image_size": 64, "channels": 3, "perceptual": "efficientnet_lite0"}),
]


def made(name: str, settings: dict[str, Any]) -> Encoder:
    torch.manual_seed(0)
    return encoders.make(name, **settings)


def test_the_settings_name_every_encoder_of_the_project() -> None:
    own = [name for name in encoders.names() if encoders.registry._ENCODERS[name].__module__.startswith("encoders.")]
    assert sorted(SETTINGS) == sorted(own)


def test_auto_takes_a_gpu_where_there_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    for there, expected in ((False, CPU), (True, CUDA)):
        monkeypatch.setattr(torch.cuda, "is_available", lambda there=there: there)
        assert choose_device(AUTO) == torch.device(expected)
        assert choose_device(CPU) == torch.device(CPU)
        assert agent_device(AUTO, trains_convolutions=True) == torch.device(expected)
        assert agent_device(AUTO, trains_convolutions=False) == torch.device(CPU)
    assert agent_device(CUDA, trains_convolutions=False) == torch.device(CUDA)


def test_a_gpu_that_is_not_there_and_an_unknown_device_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ValueError, match=r"device is 'cuda', and PyTorch .* finds none here; use --device cpu or auto"):
        choose_device(CUDA)
    with pytest.raises(ValueError, match=r"(?i)device.*'gpu'.*auto, cpu, cuda"):
        choose_device("gpu")


def test_a_device_is_part_of_an_identity_where_results_depend_on_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert device_content(AUTO) == device_content(CPU) == {}
    assert device_content(CUDA) == {"device": CUDA}
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert device_content(AUTO) == {"device": AUTO}
    assert device_content(CPU) == {}


def test_a_gpu_without_memory_is_told_in_one_line() -> None:
    expected = pytest.raises(DeviceMemoryError, match=r"(?s)no memory left.*--envs.*image_size.*--device cpu")
    with expected as caught, plain_memory_errors():
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB.\nGPU 0 has ...")
    assert "\n" not in str(caught.value)
    # From a process of a pool to its parent.
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)


def test_float32_is_whole_on_a_gpu() -> None:
    with whole_float32(torch.device(CPU)):
        assert torch.backends.cudnn.allow_tf32
    with whole_float32(GPU):
        assert not torch.backends.cudnn.allow_tf32
        assert torch.backends.cudnn.enabled
    assert torch.backends.cudnn.allow_tf32


@pytest.mark.parametrize(("name", "settings"), VARIANTS)
def test_shapes_are_right_on_the_meta_device(name: str, settings: dict[str, Any]) -> None:
    encoder = made(name, settings).to("meta")
    size, channels = encoder.config.image_size, encoder.config.channels
    embeddings = encoder(torch.empty(5, channels, size, size, dtype=torch.uint8, device="meta"))
    assert embeddings.device.type == "meta"
    assert embeddings.shape == (5, encoder.embedding_dim)
    assert embeddings.dtype == torch.float32


def loss_and_gradient(encoder: Encoder, device: torch.device) -> tuple[float, Tensor]:
    size, views = encoder.config.image_size, encoder.sampling.views
    clips = walk(0, views=views, size=size)
    batch = sample_batch(clips, encoder.sampling, np.random.default_rng(0))
    encoder = encoder.to(device).train()
    torch.manual_seed(0)
    result = encoder.loss(batch.to(device))
    if result.loss.requires_grad:
        result.loss.backward()
    gradients = [part.grad.cpu().flatten() for part in encoder.parameters() if part.grad is not None]
    return float(result.loss), torch.cat([torch.zeros(1), *gradients])


@pytest.mark.parametrize(("name", "settings"), VARIANTS)
def test_losses_and_embeddings_are_those_of_the_processor(
    name: str, settings: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    encoder = made(name, settings).eval()
    other = copy.deepcopy(encoder)
    size = encoder.config.image_size
    frames = channels_first(walk(1, size=size).videos[0][0, :6])
    trains = any(part.requires_grad for part in encoder.parameters())
    with pretended_gpu(monkeypatch) as memory:
        other.to(GPU)
        assert other.device == GPU
        assert all(map(memory.holds, other.parameters()))
        embedded = other.embed(frames)
        assert not memory.holds(embedded)
        maps = {key: value.cpu() for key, value in other.attention_maps(frames.to(GPU)).items()}
        frozen = other.frozen().embed_video(walk(1, size=size).videos[0][0, :6], batch=4)
        found = loss_and_gradient(other, GPU) if trains else None
    assert torch.equal(embedded, encoder.embed(frames))
    np.testing.assert_allclose(frozen, embedded, rtol=1e-3, atol=1e-3)
    expected_maps = encoder.attention_maps(frames)
    assert all(torch.equal(maps[key], value) for key, value in expected_maps.items())
    if found is not None:
        loss, gradient = loss_and_gradient(encoder, torch.device(CPU))
        assert found[0] == loss
        assert torch.equal(found[1], gradient)


def test_the_pretended_gpu_notices_what_is_left_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    encoder = made("tcn", SETTINGS["tcn"])
    frames = channels_first(walk(1, size=32).videos[0][0, :6])
    with pretended_gpu(monkeypatch):
        encoder.to(GPU)
        with pytest.raises(RuntimeError, match="others on the processor"):
            encoder(frames)
        here = torch.ones(3, device=GPU)
        assert (here + torch.tensor(1.0)).device == GPU
        assert here[torch.tensor([0, 2])].device == GPU
        for wrong in (lambda: here + torch.ones(3), lambda: torch.cat([here, torch.arange(2.0)]), lambda: here.numpy()):
            with pytest.raises((RuntimeError, TypeError), match="on the"):
                wrong()


def test_what_draws_with_frames_goes_where_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    batch = sample_batch(TRAINING, fresh().sampling, np.random.default_rng(0))
    mask = torch.rand(2, 7, 7, generator=torch.Generator().manual_seed(0))
    points = torch.rand(2, 4, 2, generator=torch.Generator().manual_seed(0))

    def drawn(device: torch.device) -> list[Tensor]:
        there = batch.to(device)
        return [
            jitter_colours(there, 0.5, np.random.default_rng(1)).frames,
            random_shift(there.frames, 2, np.random.default_rng(1).integers),
            keypoints(mask.to(device), 3),
            heat_maps(points.to(device), 5, 6, 0.1),
        ]

    expected = drawn(torch.device(CPU))
    with pretended_gpu(monkeypatch) as memory:
        found = drawn(GPU)
        assert all(map(memory.holds, found))
    assert all(torch.equal(left, right) for left, right in zip(found, expected, strict=True))


def test_a_fit_on_a_gpu_ends_in_the_weights_of_one_on_the_processor(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = fit(fresh(), TRAINING, VALIDATION, CONFIG, 0, tmp_path / "here")
    with pretended_gpu(monkeypatch):
        fitted = fit(fresh().to(GPU), TRAINING, VALIDATION, CONFIG, 0, tmp_path / "there")
        assert fitted.device == GPU
        with pytest.raises(KeyboardInterrupt):
            fit(fresh().to(GPU), TRAINING, VALIDATION, CONFIG, 0, tmp_path / "cut", stop_after(2))
        again = fit(fresh().to(GPU), TRAINING, VALIDATION, CONFIG, 0, tmp_path / "cut")
        assert again.device == GPU
        fitted.cpu(), again.cpu()
    equal(fitted, expected)
    equal(again, expected)
    loaded = encoders.load(tmp_path / "there")
    equal(loaded, expected)
    assert loaded.device == torch.device(CPU)


def test_features_of_a_frozen_stem_are_extracted_on_the_gpu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = replace(CONFIG, feature_copies=1, colour_jitter=0.5)
    expected = fit(fresh(freeze=True), TRAINING, VALIDATION, config, 0, tmp_path / "here")
    with pretended_gpu(monkeypatch):
        fitted = fit(fresh(freeze=True).to(GPU), TRAINING, VALIDATION, config, 0, tmp_path / "there").cpu()
    equal(fitted, expected)


def test_a_fit_does_not_go_on_with_one_from_another_device(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fit(fresh(), TRAINING, VALIDATION, CONFIG, 0, tmp_path / "here")
    with pretended_gpu(monkeypatch):
        fit(fresh().to(GPU), TRAINING, VALIDATION, CONFIG, 0, tmp_path / "there")
        with pytest.raises(ValueError, match="device is None there and 'cuda' here"):
            fit(fresh().to(GPU), TRAINING, VALIDATION, CONFIG, 0, tmp_path / "here")
    with pytest.raises(ValueError, match="device is 'cuda' there and None here"):
        fit(fresh(), TRAINING, VALIDATION, CONFIG, 0, tmp_path / "there")


FACTORIES = (
    torch.arange,
    torch.empty,
    torch.eye,
    torch.full,
    torch.linspace,
    torch.ones,
    torch.rand,
    torch.randint,
    torch.randn,
    torch.randperm,
    torch.tensor,
    torch.zeros,
)


class EveryTensorHasADevice(TorchFunctionMode):
    """Notes where this project makes tensors without saying on which device."""

    def __init__(self) -> None:
        super().__init__()
        self.places: set[str] = set()

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        caller = sys._getframe(1)
        path = Path(caller.f_code.co_filename)
        if func in FACTORIES and (kwargs or {}).get("device") is None and path.is_relative_to(ROOT):
            self.places.add(f"{path.relative_to(ROOT)}:{caller.f_lineno}")
        return func(*args, **(kwargs or {}))


def in_one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    """Draws batches in the thread that trains: what watches PyTorch's functions watches one thread."""

    class Drawn:
        waiting_share = 0.0

        def __init__(self, draw: Callable[[], Any]) -> None:
            self.next = draw

        def __enter__(self) -> Drawn:
            return self

        def __exit__(self, *_: object) -> None:
            return None

    monkeypatch.setattr("encoders.training.fit.Prefetcher", Drawn)


@pytest.mark.parametrize(("name", "settings"), VARIANTS)
def test_no_tensor_is_made_without_a_device_where_encoders_train_and_embed(
    name: str, settings: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    in_one_thread(monkeypatch)
    encoder = made(name, settings)
    clips = walk(0, views=encoder.sampling.views, size=encoder.config.image_size)
    config = replace(CONFIG, steps=1, validation_batches=1, colour_jitter=0.5)
    with EveryTensorHasADevice() as watch:
        fit(encoder, clips, clips, config, 0, tmp_path)
        encoder.attention_maps(channels_first(clips.videos[0][0]))
        encoder.frozen().embed_video(clips.videos[0][0])
    assert watch.places == set()


def test_the_watch_over_factories_sees_what_it_should() -> None:
    with EveryTensorHasADevice() as watch:
        torch.zeros(3, device="cpu")
        torch.zeros_like(torch.from_numpy(np.zeros(3)))
        assert watch.places == set()
        torch.arange(3)
    assert [place.partition(":")[0] for place in watch.places] == ["tests/encoders/test_device.py"]
