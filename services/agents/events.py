"""What agents tells auth that was done, for the audit log."""

from shared.words import Word


class Done(Word):
    """To an agent, by its id; to a secret or a tool, by its name."""

    CREATED = "agent.created"
    UPDATED = "agent.updated"
    RESTORED = "agent.restored"
    DELETED = "agent.deleted"
    IMPORTED = "agent.imported"
    RELATION_CREATED = "relation.created"
    RELATION_UPDATED = "relation.updated"
    RELATION_DELETED = "relation.deleted"
    SECRET_CREATED = "secret.created"  # noqa: S105 - a name
    SECRET_UPDATED = "secret.updated"  # noqa: S105 - a name
    SECRET_DELETED = "secret.deleted"  # noqa: S105 - a name
    TOOL_CREATED = "tool.created"
    TOOL_UPDATED = "tool.updated"
    TOOL_DELETED = "tool.deleted"
