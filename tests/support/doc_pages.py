"""The pages of the documentation, and the commands and snippets in them."""

from __future__ import annotations

import re
import subprocess
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]
README = ROOT / "README.md"
PAGES = [README, *sorted((ROOT / "docs").rglob("*.md"))]

SCRIPTS: dict[str, str] = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]
"""Commands of an installed package, and the functions that they call."""

LONG = re.compile(r"\s*# Long:")
"""The first line of a block whose commands take minutes or more; what follows says how long, or what they need."""

# Commands become lines of their words; with no PATH nothing else can run.
SHELL = r"""
set -eu
PATH=
record() { printf '%s\x1f' "$@"; printf '\n'; }
python() { record python "$@"; }
make() { record make "$@"; }
pip() { record pip "$@"; }
""" + "".join(f'{name}() {{ record {name} "$@"; }}\n' for name in SCRIPTS)


def name_of(page: Path) -> str:
    """A page's path in the project."""
    return page.relative_to(ROOT).as_posix()


def blocks(page: Path, language: str) -> list[str]:
    """The fenced blocks of a page in a language, without the indentation that they have in lists."""
    found = re.findall(rf"^( *)```{language}\n(.*?)^ *```$", page.read_text(), re.MULTILINE | re.DOTALL)
    return [re.sub(rf"^{indent}", "", block, flags=re.MULTILINE) for indent, block in found]


def commands(block: str, folder: Path) -> list[list[str]]:
    """The commands that a shell would run, as lists of words: loops run, names put in.

    Args:
        block: A block of a page.
        folder: Where wildcards look.
    """
    script = ["/bin/bash", "-c", SHELL + block]
    done = subprocess.run(script, cwd=folder, capture_output=True, text=True, timeout=20)
    assert done.returncode == 0, f"{done.stderr}\n{block}"
    return [line.split("\x1f")[:-1] for line in done.stdout.splitlines()]
