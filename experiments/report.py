"""Results as one HTML page that opens from disk and needs nothing else: no network, no script, no other file."""

from __future__ import annotations

import base64
import io
import math
import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from itertools import groupby
from numbers import Integral, Real
from pathlib import Path
from typing import TypeAlias

import av
import numpy as np

from encoders.files import write_atomically
from encoders.video import picture_stream
from experiments.charts import CHART_STYLE, ChartBlock, Series, assign_styles, chart_svg, printable, swatch_svg

__all__ = [
    "ChartBlock",
    "Failure",
    "FailureBlock",
    "ImageBlock",
    "Report",
    "Series",
    "TableBlock",
    "TextBlock",
    "VideoBlock",
    "render",
    "write_report",
]

CONTENTS_FROM = 5
"""Headings from which a page has a table of contents."""

WIDE = 2.2
"""Width by height from which an image has a row of its own."""

PNG_START, PNG_END = b"\x89PNG\r\n\x1a\n", b"IEND\xaeB`\x82"

MISSING = "\N{EN DASH}"

NUMERIC = re.compile(rf"[-+\u2212]?\.?(\d|inf)|{MISSING}$|$")
"""A cell that stands at the right, as numbers do."""

PAGE_STYLE = """\
:root { color-scheme: light dark; --paper: #fff; --ink: #1b2026; --muted: #56606b; --line: #d8dde3; --soft: #f4f6f8;
  --link: #005a8f; --bad: #9c3a00; --bad-soft: #fdf2eb; }
@media (prefers-color-scheme: dark) { :root { --paper: #0f1318; --ink: #e6e9ec; --muted: #9da7b2; --line: #2c343d;
  --soft: #171d23; --link: #74bdf0; --bad: #ff9d66; --bad-soft: #281a12; } }
* { box-sizing: border-box; }
html { scroll-padding-top: 1rem; -webkit-text-size-adjust: 100%; }
body { margin: 0; background: var(--paper); color: var(--ink); font: 16px/1.55 system-ui, "Segoe UI", Roboto,
  "Helvetica Neue", "Noto Sans", "Liberation Sans", Arial, sans-serif; overflow-wrap: break-word; }
main { max-width: 1160px; margin: 0 auto; padding: 2.5rem 1.25rem 5rem; }
h1 { font-size: clamp(1.6rem, 4vw, 2.3rem); line-height: 1.15; letter-spacing: -.02em; margin: 0 0 .75rem; }
h2 { font-size: 1.4rem; line-height: 1.25; letter-spacing: -.01em; margin: 3rem 0 .75rem; }
h3 { font-size: 1.05rem; line-height: 1.3; margin: 1.75rem 0 .5rem; }
p { margin: 0 0 .75rem; max-width: 70ch; white-space: pre-line; }
header p { font-size: 1.1rem; color: var(--muted); }
a { color: var(--link); }
code, pre { font: .88em/1.5 ui-monospace, "SF Mono", Menlo, Consolas, "Liberation Mono", monospace; }
.origin { background: var(--soft); border: 1px solid var(--line); border-radius: 10px; padding: .9rem 1.1rem;
  margin-top: 1.5rem; font-size: .9rem; }
.origin dl { display: grid; grid-template-columns: max-content minmax(0, 1fr); gap: .35rem 1.25rem; margin: 0; }
.origin dt { color: var(--muted); }
.origin dt::first-letter { text-transform: uppercase; }
.origin dd { margin: 0; font-variant-numeric: tabular-nums; overflow-wrap: anywhere; }
.origin code { font-size: .95em; }
.pair { display: inline-block; margin-right: 1rem; }
.pair b { font-weight: 400; color: var(--muted); }
.panels { display: grid; gap: 0 2rem; grid-template-columns: repeat(auto-fill, minmax(min(100%, 320px), 1fr)); }
.panels.few { grid-template-columns: repeat(auto-fill, minmax(min(100%, 440px), 1fr)); }
.panels.lone { display: block; }
figure { margin: 0 0 1rem; min-width: 0; }
figure.wide { grid-column: 1 / -1; }
figcaption { color: var(--muted); font-size: .9rem; margin-top: .5rem; max-width: 70ch; }
figure :is(h2, h3) { font-size: 1.05rem; margin-top: 1rem; }
img { display: block; max-width: 100%; height: auto; background: #fff; border: 1px solid var(--line);
  border-radius: 8px; }
video { display: block; width: 100%; height: auto; background: #000; border-radius: 8px; }
.scroll { overflow-x: auto; margin: 0 0 1.25rem; }
table { border-collapse: collapse; font-size: .92rem; font-variant-numeric: tabular-nums; }
th, td { padding: .42rem .9rem; text-align: left; vertical-align: top; border-bottom: 1px solid var(--line); }
thead th { font-weight: 600; color: var(--muted); border-bottom: 2px solid var(--line); vertical-align: bottom; }
tbody th { font-weight: 500; }
th:first-child { position: sticky; left: 0; background: var(--paper); padding-left: 0; max-width: 50vw; }
.number { text-align: right; }
td.number { white-space: nowrap; }
.failures { border-left: 4px solid var(--bad); background: var(--bad-soft); border-radius: 0 8px 8px 0;
  padding: .9rem 1.1rem; margin: 2rem 0; }
.failures > :first-child { margin-top: 0; color: var(--bad); }
.failures > :last-child, .failures dd:last-child { margin-bottom: 0; }
.failures dt { font-weight: 600; }
.failures dd { margin: 0 0 .75rem; }
.failures pre { overflow-x: auto; margin: .5rem 0; }
nav { border-bottom: 1px solid var(--line); padding: .75rem 1.25rem; font-size: .9rem; max-height: 9.5rem;
  overflow-y: auto; scrollbar-width: thin; }
nav ol { list-style: none; margin: 0; padding: 0; display: flex; flex-wrap: wrap; gap: .25rem 1.1rem; }
nav .level-3 { display: none; }
nav a { text-decoration: none; }
nav a:hover { text-decoration: underline; }
@media (min-width: 1280px) {
  .listed { display: grid; grid-template-columns: 250px minmax(0, 1fr); }
  nav { position: sticky; top: 0; height: 100vh; max-height: none; border: 0; border-right: 1px solid var(--line);
    padding: 2.75rem 1rem 2rem 1.5rem; }
  nav ol { display: block; }
  nav .level-2 { margin: .9rem 0 .3rem; font-weight: 600; }
  nav .level-3 { display: block; margin: .3rem 0; padding-left: .8rem; }
  nav .level-3 a { color: var(--muted); }
}
@media (min-width: 800px) {
  .lone .chart { display: grid; grid-template-columns: minmax(0, 520px) minmax(0, 1fr); column-gap: 2rem;
    grid-template-rows: auto auto 1fr; }
  .lone .chart > :is(h2, h3) { grid-column: 1 / -1; }
  .lone .chart > svg { grid-row: 2 / 4; }
  .lone .legend { flex-direction: column; margin-top: 1rem; }
}
@media (max-width: 560px) {
  table { width: max-content; }
  th, td { max-width: 24ch; }
  .origin dl { grid-template-columns: minmax(0, 1fr); gap: 0; }
  .origin dd { margin-bottom: .5rem; }
}
@media print { figure, tr, .failures { break-inside: avoid; } nav { display: none; } .listed { display: block; } }
"""


@dataclass(frozen=True)
class TextBlock:
    """A heading that opens a section, with paragraphs below it.

    Attributes:
        title: The heading.
        text: Plain text; an empty line parts paragraphs. May be empty.
    """

    title: str
    text: str = ""


@dataclass(frozen=True)
class TableBlock:
    """A table.

    Attributes:
        title: Stands above it.
        caption: Stands below the title; may be empty.
        columns: The head of each column.
        rows: Of as many cells each; the first names the row. Numbers are rounded to four digits; None and
            NaN are an en dash.
    """

    title: str
    caption: str
    columns: Sequence[str]
    rows: Sequence[Sequence[object]]


@dataclass(frozen=True)
class ImageBlock:
    """A PNG file; those that follow one another share a row where they fit.

    Attributes:
        title: Stands above it, and for it where it cannot be seen.
        caption: Stands below it; may be empty.
        path: The file.
    """

    title: str
    caption: str
    path: Path


@dataclass(frozen=True)
class VideoBlock:
    """An mp4 file (H.264); those that follow one another share a row where they fit.

    Attributes:
        title: Stands above it.
        caption: Stands below it; may be empty.
        path: The file, such as ``encoders.video.write_video`` writes.
    """

    title: str
    caption: str
    path: Path


@dataclass(frozen=True)
class Failure:
    """A run that came to nothing.

    Attributes:
        run: Its name.
        reason: Why, in a sentence.
        detail: More of it, such as a traceback; folded away. May be empty.
    """

    run: str
    reason: str
    detail: str = ""


@dataclass(frozen=True)
class FailureBlock:
    """The runs that failed; says so where there are none.

    Attributes:
        title: Stands above them.
        caption: Stands below the title; may be empty.
        failures: The runs.
    """

    title: str
    caption: str
    failures: Sequence[Failure]


Block: TypeAlias = TextBlock | TableBlock | ChartBlock | ImageBlock | VideoBlock | FailureBlock

PANELS = (ChartBlock, ImageBlock, VideoBlock)
"""Blocks that share a row with others of their kind."""


@dataclass(frozen=True)
class Report:
    """A page.

    Attributes:
        title: Of the page.
        summary: What came out, in a few sentences of plain text.
        provenance: What was run and where, such as ``experiments.provenance.provenance`` gives: texts, numbers,
            lists and mappings of them.
        blocks: In order. A text opens a section that goes on to the next text.
    """

    title: str
    summary: str
    provenance: Mapping[str, object]
    blocks: Sequence[Block]


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
        with av.open(io.BytesIO(content)) as container:
            stream = picture_stream(container, block.path)
            codec, box, size = stream.codec_context.name, container.format.name, (stream.width, stream.height)
    except av.FFmpegError as error:
        raise ValueError(f"The video {block.path} is damaged or no video; make it again.") from error
    if codec != "h264" or "mp4" not in box.split(","):
        raise ValueError(
            f"The video {block.path} is {codec} in {box}; browsers play h264 in mp4: use encoders.video.write_video."
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
