"""What agents tells auth that was done, for the audit log."""

from shared.words import Word


class Done(Word):
    """To an agent, by its id."""

    CREATED = "agent.created"
    UPDATED = "agent.updated"
    RESTORED = "agent.restored"
    DELETED = "agent.deleted"
    IMPORTED = "agent.imported"
    RELATION_CREATED = "relation.created"
    RELATION_UPDATED = "relation.updated"
    RELATION_DELETED = "relation.deleted"
