"""Messages for wrong names."""

from __future__ import annotations

import pytest

from encoders.errors import check_choice


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
