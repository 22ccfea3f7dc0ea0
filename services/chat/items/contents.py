"""What an item says: a text, or parts of one, read as the text that they are together."""

from typing import Annotated, Any, Final

from pydantic import BeforeValidator, Field, WithJsonSchema
from pydantic_core import PydanticCustomError

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
_ANNOTATION: Final = {"type": str, "index": int, "file_id": str, "filename": str}
_CITED: Final[dict[str, Any]] = {
    "type": "object",
    "properties": {
        "type": {"const": "file_citation"},
        "index": {"type": "integer"},
        "file_id": {"type": "string"},
        "filename": {"type": "string"},
    },
    "required": list(_ANNOTATION),
    "additionalProperties": False,
}
_MOST_ANNOTATIONS: Final = 1_000
_TAKEN_EMPTY: Final = frozenset({_ANNOTATIONS, "logprobs"})
"""Of a part that an answer had: they come back as they were given out, and say nothing that is kept."""


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
        if name == _ANNOTATIONS and kind == "output_text" and _is_annotated(given):
            continue
        if name not in ("type", member) and given is not None and not (name in _TAKEN_EMPTY and given == []):
            raise PydanticCustomError("part_unknown", "has a part with {name}, which is not kept", {"name": name[:64]})
    text: str = part[member]
    return text


def _is_annotated(given: Any) -> bool:
    """Whether these are citations of files as an answer had them."""
    return (
        isinstance(given, list)
        and len(given) <= _MOST_ANNOTATIONS
        and all(
            isinstance(one, dict)
            and one.keys() == _ANNOTATION.keys()
            and one["type"] == "file_citation"
            and all(isinstance(one[name], kind) for name, kind in _ANNOTATION.items())
            for one in given
        )
    )


def _part(kind: str) -> dict[str, Any]:
    member = _TEXTS[kind]
    taken: dict[str, Any] = {name: {"type": "array", "maxItems": 0} for name in sorted(_TAKEN_EMPTY)}
    if kind == "output_text":
        taken[_ANNOTATIONS] = {"type": "array", "maxItems": _MOST_ANNOTATIONS, "items": _CITED}
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
