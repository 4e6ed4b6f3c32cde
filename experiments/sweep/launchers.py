"""Launchers of jobs in processes of their own, on this machine or on a cluster."""

from __future__ import annotations

import contextlib
import multiprocessing as mp
import multiprocessing.connection
import os
import signal
import socket
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, ThreadPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Protocol, TypeVar

from encoders import plugins
from encoders.device import plain_memory_errors
from envs.workers import GUARD, deaf_to_interrupts
from experiments.runs.allocator import keep_freed_memory

Item = TypeVar("Item")
Result = TypeVar("Result")

RETRIES = 3
"""Retries of a Ray job whose worker has died."""

_PROCESSES = threading.Lock()
"""Held while a process is started or joined: starting one also collects the exit codes of the others, each of which can
be read once, and a thread that comes second reads 255 for a job that went well."""


@dataclass(frozen=True)
class Job:
    """A piece of work.

    Attributes:
        name: Unique among the jobs.
        call: What to do; picklable. It leaves its result on disk, and goes on where it was cut.
        log: File that its output is added to.
        cpus: Cores that it keeps busy.
    """

    name: str
    call: Callable[[], object]
    log: Path
    cpus: int = 1


class JobError(Exception):
    """A job that did not end well; the message is the reason."""


class Launcher(Protocol):
    """Runs jobs side by side."""

    def submit(self, job: Job) -> Future[Any]:
        """Queues a job; the future fails with the reason if the job does."""


@contextmanager
def spread(
    work: Callable[[Item], Result],
    items: Sequence[Item],
    workers: int,
    start: Callable[[], object] | None = None,
    each: int | None = None,
) -> Iterator[Iterator[Result]]:
    """Maps work over items in worker processes, which end with the block.

    Args:
        work: What to do with one; picklable, like the items and the results.
        items: What there is to do.
        workers: Processes at a time.
        start: Called once in every process, before it works.
        each: Items after which a process is replaced by another; None for never.

    Yields:
        The results, in the order in which they are done.

    Raises:
        ChildProcessError: If a process dies; and as ``work``.
    """
    others = set(mp.active_children())
    pool = ProcessPoolExecutor(workers, mp.get_context("spawn"), _begin, (start,), max_tasks_per_child=each)
    try:
        with deaf_to_interrupts():
            futures = [pool.submit(work, item) for item in items]
        yield (future.result() for future in as_completed(futures))
    except BaseException as error:
        for process in set(mp.active_children()) - others:
            process.kill()
        if isinstance(error, BrokenProcessPool):
            raise ChildProcessError(f"A worker process died; if it did so as it began, {GUARD}.") from error
        raise
    finally:
        pool.shutdown(cancel_futures=True)


def _begin(start: Callable[[], object] | None) -> None:
    """In a process of ``spread``, before it works."""
    threading.Thread(target=_end_with_parent, daemon=True).start()
    if start is not None:
        start()


@contextmanager
def local(workers: int) -> Iterator[Launcher]:
    """Jobs in processes of this machine, a number of them at a time.

    Args:
        workers: How many.

    Yields:
        The launcher.
    """
    with ThreadPoolExecutor(workers) as pool:
        launcher = _Local(pool)
        try:
            yield launcher
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            launcher.stop()
            raise


class _Local:
    def __init__(self, pool: ThreadPoolExecutor) -> None:
        self._pool = pool
        self._stopped = False
        self._running: set[mp.process.BaseProcess] = set()

    def submit(self, job: Job) -> Future[Any]:
        return self._pool.submit(self._run, job)

    def stop(self) -> None:
        """Ends all jobs; they go on another time where they were cut."""
        with _PROCESSES:
            self._stopped = True
            for process in self._running:
                process.kill()

    def _run(self, job: Job) -> None:
        """Runs one job in a process of its own: whatever kills it kills nothing else.

        It is forked from one that has done nothing but import the libraries, which takes longer than many a
        preparation.
        """
        job.log.parent.mkdir(parents=True, exist_ok=True)
        said = job.log.stat().st_size if job.log.exists() else 0
        context = mp.get_context("forkserver")
        process = context.Process(target=_work, args=(job, plugins.named()), name=job.name)
        with _PROCESSES, deaf_to_interrupts():
            if self._stopped:
                raise JobError("stopped before it began")
            context.set_forkserver_preload(["experiments.suites"])
            process.start()
            self._running.add(process)
        multiprocessing.connection.wait([process.sentinel])
        with _PROCESSES:
            process.join()
            self._running.discard(process)
        code = process.exitcode
        if code is None or code < 0:
            raise JobError(f"killed by signal {-(code or 0)}; the same command goes on from its last checkpoint")
        if code > 0:
            raise JobError(_last_line(job.log, said))


def _last_line(log: Path, start: int) -> str:
    """The last line that was written into a log after so many bytes."""
    content = log.read_bytes()[start:].decode(errors="replace") if log.exists() else ""
    lines = [line for line in content.splitlines() if line.strip()]
    return lines[-1].strip() if lines else f"it ended without a word in {log}; if it did so as it began, {GUARD}"


def _work(job: Job, modules: Sequence[str]) -> None:
    """The job's process: logs its output, and ends with its parent."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    with job.log.open("a") as log:
        os.dup2(log.fileno(), 1)
        os.dup2(log.fileno(), 2)
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]
    keep_freed_memory()
    # The process that it is forked from may be older than the names.
    plugins.use(modules)
    with plain_memory_errors():
        job.call()


def _end_with_parent() -> None:
    """Ends this process with its parent: a killed launcher must leave nobody who still writes."""
    parent = mp.parent_process()
    assert parent is not None
    multiprocessing.connection.wait([parent.sentinel])
    os._exit(1)


@contextmanager
def on_ray(address: str | None, gpus: float, timeout: float = 10.0) -> Iterator[Launcher]:
    """Jobs as Ray tasks, on a local Ray or on a cluster; every machine must see the same folders.

    Args:
        address: ``HOST:PORT`` of the cluster's head, or None for a Ray of one's own on this machine.
        gpus: GPUs that a job needs.
        timeout: Seconds that the head may take to answer.

    Yields:
        The launcher.

    Raises:
        ValueError: If Ray is not installed, or the cluster does not answer.
    """
    check_ray(address, timeout)
    import ray

    # The workers of a Ray of one's own import what this process can; a cluster has an installation of its own.
    paths = {"env_vars": {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}} if address is None else None
    ray.init(address=address, runtime_env=paths, include_dashboard=False, log_to_driver=False, configure_logging=False)
    try:
        yield _OnRay(gpus)
    finally:
        ray.shutdown()


def check_ray(address: str | None, timeout: float = 10.0) -> None:
    """Refuses a Ray that cannot be used, in seconds.

    Raises:
        ValueError: If it is not installed, or the cluster does not answer.
    """
    if find_spec("ray") is None:
        raise ValueError("The launcher 'ray' needs Ray: pip install 'onlooker[ray]'.")
    if address is None:
        return
    host, found, port = address.removeprefix("ray://").rpartition(":")
    if not found or not port.isdigit():
        raise ValueError(f"The Ray address is {address!r}; it must be HOST:PORT of the cluster's head.")
    try:
        socket.create_connection((host, int(port)), timeout).close()
    except OSError as error:
        raise ValueError(
            f"The Ray cluster at {address} does not answer within {timeout:g} s ({error}); "
            "start it with `ray start --head`, or leave --ray-address out."
        ) from error


class _OnRay:
    def __init__(self, gpus: float) -> None:
        self._gpus = gpus

    def submit(self, job: Job) -> Future[Any]:
        import ray

        task = ray.remote(num_cpus=job.cpus, num_gpus=self._gpus, max_retries=RETRIES)(_task)
        future: Future[Any] = task.options(name=job.name).remote(job, plugins.named()).future()
        return future


def _task(job: Job, modules: Sequence[str]) -> None:
    """In a Ray worker."""
    job.log.parent.mkdir(parents=True, exist_ok=True)
    with (
        job.log.open("a") as log,
        contextlib.redirect_stdout(log),
        contextlib.redirect_stderr(log),
        plain_memory_errors(),
    ):
        plugins.use(modules)
        job.call()
