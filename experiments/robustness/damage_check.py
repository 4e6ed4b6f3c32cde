"""Damage check: readers are given thousands of damaged files, and their reactions are counted."""

from __future__ import annotations

import itertools
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.progress import track
from rich.table import Table

from encoders.errors import check_choice
from encoders.files import write_csv, write_json
from experiments.robustness import damage_agents, damage_records, damage_videos
from experiments.robustness.damage_originals import Original
from experiments.robustness.damage_pool import Task, read_all
from experiments.robustness.damage_verdicts import Verdict, quietly
from experiments.robustness.damages import DAMAGES, INVERTED_MOOV, moov
from experiments.robustness.tables import BAD, OUTCOMES
from experiments.runs import command_line
from experiments.runs.folder import make_folder
from experiments.runs.provenance import provenance

ORIGINALS: tuple[Original, ...] = (
    *damage_videos.ORIGINALS,
    *damage_records.ORIGINALS,
    *damage_agents.ORIGINALS,
)

SHORT = {"undetectable": "undet.", "other exception": "other"}
"""Headings of a table that is to fit 80 columns."""

MOOV_SHARE = 8
"""One in so many files is an mp4 with one byte of its ``moov`` inverted; every byte of it where they are enough."""

console = Console()


@dataclass(frozen=True)
class DamageConfig:
    """Settings of the check.

    Attributes:
        files: Files in all.
        kinds: Names of kinds, as the table shows them; empty for all.
        seed: Seed of every damage.
        workers: Processes that read.
        out: JSON file of the counts; None for none.
        keep: Folder that files are kept in that were not taken well, each with its message in ``kept.csv``.
    """

    files: int = 10_000
    kinds: tuple[str, ...] = ()
    seed: int = 0
    workers: int = 2
    out: Path | None = Path("experiments/results/damage_check.json")
    keep: Path | None = None

    def __post_init__(self) -> None:
        for kind in self.kinds:
            check_choice("kind of file", kind, [original.name for original in ORIGINALS])
        if min(self.files, self.workers) < 1 or self.seed < 0:
            raise ValueError(
                f"files is {self.files}, workers {self.workers} and seed {self.seed}; there must be at least one file "
                "and one process, and the seed must not be negative."
            )

    @property
    def originals(self) -> tuple[Original, ...]:
        """The kinds of files that are damaged."""
        return tuple(original for original in ORIGINALS if not self.kinds or original.name in self.kinds)


@dataclass(frozen=True)
class Damaged:
    """A damaged file and how it was taken.

    Attributes:
        kind: Of the file.
        task: Which file and damage.
        verdict: How it was taken.
    """

    kind: str
    task: Task
    verdict: Verdict


def make_originals(originals: tuple[Original, ...], folder: Path) -> list[list[str]]:
    """Makes the undamaged files of every original, each in a folder named by its number.

    Returns:
        The files of every original that are damaged, relative to its folder.

    Raises:
        ValueError: If one has no file to damage.
    """
    found = []
    for number, original in enumerate(originals):
        mine = folder / str(number)
        mine.mkdir(parents=True)
        quietly(partial(original.make, mine))
        files = [path for pattern in original.files for path in sorted(mine.glob(pattern)) if path.is_file()]
        if not files:
            raise ValueError(f"{original.name} has no file to damage; mend what makes it.")
        found.append([str(path.relative_to(mine)) for path in files if path.stat().st_size > 1])
    return found


def plan(originals: tuple[Original, ...], files: list[list[str]], folder: Path, count: int) -> list[Task]:
    """The files to damage: bytes of ``moov`` first, then every kind of file with every kind of damage in turn."""
    numbers = itertools.count()
    tasks: list[Task] = []
    for original, (kind, names) in enumerate(zip(originals, files, strict=True)):
        if kind.name == "mp4":
            places = moov((folder / str(original) / names[0]).read_bytes())
            chosen = np.linspace(0, len(places) - 1, min(len(places), count // MOOV_SHARE)).round().astype(int)
            tasks += [
                Task(next(numbers), original, names[0], INVERTED_MOOV, places[int(place)])
                for place in dict.fromkeys(chosen)
            ]
    slots = [
        (original, name)
        for original, kind in enumerate(originals)
        for name in files[original]
        for _ in range(kind.weight)
    ]
    kinds = list(DAMAGES)
    for turn in range(count - len(tasks)):
        rounds, slot = divmod(turn, len(slots))
        # In every round each file is damaged in another way than in the one before.
        tasks.append(Task(next(numbers), *slots[slot], kinds[(rounds + slot) % len(kinds)]))
    return tasks


def check_damage(config: DamageConfig, originals: tuple[Original, ...] | None = None) -> list[Damaged]:
    """Damages files, reads them, and writes what came of them.

    Args:
        config: How many, and where the counts go.
        originals: Kinds of files; those of the configuration by default.

    Raises:
        ValueError: If a folder cannot be made.
    """
    chosen = config.originals if originals is None else originals
    if config.keep is not None:
        make_folder(config.keep, "--keep")
    started = time.perf_counter()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="damage-"))) / "originals"
        files = make_originals(chosen, folder)
        tasks = plan(chosen, files, folder, config.files)
        results = read_all(chosen, tasks, folder, config.seed, config.workers)
        found = []
        for task, verdict in track(results, "Reading", total=len(tasks), transient=True, console=console):
            found.append(Damaged(chosen[task.original].name, task, verdict))
            if config.keep is not None and verdict.outcome in BAD:
                _keep(config, folder, task, verdict)
    if config.keep is not None:
        rows = [_row(damaged) for damaged in found if damaged.verdict.outcome not in ("right", "refused")]
        write_csv(config.keep / "kept.csv", rows, ("number", "kind", "file", "damage", "outcome", "reason"))
    if config.out is not None:
        write_json(config.out, {**counts(found), "seconds": round(time.perf_counter() - started), **_origin(config)})
    console.print(table(found))
    return found


def _origin(config: DamageConfig) -> dict[str, Any]:
    return {"seed": config.seed, "provenance": provenance()}


def _keep(config: DamageConfig, folder: Path, task: Task, verdict: Verdict) -> None:
    """Keeps a damaged file among its undamaged neighbours."""
    assert config.keep is not None
    kept = config.keep / f"{task.number}-{verdict.outcome.replace(' ', '_')}"
    shutil.rmtree(kept, ignore_errors=True)
    shutil.copytree(folder / str(task.original), kept)
    (kept / task.file).write_bytes(task.content((kept / task.file).read_bytes(), config.seed))


def _row(damaged: Damaged) -> dict[str, Any]:
    task, verdict = damaged.task, damaged.verdict
    return {
        "number": task.number,
        "kind": damaged.kind,
        "file": task.file,
        "damage": task.damage,
        "outcome": verdict.outcome,
        "reason": verdict.reason,
    }


def counts(found: list[Damaged]) -> dict[str, Any]:
    """Outcomes in all, and by kind of file, file and kind of damage."""
    by_kind: dict[str, dict[str, Counter[str]]] = {}
    for damaged in found:
        name = f"{damaged.kind}: {Path(damaged.task.file).name}"
        by_damage = by_kind.setdefault(name, {})
        by_damage.setdefault(damaged.task.damage, Counter())[damaged.verdict.outcome] += 1
    return {
        "files": len(found),
        "outcomes": _outcomes(found),
        "most_megabytes": round(max((damaged.verdict.megabytes for damaged in found), default=0.0), 1),
        "by_kind": {
            name: {damage: dict(sorted(tally.items())) for damage, tally in sorted(by_damage.items())}
            for name, by_damage in sorted(by_kind.items())
        },
    }


def _outcomes(found: list[Damaged]) -> dict[str, int]:
    tally = Counter(damaged.verdict.outcome for damaged in found)
    return {outcome: tally[outcome] for outcome in OUTCOMES}


def table(found: list[Damaged]) -> Table:
    """A row a kind of file, a column an outcome."""
    shown = Table(title=f"{len(found)} damaged files", box=None, padding=(0, 1, 0, 0))
    shown.add_column("kind", no_wrap=True)
    for outcome in OUTCOMES:
        shown.add_column(SHORT.get(outcome, outcome), justify="right", no_wrap=True)
    for name, members in _grouped(found):
        shown.add_row(name, *(str(tally or "") for tally in _outcomes(members).values()))
    return shown


def _grouped(found: list[Damaged]) -> Iterator[tuple[str, list[Damaged]]]:
    for kind in dict.fromkeys(damaged.kind for damaged in sorted(found, key=lambda damaged: damaged.task.original)):
        yield kind, [damaged for damaged in found if damaged.kind == kind]
    yield "all", found


def main() -> int:
    """Checks; 0 if every file was taken well, 1 if one was not, 2 if the user has something to mend."""
    bad = 0

    def work(config: DamageConfig) -> None:
        nonlocal bad
        bad = sum(damaged.verdict.outcome in BAD for damaged in check_damage(config))

    return command_line.run(DamageConfig, work, __doc__) or (1 if bad else 0)


if __name__ == "__main__":
    sys.exit(main())
