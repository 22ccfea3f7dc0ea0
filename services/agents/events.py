"""What agents tells auth that was done, for the audit log."""

from enum import StrEnum


class Done(StrEnum):
    """To an agent, by its id."""

    CREATED = "agent.created"
    UPDATED = "agent.updated"
    DELETED = "agent.deleted"
