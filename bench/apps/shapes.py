"""What the measured routes take and give, the same on every side that validates."""

from typing import Annotated

from pydantic import Field

from shared.schemas import RequestModel, ResponseModel, Text


class EchoRequest(RequestModel):
    """About 1 KB."""

    id: int = Field(ge=0)
    tags: list[Annotated[Text, Field(max_length=64)]] = Field(max_length=16)
    text: Annotated[Text, Field(max_length=2048)]


class EchoRead(ResponseModel):
    """The same again."""

    id: int
    tags: list[str]
    text: str


class ItemRead(ResponseModel):
    """About 100 bytes: what is measured is the way to the route, not the route."""

    id: int
    name: str
    tags: list[str]


ITEM = ItemRead(id=7, name="what every side answers", tags=["a", "b", "c"])
