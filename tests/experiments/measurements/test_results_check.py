"""The tables of the README and the docs are what the committed results say."""

from __future__ import annotations

from pathlib import Path

import pytest

from experiments.measurements import results_check
from experiments.measurements.results_check import CheckConfig, check, check_marks, differing, replaced

TABLE = "| a | b |\n| --- | --- |\n| 1 | 2.50 |"
MADE = {"one": TABLE, "two": "| c |"}


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(results_check, "TABLES", {"one": lambda: TABLE, "two": lambda: "| c |"})


def text(one: str = TABLE, two: str = "| c |") -> str:
    return f"# Title\n\n<!-- table one -->\n{one}\n<!-- end -->\n\nwords\n\n<!-- table two -->\n{two}\n<!-- end -->\n"


def test_a_table_that_agrees_passes() -> None:
    assert differing(text(), MADE) == {}


def test_a_number_that_differs_is_found_and_put_right() -> None:
    wrong = text(one=TABLE.replace("2.50", "2.51"))
    assert differing(wrong, MADE) == {"one": TABLE}
    assert replaced(wrong, differing(wrong, MADE)) == text()


@pytest.mark.usefixtures("made")
def test_the_check_fails_with_the_right_table_and_writes_it_when_asked(tmp_path: Path) -> None:
    readme = tmp_path / "README.md"
    readme.write_text(text(two="| d |"))
    with pytest.raises(ValueError, match=r"differ from experiments/results: \S+README.md: two\. [^|]*\n\| c \|"):
        check(CheckConfig((readme,)))
    check(CheckConfig((readme,), write=True))
    assert readme.read_text() == text()
    check(CheckConfig((readme,)))


@pytest.mark.usefixtures("made")
def test_every_page_of_a_folder_is_checked_and_a_table_may_stand_on_two(tmp_path: Path) -> None:
    page = tmp_path / "docs/results/page.md"
    page.parent.mkdir(parents=True)
    readme = tmp_path / "README.md"
    readme.write_text("<!-- table one -->\n" + TABLE + "\n<!-- end -->\n")
    page.write_text(text(one=TABLE.replace("2.50", "2.51")))
    with pytest.raises(ValueError, match=r"page\.md: one\."):
        check(CheckConfig((readme, tmp_path / "docs")))
    check(CheckConfig((readme, tmp_path / "docs"), write=True))
    assert page.read_text() == text()


@pytest.mark.usefixtures("made")
@pytest.mark.parametrize(
    ("old", "new", "message"),
    [("table two", "table tow", r"nothing makes: \['tow'\]"), ("<!-- end -->", "", r"not marked: \['two'\]")],
)
def test_marks_that_do_not_fit_the_tables_are_reported(old: str, new: str, message: str) -> None:
    parts = text().rsplit(old, 1)
    with pytest.raises(ValueError, match=message):
        check_marks({Path("README.md"): new.join(parts)})


def test_a_page_that_is_missing_is_reported(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="--pages"):
        check(CheckConfig((tmp_path / "README.md",)))
