"""Members that OpenAI lets be written in several ways, read as the one that they mean."""

from typing import Annotated, Any, Final, Literal

from pydantic import BeforeValidator, Field, TypeAdapter, WithJsonSchema
from pydantic_core import PydanticCustomError

from services.chat.images.domain import Detail
from services.chat.images.parts import DETAIL_SCHEMA, LONGEST_URL, URL_SCHEMA, reads, said_of
from services.chat.images.reading import Said, Shown
from shared.openai import OpenAIRequest
from shared.schemas import Text

_LONGEST: Final = 2**20
_PARTS: Final = 256
_STOPS: Final = 4
_STOP_CHARS: Final = 256
_IMAGE: Final = "image_url"
_HEARD: Final = frozenset({"input_audio", "file", "input_image"})
_PART: Final[dict[str, Any]] = {
    "type": "object",
    "properties": {"type": {"const": "text"}, "text": {"type": "string", "maxLength": _LONGEST}},
    "required": ["type", "text"],
    "additionalProperties": False,
}
_SHOWN: Final[dict[str, Any]] = {
    "type": "object",
    "properties": {
        "type": {"const": _IMAGE},
        "image_url": {
            "type": "object",
            "properties": {
                "url": URL_SCHEMA,
                "detail": DETAIL_SCHEMA,
            },
            "required": ["url"],
            "additionalProperties": False,
        },
    },
    "required": ["type", "image_url"],
    "additionalProperties": False,
}
_CONTENT: Final[dict[str, Any]] = {
    "anyOf": [
        {"type": "string", "maxLength": _LONGEST},
        {"type": "array", "items": {"anyOf": [_PART, _SHOWN]}, "minItems": 1, "maxItems": _PARTS},
    ],
}
_TEXT: Final = TypeAdapter[str](Annotated[Text, Field(max_length=_LONGEST)])


class ImageAddress(OpenAIRequest):
    """All of an image, as an address."""

    url: Annotated[str, Field(max_length=LONGEST_URL)]
    detail: Detail | None = None


class ImagePart(OpenAIRequest):
    """An image that a user shows."""

    type: Literal["image_url"]
    image_url: ImageAddress


def _said(value: Any) -> Said:
    """A text, or parts."""
    if isinstance(value, list) and not 1 <= len(value) <= _PARTS:
        raise PydanticCustomError(
            "parts_out_of_bounds", "must have one part at least, and {most} at most", {"most": _PARTS}
        )
    return said_of(value, _TEXT, _text_of, _image_of)


def _image_of(part: Any) -> Shown | None:
    if not isinstance(part, dict) or part.get("type") != _IMAGE:
        return None
    address = ImagePart.model_validate(part).image_url
    return Shown(address.url, address.detail)


def _text_of(part: Any) -> str:
    kind = part.get("type") if isinstance(part, dict) else None
    if isinstance(kind, str) and kind in _HEARD:
        raise PydanticCustomError("part_unsupported", "has a part {kind}, which no model here takes", {"kind": kind})
    if not isinstance(part, dict) or part.keys() != {"type", "text"} or kind != "text":
        raise PydanticCustomError("part_unknown", 'has a part that is not {"type": "text", "text": …}')
    if not isinstance(part["text"], str):
        raise PydanticCustomError("part_unknown", "has a part whose text is none")
    return part["text"]


Content = Annotated[
    Said,
    reads(_said),
    WithJsonSchema(_CONTENT),
]
"""A text, or parts of one, and images between them."""


def _listed(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


_STOP: Final[dict[str, Any]] = {"type": "string", "minLength": 1, "maxLength": _STOP_CHARS}
Stop = Annotated[
    list[Annotated[Text, Field(min_length=1, max_length=_STOP_CHARS)]],
    Field(min_length=1, max_length=_STOPS),
    BeforeValidator(_listed),
    WithJsonSchema({"anyOf": [_STOP, {"type": "array", "items": _STOP, "minItems": 1, "maxItems": _STOPS}]}),
]
"""Where an answer ends, without what it ends at: one text, or up to four."""
