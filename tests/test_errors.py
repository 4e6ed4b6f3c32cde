"""Messages for wrong names and figures."""

from __future__ import annotations

import math

import pytest

from encoders.errors import check_choice, check_figures


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
