"""Curves with uncertainty bands as SVG that takes its colours from the page around it."""

from __future__ import annotations

import io
import itertools
import re
from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any
from xml.etree import ElementTree

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, MaxNLocator
from numpy.typing import ArrayLike, NDArray

INK = "#010203"
"""Placeholder for the page's text colour; no data has it."""

PALETTE = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", INK, "#e69f00", "#56b4e9")
"""Okabe and Ito's colours, Color Universal Design, 2008, without the yellow that white swallows.

Those with the least contrast to white come last.
"""

COLOUR_VALUES = {INK: "currentColor"} | {
    colour: f"var(--series-{number})" for number, colour in enumerate(PALETTE) if colour != INK
}
"""CSS variables that replace the drawn colours; the page defines them, for light and for dark."""

CHART_STYLE = """\
:root { --series-0: #0072b2; --series-1: #d55e00; --series-2: #009e73; --series-3: #cc79a7; --series-5: #e69f00;
  --series-6: #56b4e9; }
@media (prefers-color-scheme: dark) { :root { --series-0: #2e8fd6; --series-1: #ee6c1e; --series-2: #14b486;
  --series-3: #db8ab8; --series-5: #f0b429; --series-6: #8cd0fa; } }
svg { color: var(--ink); }
svg * { stroke-linejoin: round; }
.chart > svg { display: block; width: 100%; height: auto; }
svg text { font-family: inherit; }
.legend { list-style: none; display: flex; flex-wrap: wrap; gap: .15rem 1.1rem; margin: .25rem 0 .5rem; padding: 0;
  font-size: .9rem; }
.legend svg { width: 32px; height: 12px; }
"""
"""For the page's style sheet; in the dark, the same hues are lighter, so that all stand out from either ground."""

DASHES = ("-", (0, (5, 2)), (0, (1.5, 1.5)), (0, (6, 1.5, 1.5, 1.5)))
"""Offset and on and off lengths, in line widths. As many as have no factor in common with the colours: 28 pairs."""

MARKERS = ("o", "s", "^", "D", "v")

MARKS = 7
"""Markers on a curve too long to mark each of its points."""

MARKED_POINTS = 16
"""Points up to which a curve has a marker on each of them."""

MOST_POINTS = 1500
"""Points of a curve beyond which it is thinned; a screen shows no more."""

SIZE = (380, 240)
"""Width and height of a chart, in the units of its SVG; a font has 11."""

UNPRINTABLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")
"""Characters that no XML or UTF-8 may hold, such as a terminal's colours in an error message."""


@dataclass(frozen=True)
class Series:
    """One curve of a chart.

    Attributes:
        label: Its name in the legend; a name has the same look in all charts of a page.
        x: (N,).
        y: (N,); a value that is not finite is a gap.
        low: (N,) lower end of the band around it, or None.
        high: (N,) upper end of the band around it, or None.
    """

    label: str
    x: ArrayLike
    y: ArrayLike
    low: ArrayLike | None = None
    high: ArrayLike | None = None


@dataclass(frozen=True)
class ChartBlock:
    """Curves over a common axis.

    Attributes:
        title: Stands above it.
        caption: Stands below it; may be empty.
        xlabel: Of the horizontal axis, with its unit.
        ylabel: Of the vertical axis, with its unit.
        series: The curves, each with a label of its own.
    """

    title: str
    caption: str
    xlabel: str
    ylabel: str
    series: tuple[Series, ...]


def assign_styles(charts: Iterable[ChartBlock]) -> dict[str, int]:
    """Numbers the looks of curves: one for each label throughout, and never two alike in one chart.

    Args:
        charts: All that stand on one page.

    Returns:
        The number by label; as low as the labels of the same chart allow.
    """
    rivals: dict[str, set[str]] = {}
    for chart in charts:
        labels = [series.label for series in chart.series]
        for label in labels:
            rivals.setdefault(label, set()).update(labels)
    styles: dict[str, int] = {}
    for label, others in rivals.items():
        taken = {styles[other] for other in others if other in styles}
        styles[label] = next(number for number in itertools.count() if number not in taken)
    return styles


def chart_svg(chart: ChartBlock, styles: Mapping[str, int], salt: str) -> str:
    """Draws a chart as an ``<svg>`` element for an HTML page, with a title and a description to be read out.

    Args:
        chart: What to draw.
        styles: The number of each label's look, from ``assign_styles``.
        salt: Unlike that of any other drawing on the page; keeps their ids apart.

    Returns:
        The element. Its colours are ``currentColor`` and ``var(--series-N)``, N being the place in ``PALETTE``.

    Raises:
        ValueError: If a label stands twice, or a curve's lengths differ or it has half a band.
    """
    labels = [series.label for series in chart.series]
    if len(set(labels)) < len(labels):
        raise ValueError(f"The chart {chart.title!r} has labels {labels}; give each curve a label of its own.")
    curves = [_arrays(series, chart.title) for series in chart.series]
    with _settings(salt):
        figure = Figure(figsize=(SIZE[0] / 72, SIZE[1] / 72), dpi=72, layout="constrained")
        panel = figure.subplots()
        for label, curve in zip(labels, curves, strict=True):
            _draw(panel, curve, styles[label])
        panel.set(xlabel=printable(chart.xlabel), ylabel=printable(chart.ylabel))
        panel.margins(x=0.02)
        panel.grid(alpha=0.15, linewidth=0.8)
        panel.tick_params(length=0)
        panel.spines[["top", "right", "left"]].set_visible(False)
        panel.spines["bottom"].set_alpha(0.4)
        for axis in (panel.xaxis, panel.yaxis):
            axis.set_major_locator(MaxNLocator(6, steps=[1, 2, 2.5, 5, 10]))
            axis.set_major_formatter(FuncFormatter(lambda value, _: tick(value)))
        if not any(np.isfinite(curve[1]).any() for curve in curves):
            panel.text(0.5, 0.5, "no data", transform=panel.transAxes, ha="center", va="center", alpha=0.7)
            panel.set(xticks=[], yticks=[])
        root = _svg(figure)
    root.set("role", "img")
    for place, (tag, text) in enumerate((("title", chart.title), ("desc", description(chart)))):
        element = ElementTree.Element(tag, {"id": f"{salt}-{tag}"})
        element.text = printable(text)
        root.insert(place, element)
    root.set("aria-labelledby", f"{salt}-title")
    root.set("aria-describedby", f"{salt}-desc")
    return ElementTree.tostring(root, encoding="unicode")


def swatch_svg(style: int, salt: str) -> str:
    """Draws the look of a curve for a legend, as an ``<svg>`` element that is not read out.

    Args:
        style: Its number, from ``assign_styles``.
        salt: Unlike that of any other drawing on the page.
    """
    with _settings(salt):
        figure = Figure(figsize=(32 / 72, 12 / 72), dpi=72)
        figure.add_artist(Line2D([0.03, 0.97], [0.5, 0.5], **_line(style)))
        figure.add_artist(Line2D([0.5], [0.5], **_line(style), **_marker(style)))
        root = _svg(figure)
    root.set("aria-hidden", "true")
    return ElementTree.tostring(root, encoding="unicode")


def tick(value: float) -> str:
    """A number on an axis: 50k for 50,000, 2M for two million."""
    size = abs(value)
    unit, letter = next(
        ((unit, letter) for unit, letter in ((1e9, "G"), (1e6, "M"), (1e4, "k")) if size >= unit), (1, "")
    )
    return f"{value / (1e3 if letter == 'k' else unit):.10g}{letter}".replace("-", "\N{MINUS SIGN}")


def description(chart: ChartBlock) -> str:
    """A text description of a chart, for screen readers."""
    said = [f"{chart.ylabel} over {chart.xlabel}."]
    for series in chart.series:
        x, y, *_ = _arrays(series, chart.title)
        seen = np.flatnonzero(np.isfinite(y))
        if len(seen):
            first, last = seen[0], seen[-1]
            said.append(f"{series.label}: {y[first]:.4g} at {x[first]:.6g}, {y[last]:.4g} at {x[last]:.6g}.")
        else:
            said.append(f"{series.label}: no data.")
    return " ".join(said)


def printable(text: str) -> str:
    """The text with a replacement mark for each character that a page cannot hold."""
    return UNPRINTABLE.sub("\N{REPLACEMENT CHARACTER}", text)


def _arrays(series: Series, title: str) -> list[NDArray[np.float64]]:
    """x, y and, where there is a band, low and high, (N,) each, with NaN for what is not finite.

    Raises:
        ValueError: If their lengths differ, or only one end of the band is there.
    """
    name = f"The curve {series.label!r} of the chart {title!r}"
    if (series.low is None) != (series.high is None):
        raise ValueError(f"{name} has one end of a band; give low and high, or neither.")
    given = [values for values in (series.x, series.y, series.low, series.high) if values is not None]
    arrays = [np.asarray(values, np.float64) for values in given]
    shapes = [values.shape for values in arrays]
    if len(set(shapes)) > 1 or len(shapes[0]) != 1:
        raise ValueError(f"{name} has x, y and band of shapes {shapes}; give lists of one length.")
    return [np.where(np.isfinite(values), values, np.nan) for values in arrays]


def _draw(panel: Axes, curve: list[NDArray[np.float64]], style: int) -> None:
    """One curve with its band."""
    x, y, *band = _thin(curve)
    seen = np.isfinite(x) & np.isfinite(y)
    before, after = np.append(False, seen[:-1]), np.append(seen[1:], False)
    alone = seen & ~before & ~after
    colour = PALETTE[style % len(PALETTE)]
    if band:
        low, high = band
        panel.fill_between(x, low, high, color=colour, alpha=0.2, linewidth=0)
        # A band has no width where a point stands alone.
        panel.vlines(x[alone], low[alone], high[alone], color=colour, alpha=0.6, linewidth=1.6)
    line = panel.plot(x, y, **_line(style), **_marker(style))[0]
    if seen.sum() > MARKED_POINTS:
        shown = np.flatnonzero(seen)
        # Curves that run together have their markers beside one another.
        spread = (np.arange(MARKS) + (style % len(MARKERS) + 0.5) / len(MARKERS)) / MARKS
        marked = alone.copy()
        marked[shown[(spread * len(shown)).astype(int)]] = True
        line.set_markevery(np.flatnonzero(marked).tolist())


def _thin(curve: list[NDArray[np.float64]]) -> list[NDArray[np.float64]]:
    """The lowest and the highest point of each stretch of a long curve, so that no peak is lost.

    A stretch with a gap keeps one.
    """
    y = curve[1]
    if len(y) <= MOST_POINTS:
        return curve
    kept = {0, len(y) - 1}
    for stretch in np.array_split(np.arange(len(y)), MOST_POINTS // 3):
        seen = np.isfinite(y[stretch])
        if seen.any():
            kept |= {int(stretch[np.nanargmin(y[stretch])]), int(stretch[np.nanargmax(y[stretch])])}
        if not seen.all():
            kept.add(int(stretch[np.argmin(seen)]))
    return [values[sorted(kept)] for values in curve]


def _line(style: int) -> dict[str, Any]:
    """Line style of a curve."""
    return {"color": PALETTE[style % len(PALETTE)], "linewidth": 1.6, "linestyle": DASHES[style % len(DASHES)]}


def _marker(style: int) -> dict[str, Any]:
    """Marker style of a curve."""
    return {"marker": MARKERS[style % len(MARKERS)], "markersize": 4.5, "markeredgewidth": 0}


def _settings(salt: str) -> AbstractContextManager[None]:
    """Matplotlib's settings: the same bytes for the same data, text as text, labels as they are written."""
    return matplotlib.rc_context(
        {
            "svg.fonttype": "none",
            "svg.hashsalt": salt,
            "text.parse_math": False,
            "font.size": 11,
            "axes.axisbelow": True,
            "text.color": INK,
            "axes.edgecolor": INK,
            "axes.labelcolor": INK,
            "xtick.color": INK,
            "ytick.color": INK,
            "grid.color": INK,
        }
    )


def _svg(figure: Figure) -> ElementTree.Element:
    """A figure as an ``<svg>`` element of HTML, which takes its size, font and colours from the page.

    Of the ids only those stay that something refers to; they are salted, the others would collide.
    """
    buffer = io.BytesIO()
    figure.savefig(buffer, format="svg", transparent=True)
    root = ElementTree.fromstring(buffer.getvalue())
    # Its metadata, with the date, and a style that would hold for every element of the page.
    for parent in list(root.iter()):
        for child in [child for child in parent if child.tag.endswith(("}metadata", "}style"))]:
            parent.remove(child)
    for element in root.iter():
        element.tag = element.tag.rpartition("}")[2]
        for key in [key for key in element.attrib if key.startswith("{")]:
            element.set(key.rpartition("}")[2], element.attrib.pop(key))
        if element.tag == "g":
            element.attrib.pop("id", None)
        if "d" in element.attrib:
            element.set("d", " ".join(element.attrib["d"].split()))
        if "style" in element.attrib:
            element.set("style", _page_style(element.attrib["style"]))
        element.tail = None
        if element.tag != "text":
            element.text = None
    for key in ("width", "height", "version"):
        root.attrib.pop(key)
    return root


def _page_style(style: str) -> str:
    """A style with the page's colours and without a font of its own."""
    style = re.sub(r"font-family: [^;]*(; |$)", "", style)
    return re.sub("#[0-9a-f]{6}", lambda found: COLOUR_VALUES.get(found[0], found[0]), style)
