"""The page of a single run: figures, curves, videos and pictures."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from agents.training import CURVE_FILE, read_curve
from encoders.files import read_object
from experiments.report.blocks import Block, ImageBlock, Report, TableBlock, TextBlock, VideoBlock
from experiments.report.charts import ChartBlock, Series
from experiments.report.page import write_report
from experiments.runs.folder import GO_ON, PROVENANCE_FILE

FILE = "report.html"


class Curve(NamedTuple):
    """A column of the run's curve.

    Attributes:
        key: The column's name.
        title: What it is, of an episode.
        about: More of it, in a sentence.
    """

    key: str
    title: str
    about: str


class Picture(NamedTuple):
    """A video (mp4) or an image (png) that a run leaves.

    Attributes:
        file: Its name in the folder; one that is not there is left out.
        title: Stands above it.
        about: What is seen.
    """

    file: str
    title: str
    about: str


@dataclass(frozen=True)
class RunPage:
    """The content of a run's page.

    Attributes:
        summary: What came out, in a sentence.
        figures: The table of what was measured.
        curves: Of the training.
        pictures: How it looks.
        more: Blocks between curves and pictures.
    """

    summary: str
    figures: TableBlock
    curves: tuple[Curve, ...]
    pictures: tuple[Picture, ...]
    more: tuple[Block, ...] = ()


def write(folder: Path, title: str, page: RunPage) -> None:
    """Writes ``report.html`` into a run's folder.

    Args:
        folder: It holds everything but ``result.json`` already.
        title: What was run.
        page: What it shows.

    Raises:
        ValueError: If a file of the run is damaged.
    """
    rows = read_curve(folder / CURVE_FILE)
    steps = [row["env_steps"] for row in rows]
    charts = [
        ChartBlock(
            curve.title.capitalize(),
            f"n = 1 run. {curve.about}",
            "environment steps",
            f"{curve.title} of an episode",
            (Series(curve.title, steps, [row[curve.key] for row in rows]),),
        )
        for curve in page.curves
    ]
    blocks: list[Block] = [page.figures, *charts, *page.more, TextBlock("How it looks")]
    for file, name, about in page.pictures:
        if (folder / file).exists():
            kind = VideoBlock if file.endswith(".mp4") else ImageBlock
            blocks.append(kind(name, about, folder / file))
    origin = read_object(folder / PROVENANCE_FILE, "provenance", GO_ON)
    write_report(Report(title, page.summary, origin, blocks), folder / FILE)


def writer(page: Callable[[Mapping[str, Any]], RunPage]) -> Callable[[Path, str, Mapping[str, Any]], None]:
    """Writes the page of a result into its run's folder: (folder, title, result) -> None.

    Args:
        page: The page of a result.
    """
    return lambda folder, title, result: write(folder, title, page(result))


def figures(title: str, caption: str, labels: Mapping[str, str], result: Mapping[str, Any]) -> TableBlock:
    """The table of a result's single numbers.

    Args:
        title: Stands above it.
        caption: How they were measured.
        labels: What each is called, by its key in the result.
        result: What ``result.json`` is going to hold.
    """
    return TableBlock(title, caption, ["figure", "value"], [[label, result[key]] for key, label in labels.items()])
