"""The identity of the store. Every method may raise Unavailable."""

from typing import Protocol

from shared.domain.installation import Installation


class InstallationStore(Protocol):
    """The installation id in the store."""

    def get_or_create(self) -> Installation:
        """The identity of this store; created at the first call."""
