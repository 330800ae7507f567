"""Which store and which bucket belong together. Pure.

Both hold the id of the installation. A store that came back empty, another database, or a second installation
on the same bucket would make every object look orphaned: then nothing may be swept.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Installation:
    """The identity of a store."""

    id: str
    created_at: float
    """UNIX seconds by the store's clock; 0 if it already had jobs. Older objects belong to another store."""
