"""Where numba finds what was compiled when the image was built. Named by NUMBA_CACHE_LOCATOR_CLASSES only.

Its own locators take only a directory that they could write to, and else stop with "no locator
available": in a container with a read-only root that would be every start.
"""

from numba.core.caching import UserProvidedCacheLocator


class PrebuiltCache(UserProvidedCacheLocator):
    """The directory NUMBA_CACHE_DIR, which may be read-only."""

    def ensure_cache_path(self) -> None:
        """Ask nothing of the directory: what is missing in a read-only one stops the start by itself."""
