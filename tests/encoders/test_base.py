"""What every encoder is: embedding, saving, loading."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from encoders import Encoder, load, make
from encoders.base import CONFIG_FILE, WEIGHTS_FILE, channels_first


def frames(count: int, size: int = 16, seed: int = 0) -> torch.Tensor:
    pixels = np.random.default_rng(seed).integers(0, 256, (count, 3, size, size), np.uint8)
    return torch.from_numpy(pixels)


@pytest.fixture
def saved(encoder: Encoder, tmp_path: Path) -> Path:
    encoder.save(tmp_path / "encoder")
    return tmp_path / "encoder"


def refusal(folder: Path) -> str:
    with pytest.raises(ValueError, match=r".") as caught:
        load(folder)
    message = str(caught.value)
    assert "\n" not in message
    return message


def test_a_saved_encoder_comes_back_with_equal_embeddings(tmp_path: Path) -> None:
    torch.manual_seed(5)
    encoder = make("tcn", image_size=16, embedding_dim=8, hidden=16, objective="n_pairs")
    encoder.train()
    for seed in range(3):  # batch norm's running figures are part of what must be kept
        encoder(frames(8, seed=seed))
    encoder.distance_scale.fill_(7.5)
    encoder.save(tmp_path / "deep" / "folder")
    back = load(tmp_path / "deep" / "folder")
    assert back.config == encoder.config
    assert not back.training
    assert float(back.distance_scale) == 7.5
    assert torch.equal(back.embed(frames(4)), encoder.embed(frames(4)))


def test_saving_twice_replaces_the_first(encoder: Encoder, saved: Path) -> None:
    other = make("tcn", image_size=16, embedding_dim=4, hidden=8)
    other.save(saved)
    assert torch.equal(load(saved).embed(frames(2)), other.embed(frames(2)))
    assert sorted(path.name for path in saved.iterdir()) == [CONFIG_FILE, WEIGHTS_FILE]


def test_a_missing_folder_and_missing_files_are_named(saved: Path, tmp_path: Path) -> None:
    assert str(tmp_path / "nowhere") in refusal(tmp_path / "nowhere")
    (saved / WEIGHTS_FILE).rename(tmp_path / "aside")
    assert WEIGHTS_FILE in refusal(saved)
    (tmp_path / "aside").rename(saved / WEIGHTS_FILE)
    (saved / CONFIG_FILE).unlink()
    assert CONFIG_FILE in refusal(saved)


@pytest.mark.parametrize("share", [0.0, 0.01, 0.5, 0.999])
def test_truncated_weights_are_named(saved: Path, share: float) -> None:
    path = saved / WEIGHTS_FILE
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    assert str(path) in refusal(saved)


def test_weights_of_something_else_are_named(saved: Path) -> None:
    path = saved / WEIGHTS_FILE
    save_file({"somebody.else": torch.zeros(3)}, path)
    assert str(path) in refusal(saved)
    path.write_text("these are no weights at all")
    assert str(path) in refusal(saved)
    torch.save({"a": torch.zeros(1)}, path)
    assert str(path) in refusal(saved)


def test_one_weight_too_few_and_one_too_many_are_named(saved: Path) -> None:
    path = saved / WEIGHTS_FILE
    weights = load_file(path)
    save_file({key: value for key, value in weights.items() if key != "head.3.bias"}, path)
    assert "head.3.bias" in refusal(saved)
    save_file({**weights, "extra": torch.zeros(1)}, path)
    assert "extra" in refusal(saved)


def test_weights_of_another_shape_are_named(saved: Path) -> None:
    make("tcn", image_size=16, embedding_dim=9, hidden=16).save(saved.parent / "other")
    (saved.parent / "other" / WEIGHTS_FILE).replace(saved / WEIGHTS_FILE)
    message = refusal(saved)
    assert str(saved / WEIGHTS_FILE) in message
    assert "head.3.weight" in message


def test_a_config_with_an_unknown_setting_is_named_with_the_known_ones(saved: Path) -> None:
    path = saved / CONFIG_FILE
    path.write_text(json.dumps({**json.loads(path.read_text()), "colour": "red"}))
    message = refusal(saved)
    assert str(path) in message
    assert "colour" in message
    assert "image_size" in message


def test_a_config_with_an_unknown_encoder_is_named(saved: Path) -> None:
    path = saved / CONFIG_FILE
    path.write_text(json.dumps({**json.loads(path.read_text()), "encoder": "tnc"}))
    message = refusal(saved)
    assert str(path) in message
    assert "Did you mean 'tcn'" in message


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"3", b"null", b"{}", b"\xff\xfe", b'["encoder"]'])
def test_a_damaged_config_is_named(saved: Path, content: bytes) -> None:
    (saved / CONFIG_FILE).write_bytes(content)
    assert str(saved / CONFIG_FILE) in refusal(saved)


@pytest.mark.parametrize("wrong", [{"embedding_dim": "8"}, {"hidden": None}, {"objective": "single"}, {"norm": "x"}])
def test_a_config_with_a_value_of_the_wrong_kind_is_refused(saved: Path, wrong: dict[str, object]) -> None:
    path = saved / CONFIG_FILE
    path.write_text(json.dumps({**json.loads(path.read_text()), **wrong}))
    assert str(path) in refusal(saved)


@pytest.mark.parametrize("shape", [(2, 3, 16, 15), (2, 1, 16, 16), (2, 16, 16, 3), (3, 16, 16), (1, 2, 3, 16, 16)])
def test_embed_refuses_frames_of_another_shape(encoder: Encoder, shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=str(shape[-1])):
        encoder.embed(torch.zeros(shape, dtype=torch.uint8))


def test_embed_refuses_embeddings_that_are_not_finite(encoder: Encoder) -> None:
    with torch.no_grad():
        next(encoder.parameters())[0, 0, 0, 0] = float("nan")
    with pytest.raises(ValueError, match="not finite"):
        encoder.embed(frames(2))


def test_embed_leaves_no_gradient_no_trace_in_batch_norm_and_the_mode_as_it_was(encoder: Encoder) -> None:
    before = {key: value.clone() for key, value in encoder.state_dict().items()}
    for training in (True, False):
        encoder.train(training)
        assert not encoder.embed(frames(3)).requires_grad
        assert encoder.training is training
    torch.testing.assert_close(encoder.state_dict(), before, rtol=0, atol=0, equal_nan=True)


def test_frames_stay_as_they_were(encoder: Encoder) -> None:
    pixels = frames(3)
    before = pixels.clone()
    encoder.embed(pixels)
    encoder.train()(pixels)
    assert torch.equal(pixels, before)


def test_a_video_is_embedded_frame_by_frame_whatever_the_batch(encoder: Encoder) -> None:
    video = frames(11).permute(0, 2, 3, 1).numpy()
    whole = encoder.embed_video(video)
    assert whole.shape == (11, 8)
    assert whole.dtype == np.float32
    np.testing.assert_allclose(encoder.embed_video(video, batch=4), whole, atol=1e-4)
    np.testing.assert_allclose(encoder.embed(channels_first(video[7:8])).numpy()[0], whole[7], atol=1e-4)


def test_channels_first_moves_the_colours_without_a_copy() -> None:
    pixels = np.arange(2 * 4 * 5 * 3, dtype=np.uint8).reshape(2, 4, 5, 3)
    tensor = channels_first(pixels)
    assert tensor.shape == (2, 3, 4, 5)
    assert tensor[1, 2, 3, 4] == pixels[1, 3, 4, 2]
    pixels[1, 3, 4, 2] = 0
    assert tensor[1, 2, 3, 4] == 0
