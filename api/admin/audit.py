"""Writes what dashboard users do to the audit log."""

from api.admin.auth.authentication import AdminUser
from shared.clock import store_time
from shared.ports.admin import AuditEntry, AuditLog


def record(log: AuditLog, user: AdminUser, action: str, target: str, *, count: int = 1) -> None:
    """Add an entry. `count`: how many things were changed. Raises Unavailable."""
    log.add(
        AuditEntry(
            at=store_time(), who=user.actor, address=user.address, act=action, what=target, count=count
        )
    )
