"""What an item says, and a user's message shows: a text, or parts, read as the text that they are together."""

from typing import Annotated, Any, Final, Literal

from pydantic import BeforeValidator, Field, TypeAdapter, WithJsonSchema
from pydantic_core import PydanticCustomError

from services.chat.images.domain import Detail
from services.chat.images.parts import DETAIL_SCHEMA, LONGEST_URL, URL_SCHEMA, reads, said_of
from services.chat.images.reading import Said, Shown
from shared.json_schema import JsonSchema
from shared.openai import OpenAIRequest
from shared.schemas import Text

LONGEST: Final = 2**18
_PARTS: Final = 256
_TEXTS: Final = {
    "input_text": "text",
    "output_text": "text",
    "text": "text",
    "reasoning_text": "text",
    "summary_text": "text",
    "refusal": "refusal",
}
_IMAGE: Final = "input_image"
_MOST: Final = 2**31 - 1
_SEEN_OR_HEARD: Final = frozenset({_IMAGE, "input_file", "input_audio", "computer_screenshot"})
_ANNOTATIONS: Final = "annotations"
_CITED: Final[dict[str, Any]] = {
    "type": "object",
    "properties": {
        "type": {"const": "file_citation"},
        "index": {"type": "integer", "minimum": 0, "maximum": LONGEST},
        "file_id": {"type": "string", "maxLength": 1_024},
        "filename": {"type": "string", "maxLength": 1_024},
    },
    "required": ["type", "index", "file_id", "filename"],
    "additionalProperties": False,
}
_ALL_CITED: Final[dict[str, Any]] = {"type": "array", "maxItems": 1_000, "items": _CITED}
_AS_CITED: Final = JsonSchema(_ALL_CITED)
_TAKEN_EMPTY: Final = frozenset({_ANNOTATIONS, "logprobs"})
"""Of a part that an answer had: they come back as they were given out, and say nothing that is kept."""


def quotable(word: str) -> str:
    """A word of the caller's as an error may have it: it may hold half a character, which no answer can."""
    return ascii(word[:64])[1:-1]


def _joined(value: Any) -> Any:
    """Parts of a text as the text, each on a line of its own."""
    _require_few(value)
    if not isinstance(value, list):
        return value
    return "\n".join(map(_text_of, value))


class GivenImage(OpenAIRequest):
    """An image that a user shows. What an item that was read tells of it is taken back, and not believed."""

    type: Literal["input_image"]
    image_url: Annotated[str, Field(max_length=LONGEST_URL)] | None = None
    file_id: Annotated[str, Field(max_length=1_024)] | None = None
    detail: Detail | None = None
    media_type: Annotated[str, Field(max_length=64)] | None = None
    width: Annotated[int, Field(ge=1, le=_MOST)] | None = None
    height: Annotated[int, Field(ge=1, le=_MOST)] | None = None
    size: Annotated[int, Field(ge=1, le=_MOST)] | None = None


def _said(value: Any) -> Said:
    """A text, or parts."""
    _require_few(value)
    return said_of(value, _TEXT, _text_of, _image_of)


def _image_of(part: Any) -> Shown | None:
    if not isinstance(part, dict) or part.get("type") != _IMAGE:
        return None
    image = GivenImage.model_validate(part)
    return Shown(image.image_url, image.detail, image.file_id)


def _require_few(value: Any) -> None:
    if isinstance(value, list) and len(value) > _PARTS:
        raise PydanticCustomError("parts_out_of_bounds", "must have {most} parts at most", {"most": _PARTS})


def _text_of(part: Any) -> str:
    kind = part.get("type") if isinstance(part, dict) else None
    if isinstance(kind, str) and kind in _SEEN_OR_HEARD:
        raise PydanticCustomError("part_unsupported", "has a part {kind}, which nothing here keeps", {"kind": kind})
    member = _TEXTS.get(kind) if isinstance(kind, str) else None
    if member is None or not isinstance(part.get(member), str):
        raise PydanticCustomError("part_unknown", 'has a part that is not {"type": "input_text", "text": …}')
    for name, given in part.items():
        if name == _ANNOTATIONS and kind == "output_text" and not _AS_CITED.problems(given):
            continue
        if name not in ("type", member) and given is not None and not (name in _TAKEN_EMPTY and given == []):
            raise PydanticCustomError(
                "part_unknown", "has a part with {name}, which is not kept", {"name": quotable(name)}
            )
    text: str = part[member]
    return text


def _part(kind: str) -> dict[str, Any]:
    member = _TEXTS[kind]
    taken: dict[str, Any] = {name: {"type": "array", "maxItems": 0} for name in sorted(_TAKEN_EMPTY)}
    if kind == "output_text":
        taken[_ANNOTATIONS] = _ALL_CITED
    return {
        "type": "object",
        "properties": {"type": {"const": kind}, member: {"type": "string", "maxLength": LONGEST}} | taken,
        "required": ["type", member],
        "additionalProperties": False,
    }


def _either(*parts: dict[str, Any]) -> dict[str, Any]:
    """A text, or a list of these."""
    listed = {"type": "array", "items": {"anyOf": list(parts)}, "maxItems": _PARTS}
    return {"anyOf": [{"type": "string", "maxLength": LONGEST}, listed]}


def _or_null(schema: dict[str, Any]) -> dict[str, Any]:
    return {"anyOf": [schema, {"type": "null"}]}


_NUMBER: Final[dict[str, Any]] = _or_null({"type": "integer", "minimum": 1, "maximum": _MOST})
_SHOWN: Final[dict[str, Any]] = {
    "type": "object",
    "properties": {
        "type": {"const": _IMAGE},
        "image_url": _or_null(URL_SCHEMA),
        "file_id": {"type": "null", "description": "not supported: null, or left out"},
        "detail": DETAIL_SCHEMA,
        "media_type": _or_null({"type": "string", "maxLength": 64}),
        **dict.fromkeys(("width", "height", "size"), _NUMBER),
    },
    "required": ["type", "image_url"],
    "additionalProperties": False,
}
_TEXT: Final = TypeAdapter[str](Annotated[Text, Field(max_length=LONGEST)])
_TEXT_PARTS: Final = [_part(kind) for kind in _TEXTS]
ItemText = Annotated[
    Text,
    Field(max_length=LONGEST),
    BeforeValidator(_joined),
    WithJsonSchema(_either(*_TEXT_PARTS)),
]
"""A text, or parts of one."""
ItemContent = Annotated[Said, reads(_said), WithJsonSchema(_either(*_TEXT_PARTS, _SHOWN))]
"""The same, and images between them."""
