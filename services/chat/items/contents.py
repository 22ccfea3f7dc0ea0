"""What an item says: a text, or parts of one, read as the text that they are together."""

from typing import Annotated, Any, Final

from pydantic import BeforeValidator, Field, WithJsonSchema
from pydantic_core import PydanticCustomError

from shared.json_schema import JsonSchema
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
_SEEN_OR_HEARD: Final = frozenset({"input_image", "input_file", "input_audio", "computer_screenshot"})
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
    if not isinstance(value, list):
        return value
    if len(value) > _PARTS:
        raise PydanticCustomError("parts_out_of_bounds", "must have {most} parts at most", {"most": _PARTS})
    return "\n".join(map(_text_of, value))


def _text_of(part: Any) -> str:
    kind = part.get("type") if isinstance(part, dict) else None
    if isinstance(kind, str) and kind in _SEEN_OR_HEARD:
        raise PydanticCustomError("part_unsupported", "has a part {kind}, which nothing here keeps", {"kind": kind})
    member = _TEXTS.get(kind) if isinstance(kind, str) else None
    if member is None or not isinstance(part.get(member), str):
        raise PydanticCustomError("part_unknown", 'has a part that is not {{"type": "input_text", "text": …}}')
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


ItemText = Annotated[
    Text,
    Field(max_length=LONGEST),
    BeforeValidator(_joined),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "string", "maxLength": LONGEST},
                {"type": "array", "items": {"anyOf": [_part(kind) for kind in _TEXTS]}, "maxItems": _PARTS},
            ]
        }
    ),
]
"""A text, or parts of one."""
