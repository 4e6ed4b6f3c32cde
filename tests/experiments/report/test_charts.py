"""The charts of a page: their styles, legends, gaps and axes."""

from __future__ import annotations

import re
from itertools import combinations

import numpy as np
import pytest
from small_pages import Page, chart, drawn, lines, page_of, wavy

from experiments.report.charts import (
    DASHES,
    MARKERS,
    PALETTE,
    Series,
    assign_styles,
    swatch_svg,
    tick,
)


def test_panels_of_the_same_curves_share_a_legend() -> None:
    same = page_of(*(chart(wavy("a"), wavy("b")) for _ in range(3)))
    other = page_of(chart(wavy("a")), chart(wavy("b")))
    assert (same.count('class="legend"'), other.count('class="legend"')) == (1, 2)


def test_a_label_looks_the_same_in_all_charts_and_unlike_the_others_of_its_chart() -> None:
    charts = [
        chart(wavy("a"), wavy("b")),
        chart(wavy("c")),
        chart(wavy("c"), wavy("b")),
        chart(*(wavy(str(number)) for number in range(28))),
    ]
    styles = assign_styles(charts)
    for block in charts:
        for one, other in combinations(block.series, 2):
            assert styles[one.label] != styles[other.label]
    assert styles["c"] == styles["a"] == 0
    looks = {(style % len(PALETTE), style % len(DASHES)) for style in range(28)}
    assert len(looks) == 28
    assert len({swatch_svg(style, "salt") for style in range(len(PALETTE) * len(DASHES) * len(MARKERS))}) == 140


def test_charts_take_their_colours_from_the_page() -> None:
    svg = drawn(chart(*(wavy(str(number), number) for number in range(len(PALETTE)))))
    assert not re.search("#[0-9a-f]{6}", svg)
    assert set(re.findall(r"var\((--[a-z0-9-]+)\)", svg)) <= set(re.findall(r"(--[a-z0-9-]+):", page_of()))


def test_a_gap_parts_a_curve_and_a_point_alone_is_marked() -> None:
    y = np.arange(60.0)
    whole, gap = drawn(chart(Series("a", y, y))), y.copy()
    gap[20:30] = np.nan
    parted = drawn(chart(Series("a", y, gap, gap - 1, gap + 1)))
    gap[25] = np.inf
    assert drawn(chart(Series("a", y, gap, gap - 1, gap + 1))) == parted
    gap[25] = 25.0
    alone = drawn(chart(Series("a", y, gap, gap - 1, gap + 1)))
    assert [line.count("M") for line in lines(whole)] == [1]
    assert [line.count("M") for line in lines(parted)] == [2]
    # A marker in the middle of the gap, and its interval as an upright line.
    assert alone.count("<use") > parted.count("<use")
    middle = [float(x) for x in re.findall(r'<use x="([\d.]+)"', alone)]
    upright = re.findall(r'd="M ([\d.]+) [\d.]+ L ([\d.]+) [\d.]+"[^>]*stroke-opacity: 0.6', alone)
    assert [(one, other) for one, other in upright if one == other and float(one) in middle]


def test_a_chart_without_data_says_so() -> None:
    for block in (chart(), chart(Series("a", [], [])), chart(Series("a", [0, 1], [np.nan, np.nan]))):
        assert "no data</text>" in drawn(block)
    assert "no data</text>" not in drawn(chart(Series("a", [1], [2], [1], [3])))


def test_a_long_curve_is_thinned_without_losing_its_peak_or_its_gap() -> None:
    y = np.random.default_rng(0).normal(size=100_000)
    y[50_001], y[70_000:70_100] = 100.0, np.nan
    svg = drawn(chart(Series("a", np.arange(100_000), y, y - 1, y + 1)))
    (line,) = lines(svg)
    assert len(svg) < 100_000
    assert line.count("M") == 2
    # From the top of the chart to its bottom, in pixels from above.
    assert min(float(value) for value in re.findall(r"[ML] [\d.]+ ([\d.]+)", line)) < 25


def test_curves_that_do_not_fit_are_refused() -> None:
    for series, complaint in (
        ([Series("a", [0, 1], [0])], "'a' of the chart 'Return' has x, y and band of shapes"),
        ([Series("a", [0], [0], low=[0])], "one end of a band"),
        ([Series("a", [0], [0]), Series("a", [0], [1])], "a label of its own"),
    ):
        with pytest.raises(ValueError, match=complaint):
            drawn(chart(*series))


def test_a_chart_can_be_read_out() -> None:
    page = Page(drawn(chart(Series("tcn", [0, 1000, 2000], [-5, -2, np.nan]), Series("smak", [0], [np.nan]))))
    assert page.texts[:2] == ["Return", "return over environment steps. tcn: -5 at 0, -2 at 1000. smak: no data."]
    assert page.tags[0][1]["role"] == "img"


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (0, "0"),
        (0.25, "0.25"),
        (7500, "7500"),
        (12_500, "12.5k"),
        (-3e6, "\N{MINUS SIGN}3M"),
        (1e-5, "1e\N{MINUS SIGN}05"),
    ],
)
def test_numbers_on_an_axis_are_short(value: float, shown: str) -> None:
    assert tick(value) == shown
