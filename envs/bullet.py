"""pybullet, imported without the line that it prints about itself."""

from __future__ import annotations

import os
import sys
import tempfile


def _import_silently() -> None:
    """Imports pybullet without its build-time line; everything else on stderr is passed on.

    The line comes from C, so the file descriptor itself leads elsewhere meanwhile.
    """
    sys.stderr.flush()
    with tempfile.TemporaryFile() as said:
        stderr = os.dup(2)
        os.dup2(said.fileno(), 2)
        try:
            import pybullet  # noqa: F401
        finally:
            os.dup2(stderr, 2)
            os.close(stderr)
        said.seek(0)
        for line in said:
            if not line.startswith(b"pybullet build time"):
                os.write(2, line)


if "pybullet" not in sys.modules:
    _import_silently()

import pybullet  # noqa: E402 - what the others import from here

__all__ = ["pybullet"]
