"""The password of the dashboard's operator on this machine: created on first use, kept in the data folder."""

import secrets
from pathlib import Path

from local.private_file import write_private

FILE = "dashboard-password"


def dashboard_password(data_dir: Path) -> str:
    """The password of this data folder."""
    file = data_dir / FILE
    if not file.exists():
        write_private(file, secrets.token_urlsafe(9) + "\n")
    return file.read_text().strip()
