"""Pages and charts of a few curves, and the parts of a page that tests ask for."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from typing import Any

import numpy as np

from experiments.report.blocks import (
    Block,
    Report,
)
from experiments.report.charts import (
    ChartBlock,
    Series,
    assign_styles,
    chart_svg,
)
from experiments.report.page import render

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
