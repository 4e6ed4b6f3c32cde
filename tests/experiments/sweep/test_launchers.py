"""Jobs: work in processes of its own, here and on Ray."""

from __future__ import annotations

import multiprocessing as mp
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import picklable_jobs
import pytest

from encoders import plugins
from experiments.robustness.process_tree import Tree
from experiments.sweep import launchers
from experiments.sweep.launchers import Job, JobError, Launcher


@pytest.fixture(scope="module")
def ray_launcher() -> Iterator[Launcher]:
    pytest.importorskip("ray", reason="Ray is an extra")
    with launchers.on_ray(None, 0.0) as launcher:
        yield launcher


@pytest.fixture(scope="module")
def local_launcher() -> Iterator[Launcher]:
    with launchers.local(2) as launcher:
        yield launcher


@pytest.fixture(params=["local", "ray"])
def launcher(request: pytest.FixtureRequest) -> Launcher:
    found: Launcher = request.getfixturevalue(f"{request.param}_launcher")
    return found


def test_a_job_leaves_its_result_on_disk_and_its_words_in_the_log(launcher: Launcher, tmp_path: Path) -> None:
    work = [Job(name, partial(picklable_jobs.note, tmp_path / name, name), tmp_path / f"{name}.log") for name in "abc"]
    for future in [launcher.submit(job) for job in work]:
        future.result(timeout=60)
    assert [(tmp_path / name).read_text() for name in "abc"] == ["a", "b", "c"]
    assert "working on b" in (tmp_path / "b.log").read_text()


def test_a_job_that_fails_gives_its_reason_and_stops_no_other(launcher: Launcher, tmp_path: Path) -> None:
    bad = launcher.submit(Job("bad", picklable_jobs.fail, tmp_path / "bad.log"))
    good = launcher.submit(Job("good", partial(picklable_jobs.note, tmp_path / "good", "yes"), tmp_path / "good.log"))
    error = bad.exception(timeout=60)
    assert error is not None
    assert "full" in str(error)
    good.result(timeout=60)
    assert (tmp_path / "good").read_text() == "yes"


def test_a_job_knows_the_plugins_of_the_process_that_submits_it(
    launcher: Launcher, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(plugins.VARIABLE, "registering_module")
    job = Job("a", partial(picklable_jobs.note_encoders, tmp_path / "a"), tmp_path / "a.log")
    launcher.submit(job).result(timeout=60)
    assert {"encoder_of_a_module", "tcn"} <= set((tmp_path / "a").read_text().split())


def test_a_job_that_is_killed_takes_nobody_along(tmp_path: Path) -> None:
    with launchers.local(2) as launcher:
        killed = launcher.submit(Job("killed", picklable_jobs.die, tmp_path / "killed.log"))
        good = launcher.submit(
            Job("good", partial(picklable_jobs.note, tmp_path / "good", "yes"), tmp_path / "good.log")
        )
        with pytest.raises(JobError, match="killed by signal 9; the same command goes on"):
            killed.result(timeout=60)
        good.result(timeout=60)


def test_jobs_that_end_while_others_start_end_well(tmp_path: Path) -> None:
    names = [str(number) for number in range(100)]
    with launchers.local(8) as launcher:
        work = [
            Job(name, partial(picklable_jobs.note, tmp_path / name, name), tmp_path / f"{name}.log") for name in names
        ]
        for future in [launcher.submit(job) for job in work]:
            future.result(timeout=60)


def test_ray_starts_a_job_again_whose_worker_has_died(ray_launcher: Launcher, tmp_path: Path) -> None:
    job = Job("again", partial(picklable_jobs.die_once, tmp_path / "x"), tmp_path / "x.log")
    ray_launcher.submit(job).result(timeout=120)
    assert (tmp_path / "x").read_text() == "survived"


def test_jobs_end_with_the_launcher_that_was_killed(tmp_path: Path) -> None:
    path = tmp_path / "beat"
    parent = mp.get_context("spawn").Process(target=picklable_jobs.submit_beat, args=(path,))
    parent.start()
    deadline = time.time() + 60
    while not path.exists() and time.time() < deadline:
        time.sleep(0.1)
    assert path.exists()
    parent.kill()
    parent.join()
    time.sleep(1.0)
    last = path.read_text()
    time.sleep(0.5)
    assert path.read_text() == last


def test_a_cluster_that_does_not_answer_is_refused_in_time() -> None:
    pytest.importorskip("ray", reason="Ray is an extra")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        started = time.perf_counter()
        with pytest.raises(ValueError, match=rf"cluster at 127.0.0.1:{port} does not answer within 2 s"):
            launchers.check_ray(f"127.0.0.1:{port}", timeout=2.0)
        assert time.perf_counter() - started < 5


@pytest.mark.parametrize("address", ["somewhere", "host:", "host:port"])
def test_an_address_without_a_port_is_refused(address: str) -> None:
    pytest.importorskip("ray", reason="Ray is an extra")
    with pytest.raises(ValueError, match="must be HOST:PORT"):
        launchers.check_ray(address)


def test_a_missing_ray_is_reported_with_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(launchers, "find_spec", lambda _: None)
    with pytest.raises(ValueError, match=r"pip install 'onlooker\[ray\]'"):
        launchers.check_ray(None)


def test_work_is_spread_over_processes_that_are_gone_afterwards() -> None:
    with launchers.spread(picklable_jobs.double, range(10), 2) as done:
        assert sorted(done) == list(range(0, 20, 2))
    assert not mp.active_children()


def test_an_error_in_spread_work_is_raised_here_and_ends_the_rest() -> None:
    with (
        pytest.raises(ValueError, match="the disk is"),
        launchers.spread(picklable_jobs.fail_at_0, range(10_000), 2) as done,
    ):
        list(done)
    assert not mp.active_children()


def test_a_worker_that_is_killed_is_an_error_and_not_waited_for() -> None:
    with (
        pytest.raises(ChildProcessError, match=r"A worker process died"),
        launchers.spread(picklable_jobs.die_at, [0], 1) as done,
    ):
        list(done)


SPREADING = """
import sys, time
sys.path[:0] = {paths}
from experiments.sweep.launchers import spread
if __name__ == "__main__":
    with spread(time.sleep, [0, 100, 100], 2) as done:
        next(done)
        print("working", flush=True)
        list(done)
"""


def test_processes_of_spread_work_end_when_who_started_them_is_killed(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(SPREADING.format(paths=[str(Path(__file__).parents[3])]))
    tree = Tree([sys.executable, str(script)], tmp_path / "log")
    try:
        while "working" not in tree.said:
            assert tree.seconds < 60
        assert len(tree.members()) >= 3
        tree.parent.kill()
        assert tree.left(20) == []
    finally:
        tree.end()


SCRIPT = """
from pathlib import Path
import sys
sys.path[:0] = {paths}
{body}
"""

UNGUARDED = {
    "recordings": """
from small_recordings import TINY
from experiments.kuka.recordings import record_all
record_all(TINY, Path("recordings"), workers=2)
""",
    "environments": """
from envs.kuka import KukaReach
from envs.workers import WorkerVecEnv
WorkerVecEnv([KukaReach, KukaReach], workers=2)
""",
    "jobs": """
import picklable_jobs
from experiments.sweep.launchers import Job, local
with local(1) as launcher:
    launcher.submit(Job("work", picklable_jobs.fail, Path("log.txt"))).result()
""",
}


@pytest.mark.parametrize("kind", UNGUARDED)
def test_a_script_without_a_guard_ends_with_a_word_on_it(tmp_path: Path, kind: str) -> None:
    tests = Path(__file__).parents[2]
    script = tmp_path / "script.py"
    script.write_text(SCRIPT.format(paths=[str(tests / "support"), str(tests.parent)], body=UNGUARDED[kind]))
    done = subprocess.run(
        [sys.executable, str(script)], cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 1
    assert "a script that starts workers needs `if __name__ == '__main__':`" in done.stderr.strip().splitlines()[-1]


def test_a_launcher_that_is_stopped_ends_its_jobs(tmp_path: Path) -> None:
    path = tmp_path / "beat"
    with pytest.raises(KeyboardInterrupt), launchers.local(1) as launcher:
        beating, waiting = (launcher.submit(Job("beat", picklable_jobs.Beat(path), tmp_path / "log")) for _ in range(2))
        deadline = time.time() + 60
        while not path.exists() and time.time() < deadline:
            time.sleep(0.05)
        stopped = time.monotonic()
        raise KeyboardInterrupt
    assert time.monotonic() - stopped < 10
    assert beating.exception() is not None
    assert waiting.cancelled()
    last = path.read_text()
    time.sleep(0.3)
    assert path.read_text() == last
