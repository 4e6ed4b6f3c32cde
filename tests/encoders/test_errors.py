"""Messages for wrong names and figures."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest

from agents.pixel_sac import LearningConfig
from encoders.errors import check_choice, check_figures, check_folder_name, check_seed, check_seeds
from encoders.models.smak import SMAKConfig
from encoders.training.fit import FitConfig
from envs.atari import AtariConfig


def test_an_allowed_name_passes_whatever_holds_it() -> None:
    check_choice("fruit", "pear", {"apple": 1, "pear": 2})
    check_choice("fruit", "pear", iter(["apple", "pear"]))


def test_a_near_miss_is_answered_with_the_nearest_name_and_all_of_them() -> None:
    with pytest.raises(ValueError, match=r"Unknown fruit 'paer'\. Did you mean 'pear'\? Allowed: apple, pear\."):
        check_choice("fruit", "paer", ["apple", "pear"])


def test_a_name_like_no_other_gets_no_suggestion() -> None:
    with pytest.raises(ValueError, match="Unknown fruit 'xyz'") as caught:
        check_choice("fruit", "xyz", ["apple", "pear"])
    assert "Did you mean" not in str(caught.value)


@pytest.mark.parametrize("value", [None, 3, ["pear"]])
def test_a_value_that_is_no_text_is_refused(value: object) -> None:
    with pytest.raises(ValueError, match="Unknown fruit"):
        check_choice("fruit", value, ["apple", "pear"])  # type: ignore[arg-type]


def test_figures_of_every_kind_pass_as_long_as_they_are_numbers() -> None:
    check_figures("A run", {"status": "completed", "error": None, "steps": 3, "seconds": {"fit": 0.5}, "all": [1.0]})


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_figures_that_are_no_numbers_are_named_wherever_they_are(value: float) -> None:
    figures = {"alone": value, "mapped": {"a": {"b": value}}, "listed": [0.0, (value,)], "good": 1.0}
    with pytest.raises(ValueError, match=r"^A run came to figures that are no numbers: alone, mapped, listed\. "):
        check_figures("A run", figures)


@pytest.mark.parametrize(
    ("typed", "meant", "allowed"),
    [
        ("widht", "width", ["weights", "width", "height"]),
        ("hieght", "height", ["weights", "width", "height"]),
        ("stpes", "steps", ["temps", "steps", "stripes"]),
        ("reawrd", "reward", ["rewards", "reward", "read"]),
    ],
)
def test_letters_that_were_swapped_are_one_slip(typed: str, meant: str, allowed: list[str]) -> None:
    with pytest.raises(ValueError, match=f"Did you mean '{meant}'"):
        check_choice("setting", typed, allowed)


def test_seeds_are_those_that_every_generator_takes() -> None:
    check_seeds((0, 2**32 - 1))
    check_seed("record.seed", 2**32 - 1)
    np.random.seed(2**32 - 1)  # noqa: NPY002 - what Stable-Baselines3 seeds
    for seeds in ((2**32,), (0, 10**30)):
        with pytest.raises(ValueError, match="the largest that the generators take is 4294967295"):
            check_seeds(seeds)
    for seed in (-1, 2**32):
        with pytest.raises(ValueError, match=f"record.seed is {seed}; it must be at least 0 and at most 4294967295"):
            check_seed("record.seed", seed)
    with pytest.raises(ValueError, match="the largest that the generators take is 7"):
        check_seeds((8,), largest=7)


@pytest.mark.parametrize("name", ["..", ".", "../x", "/x", "a/../b", "a\\b", "a\0b"])
def test_a_name_of_a_folder_is_no_path(name: str) -> None:
    with pytest.raises(ValueError, match=r"label is .*; it names a folder, so it must not be a path"):
        check_folder_name("label", name)
    check_folder_name("label", "...a b-c+d=0.5")


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: FitConfig(steps=0), r"^fit\.steps is 0; it must be at least 1\.$"),
        (lambda: FitConfig(patience=-3), r"^fit\.patience is -3; it must be at least 1\.$"),
        (lambda: LearningConfig(tau=0.0), r"^tau is 0\.0; it must be above 0 and at most 1\.$"),
        (lambda: LearningConfig(hidden=-1), r"^hidden is -1; it must be at least 0\.$"),
        (lambda: SMAKConfig(squeeze=-1), r"^squeeze is -1; it must be at least 0\.$"),
        (lambda: SMAKConfig(first_kernel=2), r"^first_kernel is 2; it must be odd\.$"),
        (lambda: AtariConfig(stack=0), r"^stack is 0; it must be at least 1\.$"),
    ],
)
def test_the_one_wrong_value_is_named_and_no_other(make: Callable[[], object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()
