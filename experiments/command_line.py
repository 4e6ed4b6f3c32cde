"""Command lines made from configs: one line for what the user has to mend, and exit status 2."""

from __future__ import annotations

import contextlib
import io
import sys
import traceback
from collections.abc import Callable
from typing import TypeVar

import tyro
from rich.console import Console
from rich.markup import escape

from experiments.allocator import keep_freed_memory

Config = TypeVar("Config")


def run(config: type[Config], work: Callable[[Config], object], description: str | None) -> int:
    """Parses the command line into a config and works on it.

    Args:
        config: A dataclass; its attributes become flags.
        work: What to do with it.
        description: Shown by ``--help``.

    Returns:
        0 if the work was done, 2 if the user has something to mend, which one line on stderr tells.
    """
    keep_freed_memory()
    try:
        work(_parse(config, description))
    except ValueError as error:
        Console(stderr=True).print(f"[bold red]error:[/] {escape(str(error))}", highlight=False, soft_wrap=True)
        return 2
    return 0


def _parse(config: type[Config], description: str | None) -> Config:
    """Tyro's parser, which would put a config's own complaints in a box of 80 columns."""
    said = io.StringIO()
    try:
        with contextlib.redirect_stderr(said):
            return tyro.cli(config, description=description)
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
