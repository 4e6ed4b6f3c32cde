"""The blocks of a report, as data without layout."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from experiments.report.charts import ChartBlock


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
        path: The file, such as ``encoders.videos.video.write_video`` writes.
    """

    title: str
    caption: str
    path: Path


@dataclass(frozen=True)
class Failure:
    """A failed run.

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


@dataclass(frozen=True)
class Report:
    """A page.

    Attributes:
        title: Of the page.
        summary: What came out, in a few sentences of plain text.
        provenance: What was run and where, such as ``experiments.runs.provenance.provenance`` gives: texts, numbers,
            lists and mappings of them.
        blocks: In order. A text opens a section that goes on to the next text.
    """

    title: str
    summary: str
    provenance: Mapping[str, object]
    blocks: Sequence[Block]
