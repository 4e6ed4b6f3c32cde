"""Batches drawn ahead, in another thread."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Generic, Self, TypeVar

Batch = TypeVar("Batch")


class Prefetcher(Generic[Batch]):
    """Draws batches in a thread while training uses earlier ones; their order stays that of drawing.

    Args:
        draw: Gives the next batch.
        ahead: Batches that wait at most.

    Attributes:
        waiting_seconds: Time that ``next`` has waited for a batch.
    """

    def __init__(self, draw: Callable[[], Batch], ahead: int = 4) -> None:
        self._draw = draw
        self._batches: queue.Queue[Batch | Exception] = queue.Queue(ahead)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._work, daemon=True)
        self._started = time.perf_counter()
        self.waiting_seconds = 0.0

    def _work(self) -> None:
        while not self._stop.is_set():
            item: Batch | Exception
            try:
                item = self._draw()
            except Exception as error:  # noqa: BLE001 - raised by whoever asks for the batch, who would wait for ever
                item = error
                self._stop.set()
            self._batches.put(item)

    def __enter__(self) -> Self:
        self._started = time.perf_counter()
        self._thread.start()
        return self

    def next(self) -> Batch:
        """The next batch.

        Raises:
            Exception: Whatever its drawing raised.
        """
        started = time.perf_counter()
        item = self._batches.get()
        self.waiting_seconds += time.perf_counter() - started
        if isinstance(item, Exception):
            raise item
        return item

    @property
    def waiting_share(self) -> float:
        """Share of the time since the start that was spent waiting for batches."""
        return self.waiting_seconds / max(time.perf_counter() - self._started, 1e-9)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        # A thread that waits for room to put its batch is let go.
        while self._thread.is_alive():
            try:
                self._batches.get(timeout=0.05)
            except queue.Empty:
                continue
        self._thread.join()
