"""Command lines from configs, with one-line errors and exit statuses."""

from __future__ import annotations

import contextlib
import io
import signal
import sys
import traceback
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import TextIO, TypeVar

import tyro
from rich.console import Console
from rich.markup import escape

from encoders.device import plain_memory_errors
from encoders.videos.video_file import VideoWarning
from experiments.runs.allocator import keep_freed_memory

Config = TypeVar("Config")

RESUME = "The same command with --resume goes on."

FAILED, TO_MEND, STOPPED = 1, 2, 128
"""Exit statuses: something broke, the user has something to mend, and, less its number, a signal that stopped it."""


def run(
    config: type[Config], work: Callable[[Config], object], description: str | None, again: str | None = None
) -> int:
    """Parses the command line into a config and works on it.

    Args:
        config: A dataclass; its attributes become flags.
        work: What to do with it.
        description: Shown by ``--help``.
        again: How to go on with work that was stopped, a sentence; by default for configs with ``resume``.

    Returns:
        0 if the work was done; else one line on stderr tells what happened: 2 if the user has something to mend, 1 if a
        worker died, a GPU has no memory left or the system failed, 130 and 143 if Ctrl-C or a ``SIGTERM`` stopped it.
    """
    keep_freed_memory()
    again = again or (RESUME if hasattr(config, "resume") else "")
    with _termination_interrupts(), _plain_warnings():
        try:
            with plain_memory_errors():
                work(_parse(config, description))
        except ValueError as error:
            _say("[bold red]error:[/]", str(error))
            return TO_MEND
        except OSError as error:
            _say("[bold red]error:[/]", " ".join(filter(None, (str(error), again))))
            return FAILED
        except KeyboardInterrupt as stop:
            _say("[bold yellow]stopped:[/]", " ".join((again, *getattr(stop, "__notes__", ()))))
            return STOPPED + (stop.args[0] if stop.args else signal.SIGINT)
    return 0


def _say(what: str, words: str) -> None:
    Console(stderr=True).print(f"{what} {escape(words)}", highlight=False, soft_wrap=True)


@contextmanager
def _plain_warnings() -> Iterator[None]:
    """Shows the project's own warnings as one line, without their place in the code."""
    usual = warnings.showwarning

    def show(
        message: Warning | str,
        category: type[Warning],
        filename: str,
        lineno: int,
        file: TextIO | None = None,
        line: str | None = None,
    ) -> None:
        if issubclass(category, VideoWarning):
            _say("[bold yellow]warning:[/]", str(message))
        else:
            usual(message, category, filename, lineno, file, line)

    warnings.showwarning = show
    try:
        yield
    finally:
        warnings.showwarning = usual


@contextmanager
def _termination_interrupts() -> Iterator[None]:
    """Makes ``SIGTERM`` stop the work as Ctrl-C does."""

    def interrupt(number: int, _: FrameType | None) -> None:
        raise KeyboardInterrupt(number)

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _parse(config: type[Config], description: str | None) -> Config:
    """Tyro's parser, without its box of 80 columns around a config's own errors."""
    said = io.StringIO()
    try:
        with contextlib.redirect_stderr(said):
            # A run's own flags may stand before and after the choice of a part of it.
            return tyro.cli(config, description=description, config=(tyro.conf.CascadeSubcommandArgs,))
    except SystemExit as stop:
        complaint = _complaint(stop)
        if complaint is not None:
            raise complaint from None
        sys.stderr.write(said.getvalue())
        raise


def _complaint(stop: SystemExit) -> ValueError | None:
    """The error of a config's ``__post_init__`` that made tyro exit, if one did."""
    error: BaseException | None = stop
    while error is not None:
        frames = traceback.extract_tb(error.__traceback__)
        if isinstance(error, ValueError) and any(frame.name == "__post_init__" for frame in frames):
            return error
        error = error.__context__
    return None
