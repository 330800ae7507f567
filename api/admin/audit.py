"""Writes what dashboard users do to the audit log."""

from api.admin.auth.authentication import AdminUser
from shared.clock import store_time
from shared.ports.admin import AuditEntry, AuditLog

ACTIONS = (
    "login", "failed login", "retry", "cancel", "delete", "start retry", "start cancel", "start delete",
    "pause", "resume", "drain", "restart", "acknowledge", "redeliver", "create key", "revoke key",
)  # fmt: skip
"""Every action that the log can have."""


def record(log: AuditLog, user: AdminUser, action: str, target: str, *, count: int = 1) -> None:
    """Add an entry. `count`: how many things were changed. Raises Unavailable."""
    log.add(
        AuditEntry(
            at=store_time(), who=user.actor, address=user.address, act=action, what=target, count=count
        )
    )
