"""The bases of bodies in OpenAI's shapes.

Its clients send null for what they leave out, so null is the same as absent wherever a member may be absent. A member
that is not known is refused as everywhere; one that is known and not supported is declared `Unsupported`, so that its
refusal says so and a null of it is none.
"""

from typing import Annotated, Any, Generic, Literal, TypeVar

from pydantic import BeforeValidator, Field, GetJsonSchemaHandler, model_validator
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, PydanticCustomError

from shared.schemas import LargeModel, ResponseModel

Item = TypeVar("Item")
_NULL = {"type": "null"}


class OpenAIRequest(LargeModel):
    """A body that a client of OpenAI's sends, and every object in it."""

    @model_validator(mode="before")
    @classmethod
    def _null_is_absent(cls, value: Any) -> Any:
        if isinstance(value, dict) and None in value.values():
            optional = {field.alias or name for name, field in cls.model_fields.items() if not field.is_required()}
            return {name: one for name, one in value.items() if one is not None or name not in optional}
        return value

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        document = handler.resolve_ref_schema(handler(schema))
        required = document.get("required", ())
        for name, member in document.get("properties", {}).items():
            if name not in required and _NULL not in member.get("anyOf", ()) and member.get("type") != "null":
                document["properties"][name] = _or_null(member)
        return document


def _or_null(member: JsonSchemaValue) -> JsonSchemaValue:
    """The schema of an optional member, with what describes it left outside."""
    about: JsonSchemaValue = {
        name: member[name] for name in ("title", "description", "default", "examples") if name in member
    }
    return {"anyOf": [{name: one for name, one in member.items() if name not in about}, _NULL], **about}


def _refuse(value: object) -> None:
    if value is not None:
        raise PydanticCustomError("unsupported", "is not supported here")


Unsupported = Annotated[None, BeforeValidator(_refuse), Field(description="not supported: null, or left out")]
"""`logit_bias: Unsupported = None`: a member that OpenAI has and we refuse by name."""


class Listed(ResponseModel, Generic[Item]):
    """One page of a list as OpenAI gives it: `after` of the next page is `last_id`."""

    object: Literal["list"] = "list"
    data: list[Item]
    first_id: str | None
    last_id: str | None
    has_more: bool
