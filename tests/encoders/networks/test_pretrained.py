"""Weight files, and the range of frames that weights expect."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from encoders.networks.layers import conv_block
from encoders.networks.pretrained import Normalise, load_stem_weights

SOURCE = "the shop around the corner"


def stem() -> nn.Sequential:
    return nn.Sequential(conv_block(3, 4, 3), conv_block(4, 5, 3))


def whole_network(seed: int = 0) -> dict[str, Tensor]:
    torch.manual_seed(seed)
    weights = {
        name: value.clone() if "num_batches" in name else torch.randn_like(value)
        for name, value in stem().state_dict().items()
    }
    return weights | {"fc.weight": torch.randn(10, 5), "AuxLogits.conv0.conv.weight": torch.randn(2, 5, 1, 1)}


def write(path: Path, content: Any) -> Path:
    if path.suffix == ".safetensors":
        save_file(content, path)
    else:
        torch.save(content, path)
    return path


def assert_loaded(module: nn.Module, weights: dict[str, Tensor]) -> None:
    loaded = module.state_dict()
    assert loaded
    for name, value in loaded.items():
        torch.testing.assert_close(value, weights[name], rtol=0.0, atol=0.0)


@pytest.mark.parametrize("name", ["whole.pth", "whole.pt", "pytorch_model.bin", "model.safetensors"])
def test_the_layers_of_a_stem_are_loaded_out_of_a_whole_network(name: str, tmp_path: Path) -> None:
    module, weights = stem(), whole_network()
    load_stem_weights(module, write(tmp_path / name, weights), SOURCE)
    assert_loaded(module, weights)


def test_weights_may_lie_under_state_dict(tmp_path: Path) -> None:
    module, weights = stem(), whole_network()
    load_stem_weights(module, write(tmp_path / "w.pth", {"epoch": 3, "state_dict": weights}), SOURCE)
    assert_loaded(module, weights)


def test_an_old_file_without_batch_counts_is_loaded(tmp_path: Path) -> None:
    module, weights = stem(), whole_network()
    counts = {name: value for name, value in weights.items() if name.endswith("num_batches_tracked")}
    assert counts
    old = {name: value for name, value in weights.items() if name not in counts}
    load_stem_weights(module, write(tmp_path / "w.pth", old), SOURCE)
    assert_loaded(module, weights)


def test_missing_layers_are_named_and_counted(tmp_path: Path) -> None:
    weights = {name: value for name, value in whole_network().items() if not name.startswith("1.")}
    path = write(tmp_path / "w.pth", weights)
    with pytest.raises(ValueError, match=r"lacks layers of Sequential: 1\.0\.weight, .* and 1 more\.") as caught:
        load_stem_weights(stem(), path, SOURCE)
    assert str(path) in str(caught.value)
    assert SOURCE in str(caught.value)


def test_layers_of_another_shape_are_named_with_both_shapes(tmp_path: Path) -> None:
    weights = whole_network() | {"0.0.weight": torch.zeros(4, 3, 5, 5)}
    path = write(tmp_path / "w.safetensors", weights)
    with pytest.raises(ValueError, match=r"0\.0\.weight is \(4, 3, 5, 5\) instead of \(4, 3, 3, 3\)\. S") as caught:
        load_stem_weights(stem(), path, SOURCE)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("wrong", [{}, {"0.0.weight": torch.zeros(4, 3, 5, 5)}])
def test_a_refused_file_leaves_the_stem_as_it_was(wrong: dict[str, Tensor], tmp_path: Path) -> None:
    module, weights = stem(), whole_network()
    load_stem_weights(module, write(tmp_path / "right.pth", weights), SOURCE)
    others = {name: value for name, value in whole_network(1).items() if name != "0.0.weight"}
    with pytest.raises(ValueError, match=r"0\.0\.weight"):
        load_stem_weights(module, write(tmp_path / "wrong.pth", others | wrong), SOURCE)
    assert_loaded(module, weights)


@pytest.mark.parametrize("name", ["w.pth", "w.safetensors"])
def test_a_missing_file_is_answered_with_where_to_get_it(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    with pytest.raises(ValueError, match=SOURCE) as caught:
        load_stem_weights(stem(), path, SOURCE)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("name", ["w.pth", "w.safetensors"])
@pytest.mark.parametrize("share", [0.0, 0.02, 0.5, 0.9, 0.98, 0.999])
def test_a_truncated_file_is_named(name: str, share: float, tmp_path: Path) -> None:
    path = write(tmp_path / name, whole_network())
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    with pytest.raises(ValueError, match=r"is damaged or of another kind .* get it again") as caught:
        load_stem_weights(stem(), path, SOURCE)
    assert str(path) in str(caught.value)


def test_a_file_of_the_old_format_is_named_wherever_it_is_cut(tmp_path: Path) -> None:
    path = tmp_path / "w.pth"
    torch.save(whole_network(), path, _use_new_zipfile_serialization=False)
    load_stem_weights(stem(), path, SOURCE)
    content = path.read_bytes()
    # The pickle in front raises something else almost wherever it ends.
    for end in range(0, len(content), 7):
        path.write_bytes(content[:end])
        with pytest.raises(ValueError, match=r"is damaged or of another kind .* get it again"):
            load_stem_weights(stem(), path, SOURCE)


def test_a_text_file_is_no_weight_file(tmp_path: Path) -> None:
    path = tmp_path / "w.pth"
    path.write_text("<!DOCTYPE html><title>Not found</title>")
    with pytest.raises(ValueError, match=r"is damaged or of another kind .* get it again"):
        load_stem_weights(stem(), path, SOURCE)


def test_a_file_of_something_else_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="holds a list, not weights by name"):
        load_stem_weights(stem(), write(tmp_path / "w.pth", [torch.zeros(1)]), SOURCE)


@pytest.mark.parametrize("name", ["w.pth", "w.safetensors"])
@pytest.mark.parametrize("kind", [torch.int8, torch.bool, torch.complex64, torch.int64])
def test_layers_that_are_no_floating_point_are_refused_rather_than_cast(
    name: str, kind: torch.dtype, tmp_path: Path
) -> None:
    module, weights = stem(), whole_network()
    path = write(tmp_path / name, weights | {"0.0.weight": torch.zeros(4, 3, 3, 3, dtype=kind)})
    before = {key: value.clone() for key, value in module.state_dict().items()}
    with pytest.raises(ValueError, match=rf"0\.0\.weight is {str(kind).removeprefix('torch.')}") as caught:
        load_stem_weights(module, path, SOURCE)
    assert str(path) in str(caught.value)
    assert_loaded(module, before)


def test_layers_that_are_sparse_or_hold_nothing_are_refused(tmp_path: Path) -> None:
    for strange in (torch.zeros(4, 3, 3, 3).to_sparse(), torch.zeros(4, 3, 3, 3, device="meta")):
        path = write(tmp_path / "w.pth", whole_network() | {"0.0.weight": strange})
        with pytest.raises(ValueError, match=r"0\.0\.weight is float32"):
            load_stem_weights(stem(), path, SOURCE)


def test_layers_of_half_precision_are_loaded(tmp_path: Path) -> None:
    module, weights = stem(), whole_network()
    halves = {key: value.half() if value.is_floating_point() else value for key, value in weights.items()}
    load_stem_weights(module, write(tmp_path / "w.safetensors", halves), SOURCE)
    assert_loaded(module, {key: value.to(weights[key].dtype) for key, value in halves.items()})


def test_a_pipe_in_place_of_a_file_is_refused_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "w.pth")
    with pytest.raises(ValueError, match=rf"is no plain file; get it again: {SOURCE}"):
        load_stem_weights(stem(), tmp_path / "w.pth", SOURCE)


def test_normalise_takes_the_mean_and_deviation_of_pixels_from_0_to_1() -> None:
    torch.manual_seed(0)
    mean, std = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
    pixels = torch.rand(2, 3, 5, 4)
    expected = torch.stack([(pixels[:, channel] - mean[channel]) / std[channel] for channel in range(3)], dim=1)
    normalise = Normalise(mean, std)
    torch.testing.assert_close(normalise(pixels - 0.5), expected)
    assert not normalise.state_dict()
