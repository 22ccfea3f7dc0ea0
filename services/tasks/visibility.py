"""Whose tasks a caller sees: one's own, or with a scope for it everybody's of the tenant."""

from shared.identity import Caller

OF_THE_TENANT = "tasks:tenant"
"""The scope of who may see, cancel and replay what others of the tenant submitted."""


def submitter_of(caller: Caller, task_id: str | None = None) -> str | None:
    """Whose tasks the caller may see: their own, or everybody's of the tenant (None)."""
    return None if caller.allows(OF_THE_TENANT, task_id) else caller.subject
