"""What a search of files has found, as an answer had it and it is given back."""

from typing import Annotated, Final

from pydantic import Field, StrictBool

from shared.openai import OpenAIRequest
from shared.schemas import Text

_NAME: Final = 1_024
Number = Annotated[float, Field(strict=True, ge=-1e300, le=1e300)]
Whole = Annotated[int, Field(strict=True, ge=-(2**63), lt=2**63)]
Attribute = Annotated[Text, Field(max_length=512)] | StrictBool | Whole | Number
"""A value that is kept beside a file."""


class GivenFound(OpenAIRequest):
    """A part of a file."""

    file_id: Annotated[Text, Field(max_length=_NAME)]
    filename: Annotated[Text, Field(max_length=_NAME)]
    score: Number
    text: Annotated[Text, Field(max_length=2**17)]
    attributes: Annotated[dict[Annotated[Text, Field(max_length=256)], Attribute], Field(max_length=64)]
