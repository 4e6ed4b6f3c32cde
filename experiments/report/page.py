"""Results as one HTML page that opens from disk and needs nothing else: no network, no script, no other file."""

from __future__ import annotations

import base64
import math
import re
import shlex
from collections.abc import Mapping, Sequence
from html import escape
from itertools import groupby
from numbers import Integral, Real
from pathlib import Path

import numpy as np

from encoders.files import FileError, write_atomically
from encoders.videos.video_file import open_video
from experiments.report.blocks import Block, FailureBlock, ImageBlock, Report, TableBlock, TextBlock, VideoBlock
from experiments.report.charts import CHART_STYLE, ChartBlock, assign_styles, chart_svg, printable, swatch_svg
from experiments.report.page_style import PAGE_STYLE

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
    level, contents, parts = 2, [], []
    # Charts, images and videos that follow one another are panels of one row; the rest stands alone.
    numbered = enumerate(report.blocks)
    for _, group in groupby(numbered, lambda entry: type(entry[1]) if isinstance(entry[1], PANELS) else entry[0]):
        panels = [(f"block-{number}", block) for number, block in group]
        opens = isinstance(panels[0][1], TextBlock)
        level = 2 if opens else level
        contents += [(level, anchor, block.title) for anchor, block in panels]
        parts.append(_panels(panels, level, styles))
        level = 3 if opens else level
    title, listed = _text(report.title), len(contents) >= CONTENTS_FROM
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="color-scheme" content="light dark">\n'
        # The browser itself refuses whatever would leave the page.
        '<meta http-equiv="Content-Security-Policy" content="default-src \'none\'; img-src data:; media-src data:; '
        "style-src 'unsafe-inline'\">\n"
        f'<link rel="icon" href="data:,">\n<title>{title}</title>\n<style>\n{PAGE_STYLE}{CHART_STYLE}</style>\n'
        f"</head>\n<body{' class=listed' * listed}>\n{_contents(contents) if listed else ''}<main>\n"
        f"<header>\n<h1>{title}</h1>\n{_paragraphs(report.summary)}</header>\n"
        f"{_provenance(report.provenance)}{''.join(parts)}</main>\n</body>\n</html>\n"
    )


def cell(value: object) -> str:
    """A value as it stands in a table, escaped: numbers of four digits, an en dash for None and NaN."""
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
    return _text(str(value))


def _text(text: str) -> str:
    """Escaped text."""
    return escape(printable(text))


def _paragraphs(text: str) -> str:
    """Plain text as paragraphs, parted where it has an empty line."""
    return "".join(f"<p>{_text(part.strip())}</p>\n" for part in re.split(r"\n\s*\n", text) if part.strip())


def _contents(entries: Sequence[tuple[int, str, str]]) -> str:
    """The table of contents, of level, anchor and title each."""
    items = "".join(
        f'<li class="level-{level}"><a href="#{anchor}">{_text(title)}</a></li>\n' for level, anchor, title in entries
    )
    return f'<nav aria-label="Contents">\n<ol>\n{items}</ol>\n</nav>\n'


def _provenance(provenance: Mapping[str, object]) -> str:
    """What was run, as a list of terms."""
    items = "".join(
        f"<dt>{_text(key.replace('_', ' '))}</dt><dd>{_origin(key, value)}</dd>\n" for key, value in provenance.items()
    )
    return f'<section class="origin" aria-label="What was run">\n<dl>\n{items}</dl>\n</section>\n' if items else ""


def _origin(key: str, value: object) -> str:
    """One value of the provenance."""
    if isinstance(value, Mapping):
        return "".join(
            f'<span class="pair"><b>{_text(str(name))}</b> {_origin(str(name), entry)}</span> '
            for name, entry in value.items()
        )
    if isinstance(value, Sequence) and not isinstance(value, str):
        if key == "command":
            return f"<code>{_text(shlex.join(map(str, value)))}</code>"
        return ", ".join(_origin(key, entry) for entry in value)
    return cell(value)


def _panels(panels: Sequence[tuple[str, Block]], level: int, styles: Mapping[str, int]) -> str:
    """Blocks that share a row, with their anchors; for charts of the same curves, one legend below all."""
    charts = [(anchor, block) for anchor, block in panels if isinstance(block, ChartBlock)]
    labels = [tuple(series.label for series in chart.series) for _, chart in charts]
    shared = len(charts) > 1 and len(set(labels)) == 1
    parts = [_block(block, anchor, level, styles, not shared) for anchor, block in panels]
    if isinstance(panels[0][1], PANELS):
        # Three to a row, but two where three would leave one alone.
        count = {1: " lone", 2: " few", 4: " few"}.get(len(panels), "")
        parts = [f'<div class="panels{count}">\n', *parts, "</div>\n"]
    if shared:
        parts.append(_legend(charts[0][1], charts[0][0], styles))
    return "".join(parts)


def _block(block: Block, anchor: str, level: int, styles: Mapping[str, int], legend: bool) -> str:
    """One block.

    Args:
        block: What to show.
        anchor: Its id, unlike any other.
        level: Of its heading.
        styles: Of the curves by label.
        legend: Whether a chart has a legend of its own.
    """
    heading = f'<h{level} id="{anchor}">{_text(block.title)}</h{level}>\n'
    match block:
        case TextBlock():
            return heading + _paragraphs(block.text)
        case TableBlock():
            return heading + _paragraphs(block.caption) + _table(block)
        case FailureBlock():
            return f'<section class="failures">\n{heading}{_paragraphs(block.caption)}{_failures(block)}</section>\n'
        case ChartBlock():
            look, body = "chart", chart_svg(block, styles, anchor) + "\n"
            body += _legend(block, anchor, styles) if legend else ""
        case ImageBlock():
            look, body = _image(block)
        case VideoBlock():
            look, body = "video", _video(block)
    caption = f"<figcaption>{_text(block.caption)}</figcaption>\n" if block.caption else ""
    return f'<figure class="{look}">\n{heading}{body}{caption}</figure>\n'


def _legend(chart: ChartBlock, anchor: str, styles: Mapping[str, int]) -> str:
    """The look of each curve beside its label."""
    items = "".join(
        f"<li>{swatch_svg(styles[series.label], f'{anchor}-swatch-{number}')} {_text(series.label)}</li>\n"
        for number, series in enumerate(chart.series)
    )
    return f'<ul class="legend" aria-label="Legend">\n{items}</ul>\n'


def _table(block: TableBlock) -> str:
    """The table itself.

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
    marks = [" class=number" if column else "" for column in numeric]
    head = "".join(f'<th scope="col"{mark}>{_text(name)}</th>' for name, mark in zip(block.columns, marks, strict=True))
    body = "".join(
        "<tr>"
        + "".join(
            f"<td{mark}>{text}</td>" if index else f'<th scope="row">{text}</th>'
            for index, (text, mark) in enumerate(zip(row, marks, strict=True))
        )
        + "</tr>\n"
        for row in cells
    )
    return (
        f'<div class="scroll" tabindex="0" role="region" aria-label="{_text(block.title)}">\n'
        f"<table>\n<thead><tr>{head}</tr></thead>\n<tbody>\n{body}</tbody>\n</table>\n</div>\n"
    )


def _failures(block: FailureBlock) -> str:
    """The failed runs with their reasons."""
    if not block.failures:
        return "<p>No run failed.</p>\n"
    items = []
    for failure in block.failures:
        detail = f"<details><summary>Details</summary><pre>{_text(failure.detail)}</pre></details>"
        items.append(
            f"<dt>{_text(failure.run)}</dt>\n<dd>{_text(failure.reason)}{detail if failure.detail else ''}</dd>\n"
        )
    return f"<dl>\n{''.join(items)}</dl>\n"


def _image(block: ImageBlock) -> tuple[str, str]:
    """The class of an image's figure, and the image.

    Raises:
        ValueError: If it cannot be read or is no whole PNG.
    """
    content = _read(block.path)
    if not content.startswith(PNG_START) or not content.endswith(PNG_END):
        raise ValueError(f"The image {block.path} is no PNG, or not all of one; make it again.")
    # The first chunk says how large it is.
    width, height = (int.from_bytes(content[start : start + 4], "big") for start in (16, 20))
    source = f"data:image/png;base64,{base64.b64encode(content).decode()}"
    return (
        "wide" if width > WIDE * height else "image",
        f'<img src="{source}" width="{width}" height="{height}" alt="{_text(block.title)}">\n',
    )


def _video(block: VideoBlock) -> str:
    """A video with controls.

    Raises:
        ValueError: If it cannot be read or is no H.264 in mp4.
    """
    content = _read(block.path)
    try:
        with open_video(block.path) as (container, stream):
            codec, box, size = stream.codec_context.name, container.format.name, (stream.width, stream.height)
    except FileError as error:
        raise ValueError(f"The video {block.path} is damaged or no video; make it again.") from error
    if codec != "h264" or "mp4" not in box.split(","):
        raise ValueError(
            f"The video {block.path} is {codec} in {box}; browsers play h264 in mp4: use encoders.videos.write_video."
        )
    return (
        f'<video controls muted loop playsinline preload="metadata" width="{size[0]}" height="{size[1]}" '
        # Small frames are enlarged, but not to the width of the page.
        f'style="max-width: {max(size[0], 480)}px" '
        f'aria-label="{_text(block.title)}" src="data:video/mp4;base64,{base64.b64encode(content).decode()}"></video>\n'
    )


def _read(path: Path) -> bytes:
    """A file's content.

    Raises:
        ValueError: If it cannot be read.
    """
    try:
        return path.read_bytes()
    except OSError as error:
        raise ValueError(f"{path} cannot be read: {error.strerror}. Make it, or leave it out of the report.") from error
