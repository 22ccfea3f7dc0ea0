"""The token of a letter, as its reader sends it."""

from typing import Annotated

from pydantic import Field

from shared.schemas import SecretText

TokenOfALetter = Annotated[
    SecretText,
    Field(min_length=1, max_length=128, examples=["3q2-7wABCdefGHIjklMNOpqrSTUvwxYZ0123456789_-abc"]),
]
