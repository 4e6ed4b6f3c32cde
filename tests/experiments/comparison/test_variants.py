"""Comparing encoders: splits, judging, tables, and an encoder from outside the package."""

from __future__ import annotations

import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

import encoders
from encoders.errors import check_choice
from experiments import compare_encoders
from experiments.comparison.config import CompareConfig
from experiments.comparison.variants import (
    LARGE,
    VARIANTS,
    encoder_config,
    variant_of,
)


def test_every_variant_can_be_made_and_an_unknown_one_is_answered_with_the_nearest() -> None:
    for name in (*VARIANTS, *LARGE):
        variant = variant_of(name)
        check_choice("encoder", variant.encoder, encoders.names())
        encoders.make(variant.encoder, image_size=32, **variant.settings)
        assert 0 < variant.share <= 1
    assert variant_of("smak").settings == {}
    with pytest.raises(ValueError, match=r"Unknown encoder or variant 'smak_132'\. Did you mean 'smak_1[23]+'\?"):
        variant_of("smak_132")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"encoders": ("tcn", "tcn_n_pair")}, "'tcn_n_pair'. Did you mean 'tcn_n_pairs'?"),
        ({"encoders": ()}, "at least one encoder and one seed"),
        ({"encoders": ("tcn", "tcn")}, "each once"),
        ({"seeds": ()}, "at least one encoder and one seed"),
        ({"seeds": (1, 0, 1)}, "each once"),
        ({"seeds": (0, -1)}, "no seed negative"),
        ({"workers": 0}, "workers, threads and memory_mb must be at least 1; got 0, 1 and 1024"),
        ({"memory_mb": 0}, "got 2, 1 and 0"),
        ({"threads": 0}, "got 2, 0 and 1024"),
        ({"extra": 1}, "extra is 1; it must be 0 for none, or at least 2"),
        ({"extra": 5, "clips": Path("x")}, "extra demonstrations are recorded for the Kuka set"),
    ],
)
def test_impossible_settings_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message.replace("?", r"\?")):
        CompareConfig(**settings)


def test_a_mistake_on_the_command_line_comes_before_any_work(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    out = tmp_path / "out"
    for given, message in (
        (["--encoders", "smak_12", "untraind"], "Unknown encoder or variant 'untraind'. Did you mean 'untrained'?"),
        (["--clips", str(tmp_path / "nothing")], f"There is no folder {tmp_path}/nothing"),
        (["--fit.optimiser", "snap"], "Did you mean 'snaps'?"),
    ):
        monkeypatch.setattr(sys, "argv", ["compare_encoders.py", "--out", str(out), *given])
        assert compare_encoders.main() == 2
        line = capsys.readouterr().err
        assert line.startswith("error:")
        assert message in line
    assert not out.exists()


def test_a_stem_is_frozen_where_it_is_pretrained() -> None:
    for backbone, weights, frozen in (
        ("efficientnet_lite0", "", True),
        ("small", "", False),
        ("residual", "", False),
        ("resnet50_v2", "", False),
        ("resnet50_v2", "weights.safetensors", True),
    ):
        assert CompareConfig(backbone=backbone, weights=weights).stem["freeze"] is frozen


@pytest.mark.parametrize("name", encoders.names())
def test_every_registered_encoder_takes_frames_in_colour(name: str) -> None:
    config = CompareConfig(encoders=(name,))
    made = encoders.make(name, **asdict(encoder_config(variant_of(name), config.image_size, config.stem)))
    made.check_frames((3, 64, 64))
