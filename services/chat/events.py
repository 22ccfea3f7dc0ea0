"""What chat tells auth that was done, for the audit log."""

from shared.words import Word


class Done(Word):
    """To a conversation or a run, by its id."""

    UPDATED = "conversation.updated"
    DELETED = "conversation.deleted"
    RUN_CANCELLED = "run.cancelled"
    CALL_APPROVED = "call.approved"
    CALL_DENIED = "call.denied"
