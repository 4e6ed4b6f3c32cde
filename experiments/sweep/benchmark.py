"""A benchmark: runs the missing cells of its grid, and writes tables, curves and a page."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, Future, wait
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path

from filelock import FileLock, Timeout
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from agents.training import CURVE_FILE, read_curve
from encoders.device import choose_device
from encoders.files import read_object, write_atomically, write_csv
from experiments.report import figures
from experiments.runs.folder import completed, make_folder
from experiments.runs.provenance import provenance
from experiments.runs.tables import Line, print_table
from experiments.suites import get
from experiments.sweep import launchers, page
from experiments.sweep.config import BenchmarkConfig
from experiments.sweep.grid import Cell
from experiments.sweep.launchers import Job, Launcher
from experiments.sweep.score_curves import charts
from experiments.sweep.score_tables import markdown, summary
from experiments.sweep.scores import CURVE_COLUMNS, collect, columns, failed_runs
from experiments.sweep.suite import Suite

FORMAT = 1
"""Version of the layout of a folder of runs."""

console = Console()


def benchmark(config: BenchmarkConfig) -> int:
    """Runs what is missing of a grid, and writes its tables, figures and page.

    Args:
        config: The benchmark.

    Returns:
        How many cells failed.

    Raises:
        ValueError: If a name, a folder or the cluster cannot be used; before any long work.
    """
    grid = config.grid
    if config.ray_address is None:
        choose_device(config.cell_device)
    suite = get(grid.env).on(config.cell_device)
    methods = grid.methods(suite.method)
    cells = grid.cells(methods, suite.steps)
    if config.launcher == "ray":
        # A cluster's workers have working folders of their own.
        config = replace(config, out=config.out.resolve())
    check_folder(config.out)
    for cell in cells:
        suite.check(cell, config.out)
    left = [cell for cell in cells if not completed(suite.folder(cell, config.out))]
    print_table(console, *estimate(config, suite, cells, left))
    if config.dry_run:
        return 0
    if config.launcher == "ray":
        launchers.check_ray(config.ray_address)
    if config.publish is not None:
        make_folder(config.publish, "--publish")
    with _alone(config.out):
        started = time.time()
        prepare_folder(config)
        failures = run(config, suite, cells, left)
        spent = time.time() - started
        rows, points = collect(cells, suite, config.out, failures)
        write_csv(config.results / "scores.csv", rows, columns(suite.scoring))
        write_csv(config.results / "curves.csv", points, CURVE_COLUMNS)
        write_atomically(config.results / "table.md", markdown(summary(rows)).encode())
        drawn = charts(rows, points)
        if drawn:
            figures.plot_charts(drawn, config.results / "curves.png")
        page.write(config.results, suite, cells, config.out, rows, points)
    if config.publish is not None:
        write_csv(config.publish / f"{config.results.name}.csv", rows, columns(suite.scoring))
        write_csv(config.publish / f"{config.results.name}_curves.csv", points, CURVE_COLUMNS)
    console.print(markdown(summary(rows)), soft_wrap=True, highlight=False, markup=False)
    for name, reason in failures.items():
        console.print(f"[red]failed[/] {name}: {reason}", highlight=False)
    console.print(
        f"{len(left)} runs in {_duration(spent)}, {spent * config.cores / 3600:.1f} core-hours at most; "
        f"{config.results / page.FILE}"
    )
    return failed_runs(rows)


def check_folder(out: Path) -> None:
    """Refuses a folder of runs that another version wrote.

    Raises:
        ValueError: If it cannot be read or has another format.
    """
    path = out / "benchmark.json"
    if not path.exists():
        return
    remedy = "delete it if this version wrote the runs in its folder, or choose another --out"
    found = read_object(path, "benchmark's mark", remedy, ("format",))["format"]
    if found != FORMAT:
        raise ValueError(f"{out} holds runs of format {found}, and this version writes {FORMAT}; choose another --out.")


def prepare_folder(config: BenchmarkConfig) -> None:
    """Marks the folder of runs, and notes how these results come about."""
    make_folder(config.results, "--out")
    write_atomically(config.out / "benchmark.json", json.dumps({"format": FORMAT}).encode())
    write_atomically(config.results / "provenance.json", json.dumps(provenance(), indent=2).encode())


def _alone(out: Path) -> AbstractContextManager[object]:
    """Keeps a second benchmark out of the folder while this one runs.

    Raises:
        ValueError: If one is running there.
    """
    try:
        out.mkdir(parents=True, exist_ok=True)
        # The lock itself would be acquired a second time by `with`, and outlive it.
        return FileLock(out / ".lock", timeout=0).acquire()
    except Timeout as error:
        raise ValueError(f"A benchmark is running in {out}; wait for it, or choose another --out.") from error
    except OSError as error:
        raise ValueError(f"{out} cannot be written: {error.strerror}; choose another --out.") from error


def estimate(config: BenchmarkConfig, suite: Suite, cells: list[Cell], left: list[Cell]) -> tuple[str, list[Line]]:
    """The estimated time, and the methods with their remaining runs."""
    seconds = sum(suite.seconds(cell) for cell in left) + suite.preparation_seconds(left)
    hours = seconds / 3600
    price = f", {hours * config.core_hour_price:.2f} at {config.core_hour_price:g} a core-hour"
    title = (
        f"{len(cells)} runs, {len(left)} left: about {_duration(seconds / config.cores)} on {config.cores} cores"
        f", {hours:.1f} core-hours{price if config.core_hour_price else ''}"
    )
    lines: list[Line] = []
    for method in dict.fromkeys(cell.method for cell in cells):
        mine, open_ones = ([c for c in group if c.method == method] for group in (cells, left))
        minutes = (sum(suite.seconds(c) for c in open_ones) + suite.preparation_seconds(open_ones)) / 60
        lines.append(
            {
                "method": method.label,
                "encoder": method.encoder,
                "settings": " ".join(method.settings),
                "agent": method.algo,
                "reward": method.reward,
                "runs": str(len(mine)),
                "left": str(len(open_ones)),
                "core-minutes left": f"{minutes:.0f}",
            }
        )
    return title, lines


def run(config: BenchmarkConfig, suite: Suite, cells: list[Cell], left: list[Cell]) -> dict[str, str]:
    """Prepares what the remaining cells share and trains them; a failure stops no other cell.

    Returns:
        The reason of every failure by the job's name.

    Raises:
        ValueError: If the random policy could not be measured, without which there is no table.
    """
    lacking = {cell.task: cell for cell in cells if not suite.random_figures_file(cell.task, config.out).exists()}
    prepared = list(dict.fromkeys([*left, *lacking.values()]))
    if not prepared:
        return {}
    with _launcher(config) as launcher, _progress() as progress:
        failures: dict[str, str] = {}
        for number, phase in enumerate(suite.preparations(prepared, config.out), start=1):
            failures |= _finish(launcher, phase, progress, f"preparation {number}", lambda: None)
        for task in lacking:
            suite.random_figures(task, config.out)
        watched = {cell: suite.folder(cell, config.out) for cell in left}
        bars: dict[Cell, TaskID] = {}

        def show() -> None:
            for cell, folder in list(watched.items()):
                if cell not in bars and (folder / "config.json").exists():
                    bars[cell] = progress.add_task(f"  {cell.name}", total=cell.steps)
                if cell in bars:
                    curve = read_curve(folder / CURVE_FILE)
                    over = completed(folder)
                    done = int(curve[-1]["env_steps"]) if curve else 0
                    progress.update(bars[cell], completed=done, visible=not over)
                    if over:
                        del watched[cell]

        training = [suite.job(cell, config.out) for cell in left]
        return failures | _finish(launcher, training, progress, "runs", show)


def _launcher(config: BenchmarkConfig) -> AbstractContextManager[Launcher]:
    if config.launcher == "ray":
        return launchers.on_ray(config.ray_address, config.gpus)
    return launchers.local(config.cores)


def _progress() -> Progress:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    return Progress(*columns, console=console, refresh_per_second=2)


def _finish(
    launcher: Launcher, work: list[Job], progress: Progress, title: str, show: Callable[[], None]
) -> dict[str, str]:
    """Waits for all jobs; the reasons of those that failed."""
    bar = progress.add_task(title, total=len(work))
    waiting: dict[Future[object], Job] = {launcher.submit(job): job for job in work}
    failures: dict[str, str] = {}
    while waiting:
        done, _ = wait(waiting, timeout=1.0, return_when=FIRST_COMPLETED)
        for future in done:
            job = waiting.pop(future)
            error = future.exception()
            if error is not None:
                failures[job.name] = str(error).strip().splitlines()[-1]
            progress.advance(bar)
        show()
    return failures


def _duration(seconds: float) -> str:
    minutes = round(seconds / 60)
    return f"{minutes // 60} h {minutes % 60:02d} min" if minutes >= 60 else f"{minutes} min"
