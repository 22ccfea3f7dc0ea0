"""What chat tells auth that was done, for the audit log."""

from enum import StrEnum


class Done(StrEnum):
    """To a conversation, by its id."""

    UPDATED = "conversation.updated"
    DELETED = "conversation.deleted"
