"""Lets numba use a read-only cache that was compiled into the image. Named by NUMBA_CACHE_LOCATOR_CLASSES.

The locators of numba accept only a writable directory and otherwise fail with "no locator available", which
would be every start in a container with a read-only root.
"""

from numba.core.caching import UserProvidedCacheLocator


class PrebuiltCache(UserProvidedCacheLocator):
    """The directory NUMBA_CACHE_DIR, which may be read-only."""

    def ensure_cache_path(self) -> None:
        """Require nothing: a start that misses something in a read-only directory fails by itself."""
