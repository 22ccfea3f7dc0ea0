"""Agents as callers write and read them."""

from typing import Annotated, Any

from fastapi import Query
from pydantic import MISSING, AfterValidator, Field
from pydantic_core import PydanticCustomError

from services.agents.domain import History, reads_as_id
from shared.schemas import Id, RequestModel, ResponseModel, Scalar, Text, UtcDatetime, scalar

# No space at either end and no control characters: a name stands in lists, logs and a `model` field.
_NAME = r"^[^\s\x00-\x1f\x7f-\x9f]([^\x00-\x1f\x7f-\x9f\u2028\u2029]*[^\s\x00-\x1f\x7f-\x9f])?$"
_SLUG = r"^[a-z0-9][a-z0-9_-]{0,63}$"
_COLLECTION = r"^[a-z0-9][a-z0-9_-]{0,62}$"
_TOOL = r"^[A-Za-z0-9_][A-Za-z0-9_.-]{0,128}$"
_MODEL = r"^[A-Za-z0-9][A-Za-z0-9._:/@+-]{0,127}$"
_KEY = r"^[A-Za-z0-9_][A-Za-z0-9_.:-]{0,63}$"


def _no_id(name: str) -> str:
    if reads_as_id(name):
        raise PydanticCustomError("name_reads_as_id", "must not have the form of an id")
    return name


def unique(items: tuple[str, ...]) -> tuple[str, ...]:
    if len(set(items)) != len(items):
        raise PydanticCustomError("duplicate_items", "must not name anything twice")
    return items


def metadata(most: int, example: dict[str, Scalar]) -> Any:
    """What makes a field metadata of so many entries at most."""
    return Field(
        max_length=most,
        json_schema_extra={"additionalProperties": False},
        description="values of your own, given back as they are",
        examples=[example],
    )


_UNIQUE = AfterValidator(unique)
_UNIQUE_ITEMS: dict[str, Any] = {"uniqueItems": True}

Name = Annotated[
    str,
    Field(
        min_length=1,
        max_length=100,
        pattern=_NAME,
        description="unique among the tenant's agents, whatever its case",
        examples=["Invoice assistant"],
    ),
    AfterValidator(_no_id),
]
Description = Annotated[Text, Field(max_length=2000, examples=["Answers questions about supplier invoices."])]
Instructions = Annotated[
    Text,
    Field(
        min_length=1,
        max_length=32_768,
        description="what the model is told before a conversation",
        examples=["You answer questions about invoices. Cite the document you rely on."],
    ),
]
Model = Annotated[
    str, Field(pattern=_MODEL, description="the language model to use", examples=["smollm2-135m-instruct"])
]
Capability = Annotated[str, Field(pattern=_SLUG, examples=["invoices"])]
Capabilities = Annotated[
    tuple[Capability, ...],
    Field(max_length=64, json_schema_extra=_UNIQUE_ITEMS, description="what the agent is able to do"),
    _UNIQUE,
]
Knowledge = Annotated[
    tuple[Annotated[str, Field(pattern=_COLLECTION, examples=["invoices-2025"])], ...],
    Field(max_length=16, json_schema_extra=_UNIQUE_ITEMS, description="vector collections to search before answering"),
    _UNIQUE,
]
Tools = Annotated[
    tuple[Annotated[str, Field(pattern=_TOOL, examples=["vectors.search"])], ...],
    Field(
        max_length=32,
        json_schema_extra=_UNIQUE_ITEMS,
        description="tools the agent may call, built in or defined; of a server all (`github`) or one (`github.read`)",
    ),
    _UNIQUE,
]
TurnsLeftOut = Annotated[
    History,
    Field(
        description="of earlier turns that no longer fit into the prompt: `cut` leaves them out, `summarise` has the "
        "model tell in short what was said, which costs a generation now and then",
        examples=[History.CUT],
    ),
]
MetadataKey = Annotated[str, Field(pattern=_KEY)]
Metadata = Annotated[dict[MetadataKey, Annotated[Scalar, scalar(longest=1024)]], metadata(64, {"team": "finance"})]

CapabilityFilter = Annotated[str | None, Query(pattern=_SLUG, description="only agents that have this capability")]
KnowledgeFilter = Annotated[str | None, Query(pattern=_COLLECTION, description="only agents that know this collection")]
ToolFilter = Annotated[str | None, Query(pattern=_TOOL, description="only agents that may call this tool")]
NamedFilter = Annotated[Text, Query(min_length=1, max_length=200)]
TextFilter = Annotated[
    Text | None,
    Query(
        min_length=1,
        max_length=100,
        # No control characters: some of them Python takes for blanks, and the pattern does not.
        pattern=r"^\s*[^\s\x00-\x1f\x7f-\x9f]+(\s+[^\s\x00-\x1f\x7f-\x9f]+){0,9}\s*$",
        description="only agents whose name or description has each of these words (ten at most) or one that begins so",
    ),
]


class AgentFields(RequestModel):
    """What an agent is to be."""

    name: Name
    description: Description | None = None
    instructions: Instructions
    model: Model | None = None
    capabilities: Capabilities = ()
    knowledge: Knowledge = ()
    tools: Tools = ()
    history: TurnsLeftOut = History.CUT
    metadata: Metadata = {}


class AgentCreate(AgentFields):
    """A new agent."""


class AgentUpdate(RequestModel):
    """The fields to replace; the others stay. `null` clears `description` and `model`."""

    name: Name | MISSING = MISSING
    description: Description | MISSING | None = MISSING
    instructions: Instructions | MISSING = MISSING
    model: Model | MISSING | None = MISSING
    capabilities: Capabilities | MISSING = MISSING
    knowledge: Knowledge | MISSING = MISSING
    tools: Tools | MISSING = MISSING
    history: TurnsLeftOut | MISSING = MISSING
    metadata: Metadata | MISSING = MISSING


class AgentRead(ResponseModel):
    """An agent as of its current version."""

    id: Id
    version: int = Field(ge=1, description="rises with every change")
    name: str
    description: str | None
    instructions: str
    model: str | None
    capabilities: list[str]
    knowledge: list[str]
    tools: list[str]
    history: History
    metadata: dict[str, Scalar]
    created_at: UtcDatetime
    updated_at: UtcDatetime
