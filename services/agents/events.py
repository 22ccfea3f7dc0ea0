"""What agents tells auth that was done, for the audit log."""

from shared.words import Word


class Done(Word):
    """To an agent, by its id."""

    CREATED = "agent.created"
    UPDATED = "agent.updated"
    DELETED = "agent.deleted"
