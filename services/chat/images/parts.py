"""Reads the parts of a message, of which some are images, as what it says and what it shows."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final, get_args

from pydantic import GetPydanticSchema, TypeAdapter, ValidationError
from pydantic_core import InitErrorDetails, PydanticCustomError, core_schema

from services.chat.images.domain import Detail
from services.chat.images.reading import Said, Shown

LONGEST_URL: Final = 4 * 2**20
"""As long as a whole body; an image is refused for its bytes before."""
URL_SCHEMA: Final[dict[str, Any]] = {
    "type": "string",
    "maxLength": LONGEST_URL,
    "description": "all of the image: `data:image/png;base64,…`, or of a JPEG, WebP or GIF",
}
DETAIL_SCHEMA: Final[dict[str, Any]] = {"anyOf": [{"enum": [*get_args(Detail)]}, {"type": "null"}]}


def reads(read: Callable[[Any], Said]) -> GetPydanticSchema:
    """Marks a member that `read` makes of what is given. `PlainValidator` would also know how to write it, and by that
    bring classes of ours into documents."""
    return GetPydanticSchema(lambda _source, _handler: core_schema.no_info_plain_validator_function(read))


def said_of(
    value: Any, text: TypeAdapter[str], text_of: Callable[[Any], str], image_of: Callable[[Any], Shown | None]
) -> Said:
    """A text, or parts: texts stand each on a line of its own, and images between them; beside an image an empty text
    is none. Raises ValidationError where what it says is no `text`."""
    if not isinstance(value, list):
        return Said(text.validate_python(value))
    texts, images = list[str](), list[Shown]()
    length = 0
    for number, part in enumerate(value):
        try:
            shown = image_of(part)
        except ValidationError as error:
            raise _at(number, error) from None
        if shown is None:
            texts.append(text_of(part))
            length += len(texts[-1]) + 1 if texts[-1] else 0
        else:
            images.append(replace(shown, part=number, at=max(0, length - 1)))
    return Said(text.validate_python("\n".join(filter(None, texts) if images else texts)), images)


def _at(number: int, error: ValidationError) -> ValidationError:
    """The same of the part that has this number."""
    found = [
        InitErrorDetails(type=PydanticCustomError(one["type"], one["msg"]), loc=(number, *one["loc"]), input=None)
        for one in error.errors(include_url=False, include_context=False, include_input=False)
    ]
    return ValidationError.from_exception_data(error.title, found)
