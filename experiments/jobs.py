"""Jobs: pieces of work that run in a process of their own, here or on a cluster."""

from __future__ import annotations

import contextlib
import multiprocessing as mp
import multiprocessing.connection
import os
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Protocol

from experiments.allocator import keep_freed_memory

LAUNCHERS = ("local", "ray")

RETRIES = 3
"""How often Ray starts a job again whose worker has died."""

_PROCESSES = threading.Lock()
"""Held while a process is started or joined: starting one also collects the exit codes of the others, each of which can
be read once, and a thread that comes second is told 255 of a job that went well."""


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
def local(workers: int) -> Iterator[Launcher]:
    """Jobs in processes of this machine, a number of them at a time.

    Args:
        workers: How many.

    Yields:
        The launcher.
    """
    with ThreadPoolExecutor(workers) as pool:
        try:
            yield _Local(pool)
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


class _Local:
    def __init__(self, pool: ThreadPoolExecutor) -> None:
        self._pool = pool

    def submit(self, job: Job) -> Future[Any]:
        return self._pool.submit(_run_process, job)


def _run_process(job: Job) -> None:
    """A process of its own for one job: whatever kills it kills nothing else.

    It is forked from one that has done nothing but import the libraries, which takes longer than many a preparation.
    """
    job.log.parent.mkdir(parents=True, exist_ok=True)
    context = mp.get_context("forkserver")
    process = context.Process(target=_work, args=(job,), name=job.name)
    with _PROCESSES:
        context.set_forkserver_preload(["experiments.worlds"])
        process.start()
    multiprocessing.connection.wait([process.sentinel])
    with _PROCESSES:
        process.join()
    code = process.exitcode
    if code is None or code < 0:
        raise JobError(f"killed by signal {-(code or 0)}; the same command goes on from its last checkpoint")
    if code > 0:
        raise JobError(_last_line(job.log))


def _last_line(log: Path) -> str:
    lines = [line for line in log.read_text(errors="replace").splitlines() if line.strip()]
    return lines[-1].strip() if lines else "no message"


def _work(job: Job) -> None:
    """In the process: its output goes to the log, and it ends when its parent does."""
    threading.Thread(target=_end_with_parent, daemon=True).start()
    with job.log.open("a") as log:
        os.dup2(log.fileno(), 1)
        os.dup2(log.fileno(), 2)
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]
    keep_freed_memory()
    job.call()


def _end_with_parent() -> None:
    """A launcher that was killed must leave nobody who writes where the next one will."""
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
        future: Future[Any] = task.options(name=job.name).remote(job).future()
        return future


def _task(job: Job) -> None:
    """In a Ray worker."""
    job.log.parent.mkdir(parents=True, exist_ok=True)
    with job.log.open("a") as log, contextlib.redirect_stdout(log), contextlib.redirect_stderr(log):
        job.call()
