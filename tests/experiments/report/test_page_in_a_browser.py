"""The page in a browser: without a network, in light and dark, wide and narrow."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from small_pages import chart, wavy

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
from experiments.report.page import write_report
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
