"""What agents refuses.

NotFound  AgentNotFound, VersionNotFound, RelationNotFound
Conflict  AgentNameTaken, TooManyRelations
Invalid   RelationToItself, DocumentTooNew
"""

from services.agents.relations.domain import MOST_RELATIONS
from shared.errors import Conflict, Invalid, NotFound


class AgentNotFound(NotFound):
    """No such agent, or one of another tenant: the caller cannot tell which."""

    code = "agents.not_found"
    meaning = "There is no such agent, or it belongs to another tenant."
    default_detail = "There is no such agent."


class VersionNotFound(NotFound):
    """The agent is there, and has no such version, or no longer: the newest 1,000 are kept."""

    code = "agents.version_not_found"
    meaning = "The agent has no version of this number, or it is older than the 1,000 that are kept."

    def __init__(self, version: int) -> None:
        super().__init__(f"The agent has no version {version}.")


class AgentNameTaken(Conflict):
    """Names identify agents inside a tenant; letter case and width make no difference."""

    code = "agents.name_taken"
    meaning = "Another agent of the tenant has this name; letter case makes no difference."
    default_detail = "Another agent has this name already."


class RelationNotFound(NotFound):
    """Both agents are there, and the first has no such relation to the second."""

    code = "agents.relation_not_found"
    meaning = "Both agents are there, and the first has no relation of this type to the second."
    default_detail = "The agent has no such relation to the other one."


class TooManyRelations(Conflict):
    """A bound on what one agent is in the middle of."""

    code = "agents.too_many_relations"
    meaning = f"An agent has {MOST_RELATIONS} relations at most, in both directions together; `detail` names it."

    def __init__(self, agent_id: str) -> None:
        super().__init__(f"The agent {agent_id} has {MOST_RELATIONS} relations, and may have no more.")


class RelationToItself(Invalid):
    """An agent that delegates to itself would only be asked again."""

    code = "agents.relation_to_itself"
    meaning = "Both ends of the relation are the same agent."

    def __init__(self, pointer: str = "path/other_id") -> None:
        super().__init__("An agent has no relation to itself.", at=(pointer, "relation_to_itself"))


class DocumentTooNew(Invalid):
    """A later release wrote it, and nobody here knows what it means."""

    code = "agents.document_too_new"
    meaning = "The document has a `format_version` that this release does not know; a later one wrote it."

    def __init__(self) -> None:
        super().__init__(
            "A later release wrote this document; this one reads format_version 1.",
            at=("/format_version", "document_too_new"),
        )
