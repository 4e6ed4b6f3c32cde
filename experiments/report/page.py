"""Results as one self-contained HTML page: no network, no script, no other file."""

from __future__ import annotations

import base64
import math
import re
import shlex
from collections.abc import Mapping, Sequence
from itertools import groupby
from numbers import Integral, Real
from pathlib import Path
from typing import Any

import numpy as np
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from encoders.files import FileError, write_atomically
from encoders.videos.video_file import open_video
from experiments.report.blocks import Block, FailureBlock, ImageBlock, Report, TableBlock, TextBlock, VideoBlock
from experiments.report.charts import CHART_STYLE, ChartBlock, assign_styles, chart_svg, printable, swatch_svg

CONTENTS_FROM = 5
"""Headings from which a page has a table of contents."""

WIDE = 2.2
"""Width by height from which an image has a row of its own."""

PNG_START, PNG_END = b"\x89PNG\r\n\x1a\n", b"IEND\xaeB`\x82"

MISSING = "\N{EN DASH}"

NUMERIC = re.compile(rf"[-+\u2212]?\.?(\d|inf)|{MISSING}$|$")
"""A cell that stands at the right, as numbers do."""

PANELS = (ChartBlock, ImageBlock, VideoBlock)
"""Blocks that share a row with others of their kind."""

TEMPLATES = Path(__file__).parent / "templates"

MACROS: dict[type[Block], str] = {
    TextBlock: "text",
    TableBlock: "table",
    FailureBlock: "failures",
    ChartBlock: "chart",
    ImageBlock: "image",
    VideoBlock: "video",
}
"""The macro in ``blocks.html`` for each kind of block."""


def write_report(report: Report, path: Path) -> None:
    """Writes a report as one HTML file, whole or not at all; the same report gives the same bytes.

    Args:
        report: The page.
        path: The HTML file, in a folder that exists.

    Raises:
        ValueError: If an image or a video is missing or of the wrong kind, a table's row or a curve does not
            fit, or the file cannot be written.
    """
    write_atomically(path, render(report).encode())


def render(report: Report) -> str:
    """The page's HTML.

    Raises:
        ValueError: As for ``write_report``, but for the writing.
    """
    styles = assign_styles(block for block in report.blocks if isinstance(block, ChartBlock))
    level, contents, rows = 2, [], []
    # Charts, images and videos that follow one another are panels of one row; the rest stands alone.
    numbered = enumerate(report.blocks)
    for _, group in groupby(numbered, lambda entry: type(entry[1]) if isinstance(entry[1], PANELS) else entry[0]):
        panels = [(f"block-{number}", block) for number, block in group]
        opens = isinstance(panels[0][1], TextBlock)
        level = 2 if opens else level
        contents += [(level, anchor, block.title) for anchor, block in panels]
        rows.append({"level": level, **_row(panels, styles)})
        level = 3 if opens else level
    return (
        _environment()
        .get_template("page.html")
        .render(
            report=report,
            contents=contents if len(contents) >= CONTENTS_FROM else [],
            rows=rows,
            chart_style=Markup(CHART_STYLE),
        )
    )


def _environment() -> Environment:
    """The templates; every text is escaped, and has a mark for each character that a page cannot hold."""
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        finalize=lambda value: printable(value) if type(value) is str else value,
    )
    environment.filters |= {"cell": cell, "paragraphs": _paragraphs, "shell": lambda words: shlex.join(map(str, words))}
    return environment


def cell(value: object) -> str:
    """A value as it stands in a table, escaped: numbers of four digits, an en dash for None and NaN."""
    return escape(printable(_shown(value)))


def _shown(value: object) -> str:
    if value is None:
        return MISSING
    if isinstance(value, (bool, np.bool_)):
        return "yes" if value else "no"
    if isinstance(value, Real) and not isinstance(value, Integral):
        number = float(value)
        if math.isnan(number):
            return MISSING
        rounded = f"{number:.4g}"
        return f"{number:.0f}" if "e" in rounded and 1 <= abs(number) < 1e7 else rounded
    return str(value)


def _paragraphs(text: str) -> list[str]:
    """The paragraphs of plain text, parted where it has an empty line."""
    return [part.strip() for part in re.split(r"\n\s*\n", text) if part.strip()]


def _row(panels: Sequence[tuple[str, Block]], styles: Mapping[str, int]) -> dict[str, Any]:
    """Blocks that share a row, with their anchors; for charts of the same curves, one legend below all."""
    charts = [(anchor, block) for anchor, block in panels if isinstance(block, ChartBlock)]
    labels = [tuple(series.label for series in chart.series) for _, chart in charts]
    shared = len(charts) > 1 and len(set(labels)) == 1
    look = ""
    if isinstance(panels[0][1], PANELS):
        # Three to a row, but two where three would leave one alone.
        look = "panels" + {1: " lone", 2: " few", 4: " few"}.get(len(panels), "")
    return {
        "look": look,
        "parts": [_part(block, anchor, styles, not shared) for anchor, block in panels],
        "legend": _legend(charts[0][1], charts[0][0], styles) if shared else [],
    }


def _part(block: Block, anchor: str, styles: Mapping[str, int], legend: bool) -> dict[str, Any]:
    """The arguments of a block's macro.

    Args:
        block: What to show.
        anchor: Its id, unlike any other.
        styles: Of the curves by label.
        legend: Whether a chart has a legend of its own.
    """
    part: dict[str, Any] = {"kind": MACROS[type(block)], "block": block, "anchor": anchor}
    match block:
        case TableBlock():
            part |= _table(block)
        case ChartBlock():
            part |= {"svg": Markup(chart_svg(block, styles, anchor))}
            part |= {"legend": _legend(block, anchor, styles) if legend else []}
        case ImageBlock():
            part |= _image(block)
        case VideoBlock():
            part |= _video(block)
    return part


def _legend(chart: ChartBlock, anchor: str, styles: Mapping[str, int]) -> list[tuple[Markup, str]]:
    """The look of each curve and its label."""
    return [
        (Markup(swatch_svg(styles[series.label], f"{anchor}-swatch-{number}")), series.label)
        for number, series in enumerate(chart.series)
    ]


def _table(block: TableBlock) -> dict[str, Any]:
    """The cells of a table, and which columns have numbers.

    Raises:
        ValueError: If a row has more or fewer cells than there are columns.
    """
    for row in block.rows:
        if len(row) != len(block.columns):
            raise ValueError(
                f"A row of the table {block.title!r} has {len(row)} cells for {len(block.columns)} columns: "
                f"{list(row)}; give one for each column."
            )
    cells = [[cell(value) for value in row] for row in block.rows]
    numeric = [index > 0 and all(re.match(NUMERIC, row[index]) for row in cells) for index in range(len(block.columns))]
    return {"cells": cells, "numeric": numeric}


def _image(block: ImageBlock) -> dict[str, Any]:
    """The class of an image's figure, its size and its content.

    Raises:
        ValueError: If it cannot be read or is no whole PNG.
    """
    content = _read(block.path)
    if not content.startswith(PNG_START) or not content.endswith(PNG_END):
        raise ValueError(f"The image {block.path} is no PNG, or not all of one; make it again.")
    # The first chunk says how large it is.
    width, height = (int.from_bytes(content[start : start + 4], "big") for start in (16, 20))
    look = "wide" if width > WIDE * height else "image"
    return {"look": look, "width": width, "height": height, "content": base64.b64encode(content).decode()}


def _video(block: VideoBlock) -> dict[str, Any]:
    """The size and the content of a video.

    Raises:
        ValueError: If it cannot be read or is no H.264 in mp4.
    """
    content = _read(block.path)
    try:
        with open_video(block.path) as (container, stream):
            codec, box, width, height = (
                stream.codec_context.name,
                container.format.name,
                stream.width,
                stream.height,
            )
    except FileError as error:
        raise ValueError(f"The video {block.path} is damaged or no video; make it again.") from error
    if codec != "h264" or "mp4" not in box.split(","):
        raise ValueError(
            f"The video {block.path} is {codec} in {box}; browsers play h264 in mp4: use encoders.videos.write_video."
        )
    return {"width": width, "height": height, "content": base64.b64encode(content).decode()}


def _read(path: Path) -> bytes:
    """A file's content.

    Raises:
        ValueError: If it cannot be read.
    """
    try:
        return path.read_bytes()
    except OSError as error:
        raise ValueError(f"{path} cannot be read: {error.strerror}. Make it, or leave it out of the report.") from error
