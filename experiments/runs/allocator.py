"""Memory allocator settings for tensors that come and go."""

from __future__ import annotations

import ctypes
import platform

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
"""Numbers of the settings in glibc's ``malloc.h``."""

KEPT = 2**30
"""Bytes at the end of the heap that are kept, and size below which a block comes from the heap."""


def keep_freed_memory() -> bool:
    """Makes this process keep freed memory for its next tensors, instead of returning it to the system.

    glibc maps every large block anew, and each of its pages costs a fault when it is first written to. A training step
    asks for the same blocks again and again; ``experiments.measurements.update_speed`` measures what it gains without
    the faults, which is the more the larger the blocks are.

    Returns:
        Whether the C library did: glibc does, others have their own ways.
    """
    if platform.libc_ver()[0] != "glibc":
        return False
    mallopt = ctypes.CDLL(None).mallopt
    return bool(mallopt(M_MMAP_THRESHOLD, KEPT)) and bool(mallopt(M_TRIM_THRESHOLD, KEPT))
