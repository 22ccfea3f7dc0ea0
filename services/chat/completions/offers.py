"""What may be asked, in OpenAI's shape."""

from typing import Literal, Self

from pydantic import Field

from services.chat.completions.answers import seconds_of
from services.chat.dialogue.speakers import Offered
from shared.schemas import Id, ResponseModel


class ModelRead(ResponseModel):
    """An agent or a model."""

    id: str = Field(description="what `model` is called", examples=["support"])
    object: Literal["model"] = "model"
    created: int = Field(description="in seconds since 1970; 0 where nobody knows")
    owned_by: str = Field(description="`agents`, or the provider")
    agent_id: Id | None = Field(description="which may stand for its name; null for a model")

    @classmethod
    def of(cls, one: Offered) -> Self:
        created = seconds_of(one.created_at) if one.created_at else 0
        return cls(id=one.name, created=created, owned_by=one.owner, agent_id=one.agent_id)


class ModelsRead(ResponseModel):
    """All that may be asked."""

    object: Literal["list"] = "list"
    data: list[ModelRead]
    has_more: bool = Field(description="whether there are agents that are not listed")
