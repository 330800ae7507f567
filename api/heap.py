"""What is free goes back to the system: the buffers of uploads at once, and the rest from one heap."""

import ctypes

_M_MMAP_THRESHOLD = -3
_M_ARENA_MAX = -8
_LARGE_BYTES = 64 * 1024


def return_what_is_free() -> None:
    """Give each buffer of an upload a mapping of its own, and all threads one heap. Call before any thread.

    By itself glibc learns from the largest block ever freed, a whole part, to keep such blocks in its heap.
    There 64 uploads that grow side by side leave holes: 50 MiB of them were seen, and never given back. On
    Linux a mapping also grows in place, where a heap copies. Elsewhere than on glibc it does nothing.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_MMAP_THRESHOLD, _LARGE_BYTES)
        mallopt(_M_ARENA_MAX, 1)
