"""Checks that the store and the bucket belong to the same installation."""

from shared.domain.installation import Installation
from shared.errors import InstallationMismatch
from shared.ports.audio import AudioStore
from shared.ports.installation import InstallationStore


def check_installation(store: InstallationStore, audio: AudioStore) -> Installation:
    """The installation of both. A bucket without an id gets the store's.

    Raises InstallationMismatch, and Unavailable.
    """
    installation = store.get_or_create()
    found = audio.installation_id()
    if found is None:
        audio.set_installation_id(installation.id)
        found = audio.installation_id()
    if found != installation.id:
        raise InstallationMismatch(
            "The bucket belongs to another Redis database. Restore the backup of Redis. If the old database "
            "is lost, run `python -m worker adopt-storage`."
        )
    return installation
