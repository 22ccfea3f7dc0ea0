"""Members that OpenAI lets be written in several ways, read as the one that they mean."""

from typing import Annotated, Any, Final

from pydantic import BeforeValidator, Field, WithJsonSchema
from pydantic_core import PydanticCustomError

from shared.schemas import Text

_LONGEST: Final = 2**20
_PARTS: Final = 256
_STOPS: Final = 4
_STOP_CHARS: Final = 256
_SEEN_OR_HEARD: Final = frozenset({"image_url", "input_audio", "file", "input_image"})
_PART: Final[dict[str, Any]] = {
    "type": "object",
    "properties": {"type": {"const": "text"}, "text": {"type": "string", "maxLength": _LONGEST}},
    "required": ["type", "text"],
    "additionalProperties": False,
}
_CONTENT: Final[dict[str, Any]] = {
    "anyOf": [
        {"type": "string", "maxLength": _LONGEST},
        {"type": "array", "items": _PART, "minItems": 1, "maxItems": _PARTS},
    ],
}


def _joined(value: Any) -> Any:
    """Parts of a text as the text, each on a line of its own."""
    if not isinstance(value, list):
        return value
    if not 1 <= len(value) <= _PARTS:
        raise PydanticCustomError(
            "parts_out_of_bounds", "must have one part at least, and {most} at most", {"most": _PARTS}
        )
    return "\n".join(map(_text_of, value))


def _text_of(part: Any) -> str:
    kind = part.get("type") if isinstance(part, dict) else None
    if isinstance(kind, str) and kind in _SEEN_OR_HEARD:
        raise PydanticCustomError("part_unsupported", "has a part {kind}, which no model here takes", {"kind": kind})
    if not isinstance(part, dict) or part.keys() != {"type", "text"} or kind != "text":
        raise PydanticCustomError("part_unknown", 'has a part that is not {{"type": "text", "text": …}}')
    if not isinstance(part["text"], str):
        raise PydanticCustomError("part_unknown", "has a part whose text is none")
    return part["text"]


Content = Annotated[
    Text,
    Field(max_length=_LONGEST),
    BeforeValidator(_joined),
    WithJsonSchema(_CONTENT),
]
"""A text, or parts of one."""


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
