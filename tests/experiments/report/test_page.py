"""The page that a run or a benchmark leaves behind."""

from __future__ import annotations

import dataclasses
import json
import re
import time
from collections.abc import Iterator
from html.parser import HTMLParser
from itertools import combinations
from pathlib import Path
from typing import Any

import imageio.v3 as iio
import numpy as np
import pytest
from matplotlib.figure import Figure
from selenium import webdriver
from selenium.webdriver.chrome.service import Service

from encoders.videos.video import write_video
from experiments.report.blocks import (
    Block,
    Failure,
    FailureBlock,
    ImageBlock,
    Report,
    TableBlock,
    TextBlock,
    VideoBlock,
)
from experiments.report.charts import (
    DASHES,
    MARKERS,
    PALETTE,
    ChartBlock,
    Series,
    assign_styles,
    chart_svg,
    swatch_svg,
    tick,
)
from experiments.report.figures import save_figure
from experiments.report.page import cell, render, write_report
from experiments.runs.provenance import provenance

CHROMIUM, DRIVER = Path("/usr/bin/chromium"), Path("/usr/bin/chromedriver")

SWITCHES = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
)

EN_DASH = "\N{EN DASH}"

MARKUP = "<script>alert(1)</script> & \"$x^2$\" 'y'"
"""Text that is no text to a page, nor to matplotlib, unless it is escaped."""


class Page(HTMLParser):
    """The parts of a page that the tests ask for."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Keeps an element."""
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        """Keeps a text."""
        if data.strip():
            self.texts.append(data.strip())

    def count(self, tag: str) -> int:
        """How many elements of a kind there are."""
        return sum(name == tag for name, _ in self.tags)


def page_of(*blocks: Block, **fields: Any) -> str:
    return render(Report(**{"title": "Runs", "summary": "", "provenance": {}, "blocks": blocks} | fields))


def chart(*series: Series, title: str = "Return") -> ChartBlock:
    return ChartBlock(title, "", "environment steps", "return", series)


def drawn(block: ChartBlock) -> str:
    return chart_svg(block, assign_styles([block]), "salt")


def lines(svg: str, style: int = 0) -> list[str]:
    """The outlines of a curve in an SVG."""
    return re.findall(rf'<path d="([^"]*)"[^>]*style="fill: none; stroke: var\(--series-{style}\); stroke-width', svg)


def wavy(label: str, phase: float = 0.0, length: int = 60) -> Series:
    x = 1000.0 * np.arange(length)
    y = -100 * np.exp(-x / 20_000) + 3 * np.sin(x / 3000 + phase)
    return Series(label, x, y, y - 5, y + 5)


@pytest.fixture(scope="module")
def picture(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("figures") / "matrix.png"
    figure = Figure(figsize=(4, 3))
    figure.subplots().imshow(np.random.default_rng(0).random((50, 50)))
    save_figure(figure, path)
    return path


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("films") / "robot.mp4"
    frames = np.zeros((30, 96, 160, 3), np.uint8)
    for time_, frame in enumerate(frames):
        frame[:, 4 * time_ : 4 * time_ + 20] = 255
    write_video(path, frames, 25)
    return path


@pytest.fixture(scope="module")
def benchmark_page(tmp_path_factory: pytest.TempPathFactory, picture: Path, film: Path) -> Path:
    """25 runs, each with curves, and some with a figure and a video."""
    blocks: list[Block] = [
        TextBlock("Results", "The first of two paragraphs.\n\nThe second one."),
        TableBlock("Error by reward", "Lower is better.", ["reward", "runs", "error"], [["tcn", 15, 0.25]]),
        FailureBlock("Failed runs", "", [Failure("seed 3", "Out of memory.", "Traceback")]),
    ]
    for run in range(25):
        blocks.append(TextBlock(f"Run {run}"))
        blocks += [
            chart(*(wavy(f"encoder {index}", run + index) for index in range(4)), title=name)
            for name in ("True return", "Learned return")
        ]
        if run % 5 == 0:
            blocks += [ImageBlock("Distances", "", picture), VideoBlock("Robot", "", film)]
    path = tmp_path_factory.mktemp("reports") / "report.html"
    write_report(Report("Benchmark of 25 runs", "It went well.", provenance(), blocks), path)
    return path


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


@pytest.fixture
def browser(tmp_path: Path) -> Iterator[webdriver.Chrome]:
    if not (CHROMIUM.exists() and DRIVER.exists()):
        pytest.skip(f"needs {CHROMIUM} and {DRIVER}; on Debian: apt-get install chromium chromium-driver")
    options = webdriver.ChromeOptions()
    options.binary_location = str(CHROMIUM)
    for switch in (*SWITCHES, f"--user-data-dir={tmp_path / 'profile'}"):
        options.add_argument(switch)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service(str(DRIVER)))
    yield driver
    driver.quit()


def emulate(browser: webdriver.Chrome, scheme: str) -> None:
    media = {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", media)


def contrast(one: str, other: str) -> float:
    """Of two colours as a browser writes them, by the Web Content Accessibility Guidelines."""

    def luminance(colour: str) -> float:
        rgb = np.array([float(part) for part in re.findall(r"[\d.]+", colour)[:3]]) / 255
        return float(np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4) @ [0.2126, 0.7152, 0.0722])

    darker, lighter = sorted((luminance(one), luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)


def test_a_browser_shows_everything_without_a_network_in_light_and_dark(
    benchmark_page: Path, browser: webdriver.Chrome
) -> None:
    browser.get("about:blank")
    for kind in ("browser", "performance"):
        browser.get_log(kind)  # Of the browser's own first page.
    for scheme in ("light", "dark"):
        emulate(browser, scheme)
        browser.get(benchmark_page.as_uri())
        until = time.monotonic() + 20
        ready = "return [...document.querySelectorAll('video')].every(video => video.readyState > 0)"
        while not browser.execute_script(ready) and time.monotonic() < until:
            time.sleep(0.1)
        assert browser.execute_script("return [...document.images].map(image => image.naturalWidth)") == [560] * 5
        videos = browser.execute_script("return [...document.querySelectorAll('video')].map(video => video.videoWidth)")
        assert videos == [160] * 5
        sizes = browser.execute_script(
            "return [...document.querySelectorAll('svg')].map(svg => [svg.clientWidth, svg.clientHeight])"
        )
        assert len(sizes) == 25 * (2 + 4)
        assert min(min(size) for size in sizes) > 0
        text = browser.execute_script("return document.body.innerText")
        for words in ("Benchmark of 25 runs", "The second one.", "Error by reward", "Out of memory.", "encoder 3"):
            assert words in text
        cells = browser.execute_script("return [...document.querySelectorAll('td, th')].map(cell => cell.innerText)")
        assert cells == ["reward", "runs", "error", "tcn", "15", "0.25"]
        ground = browser.execute_script("return getComputedStyle(document.body).backgroundColor")
        assert (contrast(ground, "rgb(0, 0, 0)") > 10) == (scheme == "light")
        for selector, style, least in (
            ("p, h1, h2, h3, a, td, th, dt, dd, dd b, summary, figcaption, li", "color", 4.5),
            ("svg text", "fill", 10),
            ("svg [style*=series]", "stroke", 3),
        ):
            colours = browser.execute_script(
                "return [...new Set([...document.querySelectorAll(arguments[0])]"
                ".map(element => getComputedStyle(element)[arguments[1]]))]",
                selector,
                style,
            )
            shown = [colour for colour in colours if colour != "none"]
            assert shown
            assert min(contrast(ground, colour) for colour in shown) > least, (scheme, selector, shown)
    assert browser.get_log("browser") == []
    events = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    asked = [event["params"]["request"]["url"] for event in events if event["method"] == "Network.requestWillBeSent"]
    assert benchmark_page.as_uri() in asked
    assert {address.partition(":")[0] for address in asked} <= {"file", "data"}


def test_a_benchmark_is_small_and_opens_at_once(benchmark_page: Path, browser: webdriver.Chrome) -> None:
    assert benchmark_page.stat().st_size < 25e6
    seconds = []
    for _ in range(3):
        browser.get("about:blank")
        browser.get(benchmark_page.as_uri())
        loaded = "return performance.getEntriesByType('navigation')[0].loadEventEnd"
        seconds.append(browser.execute_script(loaded) / 1000)
    # The machine may be busy with something else; the page is not slow if it opens fast once.
    assert 0 < min(seconds) < 2


def test_a_page_fits_a_telephone(tmp_path: Path, picture: Path, film: Path, browser: webdriver.Chrome) -> None:
    path = tmp_path / "report.html"
    wide = TableBlock("Wide", "", [f"a long column name {index}" for index in range(12)], [list(range(12))])
    blocks = (chart(wavy("a")), wide, ImageBlock("Image", "", picture), VideoBlock("Video", "", film))
    name = "a_name_without_a_space_" * 5
    write_report(
        Report(name, name, {"command": [name]}, (*blocks, FailureBlock(name, "", [Failure(name, name)]))), path
    )
    screen = {"width": 360, "height": 740, "deviceScaleFactor": 1, "mobile": True}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", screen)
    browser.get(path.as_uri())
    assert browser.execute_script("return document.documentElement.scrollWidth") <= 360
    assert browser.execute_script("return document.querySelector('svg').clientWidth") > 300
