"""Reads the parts of a message, of which some are images, as what it says and what it shows."""

from collections.abc import Callable, Sequence
from typing import Any, Final, TypeVar

from pydantic import ValidationError
from pydantic_core import InitErrorDetails, PydanticCustomError

from services.chat.images.reading import Said, Shown
from shared.openai import OpenAIRequest

LONGEST_URL: Final = 4 * 2**20
"""As long as a whole body; an image is refused for its bytes before."""
Part = TypeVar("Part", bound=OpenAIRequest)


def said_of(parts: Sequence[Any], text_of: Callable[[Any], str], image_of: Callable[[Any], Shown | None]) -> Said:
    """Texts stand each on a line of its own, and images between them; beside an image an empty text is none."""
    texts, images = list[str](), list[Shown]()
    length = 0
    for number, part in enumerate(parts):
        try:
            shown = image_of(part)
        except ValidationError as error:
            raise _at(number, error) from None
        if shown is None:
            texts.append(text_of(part))
            length += len(texts[-1]) + 1 if texts[-1] else 0
        else:
            images.append(Shown(number, max(0, length - 1), shown.url, shown.detail, shown.file_id))
    return Said("\n".join(filter(None, texts) if images else texts), images)


def _at(number: int, error: ValidationError) -> ValidationError:
    """The same of the part that has this number."""
    found = [
        InitErrorDetails(type=PydanticCustomError(one["type"], one["msg"]), loc=(number, *one["loc"]), input=None)
        for one in error.errors(include_url=False, include_context=False, include_input=False)
    ]
    return ValidationError.from_exception_data(error.title, found)
