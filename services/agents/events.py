"""What agents publishes: that an agent changed, to whoever listens; and what was done, to auth for its audit log."""

from dataclasses import asdict, dataclass
from typing import Any

from services.agents.domain import Agent
from shared.schemas import rfc3339
from shared.words import Word


class Event(Word):
    """What became of an agent. A new version is an update, by whatever way it came."""

    CREATED = "agent.created.v1"
    UPDATED = "agent.updated.v1"
    DELETED = "agent.deleted.v1"


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentChanged:
    """The body of every event: which agent it is, and nothing of what it is told."""

    agent_id: str
    tenant_id: str
    name: str
    version: int
    """The one that is the agent's now; of one that was deleted, its last. By it events are put in order."""
    updated_at: str
    """When that version was made."""
    by: str
    """The id of the user who did it."""

    @classmethod
    def of(cls, agent: Agent, tenant_id: str, by: str) -> "AgentChanged":
        return cls(
            agent_id=agent.id,
            tenant_id=tenant_id,
            name=agent.name,
            version=agent.version,
            updated_at=rfc3339(agent.updated_at),
            by=by,
        )

    @property
    def body(self) -> dict[str, Any]:
        """As it is published."""
        return asdict(self)


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
