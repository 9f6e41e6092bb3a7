"""What a process that runs a peer asks of its memory: few fragments, and few looks at what stays."""

import ctypes
import gc

# From malloc.h of glibc.
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD, _M_ARENA_MAX = -1, -3, -8
_LARGE = 128 << 10
"""Bytes from which a piece of memory is a mapping of its own, and so goes back to the system when it is freed."""
_ARENAS = 2


def limit_fragments() -> None:
    """Have what is freed go back to the system, where the C library can be told so: glibc. Best before threads start, whose
    heaps stay.

    glibc raises the size from which a piece is a mapping of its own with each such piece that is freed, and gives threads
    heaps of their own. Blocks of a hundred kilobytes and more then leave gaps among what stays: after a minute of them a
    peer had 100 MB more than it used."""
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError):
        return
    for option, value in ((_M_MMAP_THRESHOLD, _LARGE), (_M_TRIM_THRESHOLD, _LARGE), (_M_ARENA_MAX, _ARENAS)):
        mallopt(option, value)


def freeze_garbage() -> None:
    """Collect garbage, then exempt the objects that are left from collection.

    Modules and stored listings stay anyway; each look at them costs the event loop a tenth of a second."""
    gc.collect()
    gc.freeze()
