"""Large buffers go back to the system as soon as they are free."""

import ctypes

_M_MMAP_THRESHOLD = -3
_LARGE_BYTES = 1024 * 1024


def return_large_blocks() -> None:
    """Stop glibc from raising its threshold to the largest block ever freed, a whole part of an upload.

    Above that it would keep parts in its heap and grow them by copying: one upload of 2 GiB was seen to
    take 17 MiB more. Elsewhere than on glibc it does nothing.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_MMAP_THRESHOLD, _LARGE_BYTES)
