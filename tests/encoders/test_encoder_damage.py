"""Encoder folders as nobody saved them: huge, damaged, cast, changed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

import encoders
from encoders import Encoder, load, registry
from encoders.base import CONFIG_FILE, DIGEST, MOST, WEIGHTS_FILE
from encoders.files import FileError
from encoders.models.tcn import TCN


@pytest.fixture
def saved(encoder: Encoder, tmp_path: Path) -> Path:
    encoder.save(tmp_path / "encoder")
    return tmp_path / "encoder"


def change(folder: Path, **settings: Any) -> None:
    path = folder / CONFIG_FILE
    path.write_text(json.dumps({**json.loads(path.read_text()), **settings}))


def without_digest(folder: Path) -> None:
    path = folder / CONFIG_FILE
    path.write_text(json.dumps({key: value for key, value in json.loads(path.read_text()).items() if key != DIGEST}))


def rewrite(folder: Path, **weights: torch.Tensor) -> None:
    """Other weights, and no digest that would tell."""
    without_digest(folder)
    path = folder / WEIGHTS_FILE
    save_file({**load_file(path), **weights}, path)


def refusal(folder: Path) -> str:
    with pytest.raises(ValueError, match=r".") as caught:
        load(folder)
    message = str(caught.value)
    assert str(folder) in message
    assert "\n" not in message
    assert "weights_only" not in message
    return message


HUGE = """
import json, resource, sys
from pathlib import Path
import encoders
from encoders.base import CONFIG_FILE

folder = Path(sys.argv[1])
whole = json.loads((folder / CONFIG_FILE).read_text())
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
for name, value in json.loads(sys.argv[2]):
    (folder / CONFIG_FILE).write_text(json.dumps({**whole, name: value}))
    try:
        encoders.load(folder)
    except ValueError as error:
        print(name, "refused:", str(error)[:300])
print("grown", resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


def test_sizes_that_are_declared_take_no_memory_before_they_are_refused(saved: Path) -> None:
    declared = [
        (name, value)
        for name in ("hidden", "embedding_dim", "image_size", "channels", "videos", "negative_range")
        for value in (10**6, 8_000_000, 10**9, 10**30)
        # A range of a million frames is long, but takes no memory.
        if (name, value) != ("negative_range", 10**6)
    ]
    done = subprocess.run(
        [sys.executable, "-c", HUGE, str(saved), json.dumps(declared)],
        capture_output=True,
        text=True,
        timeout=120,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("refused: ") == len(declared)
    assert done.stdout.count(f"whole numbers are at most {MOST}") == len(
        [value for _, value in declared if value > MOST]
    )
    # Kibibytes; the smallest of them all would be 50 MB.
    assert int(done.stdout.split("grown ")[1]) < 40_000


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"hidden": 10**6}, r"head.1.weight is \(16, 64\) instead of \(1000000, 64\)"),
        ({"embedding_dim": 9}, r"head.3.weight is \(8, 16\) instead of \(9, 16\)"),
        ({"image_size": 10**6}, "image_size is 1000000 .* at most 4096"),
        ({"videos": 10**5}, "videos is 100000, .* at most 4096"),
        ({"margin": 1e999}, "Infinity|margin inf is not finite"),
        ({"norm": 10**400}, "norm 1000"),
    ],
)
def test_a_config_that_the_weights_do_not_bear_out_is_refused_by_the_setting(
    saved: Path, settings: dict[str, Any], message: str
) -> None:
    change(saved, **settings)
    with pytest.raises(ValueError, match=message):
        load(saved)


def test_weights_that_no_memory_holds_are_refused_before_they_are_made() -> None:
    with pytest.raises(ValueError, match=r"weights of encoder 'tcn' would take 4,\d\d\d GiB.*choose smaller widths"):
        encoders.make("tcn", hidden=2**20, embedding_dim=2**20)


def test_describing_an_encoder_draws_no_random_numbers() -> None:
    for name in encoders.names():
        torch.manual_seed(0)
        config = encoders.configure(name)
        plain = registry._ENCODERS[name](config)
        torch.manual_seed(0)
        made = encoders.make(name)
        if not name.startswith("pooled"):
            for key, value in plain.state_dict().items():
                torch.testing.assert_close(made.state_dict()[key], value, rtol=0, atol=0, equal_nan=True)


def test_an_encoder_whose_constructor_reads_values_is_made_and_loaded_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(registry, "_ENCODERS", dict(registry._ENCODERS))

    class Reading(TCN):
        def __init__(self, config: Any) -> None:
            super().__init__(config)
            self.rates = [rate.item() for rate in torch.linspace(0.0, 1.0, 3)]

    registry.register("reading")(Reading)
    encoder = encoders.make("reading", image_size=16)
    encoder.save(tmp_path)
    assert load(tmp_path).rates == [0.0, 0.5, 1.0]  # type: ignore[comparison-overlap]
    rewrite(tmp_path, **{"head.1.weight": torch.zeros(2, 2)})
    with pytest.raises(FileError, match=r"head\.1\.weight is \(2, 2\) instead of \(128, 64\)"):
        load(tmp_path)


@pytest.mark.parametrize("kind", [torch.int8, torch.bool, torch.complex64, torch.float16, torch.float64, torch.int64])
def test_weights_of_another_type_are_refused_rather_than_cast(saved: Path, kind: torch.dtype) -> None:
    rewrite(saved, **{"head.3.bias": torch.zeros(8, dtype=kind)})
    message = refusal(saved)
    assert f"head.3.bias is {str(kind).removeprefix('torch.')} instead of float32" in message


@pytest.mark.parametrize("scale", [-1.0, float("inf"), float("-inf")])
def test_a_distance_scale_that_is_no_distance_is_refused(saved: Path, scale: float) -> None:
    rewrite(saved, distance_scale=torch.tensor(scale))
    assert f"distance_scale of {scale}" in refusal(saved)


@pytest.mark.parametrize("scale", [float("nan"), 0.0, 3.5])
def test_a_distance_scale_that_was_not_measured_or_is_zero_is_no_damage(saved: Path, scale: float) -> None:
    rewrite(saved, distance_scale=torch.tensor(scale))
    np.testing.assert_equal(float(load(saved).distance_scale), scale)


def test_every_flipped_bit_of_some_is_refused_in_weights_and_config(encoder: Encoder, saved: Path) -> None:
    rng = np.random.default_rng(0)
    settings = encoder.config
    refused = dict.fromkeys((WEIGHTS_FILE, CONFIG_FILE), 0)
    for name in refused:
        path = saved / name
        whole = path.read_bytes()
        for _ in range(60):
            damaged = bytearray(whole)
            damaged[rng.integers(len(whole))] ^= 1 << int(rng.integers(8))
            path.write_bytes(damaged)
            try:
                loaded = load(saved)
            except ValueError as error:
                assert str(saved) in str(error)
                refused[name] += 1
            else:
                # Between the values of a JSON file lie characters that mean nothing.
                assert name == CONFIG_FILE
                assert loaded.config == settings
        path.write_bytes(whole)
    assert refused[WEIGHTS_FILE] == 60
    assert refused[CONFIG_FILE] > 40
    load(saved)


def test_what_was_changed_by_hand_is_refused_with_the_way_to_use_it(saved: Path) -> None:
    change(saved, margin=1.0)
    message = refusal(saved)
    assert "was changed since the encoder was saved" in message
    assert "remove 'digest' from config.json" in message
    without_digest(saved)
    assert load(saved).config.margin == 1.0  # type: ignore[attr-defined]


def test_a_folder_from_before_there_was_a_digest_is_loaded(encoder: Encoder, saved: Path) -> None:
    without_digest(saved)
    for key, value in load(saved).state_dict().items():
        assert torch.equal(value, encoder.state_dict()[key]) or key == "distance_scale"


@pytest.mark.parametrize("name", [CONFIG_FILE, WEIGHTS_FILE])
def test_a_pipe_and_a_folder_in_place_of_a_file_are_refused_at_once(saved: Path, name: str) -> None:
    path = saved / name
    path.unlink()
    os.mkfifo(path)
    assert "is no plain file" in refusal(saved)
    path.unlink()
    path.mkdir()
    assert "is no plain file" in refusal(saved)


@pytest.mark.parametrize(
    "content", ["[" * 100_000, '{"encoder":' * 50_000, '{"encoder": ["tcn"]}', '{"encoder": "tcn", "digest": 3}', "NaN"]
)
def test_a_config_that_is_nested_or_odd_is_refused(saved: Path, content: str) -> None:
    (saved / CONFIG_FILE).write_text(content)
    refusal(saved)


def test_an_archive_of_torch_in_place_of_the_weights_is_not_unpickled(saved: Path) -> None:
    torch.save({"a": torch.zeros(1)}, saved / WEIGHTS_FILE)
    assert "damaged or of another kind" in refusal(saved)
