"""Which addresses of other people's servers may be called, as things are now."""

from collections.abc import Callable
from dataclasses import dataclass

CheckUrl = Callable[[str], str]
"""From an address to its normal form, if it may be called now. Blocking. Raises AddressRefused."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Addresses:
    """Who judges them."""

    of_callbacks: CheckUrl
    of_sources: CheckUrl
