"""Checks the installation: packages with such common names are easily hidden or overwritten by others."""

from __future__ import annotations

import base64
import csv
import hashlib
import importlib.util
import warnings
from functools import cache
from pathlib import Path

PACKAGES = ("agents", "encoders", "envs", "experiments", "rewards")
"""The packages that the project installs."""

SITE = Path(__file__).parents[1]
"""The folder that the packages lie in."""

REMEDY = "Install Onlooker into an environment of its own, and the other package anew: pip install --force-reinstall."


@cache
def recorded() -> dict[str, str]:
    """Digests of the installed files by their path in ``SITE``, as pip wrote them down; empty in a checkout."""
    found: dict[str, str] = {}
    for record in SITE.glob("onlooker-*.dist-info/RECORD"):
        with record.open(newline="") as file:
            found.update((row[0], row[1]) for row in csv.reader(file))
    return found


def warn_of_others(package: str) -> None:
    """Warns if modules of another project lie in a folder of ours: one of the two was overwritten.

    Args:
        package: One of ``PACKAGES``.
    """
    if not recorded():
        return
    modules = {path.relative_to(SITE).as_posix() for path in (SITE / package).rglob("*.py")}
    others = sorted(modules - set(recorded()))
    if others:
        warnings.warn(
            f"{SITE / package} is Onlooker's package {package!r}, and {len(others)} modules of another project are in "
            f"it ({others[0]}, ...), which does not work any more. {REMEDY}",
            stacklevel=3,
        )


def check_whole() -> None:
    """Refuses packages that another project hides or has overwritten.

    Raises:
        ImportError: If one of ``PACKAGES`` would not be imported from where this one is, or is not as it was installed.
    """
    for package in PACKAGES:
        spec = importlib.util.find_spec(package)
        own = SITE / package / "__init__.py"
        origin = None if spec is None or spec.origin is None else Path(spec.origin)
        if origin is None or origin.resolve() != own.resolve():
            raise ImportError(
                f"Onlooker's package {package!r} is {own.parent}, but Python finds {origin or 'nothing'} by that name. "
                "Run from another folder, take the other one off PYTHONPATH, or rename it."
            )
        digest = base64.urlsafe_b64encode(hashlib.sha256(own.read_bytes()).digest()).rstrip(b"=").decode()
        if recorded().get(f"{package}/__init__.py", f"sha256={digest}") != f"sha256={digest}":
            raise ImportError(f"{own} is not Onlooker's any more; another package has overwritten it. {REMEDY}")
