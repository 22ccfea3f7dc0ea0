"""Documents as callers send and get them."""

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, model_validator
from pydantic_core import PydanticCustomError

from services.agents.documents.domain import FORMAT, FORMAT_VERSION, Exported, Imported, NamedRelation
from services.agents.domain import History, name_key
from services.agents.errors import DocumentTooNew, RelationToItself
from services.agents.relations.domain import MOST_RELATIONS, Direction, RelationType
from services.agents.relations.schemas import RelationMetadata, Weight
from services.agents.schemas import AgentFields, AgentRead, Name
from shared.schemas import LargeModel, Moment, ResponseModel, Scalar, UtcDatetime


class RelationEntry(LargeModel):
    """A relation to the agent of this name."""

    type: RelationType
    direction: Direction = Field(description="`both` for `shares_knowledge_with`, and for nothing else")
    agent: Name
    weight: Weight = 1.0
    metadata: RelationMetadata = {}

    @model_validator(mode="after")
    def _leads_where_its_type_does(self) -> "RelationEntry":
        if (self.direction is Direction.BOTH) != self.type.is_symmetric:
            raise PydanticCustomError("relation_direction", "`shares_knowledge_with`, and only that, leads both ways")
        return self


def _each_once(relations: tuple[RelationEntry, ...]) -> tuple[RelationEntry, ...]:
    if len({(one.type, one.direction, name_key(one.agent)) for one in relations}) != len(relations):
        raise PydanticCustomError("duplicate_items", "must not name any relation twice")
    return relations


class AgentContent(LargeModel, AgentFields):
    """What the agent is to be."""


class AgentDocument(LargeModel):
    """An agent, as `export` wrote it."""

    format: Literal["sutazai.agent"]
    format_version: Annotated[int, Field(strict=True, ge=1, le=FORMAT_VERSION, examples=[FORMAT_VERSION])]
    exported_at: Moment | None = None
    agent: AgentContent
    relations: Annotated[tuple[RelationEntry, ...], Field(max_length=MOST_RELATIONS), AfterValidator(_each_once)] = ()

    @model_validator(mode="before")
    @classmethod
    def _is_of_our_time(cls, value: Any) -> Any:
        """Before anything else: of what a later release wrote nobody here knows what is wrong."""
        told = value.get("format_version") if isinstance(value, dict) and value.get("format") == FORMAT else None
        if isinstance(told, int) and told > FORMAT_VERSION:
            raise DocumentTooNew
        return value

    @model_validator(mode="after")
    def _is_related_to_others(self) -> "AgentDocument":
        own = name_key(self.agent.name)
        for number, relation in enumerate(self.relations):
            if name_key(relation.agent) == own:
                raise RelationToItself(f"/relations/{number}/agent")
        return self

    @property
    def named(self) -> list[NamedRelation]:
        """Its relations."""
        return [NamedRelation(**dict(one)) for one in self.relations]


class NamedRelationRead(ResponseModel):
    """A relation to the agent of this name."""

    type: RelationType
    direction: Direction
    agent: str
    weight: float
    metadata: dict[str, Scalar]


class AgentContentRead(ResponseModel):
    """What the agent is."""

    name: str
    description: str | None
    instructions: str
    model: str | None
    capabilities: list[str]
    knowledge: list[str]
    tools: list[str]
    history: History
    metadata: dict[str, Scalar]


class AgentDocumentRead(ResponseModel):
    """An agent as one document, without ids."""

    format: Literal["sutazai.agent"]
    format_version: int
    exported_at: UtcDatetime
    agent: AgentContentRead
    relations: list[NamedRelationRead] = Field(description="by type, then by the other agent")

    @classmethod
    def of(cls, exported: Exported, exported_at: UtcDatetime) -> "AgentDocumentRead":
        return cls(
            format=FORMAT,
            format_version=FORMAT_VERSION,
            exported_at=exported_at,
            agent=AgentContentRead.model_validate(exported.agent),
            relations=[NamedRelationRead.model_validate(one) for one in exported.relations],
        )


class UnresolvedRead(ResponseModel):
    """A relation that was not made, by what tells it from the others of the document."""

    type: RelationType
    direction: Direction
    agent: str


class ImportedRead(ResponseModel):
    """The agent that was made, and what of its relations was not."""

    agent: AgentRead
    unresolved: list[UnresolvedRead] = Field(
        description="relations to names that no agent of the tenant has, or to one that may have no more"
    )
    undefined_tools: list[str] = Field(description="tools that it was made without: the tenant has none of these names")

    @classmethod
    def of(cls, imported: Imported) -> "ImportedRead":
        unresolved = [UnresolvedRead.model_validate(one) for one in imported.unresolved]
        agent = AgentRead.model_validate(imported.agent)
        return cls(agent=agent, unresolved=unresolved, undefined_tools=imported.undefined_tools)
