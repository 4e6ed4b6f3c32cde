"""The page that a run or a benchmark leaves behind."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

import imageio.v3 as iio
import numpy as np
import pytest
from small_pages import MARKUP, Page, chart, page_of, wavy

from experiments.report.blocks import (
    Failure,
    FailureBlock,
    ImageBlock,
    Report,
    TableBlock,
    TextBlock,
    VideoBlock,
)
from experiments.report.charts import (
    ChartBlock,
    Series,
)
from experiments.report.page import cell, write_report

EN_DASH = "\N{EN DASH}"


def test_the_same_report_gives_the_same_bytes(tmp_path: Path, picture: Path, film: Path) -> None:
    blocks = (chart(wavy("a"), wavy("b")), ImageBlock("Image", "", picture), VideoBlock("Video", "", film))
    report = Report("Runs", "", {"python": "3.11"}, blocks)
    write_report(report, tmp_path / "first.html")
    write_report(dataclasses.replace(report), tmp_path / "second.html")
    assert (tmp_path / "first.html").read_bytes() == (tmp_path / "second.html").read_bytes()


def test_all_text_is_escaped(picture: Path, film: Path) -> None:
    page = Page(
        page_of(
            TextBlock(MARKUP, MARKUP),
            TableBlock(MARKUP, MARKUP, [MARKUP], [[MARKUP]]),
            ChartBlock(MARKUP, MARKUP, MARKUP, MARKUP, (Series(MARKUP, [0, 1], [0, 1]),)),
            ImageBlock(MARKUP, MARKUP, picture),
            VideoBlock(MARKUP, MARKUP, film),
            FailureBlock(MARKUP, MARKUP, [Failure(MARKUP, MARKUP, MARKUP)]),
            title=MARKUP,
            summary=MARKUP,
            provenance={MARKUP: {MARKUP: [MARKUP]}},
        )
    )
    assert page.count("script") == 0
    # Title and summary 3, contents 6, provenance 3, and the blocks 2, 4, 6 (two of them axes), 2, 2 and 5.
    assert page.texts.count(MARKUP) == 33
    assert {
        value for _, attributes in page.tags for key, value in attributes.items() if key in ("alt", "aria-label")
    } == {
        MARKUP,
        "Contents",
        "Legend",
        "What was run",
    }


def test_characters_that_no_page_can_hold_are_replaced(tmp_path: Path) -> None:
    odd = "\x1b[31mred\x1b[0m \udcff \x00"
    block = ChartBlock(odd, odd, odd, odd, (Series(odd, [0, 1], [0, 1]),))
    write_report(Report(odd, odd, {"command": [odd]}, (block, TextBlock(odd, odd))), tmp_path / "report.html")
    text = (tmp_path / "report.html").read_text()
    assert "\ufffd[31mred\ufffd[0m \ufffd \ufffd" in text
    assert "\x1b" not in text


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (None, EN_DASH),
        (float("nan"), EN_DASH),
        (np.float32("nan"), EN_DASH),
        (0.123456, "0.1235"),
        (np.float32(0.5), "0.5"),
        (-31_234.5678, "-31235"),
        (9999.96, "10000"),
        (1.5e-6, "1.5e-06"),
        (48_000, "48000"),
        (np.int64(7), "7"),
        (True, "yes"),
        (np.bool_(False), "no"),
        ("a < b", "a &lt; b"),
    ],
)
def test_values_are_rounded_and_missing_ones_are_a_dash(value: object, shown: str) -> None:
    assert cell(value) == shown


def test_a_table_has_a_head_for_each_row_and_column_and_numbers_at_the_right() -> None:
    rows = [["tcn", "3.1 [2.0, 4.2]", 0.5, "fast"], ["smak", None, float("nan"), None]]
    page = page_of(TableBlock("Errors", "", ["encoder", "error", "tau", "remark"], rows))
    assert re.findall(r'<th scope="row">(.*?)</th>', page) == ["tcn", "smak"]
    assert re.findall(r'<th scope="col"(.*?)>(.*?)</th>', page) == [
        ("", "encoder"),
        (" class=number", "error"),
        (" class=number", "tau"),
        ("", "remark"),
    ]
    with pytest.raises(ValueError, match="'Errors' has 2 cells for 1 columns"):
        page_of(TableBlock("Errors", "", ["encoder"], [["tcn", 1]]))


def test_failures_are_listed_with_their_reasons() -> None:
    page = Page(
        page_of(
            FailureBlock("Failed", "", [Failure("seed 1", "The disk is full."), Failure("seed 2", "Why?", "At 3.")])
        )
    )
    assert [text for text in page.texts if text in ("seed 1", "The disk is full.", "seed 2", "Why?", "At 3.")] == [
        "seed 1",
        "The disk is full.",
        "seed 2",
        "Why?",
        "At 3.",
    ]
    assert page.count("details") == 1
    assert "No run failed." in page_of(FailureBlock("Failed", "", []))


def test_what_was_run_is_on_the_page() -> None:
    page = page_of(provenance={"command": ["run.py", "--out", "my runs"], "commit": None, "packages": {"torch": "2.1"}})
    assert "<code>run.py --out &#39;my runs&#39;</code>" in page
    assert f"<dt>commit</dt><dd>{EN_DASH}</dd>" in page
    assert "<b>torch</b> 2.1" in page


def test_files_that_a_browser_would_not_show_are_refused_by_name(tmp_path: Path, picture: Path, film: Path) -> None:
    cut, text, old = tmp_path / "cut.png", tmp_path / "text.mp4", tmp_path / "old.mp4"
    cut.write_bytes(picture.read_bytes()[:-20])
    text.write_text("no video")
    iio.imwrite(old, np.zeros((1, 64, 64, 3), np.uint8), plugin="pyav", codec="mpeg4", fps=25)
    for block, complaint in (
        (ImageBlock("Image", "", tmp_path / "none.png"), "none.png cannot be read: No such file"),
        (VideoBlock("Video", "", tmp_path / "none.mp4"), "none.mp4 cannot be read: No such file"),
        (ImageBlock("Image", "", cut), "cut.png is no PNG, or not all of one"),
        (ImageBlock("Image", "", film), "robot.mp4 is no PNG"),
        (VideoBlock("Video", "", text), "text.mp4 is damaged or no video"),
        (VideoBlock("Video", "", old), "old.mp4 is mpeg4"),
    ):
        with pytest.raises(ValueError, match=re.escape(complaint)):
            write_report(Report("Runs", "", {}, (block,)), tmp_path / "report.html")
    assert not (tmp_path / "report.html").exists()


def test_ids_are_unique_and_all_that_is_referred_to_is_there(picture: Path) -> None:
    same = chart(wavy("a"), wavy("b"))
    text = page_of(
        TextBlock("One"), same, same, TextBlock("Two"), same, TextBlock("Three"), ImageBlock("I", "", picture)
    )
    page = Page(text)
    # Neither ids nor styles of one chart reach another.
    assert page.count("style") == 1
    ids = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    # Links of the contents, markers and bands, clip paths, and what is read out.
    referred = set(re.findall(r'href="#([^"]+)"', text)) | set(re.findall(r"url\(#([^)]+)\)", text))
    for attribute in ("aria-labelledby", "aria-describedby"):
        referred |= set(re.findall(rf'{attribute}="([^"]+)"', text))
    assert len(referred) > 20
    assert referred <= set(ids)


def test_many_blocks_have_a_table_of_contents() -> None:
    few, many = (Page(page_of(*(TextBlock(f"Part {part}") for part in range(count)))) for count in (4, 5))
    assert few.count("nav") == 0
    assert many.count("nav") == 1
    assert many.texts.count("Part 3") == 2


def test_headings_go_down_by_one_level_at_a_time() -> None:
    blocks = (chart(wavy("a"), title="A"), TextBlock("B"), chart(wavy("a"), title="C"), TextBlock("D"))
    levels = re.findall(r"<h(\d)[^>]*>(.*?)</h", page_of(*blocks))
    assert levels == [("1", "Runs"), ("2", "A"), ("2", "B"), ("3", "C"), ("2", "D")]
