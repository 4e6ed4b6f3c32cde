"""The whole card: every encoder, frozen and joint, with every agent in every env, by names alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import encoders
from experiments.measurements.compatibility import CompatibilityConfig, Fit, attempt, combinations, markdown, try_all
from experiments.sweep.scores import read_rows

RESULTS = Path(__file__).parents[3] / "experiments" / "results" / "compatibility.csv"

SAID = {
    ("pooled", "joint"): "nothing to train",
    ("smak", "joint"): "learns from 2 views",
    ("pooled", "cartpole"): "the backbone 'efficientnet_lite0_16' takes 3 (RGB)",
    ("pooled", "atari"): "the backbone 'efficientnet_lite0_16' takes 3 (RGB)",
}
"""Why some do not fit."""


def expected(fit: Fit) -> str:
    if fit.encoder == "pooled" and fit.env != "kuka":
        return SAID["pooled", fit.env]
    # The arm has two cameras.
    if (fit.encoder, fit.mode) in SAID and not (fit.encoder == "smak" and fit.env == "kuka"):
        return SAID[fit.encoder, fit.mode]
    return "runs"


@pytest.mark.parametrize(
    "fit",
    [
        Fit("tcn", "kuka", "sac", "joint"),
        Fit("smak", "kuka", "a2c", "frozen"),
        Fit("smak", "atari", "a2c", "joint"),
        Fit("attention", "atari", "ppo", "joint"),
        Fit("imm", "atari", "a2c", "frozen"),
        Fit("autoencoder", "cartpole", "ppo", "joint"),
        Fit("autoencoder_imm", "cartpole", "sac", "frozen"),
        Fit("pooled", "kuka", "ppo", "joint"),
        Fit("pooled", "cartpole", "ppo", "frozen"),
    ],
    ids=" ".join,
)
def test_a_combination_does_what_the_card_says(fit: Fit) -> None:
    assert attempt(fit, 150) == expected(fit)


@pytest.mark.slow
@pytest.mark.parametrize("fit", list(combinations(tuple(encoders.names()))), ids=" ".join)
def test_every_combination_does_what_the_card_says(fit: Fit) -> None:
    assert attempt(fit, 300) == expected(fit)


def test_the_committed_card_is_whole_and_says_what_fits() -> None:
    rows = read_rows(RESULTS)
    tried = {(row["encoder"], row["env"], row["agent"], row["mode"]): row["status"] for row in rows}
    assert tried == {tuple(fit): expected(fit) for fit in combinations(tuple(encoders.names()))}


def test_the_table_has_a_line_an_encoder(tmp_path: Path) -> None:
    rows = try_all(
        CompatibilityConfig(steps=40, encoders=("pooled",), envs=("cartpole",), out=tmp_path / "compatibility.csv")
    )
    assert markdown(rows).splitlines()[-1].startswith("| pooled | frozen: the backbone")
    assert read_rows(tmp_path / "compatibility.csv") == rows


def test_an_unknown_encoder_is_refused() -> None:
    with pytest.raises(ValueError, match="Did you mean 'tcn'"):
        CompatibilityConfig(encoders=("tnc",))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"envs": ("kukka",)}, "Unknown environment 'kukka'. Did you mean 'kuka'"),
        ({"envs": ()}, r"envs are \(\)"),
        ({"encoders": ("tnc",)}, "Did you mean 'tcn'"),
        ({"steps": 0}, "steps 0"),
    ],
)
def test_wrong_names_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        CompatibilityConfig(**settings)
