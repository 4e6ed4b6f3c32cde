"""Batches drawn ahead of their use."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable

import pytest

from encoders.clips.prefetch import Prefetcher

LONG = 5.0
"""Seconds that nothing here should take."""


def counting(fail_at: int = -1, error: Exception | None = None) -> Callable[[], int]:
    numbers = itertools.count()

    def draw() -> int:
        number = next(numbers)
        if number == fail_at:
            assert error is not None
            raise error
        return number

    return draw


def wait_until(condition: Callable[[], bool]) -> None:
    end = time.perf_counter() + LONG
    while not condition():
        assert time.perf_counter() < end
        time.sleep(0.002)


def test_batches_come_in_the_order_of_their_drawing_from_another_thread() -> None:
    numbers = itertools.count()
    with Prefetcher(lambda: (next(numbers), threading.get_ident())) as batches:
        drawn = [batches.next() for _ in range(200)]
    assert [number for number, _ in drawn] == list(range(200))
    assert {thread for _, thread in drawn}.isdisjoint({threading.get_ident()})
    assert len({thread for _, thread in drawn}) == 1


@pytest.mark.parametrize("ahead", [1, 3])
def test_only_so_many_batches_are_drawn_ahead(ahead: int) -> None:
    drawn: list[int] = []
    with Prefetcher(lambda: drawn.append(0), ahead) as batches:
        # Those that wait, and one that waits for room.
        wait_until(lambda: len(drawn) == ahead + 1)
        time.sleep(0.05)
        assert len(drawn) == ahead + 1
        batches.next()
        wait_until(lambda: len(drawn) == ahead + 2)


@pytest.mark.parametrize(
    "error", [ValueError("a frame is damaged"), OSError("the disk is gone"), RuntimeError("a shape is wrong")]
)
def test_an_error_is_raised_where_the_batch_is_asked_for(error: Exception) -> None:
    threads = threading.active_count()
    with pytest.raises(type(error), match=str(error)) as raised, Prefetcher(counting(2, error), ahead=1) as batches:
        # What was drawn before it still comes.
        assert [batches.next(), batches.next()] == [0, 1]
        batches.next()
    assert raised.value is error
    assert threading.active_count() == threads


@pytest.mark.parametrize("ahead", [1, 4])
def test_leaving_with_a_full_queue_does_not_hang(ahead: int) -> None:
    threads, drawn = threading.active_count(), [0]

    def draw() -> int:
        drawn[0] += 1
        return drawn[0]

    began = time.perf_counter()
    with Prefetcher(draw, ahead):
        wait_until(lambda: drawn[0] == ahead + 1)
    assert time.perf_counter() - began < LONG
    assert threading.active_count() == threads
    stopped = drawn[0]
    time.sleep(0.05)
    assert drawn[0] == stopped <= ahead + 2


def test_leaving_by_an_error_ends_the_thread_and_passes_it_on() -> None:
    threads = threading.active_count()
    with pytest.raises(KeyboardInterrupt), Prefetcher(counting()) as batches:
        batches.next()
        raise KeyboardInterrupt
    assert threading.active_count() == threads


def test_leaving_waits_for_the_batch_that_is_being_drawn() -> None:
    started, finished = threading.Event(), threading.Event()

    def draw() -> None:
        started.set()
        time.sleep(0.1)
        finished.set()

    with Prefetcher(draw):
        started.wait(LONG)
        assert not finished.is_set()
    assert finished.is_set()


def test_the_share_of_waiting_is_high_for_slow_drawing_and_low_for_slow_use() -> None:
    with Prefetcher(lambda: time.sleep(0.03)) as slow_drawing:
        for _ in range(5):
            slow_drawing.next()
        high = slow_drawing.waiting_share
    with Prefetcher(counting()) as slow_use:
        for _ in range(5):
            slow_use.next()
            time.sleep(0.03)
        low = slow_use.waiting_share
    assert 0.0 <= low < 0.3 < 0.7 < high <= 1.0
    assert slow_drawing.waiting_seconds > 0.1
