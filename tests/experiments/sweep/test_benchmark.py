"""The benchmark: a grid is trained once each, survives being killed, and ends in tables, curves and a page."""

from __future__ import annotations

import contextlib
import csv
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from filelock import FileLock
from small_benchmark import ONE_SEED, STEPS, TINY_SUITE, tiny_benchmark
from small_recordings import recorded_out

from experiments.sweep.benchmark import benchmark
from experiments.sweep.config import BenchmarkConfig
from experiments.sweep.grid import Cell
from experiments.sweep.scores import read_rows

TIMES = {"train_seconds", "seconds"}


def fresh(base: Path, out: Path) -> Path:
    """A folder of runs in which everything is recorded already."""
    shutil.copytree(recorded_out(base) / "recordings", out / "recordings")
    return out


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = fresh(tmp_path_factory.getbasetemp(), tmp_path_factory.mktemp("benchmark") / "out")
    assert benchmark(tiny_benchmark(out)) == 0
    return out


def timeless(path: Path) -> list[dict[str, str]]:
    return [{key: value for key, value in row.items() if key not in TIMES} for row in read_rows(path)]


def states(out: Path) -> dict[str, int]:
    return {str(path): path.stat().st_mtime_ns for path in out.rglob("*/seed_*/*") if path.is_file()}


def test_every_cell_of_the_grid_is_a_row(finished: Path) -> None:
    rows = read_rows(finished / "grid" / "scores.csv")
    assert [(row["method"], row["reward"], row["seed"]) for row in rows] == [
        (method, reward, seed)
        for seed in "01"
        for method, reward in (("tcn", "tcn_huber"), ("oracle", "oracle"), ("none", "pixels"))
    ]
    assert {row["status"] for row in rows} == {"completed"}
    assert all(float(row["score"]) < 0 and float(row["random_score"]) < 0 for row in rows)
    curves = read_rows(finished / "grid" / "curves.csv")
    assert len(curves) == len(rows) * STEPS / 30
    assert "| tcn | ppo | 1 x 2 | 0 |" in (finished / "grid" / "table.md").read_text()
    assert (finished / "grid" / "curves.png").stat().st_size > 1000
    page = (finished / "grid" / "report.html").read_text()
    assert "<video" in page
    assert "Probability of improvement" in page


def test_what_is_complete_is_not_run_again(finished: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before, rows = states(finished), read_rows(finished / "grid" / "scores.csv")
    assert benchmark(tiny_benchmark(finished)) == 0
    assert states(finished) == before
    assert read_rows(finished / "grid" / "scores.csv") == rows
    assert "6 runs, 0 left" in " ".join(capsys.readouterr().out.split())


def test_a_dry_run_tells_the_cells_and_the_time_and_writes_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = tiny_benchmark(tmp_path / "out", dry_run=True, core_hour_price=2.0)
    assert benchmark(config) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "6 runs, 6 left: about" in said
    assert "at 2 a core-hour" in said
    assert not (tmp_path / "out").exists()


def test_scores_and_curves_are_published_under_the_name_of_the_results(finished: Path, tmp_path: Path) -> None:
    benchmark(tiny_benchmark(finished, publish=tmp_path / "published"))
    for name, file in (("grid.csv", "scores.csv"), ("grid_curves.csv", "curves.csv")):
        assert (tmp_path / "published" / name).read_bytes() == (finished / "grid" / file).read_bytes()


def assert_same_as_one_seed_of(finished: Path, out: Path) -> None:
    for name in ("scores.csv", "curves.csv"):
        expected = [
            row
            for row in timeless(finished / "grid" / name)
            if row["seed"] == "0" and row["method"] in ("tcn", "oracle")
        ]
        assert timeless(out / "grid" / name) == expected


def wait_for(found: object, seconds: float = 240) -> None:
    deadline = time.time() + seconds
    while not found():  # type: ignore[operator]
        assert time.time() < deadline
        time.sleep(0.02)


def start(out: Path, launcher: str) -> subprocess.Popen[str]:
    """A benchmark of its own, up to somewhere in its first trainings: a checkpoint is there and no result."""
    command = [sys.executable, str(Path(__file__).parents[2] / "support/small_benchmark.py"), str(out), launcher]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True)
    wait_for(lambda: list(out.rglob("checkpoint/state.json")))
    return process


def working(names: tuple[str, ...]) -> list[psutil.Process]:
    """Processes that call themselves by one of these names."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.NoSuchProcess, psutil.ZombieProcess):
            if any(name in " ".join(process.cmdline()) for name in names):
                found.append(process)
    return found


@pytest.mark.parametrize("victim", ["launcher", "worker", "ray worker"])
def test_a_benchmark_that_was_killed_ends_as_if_it_had_not_been(
    finished: Path, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, victim: str
) -> None:
    if victim == "ray worker":
        pytest.importorskip("ray", reason="Ray is an extra")
    out = fresh(tmp_path_factory.getbasetemp(), tmp_path / "out")
    process = start(out, "ray" if victim == "ray worker" else "local")
    if victim == "launcher":
        process.kill()
    elif victim == "worker":
        # The launcher's own children are the server that jobs are forked from, and the keeper of its resources.
        family = psutil.Process(process.pid).children(recursive=True)
        os.kill(next(child.pid for child in family if child.ppid() != process.pid), signal.SIGKILL)
    else:
        os.kill(working(("ray::tcn-ppo-task0", "ray::oracle-ppo-task0"))[0].pid, signal.SIGKILL)
    said, _ = process.communicate(timeout=200)
    if victim == "launcher":
        time.sleep(1)
        assert not (out / "grid" / "scores.csv").exists()
    elif victim == "worker":
        assert (process.returncode, "killed by signal 9" in said) == (1, True)
        (row,) = [row for row in read_rows(out / "grid" / "scores.csv") if row["status"] == "missing"]
        assert "killed by signal 9" in row["reason"]
    else:
        # Ray itself starts the task again.
        assert process.returncode == 0
    assert benchmark(tiny_benchmark(out, **ONE_SEED)) == 0
    assert_same_as_one_seed_of(finished, out)


def test_ray_gives_the_same_result(finished: Path, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    pytest.importorskip("ray", reason="Ray is an extra")
    out = fresh(tmp_path_factory.getbasetemp(), tmp_path / "out")
    assert benchmark(tiny_benchmark(out, launcher="ray", **ONE_SEED)) == 0
    assert_same_as_one_seed_of(finished, out)


def test_a_failed_cell_is_listed_with_its_reason_and_stops_no_other(
    finished: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    shutil.copytree(finished, out)
    cells = [cell for cell in tiny_cells(out) if cell.method.label == "tcn"]
    for cell in cells:
        (TINY_SUITE.folder(cell, out) / "result.json").unlink()
    broken = TINY_SUITE.folder(cells[0], out)
    # The weights of its encoder are damaged while nobody looked.
    weights = TINY_SUITE.config(cells[0], out).shared_encoder(0) / "weights.safetensors"
    weights.write_bytes(b"damaged")
    assert benchmark(tiny_benchmark(out)) == 1
    said = " ".join(capsys.readouterr().out.split())
    assert "failed tcn-ppo-task0-seed0" in said
    assert "is damaged" in said
    rows = read_rows(out / "grid" / "scores.csv")
    (failed,) = [row for row in rows if row["status"] != "completed"]
    assert (failed["method"], failed["seed"], failed["status"]) == ("tcn", "0", "failed")
    assert "damaged" in failed["reason"]
    assert json.loads((broken / "result.json").read_text())["status"] == "failed"
    assert "| tcn | ppo | 1 x 2 | 1 |" in (out / "grid" / "table.md").read_text()
    assert "damaged" in (out / "grid" / "report.html").read_text()


@pytest.fixture
def small_disk(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A disk with the recordings and hardly anything free."""
    recordings = recorded_out(tmp_path_factory.getbasetemp()) / "recordings"
    size = sum(2**12 * (path.stat().st_size // 2**12 + 2) for path in recordings.rglob("*"))
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={size + 2**19}", "tmpfs", str(disk)]
    if shutil.which("mount") is None or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("a disk of one's own takes the right to mount")
    shutil.copytree(recordings, disk / "out" / "recordings")
    yield disk
    subprocess.run(["umount", "--lazy", str(disk)], check=True)


def test_a_full_disk_is_reported_and_what_was_cut_goes_on_when_it_is_freed(
    finished: Path, small_disk: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = small_disk / "out"
    settings = {"encoders": ("none",), "rewards": ("oracle",), "seeds": (0,)}
    filler = small_disk / "filler"
    free = shutil.disk_usage(small_disk).free
    filler.write_bytes(bytes(free - 2**16))
    with contextlib.suppress(ValueError):
        assert benchmark(tiny_benchmark(out, **settings)) == 1
    assert "No space left on device" in capsys.readouterr().out + "".join(
        path.read_text() for path in out.rglob("*log*") if path.is_file()
    )
    filler.unlink()
    subprocess.run(["mount", "-o", "remount,size=100m", str(small_disk)], check=True)
    assert benchmark(tiny_benchmark(out, **settings)) == 0
    expected = [r for r in timeless(finished / "grid" / "scores.csv") if (r["method"], r["seed"]) == ("oracle", "0")]
    assert timeless(out / "grid" / "scores.csv") == expected


def test_a_preparation_that_failed_is_reported_with_its_log(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    out = fresh(tmp_path_factory.getbasetemp(), tmp_path / "out")
    (out / "random_policy").write_text("no folder")
    with pytest.raises(
        ValueError, match=r"random_policy/demo0\.json is missing, so its preparation failed; .*logs says why"
    ):
        benchmark(tiny_benchmark(out, encoders=("none",), rewards=("oracle",), seeds=(0,)))
    assert "random_policy" in (out / "logs" / "record.log").read_text()


def test_the_random_policy_is_measured_where_its_figures_are_missing(finished: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    shutil.copytree(finished, out)
    (out / "random_policy" / "demo0.json").unlink()
    before = states(out)
    assert benchmark(tiny_benchmark(out)) == 0
    assert states(out) == before
    assert timeless(out / "grid" / "scores.csv") == timeless(finished / "grid" / "scores.csv")


def test_where_results_go_is_tried_before_anything_runs(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ValueError, match=r"file cannot be made: .*choose another --publish"):
        benchmark(tiny_benchmark(tmp_path / "out", publish=tmp_path / "file"))
    assert not (tmp_path / "out").exists()


def tiny_cells(out: Path) -> list[Cell]:
    grid = tiny_benchmark(out).grid
    return grid.cells(grid.methods(TINY_SUITE.method), STEPS)


def test_a_cell_whose_configuration_changed_is_refused_with_what_changed(finished: Path) -> None:
    before = states(finished)
    with pytest.raises(ValueError, match="holds another run: steps differ"):
        benchmark(tiny_benchmark(finished, steps=STEPS + 30))
    assert states(finished) == before


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('{"format": 0}', "holds runs of format 0, and this version"),
        ("{", "is damaged"),
        ("[" * 100_000, r"benchmark\.json is damaged .*; delete it if this version wrote the runs"),
        ("{}", r"benchmark\.json lacks format; delete it if"),
    ],
)
def test_a_folder_of_another_version_is_refused(tmp_path: Path, content: str, message: str) -> None:
    (tmp_path / "benchmark.json").write_text(content)
    with pytest.raises(ValueError, match=message):
        benchmark(tiny_benchmark(tmp_path))


def test_two_benchmarks_do_not_share_a_folder_at_a_time(finished: Path) -> None:
    with FileLock(finished / ".lock"), pytest.raises(ValueError, match="A benchmark is running in"):
        benchmark(tiny_benchmark(finished))


def test_a_folder_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ValueError, match=r"cannot be written: .*choose another --out"):
        benchmark(tiny_benchmark(tmp_path / "file" / "out"))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"launcher": "slurm"}, "Unknown launcher 'slurm'"),
        ({"name": "../../x"}, r"name is '\.\./\.\./x'; it names a folder, so it must not be a path"),
        ({"name": "/x"}, "name is '/x'"),
        ({"name": ".."}, r"name is '\.\.'"),
        ({"preset": "folder/...toml"}, r"name is '\.\.'"),
        ({"workers": -1}, "workers -1"),
        ({"core_hour_price": float("nan")}, "must be finite"),
        ({"ray_address": "head:6379"}, "is for --launcher ray"),
        ({"preset": "kuka_encoders", "seeds": (7,)}, "names the whole grid; leave --seeds out"),
        ({"preset": "kuka_encoders", "seeds": (0, 1, 2), "env": "kuka_reach"}, "leave --env, --seeds out"),
    ],
)
def test_settings_that_make_no_sense_are_refused(settings: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        BenchmarkConfig(**settings)  # type: ignore[arg-type]


def test_the_command_line_refuses_a_wrong_name_in_one_line() -> None:
    program = Path(__file__).parents[3] / "experiments" / "benchmark.py"
    command = [sys.executable, str(program), "--encoders", "tcm", "--dry-run"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    line = done.stderr.strip().splitlines()[-1]
    assert "Traceback" not in done.stderr
    assert "Unknown encoder 'tcm'. Did you mean 'tcn'?" in line


def test_the_csv_has_one_heading(finished: Path) -> None:
    with (finished / "grid" / "scores.csv").open() as file:
        assert next(csv.reader(file))[:3] == ["env", "method", "settings"]


def test_a_method_says_by_name_whether_its_encoder_is_trained_along(tmp_path: Path) -> None:
    suite = TINY_SUITE
    settings = ("encoder.embedding_dim=16",)
    cells = [
        Cell("kuka_reach", suite.method(label, "ppo", "tcn_huber", (*settings, *mode)), 0, 0, STEPS)
        for label, mode in (("tcn", ()), ("tcn@joint", ("encoder_mode=joint",)))
    ]
    frozen, joint = (suite.config(cell, tmp_path) for cell in cells)

    assert (frozen.encoder_mode, joint.encoder_mode) == ("frozen", "joint")
    assert frozen.encoder_settings == joint.encoder_settings == ("embedding_dim=16",)
    assert frozen.shared_encoder(0) == joint.shared_encoder(0)
    assert frozen.run_folder(0) != joint.run_folder(0)
    # One encoder is fitted for both.
    assert suite.preparation_seconds(cells) == suite.preparation_seconds(cells[:1])
    assert suite.seconds(cells[1]) > suite.seconds(cells[0])


@pytest.mark.parametrize(
    ("content", "wrong"),
    [("", "is damaged"), ("{}", "lacks score, true_return"), ('{"score": "1", "true_return": 2}', "'1' for score")],
)
def test_damaged_figures_of_the_random_policy_are_named(tmp_path: Path, content: str, wrong: str) -> None:
    path = TINY_SUITE.random_figures_file(0, tmp_path)
    path.parent.mkdir()
    path.write_text(content)
    with pytest.raises(ValueError, match=rf"demo0\.json .*{wrong}.*; delete it, and the policy is measured again"):
        TINY_SUITE.random_figures(0, tmp_path)


@pytest.mark.parametrize(
    "content", ["", "{", '{"status": "completed"}', '{"status": "completed", "link_error_m": "x"}']
)
def test_a_damaged_result_of_a_cell_is_named(finished: Path, tmp_path: Path, content: str) -> None:
    out = tmp_path / "out"
    shutil.copytree(finished, out)
    path = TINY_SUITE.folder(tiny_cells(out)[0], out) / "result.json"
    path.write_text(content)
    with pytest.raises(
        ValueError, match=r"result\.json is damaged .*; delete it, |result\.json is damaged .*; delete it "
    ):
        benchmark(tiny_benchmark(out))
