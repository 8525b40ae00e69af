"""What a worker does about memory before it serves.

Memory that was used for one large request is given back to the system when the request is over. glibc learns from large
blocks: after the first one of up to 32 MiB is freed, the next are cut from heaps of the thread, and what is freed there
mostly stays. Eight threads that each answer with 30 MB once then keep 600 MB.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import sys

_M_TRIM_THRESHOLD = -1  # malloc.h
_M_MMAP_THRESHOLD = -3
_LARGE = 4 << 20
_KEPT = 16 << 20


def give_back_large_blocks() -> None:
    """Give every block of 4 MiB and more pages of its own (glibc only; elsewhere nothing happens)."""
    if sys.platform != "linux":
        return
    with contextlib.suppress(OSError, AttributeError):  # another C library
        library = ctypes.CDLL(None)
        library.mallopt(_M_MMAP_THRESHOLD, _LARGE)
        library.mallopt(_M_TRIM_THRESHOLD, _KEPT)  # set too, because setting the other ends the learning of both


def leave_loaded_objects_alone() -> None:
    """Keep the garbage collector from looking through what the model and its libraries have made, which stays anyhow.

    A full collection looks at every object: 97,000 of scikit-learn held all requests up for 46 ms once in some seconds.
    See `gc.freeze` in Python's documentation.
    """
    gc.collect()
    gc.freeze()
